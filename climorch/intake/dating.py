"""Whether what a stage puts out lies where its results go on along model time.

Results of a stage are one axis of time, to which each segment appends. So its dates
are in the stage's calendar, ascend, and lie in the segment that made them, both ends
included: whether a mean is stamped at the start, in the middle or at the end is up to
the model. A mean over more than one segment says so by bounds, as the CF conventions
have it, and may be stamped before its segment. Looks at an index in memory only.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import cftime
import numpy as np
import xarray as xr

from climorch.errors import Fault
from climorch.intake.calendar import same_calendar

if TYPE_CHECKING:
    import pandas as pd

    from climorch.model.advance import Segment

__all__ = ["ROUNDED", "earlier_faults", "ends_of", "time_faults"]

TIME = "time"
# Section 7 of the conventions: cells along time, and statistics over several of them.
BOUNDS = ("bounds", "climatology")

# Models round: dates that files keep as numbers of days miss an end by seconds. How far
# a date may lie outside its segment, as a part of the segment's length.
ROUNDED = 0.001

# NumPy has one calendar, which is the standard one from its reform on.
_NUMPY = "proleptic_gregorian"
_REFORM = np.datetime64("1582-10-15", "s")


def time_faults(place: str, output: xr.Dataset, segment: Segment) -> Iterator[Fault]:
    """Say why the dates of an output are not those of its segment.

    Parameters
    ----------
    place : str
        Whose output.
    output : xarray.Dataset
        With an index ``time`` that is not empty.
    segment : Segment
        In which.

    Yields
    ------
    Fault
        One for each thing that is wrong.
    """
    index, calendar = output.indexes[TIME], segment.end.calendar
    here = f"{place}, coordinate {TIME!r}"
    found = _calendar(index, calendar)
    if found is None:
        yield Fault(
            place=here,
            problem=f"has the type {index.dtype}, expected dates",
            remedy="give it cftime dates in model time, as segment.start is one",
        )
        return
    if not same_calendar(found, calendar):
        yield Fault(
            place=here,
            problem=f"is in calendar {found!r}, the stage in {calendar!r}",
            remedy="give it dates made from segment.start or segment.end, or convert "
            "them with Dataset.convert_calendar",
        )
        return
    if not (index.is_monotonic_increasing and index.is_unique):
        yield Fault(
            place=here,
            problem=f"does not ascend: {_not_ascending(index)}",
            remedy="give each time once, in order: output.sortby('time')",
        )
        return
    first, last = ends_of(output, calendar)
    cells = any(output[TIME].attrs.get(name) in output.variables for name in BOUNDS)
    slack = (segment.end - segment.start) * ROUNDED
    early, late = segment.start - slack, segment.end + slack
    if last > late or (first < early and not cells):
        yield Fault(
            place=here,
            problem=f"goes from {first.isoformat()} to {last.isoformat()}, the segment "
            f"from {segment.start.isoformat()} to {segment.end.isoformat()}",
            remedy="give each value a time in its segment, the ends included; a mean "
            "over more than one segment says over what by CF bounds: a variable that "
            "time.attrs['bounds'] names, or ['climatology']",
        )


def earlier_faults(
    place: str, output: xr.Dataset, newest: cftime.datetime | None
) -> Iterator[Fault]:
    """Say why an output does not come after those of the segments before.

    Parameters
    ----------
    place : str
        Whose output, of which segment.
    output : xarray.Dataset
        Without `time_faults`.
    newest : cftime.datetime or None
        The last time of the segments before, in the stage's calendar; None: there
        is none, or it is not known.

    Yields
    ------
    Fault
        One, at most.
    """
    if newest is None:
        return
    first, _ = ends_of(output, newest.calendar)
    if first <= newest:
        yield Fault(
            place=f"{place}, coordinate {TIME!r}",
            problem=f"begins at {first.isoformat()}, the segments before ended at "
            f"{newest.isoformat()}",
            remedy="give each time of the results once: a segment has its start or its "
            "end, not both, where its neighbours have them too",
        )


def ends_of(
    output: xr.Dataset, calendar: str
) -> tuple[cftime.datetime, cftime.datetime]:
    """Return the first and the last time of an output, as dates of a calendar."""
    index = output.indexes[TIME]
    return _date(index[0], calendar), _date(index[-1], calendar)


def _calendar(index: pd.Index[Any], calendar: str) -> str | None:
    """Return the calendar of dates; None: they are no dates."""
    if isinstance(index, xr.CFTimeIndex):
        return str(index.calendar)
    if index.dtype.kind != "M":
        return None
    # What is no time at all is told as not ascending.
    reformed = same_calendar(calendar, "standard") and not (index < _REFORM).any()
    return calendar if reformed else _NUMPY


def _date(value: Any, calendar: str) -> cftime.datetime:
    if isinstance(value, cftime.datetime):
        return value
    parts = (value.hour, value.minute, value.second, value.microsecond)
    return cftime.datetime(
        value.year, value.month, value.day, *parts, calendar=calendar
    )


def _not_ascending(index: pd.Index[Any]) -> str:
    """Name the first two that do not ascend."""
    for before, after in itertools.pairwise(index):
        if not before < after:
            return f"{_short(after)} follows {_short(before)}"
    return f"{_short(index[0])} is no time"


def _short(value: Any) -> str:
    return str(value.isoformat()) if hasattr(value, "isoformat") else repr(value)
