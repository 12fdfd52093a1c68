"""When to checkpoint: strategies over what a set has measured so far.

A strategy is asked at every common boundary that a set reaches. Whatever it
says, a set is checkpointed at its end and before its nodes are given back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from climorch.errors import Fault, InvalidInputError

__all__ = [
    "CheckpointStrategy",
    "Daly",
    "EverySegments",
    "EveryWall",
    "Pace",
    "daly_interval",
]

# A newest checkpoint that turns out bad costs two intervals: 28 min each keep
# the loss below an hour with the drain.
LONGEST_INTERVAL_S = 28 * 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What is known about a set when it reaches a common boundary.

    Attributes
    ----------
    since_s : float
        Seconds since the newest commit of this attempt or since its start.
    boundaries : int
        Common boundaries passed since then, the present one included.
    next_s : float
        Seconds that the way to the next common boundary will probably take.
    cost_s : float or None
        Measured time lost to one checkpoint, in seconds; None: none yet.
    mtbf_s : float
        Mean time between failures of the whole lease, in seconds.
    nodes : int
        Of the lease, >= 1.
    copied : bool
        Whether a state of this attempt is in the memory of two nodes.
    """

    since_s: float
    boundaries: int
    next_s: float
    cost_s: float | None
    mtbf_s: float
    nodes: int = 1
    copied: bool = False


class CheckpointStrategy(Protocol):
    """Says whether a set is checkpointed at the boundary it has reached."""

    def due(self, pace: Pace) -> str | None:
        """Decide at a common boundary.

        Parameters
        ----------
        pace : Pace
            What is known about the set.

        Returns
        -------
        str or None
            The reason in words; None: go on without.
        """


def daly_interval(*, cost_s: float, mtbf_s: float) -> float:
    """Compute the time between checkpoints that loses least.

    Parameters
    ----------
    cost_s, mtbf_s : float
        Time lost to one checkpoint; mean time between failures of the lease.
        Seconds, finite, > 0.

    Returns
    -------
    float
        Compute between two checkpoints, in seconds; ``mtbf_s`` where a
        checkpoint costs at least twice as much.

    Raises
    ------
    InvalidInputError
        If an argument is not finite and positive.

    References
    ----------
    Daly (2006), Future Gener. Comput. Syst. 22(3), 303-312, eq. 37.
    """
    faults = [
        Fault(
            place=name,
            problem=f"got {value}, expected finite and > 0",
            remedy="pass measured seconds",
        )
        for name, value in (("cost_s", cost_s), ("mtbf_s", mtbf_s))
        if not (math.isfinite(value) and value > 0)
    ]
    if faults:
        raise InvalidInputError("no checkpoint interval", faults=faults)
    if cost_s >= 2 * mtbf_s:
        return mtbf_s
    ratio = cost_s / (2 * mtbf_s)
    return (
        math.sqrt(2 * cost_s * mtbf_s) * (1 + math.sqrt(ratio) / 3 + ratio / 9) - cost_s
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Daly:
    """Checkpoint at Daly's interval, within two limits.

    Attributes
    ----------
    most_overhead : float
        Share of compute that checkpoints may cost; makes the interval longer.
    longest_s : float
        Longest interval, in seconds; where the two disagree, this one wins.
    first_cost_s : float
        Cost assumed until one was measured, in seconds.
    """

    most_overhead: float = 0.02
    longest_s: float = LONGEST_INTERVAL_S
    first_cost_s: float = 5.0

    def interval_s(self, pace: Pace) -> float:
        """Compute the interval that holds for a pace.

        Parameters
        ----------
        pace : Pace
            What is known about the set.

        Returns
        -------
        float
            Seconds of compute between two checkpoints.
        """
        cost_s = self.first_cost_s if pace.cost_s is None else max(pace.cost_s, 1e-3)
        interval_s = daly_interval(cost_s=cost_s, mtbf_s=pace.mtbf_s)
        return min(max(interval_s, cost_s / self.most_overhead), self.longest_s)

    def due(self, pace: Pace) -> str | None:
        """Checkpoint where the next boundary would be further from the optimum."""
        interval_s = self.interval_s(pace)
        if pace.since_s + pace.next_s / 2 < interval_s:
            return None
        return f"{pace.since_s:.0f} s since the last one, interval {interval_s:.0f} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class EverySegments:
    """Checkpoint at every so many common boundaries.

    Attributes
    ----------
    count : int
        Common boundaries from one checkpoint to the next, >= 1.
    """

    count: int = 1

    def __post_init__(self) -> None:
        _at_least("EverySegments.count", self.count, 1)

    def due(self, pace: Pace) -> str | None:
        """Checkpoint once ``count`` boundaries were passed."""
        if pace.boundaries < self.count:
            return None
        return f"every {self.count} boundaries"


@dataclass(frozen=True, slots=True, kw_only=True)
class EveryWall:
    """Checkpoint at the first common boundary after a time.

    Attributes
    ----------
    seconds : float
        Seconds since the last checkpoint began.
    """

    seconds: float

    def __post_init__(self) -> None:
        _at_least("EveryWall.seconds", self.seconds, 0)

    def due(self, pace: Pace) -> str | None:
        """Checkpoint once ``seconds`` have passed."""
        if pace.since_s < self.seconds:
            return None
        return f"every {self.seconds:g} s"


def _at_least(place: str, value: float, least: float) -> None:
    if not value >= least:
        raise InvalidInputError(
            "this strategy cannot work",
            faults=[
                Fault(
                    place=place,
                    problem=f"got {value!r}, expected >= {least}",
                    remedy="raise it",
                )
            ],
        )
