"""Whether what stages exchange lies on one grid, in one calendar and the same units.

Looks at coordinates, dimensions and attributes, which are in memory; never at fields,
and computes nothing. What one of two does not have cannot differ: a name that both
have must mean the same, as xarray would drop what does not meet without a word.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import xarray as xr

from climorch.errors import Fault, InvalidInputError
from climorch.intake.calendar import same_calendar
from climorch.intake.fields import NUMERIC

if TYPE_CHECKING:
    import cftime
    import pandas as pd

    from climorch.model.advance import Segment

__all__ = [
    "AFTER",
    "READS",
    "export_faults",
    "first_faults",
    "meeting_faults",
    "require_meeting",
]

AFTER = "after"
READS = "reads"

REMEDIES = {
    READS: "export it as the reader has it, or under names of its own",
    AFTER: "make the first state with transform=, which may change them",
}

# Made where exports of several segments are joined.
JOINED = "segment"


def meeting_faults(
    reader: str, own: xr.Dataset, source: str, given: xr.Dataset, *, how: str
) -> Iterator[Fault]:
    """Say where what a stage is given does not fit what it has.

    Parameters
    ----------
    reader : str
        The stage.
    own : xarray.Dataset
        Its state.
    source : str
        The stage that it comes from.
    given : xarray.Dataset
        What that exported, or its last state.
    how : str
        `READS` or `AFTER`.

    Yields
    ------
    Fault
        One, with all that differs.
    """
    found = [*_grids(own, given), *_units(own, given)]
    if found:
        yield Fault(
            place=f"stage {reader!r}, {how} {source!r}",
            problem=f"what {source!r} gives does not fit: {'; '.join(found)}",
            remedy=REMEDIES[how],
        )


def first_faults(
    stage: str,
    first: xr.Dataset,
    finals: Mapping[str, xr.Dataset],
    *,
    after: Iterable[str],
    transformed: bool,
    calendar: str,
) -> Iterator[Fault]:
    """Say where the first state of a phase does not fit the phases before it.

    Parameters
    ----------
    stage : str
        Which begins.
    first : xarray.Dataset
        Its state.
    finals : mapping of str to xarray.Dataset
        Last states, by stage.
    after : iterable of str
        The stages that it comes after.
    transformed : bool
        Whether a ``transform`` made it, which may change all but the calendar.
    calendar : str
        Of the stage.

    Yields
    ------
    Fault
        One for each stage before it.
    """
    dates = [*_calendars(first, calendar)]
    for source in after:
        if dates:
            yield Fault(
                place=f"stage {stage!r}, after {source!r}",
                problem=f"its first state has other dates: {'; '.join(dates)}",
                remedy="convert them, as with Dataset.convert_calendar",
            )
        if not transformed:
            yield from meeting_faults(stage, first, source, finals[source], how=AFTER)


def export_faults(
    source: str, readers: Iterable[str], exports: xr.Dataset, segment: Segment
) -> Iterator[Fault]:
    """Say where the dates of what is exported are not those of its segment.

    Parameters
    ----------
    source : str
        Who exports it.
    readers : iterable of str
        Who reads it; none: it does not matter.
    exports : xarray.Dataset
        What was returned beside the state.
    segment : Segment
        In which.

    Yields
    ------
    Fault
        One, with all that is wrong.
    """
    names = ", ".join(map(repr, readers))
    calendar = segment.end.calendar
    found = [*_calendars(exports, calendar), *_late(exports, segment)]
    if names and found:
        yield Fault(
            place=f"stage {source!r}, exports to {names}",
            problem="; ".join(found),
            remedy="give them the model time of the segment that made them",
        )


def require_meeting(faults: Iterable[Fault]) -> None:
    """Raise what is wrong with an exchange, before anything is computed on it.

    Parameters
    ----------
    faults : iterable of Fault
        Of any function here.

    Raises
    ------
    InvalidInputError
        With all of them.
    """
    found = tuple(faults)
    if found:
        raise InvalidInputError("stages do not fit together", faults=found)


def _grids(own: xr.Dataset, given: xr.Dataset) -> Iterator[str]:
    """Say which dimensions of one name have other lengths or other coordinates."""
    for dim in sorted(set(own.sizes) & set(given.sizes) - {JOINED}, key=str):
        if dim in own.xindexes and dim in given.xindexes:
            here, there = own.indexes[dim], given.indexes[dim]
            # Along model time each has its own dates.
            along = _calendar_of(own, dim) or _calendar_of(given, dim)
            if not along and not here.equals(there):
                yield f"coordinate {dim!r} has {_told(there)}, here {_told(here)}"
        elif own.sizes[dim] != given.sizes[dim]:
            yield (
                f"dimension {dim!r} has length {given.sizes[dim]}, here "
                f"{own.sizes[dim]}"
            )


def _units(own: xr.Dataset, given: xr.Dataset) -> Iterator[str]:
    """Say which variables of one name are told to be in different units."""
    for name in sorted(set(own.variables) & set(given.variables), key=str):
        here, there = (_unit(d.variables[name]) for d in (own, given))
        if here is not None and there is not None and here != there:
            yield f"variable {name!r} is in units {there!r}, here {here!r}"


def _unit(variable: xr.Variable) -> str | None:
    units = variable.attrs.get("units")
    # Of dates it is where they are counted from, which may be anywhere.
    if not isinstance(units, str) or " since " in units:
        return None
    return " ".join(units.split())


def _calendars(dataset: xr.Dataset, calendar: str) -> Iterator[str]:
    """Say which coordinates have dates of another calendar than the stages."""
    for name in dataset.xindexes:
        found = _calendar_of(dataset, name)
        if found is not None and not same_calendar(found, calendar):
            yield (
                f"coordinate {str(name)!r} is in calendar {found!r}, the stage in "
                f"{calendar!r}"
            )


def _calendar_of(dataset: xr.Dataset, name: Any) -> str | None:
    """Return the calendar of the dates along a dimension; None: they are no dates."""
    index = dataset.indexes[name]
    if isinstance(index, xr.CFTimeIndex):
        return str(index.calendar) if len(index) else None
    if index.dtype.kind == "M":
        return "proleptic_gregorian"
    told = dataset.variables[name].attrs.get("calendar")
    counted = index.dtype.kind in NUMERIC and isinstance(told, str)
    return told if counted else None


def _late(exports: xr.Dataset, segment: Segment) -> Iterator[str]:
    """Say which axes of model time do not end within the segment."""
    for name, index in exports.indexes.items():
        if not isinstance(index, xr.CFTimeIndex) or not len(index):
            continue
        newest: cftime.datetime = max(index)
        if newest.calendar != segment.end.calendar:
            # That is told already.
            continue
        if not segment.start <= newest <= segment.end:
            yield (
                f"coordinate {str(name)!r} ends at {newest.isoformat()}, the segment "
                f"goes from {segment.start.isoformat()} to {segment.end.isoformat()}"
            )


def _told(index: pd.Index[Any]) -> str:
    """Say what values a coordinate has, in short."""
    if not len(index):
        return "no values"
    return f"{len(index)} values from {index[0]} to {index[-1]}"
