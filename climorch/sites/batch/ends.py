"""When the nodes of jobs go, told once, and again where that moves."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from climorch.sites.batch.jobs import Closure, Job, JobState

__all__ = ["NodeEnds"]

# An end that moves by less, in seconds, is told by nobody.
SAME_S = 1.0
# A warning that is older, in seconds, is none.
STALE_S = 600.0


class NodeEnds:
    """Ends of nodes by their jobs, by maintenance and by warnings.

    Parameters
    ----------
    report : callable
        Told a node, UTC seconds, the reason, and whether nothing may be begun there.
    now : callable
        UTC seconds.

    Attributes
    ----------
    closures : sequence of Closure
        Maintenance, as it was told last.
    """

    def __init__(
        self, report: Callable[[str, float, str, bool], None], now: Callable[[], float]
    ) -> None:
        self.closures: Sequence[Closure] = ()
        self._report = report
        self._now = now
        self._told: dict[str, tuple[float, bool]] = {}
        # What agents heard, which the queue does not tell.
        self._warned: dict[str, tuple[float, str]] = {}
        self._recalled: set[str] = set()

    def again(self) -> None:
        """Tell all ends again: whoever listens is another one."""
        self._told.clear()

    def forget(self, job: Job) -> None:
        """Forget a job that is over."""
        for node in job.nodes:
            self._told.pop(node, None)
            self._warned.pop(node, None)
            self._recalled.discard(node)

    def warn(
        self, node: str, end_s: float, why: str, *, recalled: bool = False
    ) -> None:
        """Take a warning that a node got: it goes then, if it does not go before.

        A job whose time is over is warned like one that is preempted, and is
        killed sooner: its nodes are not to be leased once more. One that is taken
        back may be killed at any time, and starts no programs any more.
        """
        warned_s, _ = self._warned.get(node, (math.inf, ""))
        if end_s < warned_s or warned_s <= self._now() - STALE_S:
            self._warned[node] = end_s, why
        if recalled:
            self._recalled.add(node)
        told_s, _ = self._told.get(node, (math.inf, False))
        if end_s < told_s or recalled:
            self._goes(node, min(end_s, told_s), why)

    def tell(self, jobs: Iterable[Job]) -> None:
        """Tell when nodes go, where that is another time than was told."""
        for job in jobs:
            if job.state is not JobState.RUNNING:
                continue
            for host, node in zip(job.hosts, job.nodes, strict=True):
                ends = [(job.ends_s, "its job ends"), *self._sooner(host, node)]
                known = [end for end in ends if not math.isnan(end[0])]
                if known:
                    self._goes(node, *min(known))

    def seen(self, job: Job) -> Job:
        """Return a job with the end of the first of its nodes that goes.

        It may go on for hours on a host under maintenance, and nobody computes there.
        """
        ends_s = [job.ends_s]
        for host, node in zip(job.hosts, job.nodes, strict=True):
            ends_s += [end_s for end_s, _ in self._sooner(host, node)]
        known = [end_s for end_s in ends_s if not math.isnan(end_s)]
        return replace(job, ends_s=min(known)) if known else job

    def _sooner(self, host: str, node: str) -> Iterator[tuple[float, str]]:
        """Yield what may take a node before its job ends."""
        now_s = self._now()
        for closure in self.closures:
            if closure.covers(host) and closure.stop_s > now_s:
                yield closure.start_s, f"maintenance {closure.name}"
        if node in self._warned:
            end_s, why = self._warned[node]
            # Who is still there so long after was given more time.
            if end_s > now_s - STALE_S:
                yield end_s, why

    def _goes(self, node: str, end_s: float, why: str) -> None:
        """Tell when a node goes, unless that is known."""
        warned_s, _ = self._warned.get(node, (-math.inf, ""))
        if warned_s <= self._now() - STALE_S:
            self._recalled.discard(node)
        recalled = node in self._recalled
        told_s, told = self._told.get(node, (math.inf, False))
        if abs(told_s - end_s) < SAME_S and told == recalled:
            return
        self._told[node] = end_s, recalled
        self._report(node, end_s, why, recalled)
