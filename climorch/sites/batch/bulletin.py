"""What a batch system lets wait, and what is wrong with it: told when it changes.

A reason to wait changes with each look of a batch system at its queue, and for months.
What is told is journaled: so what somebody could act on is told at once, a mere change
of words rarely.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from climorch.core.site_ports import SiteNews
from climorch.model.moments import LAST_DATE_S
from climorch.model.supply import JobsWaiting, SiteTold
from climorch.sites.batch.jobs import Dialect, Job, JobRequest, JobState

__all__ = ["WORDS_S", "Bulletin", "Posted", "waiting_of"]

WORDS_S = 600.0
"""Seconds between two reports that differ in their words alone."""

MOST_WORDS = 300
"""Letters of a reason that are kept."""

MOST_KINDS = 20
"""Reasons that are told apart; more of them are put together."""

HELD = "somebody holds it; ask the centre who, or let it go"


@dataclass(frozen=True, slots=True)
class Posted:
    """What was told last.

    Attributes
    ----------
    told : SiteTold or None
        None: nothing, or all is as it should be.
    at_s : float
        When, UTC seconds.
    """

    told: SiteTold | None = None
    at_s: float = -math.inf

    def due(self, found: SiteTold, now_s: float) -> bool:
        """Tell whether something else is to be told now.

        Parameters
        ----------
        found : SiteTold
            What is so now.
        now_s : float
            UTC seconds.
        """
        before = self.told
        if before is None:
            return bool(found.waiting or found.troubles)
        if found == before:
            return False
        return _matters(found) != _matters(before) or now_s >= self.at_s + WORDS_S


def _matters(told: SiteTold) -> tuple[object, ...]:
    """Return that part of which each change is told at once."""
    passing = sum(group.jobs for group in told.waiting if not group.lasting)
    lasting = [(g.meaning, g.jobs, g.nodes) for g in told.waiting if g.lasting]
    return passing, sorted(lasting), sorted(told.troubles)


def waiting_of(
    jobs: Iterable[Job], dialect: Dialect, request: JobRequest
) -> tuple[JobsWaiting, ...]:
    """Put jobs that wait for the same together.

    Parameters
    ----------
    jobs : iterable of Job
        As the batch system told of them.
    dialect : Dialect
        Knows what its reasons mean.
    request : JobRequest
        What each of them asked for.

    Returns
    -------
    tuple of JobsWaiting
        Who has waited longest first, at most `MOST_KINDS`.
    """
    groups: dict[tuple[str, bool], list[Job]] = {}
    for job in jobs:
        if job.state.waits:
            words = " ".join(job.reason[:MOST_WORDS].split())
            groups.setdefault((words, job.state is JobState.HELD), []).append(job)
    found = []
    for (words, held), those in groups.items():
        lasts = dialect.hopeless(words)
        known = [j.submitted_s for j in those if 0 <= j.submitted_s < LAST_DATE_S]
        found.append(
            JobsWaiting(
                jobs=len(those),
                nodes=request.nodes,
                since_s=min(known, default=None),
                reason=words,
                meaning=lasts or dialect.passing(words) or (HELD if held else ""),
                lasting=bool(lasts),
            )
        )
    found.sort(key=lambda group: (group.since_s is None, group.since_s or 0.0))
    return _few(found)


def _few(found: Sequence[JobsWaiting]) -> tuple[JobsWaiting, ...]:
    """Put those together that are too many to be read one by one."""
    rest = found[MOST_KINDS - 1 :]
    if len(rest) < 2:
        return tuple(found)
    more = JobsWaiting(
        jobs=sum(group.jobs for group in rest),
        nodes=rest[0].nodes,
        since_s=rest[0].since_s,
        reason=f"{len(rest)} other reasons",
    )
    return (*found[: MOST_KINDS - 1], more)


class Bulletin:
    """Tells whoever listens to a site.

    Parameters
    ----------
    dialect : Dialect
        Of the batch system.
    request : JobRequest
        What each job is like.
    now : callable
        UTC seconds.

    Attributes
    ----------
    news : SiteNews or None
        Who listens.
    """

    def __init__(
        self, dialect: Dialect, request: JobRequest, now: Callable[[], float]
    ) -> None:
        self.news: SiteNews | None = None
        self._dialect = dialect
        self._request = request
        self._now = now
        self._troubles: dict[str, str] = {}
        self._waiting: tuple[JobsWaiting, ...] = ()
        self._posted = Posted()

    def trouble(self, subject: str, message: str) -> None:
        """Tell what is wrong, or no longer (empty), once."""
        if self._troubles.get(subject, "") != message:
            self._troubles[subject] = message
            if self.news is not None:
                self.news.trouble(subject, message)

    def waits(self, jobs: Sequence[Job]) -> None:
        """Take what the batch system told of jobs; what waits for ever is trouble."""
        self._waiting = waiting_of(jobs, self._dialect, self._request)
        told = [
            f"job {job.id} waits for {job.reason}: {meaning}"
            for job in jobs
            if job.state.waits and (meaning := self._dialect.hopeless(job.reason))
        ]
        self.trouble("hopeless", told[-1] if told else "")

    def post(self, *, again: bool = False) -> None:
        """Tell how things stand, if they stand otherwise than was told.

        Parameters
        ----------
        again : bool
            Whether to tell it though it was told: whoever listens is another one.
        """
        found = self._found()
        if again:
            self._posted = Posted()
        now_s = self._now()
        if self.news is not None and self._posted.due(found, now_s):
            self._posted = Posted(found, now_s)
            self.news.stands(found)

    def _found(self) -> SiteTold:
        request = self._request
        named = (
            request.partition,
            f"QOS {request.qos}" if request.qos else "",
            f"account {request.account}" if request.account else "",
        )
        # What waits for ever is told of the jobs themselves.
        troubles = {s: m for s, m in self._troubles.items() if m and s != "hopeless"}
        return SiteTold(
            system=self._dialect.name,
            place=", ".join(filter(None, named)),
            waiting=self._waiting,
            troubles=troubles,
        )
