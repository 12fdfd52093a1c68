"""When nodes count as slow, and when leases move though nobody takes their nodes."""

from __future__ import annotations

import math
from dataclasses import dataclass

from climorch.errors import InvalidInputError
from climorch.model.ranges import range_faults

__all__ = ["MOST_STRIKES", "Moved", "Moving"]

# Samples of a node that are kept.
MOST_STRIKES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Moving:
    """When leases move of our own accord, always at a boundary.

    Attributes
    ----------
    slow_factor : float
        A node is slow if it takes so many times as long as is expected of it,
        > 1; ``inf``: no node ever is.
    strikes : int
        In so many segments in a row, in [1, 12].
    slow_min_s : float
        And loses so many seconds in them, >= 0: what is over in a moment is
        noise.
    slow_share : float
        Share of the nodes that may count as slow at a time, in [0, 1]; of
        several nodes one always may.
    forgive_s : float
        Seconds after which a slow node that nobody uses is tried again, > 0;
        twice as long each time that it is found slow again, up to a day.
    early : float
        Protected simulations leave nodes that go at a known time so many ways
        to the next checkpoint before, >= 0; 0: at the last one that fits.
    rest_s : float
        Seconds between two moves of one simulation, at least, >= 0.
    most : int
        Simulations that move so that one that waits fits, at most, >= 0.

    Raises
    ------
    InvalidInputError
        If a number is outside its range.
    """

    slow_factor: float = 1.5
    strikes: int = 3
    slow_min_s: float = 60.0
    slow_share: float = 0.2
    forgive_s: float = 6 * 3600.0
    early: float = 4.0
    rest_s: float = 3600.0
    most: int = 4

    def __post_init__(self) -> None:
        """Check the ranges."""
        wanted = [
            ("slow_factor", self.slow_factor > 1, "> 1"),
            ("strikes", 1 <= self.strikes <= MOST_STRIKES, f"in [1, {MOST_STRIKES}]"),
            ("slow_min_s", 0 <= self.slow_min_s < math.inf, "finite and >= 0"),
            ("slow_share", 0 <= self.slow_share <= 1, "in [0, 1]"),
            ("forgive_s", self.forgive_s > 0, "> 0"),
            ("early", 0 <= self.early < math.inf, "finite and >= 0"),
            ("rest_s", self.rest_s >= 0, ">= 0"),
            ("most", self.most >= 0, ">= 0"),
        ]
        faults = range_faults(
            self,
            wanted,
            remedy="slow_factor=inf, early=0 and most=0 switch the rules off",
        )
        if faults:
            raise InvalidInputError("these moves cannot be planned", faults=faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """The last move of a simulation.

    Attributes
    ----------
    leave, seek : tuple of str
        Nodes that it leaves, and that it is to have instead.
    why : str
        Reason in words.
    at_s : float
        When it was planned, or ended without a move; driver's clock, seconds.
    over : bool
        Whether it was given nodes since, or stays where it is.
    """

    leave: tuple[str, ...]
    seek: tuple[str, ...]
    why: str
    at_s: float
    over: bool = False
