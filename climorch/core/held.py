"""What of a set is held in the memory of two nodes: the first level.

It lives and dies with an attempt: a new one, and a new driver, hold nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Held"]


@dataclass(slots=True, kw_only=True)
class Held:
    """Copies of the present attempt of a set.

    Attributes
    ----------
    boundary : int or None
        Newest boundary whose state is held twice.
    planned : int or None
        Boundary at which all stages meet for the next copy.
    planned_why : str
        Why there, in words.
    copying : int or None
        Boundary whose copy is on its way.
    begun : int
        Newest boundary whose copy was begun, else where the attempt began.
    begun_s : float
        When that was, driver's clock, seconds.
    cost_s : float or None
        Mean time lost to a copy, seconds; kept over attempts.
    salvaging : int or None
        Boundary whose copy is being written as a checkpoint.
    until_s : float
        Until when that is waited for, driver's clock, seconds.
    salvaged : int or None
        Newest boundary whose checkpoint was written from a copy; kept over
        attempts and drivers.
    """

    boundary: int | None = None
    planned: int | None = None
    planned_why: str = ""
    copying: int | None = None
    begun: int = 0
    begun_s: float = 0.0
    cost_s: float | None = None
    salvaging: int | None = None
    until_s: float = 0.0
    salvaged: int | None = None

    def let_go(self) -> None:
        """Hold nothing any more: the attempt is over."""
        self.boundary = self.planned = self.copying = self.salvaging = None
