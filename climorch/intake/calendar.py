"""Model time: spans to boundaries, boundaries to dates.

Inside, model time is whole seconds since 0001-01-01 in the stage's calendar;
xarray and cftime do the calendars.
"""

from __future__ import annotations

import cftime
import numpy as np
import xarray as xr

from climorch.errors import Fault
from climorch.model.span import CALENDARS, Span

__all__ = [
    "TIME_UNITS",
    "boundaries",
    "model_date",
    "model_time",
    "same_calendar",
    "seconds_of",
    "span_faults",
]

TIME_UNITS = "seconds since 0001-01-01 00:00:00"

# The conventions know two names for several calendars.
_SAME = {
    "gregorian": "standard",
    "365_day": "noleap",
    "366_day": "all_leap",
}


def same_calendar(one: str, other: str) -> bool:
    """Tell whether two names are of one calendar.

    Parameters
    ----------
    one, other : str
        CF calendars, or anything.
    """
    return bool(_SAME.get(one, one) == _SAME.get(other, other))


def span_faults(span: Span, *, place: str) -> list[Fault]:
    """Say what is wrong with a span.

    Parameters
    ----------
    span : Span
        As the user wrote it.
    place : str
        Where.

    Returns
    -------
    list of Fault
        Empty where `boundaries` will work.
    """
    if span.calendar not in CALENDARS:
        return [
            Fault(
                place=f"{place}, calendar",
                problem=f"got {span.calendar!r}",
                remedy=f"use one of {', '.join(CALENDARS)}",
            )
        ]
    try:
        found = boundaries(span)
    except (ValueError, TypeError, OverflowError) as error:
        return [
            Fault(
                place=place,
                problem=f"{span.start!r} to {span.end!r} every {span.every!r}: {error}",
                remedy="use ISO dates and a frequency such as '1YS', '1MS' or '10D'",
            )
        ]
    if len(found) < 2 or found[0] >= found[-1]:
        return [
            Fault(
                place=place,
                problem=f"from {span.start} to {span.end} there is no segment",
                remedy="let the end come after the start",
            )
        ]
    return []


def boundaries(span: Span) -> tuple[int, ...]:
    """Cut a span into segments.

    Parameters
    ----------
    span : Span
        Valid start, end, frequency and calendar.

    Returns
    -------
    tuple of int
        Start, every date of the frequency in between, end; seconds as in
        `TIME_UNITS`, ascending without repeats.

    Raises
    ------
    ValueError
        If a date or the frequency cannot be read; see `span_faults`.
    """
    # Users without a type checker may pass anything; xarray takes None for a day
    # and cuts nothing where a frequency goes backwards.
    every: object = span.every
    if not isinstance(every, str) or every.startswith("-"):
        raise ValueError("the frequency must be a text that goes forward")
    start, end = (_parse(text, span.calendar) for text in (span.start, span.end))
    if start >= end:
        return (seconds_of(start), seconds_of(end))
    dates = xr.date_range(
        start, end, freq=span.every, calendar=span.calendar, use_cftime=True
    )
    inner = {seconds_of(date) for date in dates}
    return tuple(sorted(inner | {seconds_of(start), seconds_of(end)}))


def _parse(text: str, calendar: str) -> cftime.datetime:
    return xr.date_range(text, periods=1, freq="D", calendar=calendar, use_cftime=True)[
        0
    ]


def seconds_of(date: cftime.datetime) -> int:
    """Return the boundary of a date, as in `TIME_UNITS`, in its calendar."""
    return int(np.asarray(cftime.date2num(date, TIME_UNITS, date.calendar)))


def model_time(seconds: int, calendar: str) -> cftime.datetime:
    """Return the date of a boundary.

    Parameters
    ----------
    seconds : int
        As in `TIME_UNITS`.
    calendar : str
        CF calendar.

    Returns
    -------
    cftime.datetime
        In that calendar.
    """
    return cftime.num2date(
        seconds, TIME_UNITS, calendar, only_use_cftime_datetimes=True
    )


def model_date(seconds: int, calendar: str) -> str:
    """Return a boundary as text that may be a file name, ``1850-01-01``."""
    date = model_time(seconds, calendar)
    text = f"{date.year:04d}-{date.month:02d}-{date.day:02d}"
    if date.hour or date.minute or date.second:
        text += f"T{date.hour:02d}{date.minute:02d}{date.second:02d}"
    return text
