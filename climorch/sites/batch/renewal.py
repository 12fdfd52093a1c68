"""How many jobs to ask for, and when: so that nodes are there without a gap.

Pure. A job that will soon end is succeeded before it does: its successor waits in
the queue and starts up while it still computes.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from statistics import quantiles

from climorch.sites.batch.jobs import Job, JobState

__all__ = ["Bucket", "Need", "Renewal", "Turn", "lead_s", "pause_s", "renew"]

# A job that ended sooner than that after its start has not got to computing.
QUICK_S = 60.0
# Waits for the queue that are remembered.
MOST_WAITS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """What is wanted.

    Attributes
    ----------
    jobs : int
        Jobs that are to have nodes at any time.
    walltime_s : float
        Of each job, in seconds.
    start_s : float
        From the start of a job until its nodes compute, in seconds, >= 0.
    """

    jobs: int
    walltime_s: float
    start_s: float = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What of that is needed, as far as somebody knows.

    Attributes
    ----------
    jobs : float
        Jobs; inf: all of them.
    until_s : float
        UTC seconds; inf: for as long as may be.
    """

    jobs: float = math.inf
    until_s: float = math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """Submissions that are allowed now: so many at once, and so many in the long run.

    Attributes
    ----------
    tokens : float
        Submissions left.
    at_s : float
        When that was so, in seconds.
    most : int
        Most tokens.
    every_s : float
        One more comes in so many seconds.
    """

    tokens: float = 50.0
    at_s: float = -math.inf
    most: int = 50
    every_s: float = 2.0

    def at(self, now_s: float) -> Bucket:
        """Return the bucket as it is at a time."""
        more = max(0.0, now_s - self.at_s) / self.every_s
        return replace(
            self, tokens=min(float(self.most), self.tokens + more), at_s=now_s
        )

    def take(self, number: int) -> Bucket:
        """Return the bucket with so many tokens less."""
        return replace(self, tokens=self.tokens - number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What to do now.

    Attributes
    ----------
    submit : int
        New jobs.
    cancel : tuple of str
        Jobs that wait and are not needed.
    release : tuple of str
        Jobs that are held by nobody's will.
    """

    submit: int = 0
    cancel: tuple[str, ...] = ()
    release: tuple[str, ...] = ()


def renew(
    wanted: Renewal,
    jobs: Sequence[Job],
    *,
    now_s: float,
    ahead_s: float,
    released: Collection[str] = (),
    needed: Need | None = None,
) -> Turn:
    """Decide what to ask the batch system for.

    Parameters
    ----------
    wanted : Renewal
        What is to be there.
    jobs : sequence of Job
        All of ours, as they were told after the last submission was answered.
    now_s : float
        UTC seconds.
    ahead_s : float
        Who ends within so many seconds is to be succeeded, see `lead_s`.
    released : collection of str
        Held jobs that were let go before: they are held by somebody's will.
    needed : Need or None
        Who lasts until nothing is needed any more is not succeeded; None: all is,
        for ever.

    Returns
    -------
    Turn
        Who computes is never cancelled.
    """
    needed = needed or Need()
    until_s = min(now_s + ahead_s, max(needed.until_s, now_s))
    lasting = [job for job in jobs if _lasts(job, until_s)]
    missing = int(min(wanted.jobs, needed.jobs)) - len(lasting)
    # The newest first: the others have waited longer.
    waiting = sorted((j for j in lasting if j.state.waits), key=_submitted_s)
    surplus = waiting[len(waiting) + missing :] if missing < 0 else []
    held = [
        job.id
        for job in waiting
        if job.state is JobState.HELD
        and job.restarts > 0
        and job.id not in released
        and job not in surplus
    ]
    return Turn(
        submit=max(0, missing),
        cancel=tuple(job.id for job in surplus),
        release=tuple(held),
    )


def lead_s(wanted: Renewal, waits_s: Sequence[float]) -> float:
    """Return how long before the end of a job its successor is to be submitted.

    Parameters
    ----------
    wanted : Renewal
        With the time that nodes take to start.
    waits_s : sequence of float
        How long jobs of ours have waited in the queue, in seconds, the newest
        last; the newest `MOST_WAITS` count.

    Returns
    -------
    float
        Seconds: so that nine of ten successors are there in time, but at most
        half the walltime, or every job would have two.
    """
    recent = list(waits_s[-MOST_WAITS:])
    if len(recent) > 1:
        wait_s = quantiles(recent, n=10, method="inclusive")[-1]
    else:
        wait_s = max(recent, default=0.0)
    return min(wait_s + wanted.start_s, wanted.walltime_s / 2)


def pause_s(ended: Sequence[Job], *, first_s: float = 10.0) -> float:
    """Return how long to wait with submissions after jobs that came to nothing.

    Parameters
    ----------
    ended : sequence of Job
        In the order of their ends.
    first_s : float
        After one of them, in seconds; doubled for each one more in a row.

    Returns
    -------
    float
        Seconds after the last of them; 0: none.
    """
    row = 0
    for job in reversed(ended):
        if job.state not in (JobState.FAILED, JobState.DONE) or not _quick(job):
            break
        row += 1
    return min(3600.0, first_s * 2.0 ** (row - 1)) if row else 0.0


def _quick(job: Job) -> bool:
    ran_s = job.ends_s - job.started_s
    # One that never started is as quick as can be.
    return math.isnan(ran_s) or ran_s < QUICK_S


def _lasts(job: Job, until_s: float) -> bool:
    if job.state in (JobState.RUNNING, JobState.UNKNOWN):
        return math.isnan(job.ends_s) or job.ends_s > until_s
    return job.state.waits


def _submitted_s(job: Job) -> float:
    return math.inf if math.isnan(job.submitted_s) else job.submitted_s
