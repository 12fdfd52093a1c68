"""Replays real workloads through the rules of backfill.

Jobs run on processors that are all alike, each on ones of its own, under the very
code that plans a campaign. The conventions are those of published comparisons, since
they alone move results by percents: within a second, arrivals come before
terminations and each is decided on by itself; a processor whose job's estimate ends
this second is free already.

References
----------
Gaussier et al. (2015), SC'15, article 64: the averages compared with.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heappop, heappush

import numpy as np
import numpy.typing as npt
import pandas as pd

from climorch.errors import Fault, InvalidInputError
from climorch.forecast.swf import Jobs
from climorch.policy.availability import Profile
from climorch.policy.backfill import RULES, conservative, overtake
from climorch.policy.queueing import Plan, Request, Reservation, Shadow

__all__ = ["BOUND_S", "Replay", "replay"]

BOUND_S = 10.0
"""Shorter runs count as this long in the bounded slowdown, in seconds."""

_FAULTS_SHOWN = 20

Seconds = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Replay:
    """What became of jobs under a rule.

    Attributes
    ----------
    jobs : Jobs
        Whose they are.
    policy : str
        The rule.
    clairvoyant : bool
        Whether it knew how long each job runs, instead of what it asked for.
    machine : int
        Processors there were.
    start_s : ndarray, shape (job,), s
        When each job started.
    """

    jobs: Jobs
    policy: str
    clairvoyant: bool
    machine: int
    start_s: Seconds

    @property
    def wait_s(self) -> Seconds:
        """From arrival to start, seconds by job."""
        return self.start_s - self.jobs.submit_s

    @property
    def bounded_slowdown(self) -> npt.NDArray[np.float64]:
        """Time in the system over time of running, by job, with `BOUND_S`; >= 1."""
        run_s = self.jobs.run_s
        spent_s = self.wait_s + run_s
        return np.maximum(spent_s / np.maximum(run_s, BOUND_S), 1.0)

    @property
    def mean_bounded_slowdown(self) -> float:
        """Mean over all jobs; NaN without jobs."""
        return float(self.bounded_slowdown.mean()) if len(self.jobs) else math.nan

    @property
    def mean_wait_s(self) -> float:
        """Mean over all jobs, in seconds; NaN without jobs."""
        return float(self.wait_s.mean()) if len(self.jobs) else math.nan

    @property
    def utilisation(self) -> float:
        """Share of the processors used, first arrival to last end; NaN without."""
        if not len(self.jobs):
            return math.nan
        jobs = self.jobs
        span_s = int((self.start_s + jobs.run_s).max() - jobs.submit_s[0])
        used_s = int((jobs.run_s * jobs.processors).sum())
        return used_s / (self.machine * span_s) if span_s else math.nan

    def to_pandas(self) -> pd.DataFrame:
        """Return a row for each job, under its number."""
        return pd.DataFrame(
            {
                "submit_s": self.jobs.submit_s,
                "wait_s": self.wait_s,
                "run_s": self.jobs.run_s,
                "request_s": self.jobs.request_s,
                "processors": self.jobs.processors,
                "bounded_slowdown": self.bounded_slowdown,
            },
            index=pd.Index(self.jobs.number, name="job"),
        )


def replay(
    jobs: Jobs,
    processors: int | None = None,
    *,
    policy: str = "easy",
    clairvoyant: bool = False,
    depth: int | None = None,
) -> Replay:
    """Let jobs arrive as they did, and let a rule start them.

    Parameters
    ----------
    jobs : Jobs
        Who arrives when.
    processors : int, optional
        Of the machine, all alike; by default what the trace says.
    policy : str
        A name of `climorch.policy.backfill.RULES`. Under ``conservative`` promises
        are kept, and moved forward when a job ends early.
    clairvoyant : bool
        Plan with the true run times instead of the requests.
    depth : int, optional
        Under ``conservative``, how many that wait may hold a reservation; by default
        all, at a cost that grows with the square of the queue.

    Returns
    -------
    Replay
        The start of each job.

    Raises
    ------
    InvalidInputError
        If there is no such rule, or a job that is larger than the machine.
    """
    machine = jobs.machine if processors is None else processors
    faults = list(_faults_of_replay(jobs, machine, policy, depth))
    if faults:
        raise InvalidInputError("these jobs cannot be replayed", faults=faults)
    course = _Course(jobs, machine, policy, clairvoyant=clairvoyant, depth=depth)
    return Replay(
        jobs=jobs,
        policy=policy,
        clairvoyant=clairvoyant,
        machine=machine,
        start_s=np.asarray(course.run(), dtype=np.int64),
    )


def _faults_of_replay(
    jobs: Jobs, machine: int, policy: str, depth: int | None
) -> Iterator[Fault]:
    if policy not in RULES:
        yield Fault(
            place="replay.policy",
            problem=f"got {policy!r}",
            remedy=f"one of {', '.join(RULES)}",
        )
    if depth is not None and depth < 1:
        yield Fault(
            place="replay.depth",
            problem=f"got {depth}, expected >= 1",
            remedy="give None for all",
        )
    if machine < 1:
        yield Fault(
            place="replay.processors",
            problem=f"the machine has {machine}",
            remedy="say how many there are",
        )
    large = jobs.number[jobs.processors > machine]
    if machine >= 1 and len(large):
        shown = ", ".join(map(str, large[:_FAULTS_SHOWN]))
        yield Fault(
            place="replay.processors",
            problem=f"{len(large)} jobs need more than {machine}: {shown}",
            remedy="replay them on a larger machine, or leave them out",
        )


class _Course:
    """A replay between two events."""

    def __init__(
        self,
        jobs: Jobs,
        machine: int,
        policy: str,
        *,
        clairvoyant: bool,
        depth: int | None,
    ) -> None:
        self._keeps = policy == "conservative"
        self._overtakes = policy != "fcfs"
        self._depth = depth
        self._rule = RULES[policy]
        self._submit_s: list[int] = jobs.submit_s.tolist()
        self._run_s: list[int] = jobs.run_s.tolist()
        known = np.maximum(jobs.run_s, 1) if clairvoyant else jobs.request_s
        self._estimate_s: list[int] = known.tolist()
        self._processors: list[int] = jobs.processors.tolist()
        self._start_s = [0] * len(jobs)
        self._nodes = [0] * len(jobs)
        # Ordered: who waits. A start takes one out of the middle at once.
        self._queue: dict[str, Request] = {}
        self._ends: list[tuple[int, int]] = []
        self._profile = Profile((1 << machine) - 1)
        self._shadow: Shadow | None = None
        self._reserved: dict[str, Reservation] = {}
        self._seen = -1

    def run(self) -> list[int]:
        """Let all arrive and end; return when each started."""
        arrivals, jobs = self._submit_s, len(self._submit_s)
        ends = self._ends
        job = 0
        wake_s = math.inf
        while job < jobs or ends or self._queue:
            now_s = min(
                arrivals[job] if job < jobs else math.inf,
                ends[0][0] if ends else math.inf,
                wake_s,
            )
            self._profile = self._profile.advance(now_s)
            while job < jobs and arrivals[job] == now_s:
                self._arrive(job, now_s)
                job += 1
            while ends and ends[0][0] == now_s:
                self._end(heappop(ends)[1], now_s)
            wake_s = self._wake(now_s)
        return self._start_s

    def _arrive(self, job: int, now_s: float) -> None:
        request = Request(
            name=str(job),
            nodes=self._processors[job],
            estimate_s=self._estimate_s[job],
        )
        self._queue[request.name] = request
        profile, shadow = self._profile, self._shadow
        if self._keeps:
            if self._depth is None or len(self._reserved) < self._depth:
                # Nothing was freed, so nobody else has to be looked at.
                self._carry_out(conservative(profile, (request,), now_s), now_s)
        elif shadow is None or profile.free_at(now_s) != self._seen:
            self._decide(now_s)
        elif self._overtakes:
            # Nobody else has more room than when they were looked at last.
            plan = overtake(profile, (request,), now_s, shadow=shadow)
            self._carry_out(plan, now_s)

    def _end(self, job: int, now_s: float) -> None:
        stop_s = self._start_s[job] + self._estimate_s[job]
        if stop_s > now_s:
            self._profile = self._profile.give(self._nodes[job], now_s, stop_s)
        elif self._keeps or self._profile.free_at(now_s) == self._seen:
            return
        if self._queue:
            self._decide(now_s)

    def _wake(self, now_s: float) -> float:
        """Start what is reserved for now; return when to wake next."""
        if not self._reserved:
            return math.inf
        wake_s = min(place.start_s for place in self._reserved.values())
        if wake_s > now_s:
            return wake_s
        self._decide(now_s)
        return min((p.start_s for p in self._reserved.values()), default=math.inf)

    def _decide(self, now_s: float) -> None:
        """Look at the whole queue."""
        profile, queue = self._profile, self._queue.values()
        if self._keeps:
            plan = conservative(
                profile, queue, now_s, reserved=self._reserved, depth=self._depth
            )
        else:
            plan = self._rule(profile, queue, now_s)
        self._carry_out(plan, now_s)

    def _carry_out(self, plan: Plan, now_s: float) -> None:
        for name, nodes in plan.starts.items():
            job = int(name)
            self._start_s[job] = int(now_s)
            self._nodes[job] = nodes
            heappush(self._ends, (int(now_s) + self._run_s[job], job))
            del self._queue[name]
            self._reserved.pop(name, None)
        if self._keeps:
            self._reserved.update(plan.reservations)
        self._profile, self._shadow = plan.profile, plan.shadow
        self._seen = plan.profile.free_at(now_s)
