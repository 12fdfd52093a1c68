"""A keeper of jobs on a batch system that says what it is told to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from climorch.model.supply import SiteTold
from climorch.sites.batch.calls import Answer
from climorch.sites.batch.jobs import Call, Closure, Job, JobRequest, JobState
from climorch.sites.batch.keeper import JobKeeper
from climorch.sites.batch.renewal import Renewal

__all__ = ["Bench", "Fake", "News"]


@dataclass
class Fake:
    """A batch system that says what it is told to; also its dialect.

    Attributes
    ----------
    queue : list of Job
        What it has.
    broken : str
        What its commands say instead of an answer.
    """

    queue: list[Job] = field(default_factory=list)
    closures_: list[Closure] = field(default_factory=list)
    broken: str = ""
    refuses: str = ""
    silent: bool = False
    calls: list[tuple[str, ...]] = field(default_factory=list)
    name = "Fake"
    programs = ()
    launcher = "srun"
    finds = False

    async def run(self, call: Call) -> Answer:
        """Do what a call says."""
        self.calls.append(call.argv)
        if self.broken:
            return Answer(code=1, stderr=self.broken)
        match call.argv:
            case ("submit", serial):
                if self.refuses:
                    return Answer(code=1, stderr=self.refuses)
                self.queue.append(
                    Job(id=serial, state=JobState.QUEUED, submitted_s=float(serial))
                )
                if self.silent:
                    return Answer(code=None, stderr="no answer in 1 s")
                return Answer(code=0, stdout=serial)
            case ("cancel", *ids):
                self.queue = [j for j in self.queue if j.id not in ids]
        return Answer(code=0)

    def submit(self, request: JobRequest, *, test: bool = False) -> Call:
        """Name the job by its serial."""
        return Call(argv=("submit", str(request.serial)))

    def submitted(self, stdout: str) -> str:
        """Return what was printed."""
        return stdout

    def find(self, tag: str) -> Call | None:
        return Call(argv=("find",)) if self.finds else None

    def nothing(self, code: int, stderr: str) -> bool:
        return stderr == "none"

    def query(self, tag: str, ids: Sequence[str] = ()) -> Call:
        """Ask."""
        return Call(argv=("query",))

    def jobs(self, stdout: str, tag: str) -> list[Job]:
        """Return the queue."""
        return list(self.queue)

    def cancel(self, ids: Sequence[str]) -> Call:
        """End."""
        return Call(argv=("cancel", *ids))

    def release(self, ids: Sequence[str]) -> Call | None:
        """Let go."""
        return Call(argv=("release", *ids))

    def closures(self) -> Call | None:
        """Ask for maintenance."""
        return Call(argv=("closures",))

    def closed(self, stdout: str) -> list[Closure]:
        """Return the maintenance."""
        return self.closures_

    def clock(self) -> Call | None:
        """Tell no time."""
        return None

    def clock_s(self, stdout: str) -> float:
        """Refuse."""
        raise ValueError(stdout)

    def hopeless(self, reason: str) -> str:
        """Know one reason."""
        return "ask for less" if reason == "TooMuch" else ""

    def passing(self, reason: str) -> str:
        """Know one reason that passes."""
        return "others are before it" if reason == "Priority" else ""

    def barred(self, stderr: str) -> str:
        """Know one refusal."""
        return "name another one" if "account" in stderr else ""

    def becomes(self, number: str, **more: object) -> None:
        """Let a job be as given from now on."""
        self.queue = [j for j in self.queue if j.id != number]
        self.queue.append(Job(id=number, **more))  # type: ignore[arg-type]

    def took(self, *words: str) -> int:
        """Count calls that begin so."""
        return sum(call[: len(words)] == words for call in self.calls)


@dataclass
class News:
    """Hears what is told."""

    ends: list[tuple[str, float | None, str]] = field(default_factory=list)
    recalls: list[tuple[str, float | None]] = field(default_factory=list)
    troubles: dict[str, str] = field(default_factory=dict)
    told: list[SiteTold] = field(default_factory=list)

    def goes(
        self, node: str, at_s: float | None, why: str, *, recalled: bool = False
    ) -> None:
        """Note it."""
        self.ends.append((node, at_s, why))
        if recalled:
            self.recalls.append((node, at_s))

    def trouble(self, subject: str, message: str) -> None:
        """Note what lasts."""
        self.troubles[subject] = message
        if not message:
            del self.troubles[subject]

    def stands(self, told: SiteTold) -> None:
        """Note it."""
        self.told.append(told)


class Bench:
    """A keeper of two jobs of an hour, with a clock to be set."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.fake = Fake()
        self.news = News()
        self.keeper = self.another()

    def another(self) -> JobKeeper:
        """Make a keeper, as a new driver does."""
        keeper = JobKeeper(
            self.fake,
            JobRequest(tag="t"),
            Renewal(jobs=2, walltime_s=3600.0, start_s=60.0),
            run=self.fake.run,
            poll_s=10.0,
            now=lambda: self.now_s,
        )
        keeper.bulletin.news = self.news
        return keeper

    async def look(self, now_s: float) -> None:
        """Let the keeper look at a time."""
        self.now_s = now_s
        await self.keeper.look()
