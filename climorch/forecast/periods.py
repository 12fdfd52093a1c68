"""Into which pieces time is cut for the books: calendar months in UTC, and more."""

from __future__ import annotations

import math
from bisect import bisect_right
from datetime import UTC, datetime

from climorch.errors import Fault, InvalidInputError

__all__ = ["Period", "begin_of", "month_begin_s", "next_edge_s", "period_of"]

Period = str | tuple[datetime | str, datetime | str] | None
"""A year, ``"2026"``; a month, ``"2026-11"``; begin and end, each with its time zone
or a day of UTC in ISO 8601, the end not included; None: all there is."""


def month_begin_s(at_s: float, *, later: int = 0) -> float:
    """Return when a calendar month begins.

    Parameters
    ----------
    at_s : float
        A moment in a month, UTC seconds.
    later : int
        How many months after that one.

    Returns
    -------
    float
        Its first moment, UTC seconds.
    """
    at = datetime.fromtimestamp(at_s, UTC)
    months = at.year * 12 + at.month - 1 + later
    return datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC).timestamp()


def begin_of(at_s: float, cuts: tuple[float, ...]) -> float:
    """Return where the piece of time begins that a moment is in.

    Parameters
    ----------
    at_s : float
        The moment, UTC seconds.
    cuts : tuple of float
        Where months are cut once more, ascending, UTC seconds.
    """
    before = cuts[: bisect_right(cuts, at_s)]
    return max(month_begin_s(at_s), before[-1] if before else 0.0)


def next_edge_s(at_s: float, cuts: tuple[float, ...]) -> float:
    """Return where the next piece begins, after a moment; as for `begin_of`."""
    month_s = month_begin_s(at_s, later=1)
    after = cuts[bisect_right(cuts, at_s) :]
    return min(month_s, after[0]) if after else month_s


def period_of(period: Period) -> tuple[float, float]:
    """Return begin and end of a period.

    Parameters
    ----------
    period : str, tuple or None
        As `Period` says.

    Returns
    -------
    tuple of float
        UTC seconds; infinite where there is no end.

    Raises
    ------
    InvalidInputError
        With every fault: a text that is no date, a time without a time zone, an end
        that is not after its begin.
    """
    if period is None:
        return -math.inf, math.inf
    faults: list[Fault] = []
    if isinstance(period, str):
        since_s = _moment_s(_whole(period), "period", faults)
        months = {4: 12, 7: 1}.get(len(period), 0)
        if not months and not faults:
            faults.append(_fault("period", period))
        until_s = since_s if faults else month_begin_s(since_s, later=months)
    else:
        since_s = _moment_s(period[0], "period, begin", faults)
        until_s = _moment_s(period[1], "period, end", faults)
    if not faults and not since_s < until_s:
        faults.append(_fault("period", period))
    if faults:
        raise InvalidInputError("there is no such period", faults=faults)
    return since_s, until_s


def _whole(text: str) -> str:
    """Complete a year or a month to its first day."""
    return text + {4: "-01-01", 7: "-01"}.get(len(text), "")


def _moment_s(moment: datetime | str, place: str, faults: list[Fault]) -> float:
    day = isinstance(moment, str) and len(moment) <= len("2026-11-26")
    try:
        at = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    except ValueError:
        at = None
    if at is not None and at.tzinfo is None:
        # A day is one of UTC; hours of nobody knows where would be a guess.
        at = at.replace(tzinfo=UTC) if day else None
    if at is None:
        faults.append(_fault(place, moment))
        return math.nan
    return at.timestamp()


def _fault(place: str, found: object) -> Fault:
    return Fault(
        place=place,
        problem=f"got {found!r}, expected begin before end, with a time zone",
        remedy='give "2026", "2026-11", or ("2026-01-01", "2026-07-01")',
    )
