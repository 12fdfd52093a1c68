"""How much is needed, and how late is early enough: searches over forecasts.

Asks a callable for the chance of being in time, and searches where it is enough. The
quick sum narrows the search, the twin has the last word.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import pandas as pd

from climorch.errors import Fault, InvalidInputError

__all__ = ["Chance", "LatestStart", "NodesNeeded", "Tried", "least", "most"]

Chance = Callable[[int], float]
"""``chance(number)`` returns the share of worlds in which all is done in time."""


class Tried(NamedTuple):
    """A number that was asked for, and the chance with it."""

    number: int
    chance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NodesNeeded:
    """How many nodes are enough.

    Attributes
    ----------
    nodes : int
        The fewest that are.
    by : datetime
        Until when.
    chance : float
        Share of worlds in which all is done by then, with that many.
    tried : tuple of Tried
        What the twin said of which number of nodes.
    """

    nodes: int
    by: datetime
    chance: float
    tried: tuple[Tried, ...]

    def to_pandas(self) -> pd.DataFrame:
        """Return a table of the numbers that were tried."""
        rows = sorted(self.tried)
        return pd.DataFrame(rows, columns=["nodes", "chance"]).set_index("nodes")


@dataclass(frozen=True, slots=True, kw_only=True)
class LatestStart:
    """When a scenario has to be submitted at the latest.

    Attributes
    ----------
    start : datetime
        UTC, to the day from now.
    by : datetime
        Until when it is to be done.
    chance : float
        Share of worlds in which it is.
    tried : tuple of Tried
        What the twin said of which day from now.
    """

    start: datetime
    by: datetime
    chance: float
    tried: tuple[Tried, ...]

    def to_pandas(self) -> pd.DataFrame:
        """Return a table of the days from now that were tried."""
        rows = sorted(self.tried)
        return pd.DataFrame(rows, columns=["day", "chance"]).set_index("day")


class _Asked:
    """Asks for each number once."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        self.known: dict[int, float] = {}

    def __call__(self, number: int) -> float:
        if number not in self.known:
            self.known[number] = self._chance(number)
        return self.known[number]

    @property
    def tried(self) -> tuple[Tried, ...]:
        return tuple(Tried(number, chance) for number, chance in self.known.items())


def least(
    quick: Chance, sure: Chance, *, low: int, high: int, enough: float
) -> tuple[int, tuple[Tried, ...]]:
    """Find the smallest number that is enough.

    Parameters
    ----------
    quick, sure : callable
        Chances by the quick sum and by the twin; more is taken to be better.
    low, high : int
        Smallest and largest number that make sense.
    enough : float
        The chance that is wanted, in (0, 1].

    Returns
    -------
    tuple of (int, tuple of Tried)
        The number, enough by `sure` where one less is not; and all that it said.

    Raises
    ------
    InvalidInputError
        If not even ``high`` is enough.
    """
    asked = _Asked(sure)
    guess = _first(lambda n: quick(n) >= enough, low, high)
    step, top = 1, guess
    while asked(top) < enough:
        if top >= high:
            _refuse(high, asked(high), enough)
        low, top, step = top + 1, min(top + step, high), 2 * step
    bottom, step = top, 1
    while bottom > low:
        down = max(bottom - step, low)
        if asked(down) < enough:
            low = down + 1
            break
        bottom, step = down, 2 * step
    found = _first(lambda n: asked(n) >= enough, low, bottom)
    return found, asked.tried


def most(
    quick: Chance, sure: Chance, *, low: int, high: int, enough: float
) -> tuple[int, tuple[Tried, ...]]:
    """Find the largest number that is enough; less is taken to be better.

    Parameters
    ----------
    quick, sure, low, high, enough
        As for `least`.

    Returns
    -------
    tuple of (int, tuple of Tried)
        As for `least`.

    Raises
    ------
    InvalidInputError
        If not even ``low`` is enough.
    """
    found, tried = least(
        lambda n: quick(-n), lambda n: sure(-n), low=-high, high=-low, enough=enough
    )
    return -found, tuple(Tried(-number, chance) for number, chance in tried)


def _first(holds: Callable[[int], bool], low: int, high: int) -> int:
    """Return the first number that holds; the highest if none does."""
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return high


def _refuse(number: int, chance: float, enough: float) -> None:
    fault = Fault(
        place="by",
        problem=f"even with {abs(number)} the chance is {chance:.0%}, "
        f"wanted are {enough:.0%}",
        remedy="give a later date, a smaller chance, or plan less",
    )
    raise InvalidInputError("this cannot be done in time", faults=[fault])
