"""Units of model time: which year, month or day number a date lies in."""

from __future__ import annotations

import re
from functools import lru_cache

import cftime

from climorch.errors import Fault

__all__ = ["TIME_UNITS", "frequency_faults", "unit_number"]

TIME_UNITS = "seconds since 0001-01-01 00:00:00"
"""In which model time is counted."""

_DAY_S = 86_400

_EVERY = re.compile(r"(\d*)(YS|MS|D|h)")
_MONTHS = {"YS": 12, "MS": 1}
_SECONDS = {"D": _DAY_S, "h": 3600}


def frequency_faults(place: str, every: str) -> list[Fault]:
    """Return what is wrong with a frequency of model time.

    Parameters
    ----------
    place : str
        What it is of, for the message.
    every : str
        Such as ``"1YS"``, ``"3MS"``, ``"10D"``, ``"12h"``.

    Returns
    -------
    list of Fault
        Empty: nothing.
    """
    found = _EVERY.fullmatch(every)
    if found is not None and int(found[1] or 1) >= 1:
        return []
    return [
        Fault(
            place=place,
            problem=f"got {every!r}",
            remedy="use a frequency such as '1YS', '3MS', '10D' or '12h'",
        )
    ]


@lru_cache(maxsize=4096)
def unit_number(model_s: int, calendar: str, every: str) -> int:
    """Return the number of the unit of model time that a date begins or lies in.

    Parameters
    ----------
    model_s : int
        The date, seconds since 0001-01-01 in ``calendar``.
    calendar : str
        CF calendar.
    every : str
        Length of a unit, as for `frequency_faults`. Counted from the year 0 (years,
        months) or from 0001-01-01 (days, hours).

    Returns
    -------
    int
        Two dates have the same number where they lie in the same unit.
    """
    letters = every.lstrip("0123456789")
    count = int(every.removesuffix(letters) or 1)
    if letters in _SECONDS:
        return model_s // (count * _SECONDS[letters])
    date = cftime.num2date(
        model_s, TIME_UNITS, calendar, only_use_cftime_datetimes=True
    )
    months: int = date.year * 12 + date.month - 1
    return months // (count * _MONTHS[letters])
