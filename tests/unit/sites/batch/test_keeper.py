"""Jobs are kept as many as are wanted, whatever the batch system answers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from climorch.sites.batch.calls import Answer
from climorch.sites.batch.jobs import Call, Closure, Job, JobRequest, JobState
from climorch.sites.batch.keeper import JobKeeper
from climorch.sites.batch.renewal import Renewal


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
    troubles: dict[str, str] = field(default_factory=dict)

    def goes(self, node: str, at_s: float | None, why: str) -> None:
        """Note it."""
        self.ends.append((node, at_s, why))

    def trouble(self, subject: str, message: str) -> None:
        """Note what lasts."""
        self.troubles[subject] = message
        if not message:
            del self.troubles[subject]


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
        keeper.news = self.news
        return keeper

    async def look(self, now_s: float) -> None:
        """Let the keeper look at a time."""
        self.now_s = now_s
        await self.keeper.look()


@pytest.fixture
def bench() -> Bench:
    """Return a keeper on a fake batch system."""
    return Bench()


async def test_what_is_missing_is_asked_for_once(bench: Bench) -> None:
    """Jobs that wait are on their way."""
    await bench.look(0.0)
    await bench.look(10.0)
    assert bench.fake.took("submit") == 2


async def test_a_failed_question_says_nothing(bench: Bench) -> None:
    """Jobs are neither gone nor asked for again, and somebody is told."""
    await bench.look(0.0)
    bench.fake.broken = "Unable to contact slurm controller"
    await bench.look(10.0)

    assert bench.fake.took("submit") == 2
    assert set(bench.keeper.known) == {"1", "2"}
    assert bench.keeper.ended == []
    assert "does not tell: Unable to contact" in bench.news.troubles["query"]
    bench.fake.broken = ""
    await bench.look(20.0)
    assert bench.news.troubles == {}
    assert bench.fake.took("submit") == 2


async def test_a_submission_without_an_answer_is_not_repeated_blindly(
    bench: Bench,
) -> None:
    """The next question shows that it was taken."""
    bench.fake.silent = True
    await bench.look(0.0)
    assert bench.fake.took("submit") == 1
    bench.fake.silent = False
    await bench.look(10.0)
    await bench.look(20.0)
    assert bench.fake.took("submit") == 2
    assert len(bench.fake.queue) == 2


async def test_refused_submissions_are_told_and_tried_ever_more_rarely(
    bench: Bench,
) -> None:
    """A queue that is full stays full for a while."""
    bench.fake.refuses = "sbatch: error: AssocMaxSubmitJobLimit"
    for now_s in range(0, 200, 10):
        await bench.look(float(now_s))

    assert bench.fake.took("submit") == 5
    assert bench.news.troubles == {
        "submit": "the batch system takes no job: sbatch: error: AssocMaxSubmitJobLimit"
    }
    bench.fake.refuses = ""
    await bench.look(1000.0)
    assert bench.news.troubles == {}
    assert len(bench.fake.queue) == 2


async def test_what_does_not_pass_is_not_tried_for_ever(bench: Bench) -> None:
    """Five times, with the remedy; again only when nodes are started anew."""
    bench.fake.refuses = "sbatch: error: Invalid account"
    told = (
        "the batch system takes no job: sbatch: error: Invalid account; "
        "name another one"
    )
    await bench.look(0.0)
    assert bench.news.troubles == {"submit": told}
    for now_s in range(10, 100_000, 10):
        await bench.look(float(now_s))
    assert bench.fake.took("submit") == 5
    assert bench.news.troubles["submit"] == told
    assert bench.news.troubles["final"] == (
        f"{told}; no other one is tried before the campaign is started anew"
    )
    bench.fake.refuses = ""
    await bench.look(200_000.0)
    assert bench.fake.took("submit") == 5
    bench.keeper.again()
    assert bench.news.troubles == {"submit": told}
    await bench.look(200_010.0)
    assert bench.fake.took("submit") == 7
    assert bench.news.troubles == {}


async def test_nodes_that_are_started_anew_wait_as_those_before(bench: Bench) -> None:
    """What may pass is not tried sooner for it."""
    bench.fake.refuses = "sbatch: error: AssocMaxSubmitJobLimit"
    await bench.look(0.0)
    await bench.look(10.0)
    bench.keeper.again()
    await bench.look(20.0)
    assert bench.fake.took("submit") == 2


async def test_jobs_of_an_earlier_driver_are_taken_over(bench: Bench) -> None:
    """They are found by their tag; their ends are told."""
    await bench.look(0.0)
    for number in ("1", "2"):
        bench.fake.becomes(
            number, state=JobState.RUNNING, hosts=("n" + number,), ends_s=3600.0
        )
    bench.keeper = bench.another()
    await bench.look(100.0)

    assert bench.fake.took("submit") == 2
    assert bench.news.ends == [
        ("n1.1", 3600.0, "its job ends"),
        ("n2.2", 3600.0, "its job ends"),
    ]


async def test_a_job_is_succeeded_before_it_ends(bench: Bench) -> None:
    """By as long as jobs have waited and nodes take to start."""
    await bench.look(0.0)
    for number in ("1", "2"):
        bench.fake.becomes(
            number,
            state=JobState.RUNNING,
            hosts=("n",),
            submitted_s=0.0,
            started_s=40.0,
            ends_s=3640.0,
        )
    await bench.look(50.0)
    await bench.look(3539.0)
    assert bench.fake.took("submit") == 2
    await bench.look(3541.0)
    assert bench.fake.took("submit") == 4


async def test_a_job_is_succeeded_before_its_host_goes(bench: Bench) -> None:
    """For maintenance, or by a warning: it may go on, and nobody computes there."""
    await bench.look(0.0)
    for number in ("1", "2"):
        bench.fake.becomes(
            number, state=JobState.RUNNING, hosts=("n" + number,), ends_s=3600.0
        )
    bench.fake.closures_ = [
        Closure(name="m", hosts=("n1",), start_s=500.0, stop_s=900.0)
    ]
    await bench.keeper.ask_closures()
    await bench.look(430.0)
    assert bench.fake.took("submit") == 2
    await bench.look(445.0)
    assert bench.fake.took("submit") == 3
    bench.keeper.ends.warn("n2.2", 480.0, "SIGTERM")
    await bench.look(450.0)
    assert bench.fake.took("submit") == 4
    await bench.look(600.0)
    assert bench.fake.took("submit") == 4


async def test_an_end_is_told_again_only_where_it_moves(bench: Bench) -> None:
    """To maintenance, to a warning; or away from both."""
    await bench.look(0.0)
    bench.fake.becomes("1", state=JobState.RUNNING, hosts=("n1",), ends_s=3600.0)
    await bench.look(10.0)
    await bench.look(20.0)
    bench.fake.closures_ = [
        Closure(name="m", hosts=("n1",), start_s=500.0, stop_s=900.0),
        Closure(name="past", hosts=(), start_s=1.0, stop_s=9.0),
        Closure(name="other", hosts=("n2",), start_s=100.0, stop_s=900.0),
    ]
    await bench.keeper.ask_closures()
    await bench.look(30.0)
    bench.keeper.ends.warn("n1.1", 60.0, "SIGTERM")
    bench.keeper.ends.warn("n1.1", 60.5, "SIGTERM")

    assert bench.news.ends == [
        ("n1.1", 3600.0, "its job ends"),
        ("n1.1", 500.0, "maintenance m"),
        ("n1.1", 60.0, "SIGTERM"),
    ]


async def test_a_warning_holds_until_the_job_is_over(bench: Bench) -> None:
    """The queue still tells the walltime of a job that is preempted."""
    await bench.look(0.0)
    bench.fake.becomes("1", state=JobState.RUNNING, hosts=("n1",), ends_s=3600.0)
    await bench.look(10.0)
    bench.keeper.ends.warn("n1.1", 60.0, "SIGTERM")
    await bench.look(20.0)
    assert bench.news.ends[-1] == ("n1.1", 60.0, "SIGTERM")
    # It is there long after: it was given its time back.
    await bench.look(700.0)
    assert bench.news.ends[-1] == ("n1.1", 3600.0, "its job ends")


async def test_a_warning_gives_no_node_more_time(bench: Bench) -> None:
    """What is told when the walltime is over sounds as if there were a grace."""
    await bench.look(0.0)
    bench.fake.becomes("1", state=JobState.RUNNING, hosts=("n1",), ends_s=180.0)
    await bench.look(10.0)
    bench.keeper.ends.warn("n1.1", 168.0, "SIGUSR1")
    bench.keeper.ends.warn("n1.1", 238.0, "SIGTERM")
    await bench.look(170.0)
    bench.keeper.ends.warn("n1.1", 239.0, "SIGTERM")
    await bench.look(180.0)
    assert bench.news.ends == [
        ("n1.1", 180.0, "its job ends"),
        ("n1.1", 168.0, "SIGUSR1"),
    ]
    # Ten minutes later it is there and is warned for another reason.
    bench.fake.becomes("1", state=JobState.RUNNING, hosts=("n1",), ends_s=9000.0)
    await bench.look(800.0)
    bench.keeper.ends.warn("n1.1", 830.0, "SIGTERM")
    await bench.look(810.0)
    assert bench.news.ends[2:] == [
        ("n1.1", 9000.0, "its job ends"),
        ("n1.1", 830.0, "SIGTERM"),
    ]


@pytest.mark.parametrize(
    "state", [JobState.WALLTIME, JobState.PREEMPTED, JobState.NODE_FAILED, None]
)
async def test_why_a_job_ended_is_kept(bench: Bench, state: JobState | None) -> None:
    """One that is missing from an answer did not succeed: nobody knows."""
    await bench.look(0.0)
    bench.fake.becomes("1", state=JobState.RUNNING, hosts=("n1",), ends_s=3600.0)
    await bench.look(10.0)
    if state is None:
        bench.fake.queue = [j for j in bench.fake.queue if j.id != "1"]
    else:
        bench.fake.becomes("1", state=state, hosts=("n1",), started_s=5, ends_s=99)
    await bench.look(100.0)

    (job,) = bench.keeper.ended
    assert (job.id, job.state) == ("1", state or JobState.UNKNOWN)
    await bench.look(110.0)
    assert len(bench.keeper.ended) == 1
    assert bench.fake.took("submit") == 3


async def test_jobs_that_end_at_once_are_not_asked_for_without_end(
    bench: Bench,
) -> None:
    """Each pause is twice the one before; somebody is told where the log is."""
    for now_s in range(0, 400, 10):
        await bench.look(float(now_s))
        for job in list(bench.fake.queue):
            if job.state is JobState.QUEUED:
                bench.fake.becomes(
                    job.id, state=JobState.FAILED, started_s=1.0, ends_s=2.0
                )

    assert bench.fake.took("submit") <= 12
    assert "ended as soon as it had begun" in bench.news.troubles["quick"]


async def test_a_job_that_waits_for_what_never_comes_is_told(bench: Bench) -> None:
    """With the remedy, once; and no longer once it has what it waited for."""
    await bench.look(0.0)
    bench.fake.becomes("1", state=JobState.QUEUED, reason="TooMuch")
    await bench.look(10.0)
    assert bench.news.troubles == {"hopeless": "job 1 waits for TooMuch: ask for less"}
    bench.fake.becomes("1", state=JobState.RUNNING, hosts=("n",), ends_s=3600.0)
    await bench.look(20.0)
    assert bench.news.troubles == {}


async def test_the_end_takes_all_jobs_with_it(bench: Bench) -> None:
    """Who waits at once; who has nodes gets a moment to give them back."""
    await bench.look(0.0)
    bench.fake.becomes("1", state=JobState.RUNNING, hosts=("n",), ends_s=3600.0)
    await bench.keeper.end(patience_s=0.0)
    assert bench.fake.queue == []
    assert bench.fake.calls[-1] == ("cancel", "2", "1")
    assert bench.keeper.known == {}


async def test_jobs_that_end_by_themselves_are_not_cancelled(bench: Bench) -> None:
    """Their agents were told that it is over."""
    await bench.look(0.0)
    for number in ("1", "2"):
        bench.fake.becomes(number, state=JobState.RUNNING, hosts=("n",))
    asked = bench.fake.took("query")
    ending = asyncio.create_task(bench.keeper.end(patience_s=30.0))
    while bench.fake.took("query") == asked:
        await asyncio.sleep(0)
    for number in ("1", "2"):
        bench.fake.becomes(number, state=JobState.DONE)
    await ending
    assert bench.fake.took("cancel") == 0


async def test_where_nobody_answers_what_was_known_is_ended(bench: Bench) -> None:
    """It is tried, whatever comes of it."""
    await bench.look(0.0)
    bench.fake.broken = "down"
    await bench.keeper.end(patience_s=0.0)
    assert bench.fake.calls[-1] == ("cancel", "1", "2")


async def test_a_job_held_after_a_failed_launch_is_released_once(bench: Bench) -> None:
    """Slurm holds it, nobody's will does."""
    await bench.look(0.0)
    bench.fake.becomes("1", state=JobState.HELD, restarts=1, submitted_s=1.0)
    await bench.look(10.0)
    await bench.look(20.0)
    assert bench.fake.took("release") == 1
