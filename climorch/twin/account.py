"""The account of one simulation on a virtual cluster.

What its segments cost, how long it waited, how often and why it was interrupted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from climorch.forecast.leases import LeaseBook, Use

__all__ = ["Account", "Charge", "Finished", "Interruption"]


@dataclass(slots=True, kw_only=True)
class Charge(Use):
    """A segment that runs, what it waits for and what it has cost.

    Attributes
    ----------
    stall_s, redo_s : float
        Seconds that it waits for a checkpoint to be cut, and that earlier
        segments are computed again before it.
    """

    stall_s: float = 0.0
    redo_s: float = 0.0


class Finished(NamedTuple):
    """Node-seconds of a segment that is computed and not committed."""

    useful: float
    wide: float
    stall: float
    day: int

    @property
    def total(self) -> float:
        """All of it, in node-seconds."""
        return self.useful + self.wide + self.stall


class Interruption(NamedTuple):
    """A lease that went though there was work to do."""

    at_s: float
    why: str


@dataclass(slots=True, kw_only=True)
class Account(LeaseBook[Charge]):
    """The books of one simulation.

    Attributes
    ----------
    span_s : float
        Clock of the last change of its lease, seconds.
    finished : dict of str to dict
        By set: segments that are computed and not committed.
    segments : int
        Segments committed.
    useful_node_s : float
        Of its committed segments.
    lost_s, worst_loss_s : float
        Seconds of computing lost in all, and at one failure, at most.
    waits_since_s : float or None
        Since when it waits for nodes; None: it does not.
    waits : list of float
        Seconds of each wait that ended with a lease; none where one was given
        at once.
    short_why : str
        Why its lease is smaller than what it asks for, if it is.
    interruptions : list of Interruption
        When and why its lease went though there was work to do.
    completed_s : float or None
        Clock when it was committed to its end and let its nodes go.
    """

    span_s: float = 0.0
    finished: dict[str, dict[tuple[str, int], Finished]] = field(default_factory=dict)
    segments: int = 0
    useful_node_s: float = 0.0
    lost_s: float = 0.0
    worst_loss_s: float = 0.0
    waits_since_s: float | None = None
    waits: list[float] = field(default_factory=list)
    short_why: str = ""
    interruptions: list[Interruption] = field(default_factory=list)
    completed_s: float | None = None

    @property
    def pending(self) -> float:
        """Node-seconds that are neither committed nor lost yet."""
        running = sum(charge.spent for charge in self.running.values())
        return running + sum(
            done.total for s in self.finished.values() for done in s.values()
        )

    def lose(self, seconds: float) -> None:
        """Count seconds of computing that one failure has cost."""
        self.lost_s += seconds
        self.worst_loss_s = max(self.worst_loss_s, seconds)

    def leased(self, now_s: float) -> None:
        """End the wait for nodes, if there is one."""
        if self.waits_since_s is not None:
            self.waits.append(now_s - self.waits_since_s)
            self.waits_since_s = None

    def all_waits(self, now_s: float) -> list[float]:
        """Return the seconds of every wait, the one that lasts included."""
        if self.waits_since_s is None:
            return self.waits
        return [*self.waits, now_s - self.waits_since_s]
