"""Outputs lie along one axis of model time, in the segment that made them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import cftime
import numpy as np
import pytest
import xarray as xr

from climorch.intake.dating import earlier_faults, ends_of, time_faults
from climorch.model.advance import Segment

PLACE = "stage 'sea', step, Advance.output"
HERE = f"{PLACE}, coordinate 'time': "
ONCE = "; give each time once, in order: output.sortby('time')"
WITHIN = (
    "; give each value a time in its segment, the ends included; a mean over more "
    "than one segment says over what by CF bounds: a variable that "
    "time.attrs['bounds'] names, or ['climatology']"
)


def day(
    year: int, month: int = 1, of_month: int = 1, *, calendar: str = "noleap"
) -> cftime.datetime:
    """Midnight of a day."""
    return cftime.datetime(year, month, of_month, calendar=calendar)


def year_2000(calendar: str = "noleap") -> Segment:
    """The year 2000."""
    start, end = (day(year, calendar=calendar) for year in (2000, 2001))
    return Segment(start=start, end=end, index=0)


def output(times: Any, **attributes: Any) -> xr.Dataset:
    """One number for each time, and cells along it."""
    return xr.Dataset(
        {
            "t": ("time", np.arange(float(len(times)))),
            "cells": (("time", "side"), np.zeros((len(times), 2))),
        },
        coords={"time": ("time", times, attributes)},
    )


def told(dataset: xr.Dataset, segment: Segment | None = None) -> list[str]:
    """What is wrong with it."""
    return [str(f) for f in time_faults(PLACE, dataset, segment or year_2000())]


@pytest.mark.parametrize(
    "times",
    [
        pytest.param([day(2000)], id="a stamp at the start"),
        pytest.param([day(2001)], id="a stamp at the end"),
        pytest.param([day(2000, 7, 2)], id="a mean in its middle"),
        pytest.param([day(2000, m, 16) for m in range(1, 13)], id="monthly means"),
        pytest.param([day(2000), day(2001)], id="with both ends"),
        pytest.param([day(2001) + timedelta(hours=8)], id="rounded by its file"),
        pytest.param([day(2000) - timedelta(hours=8)], id="rounded the other way"),
    ],
)
def test_where_a_model_stamps_its_segment_is_up_to_it(times: list[Any]) -> None:
    """Start, middle and end are all in the segment."""
    assert told(output(times)) == []


@pytest.mark.parametrize(
    ("times", "text"),
    [
        (
            [day(2000), day(2000)],
            "does not ascend: 2000-01-01T00:00:00 follows 2000-01-01T00:00:00" + ONCE,
        ),
        (
            [day(2000, 3), day(2000, 5), day(2000, 4)],
            "does not ascend: 2000-04-01T00:00:00 follows 2000-05-01T00:00:00" + ONCE,
        ),
        (
            [day(1999, 12, 31), day(2000, 2)],
            "goes from 1999-12-31T00:00:00 to 2000-02-01T00:00:00, the segment from "
            "2000-01-01T00:00:00 to 2001-01-01T00:00:00" + WITHIN,
        ),
        (
            [day(2001, 1, 2)],
            "goes from 2001-01-02T00:00:00 to 2001-01-02T00:00:00, the segment from "
            "2000-01-01T00:00:00 to 2001-01-01T00:00:00" + WITHIN,
        ),
        (
            [day(2000, calendar="360_day")],
            "is in calendar '360_day', the stage in 'noleap'; give it dates made from "
            "segment.start or segment.end, or convert them with "
            "Dataset.convert_calendar",
        ),
        (
            np.array(["2000-07-01"], "M8[ns]"),
            "is in calendar 'proleptic_gregorian', the stage in 'noleap'; give it "
            "dates made from segment.start or segment.end, or convert them with "
            "Dataset.convert_calendar",
        ),
        (
            [0, 1],
            "has the type int64, expected dates; give it cftime dates in model time, "
            "as segment.start is one",
        ),
        (
            np.array(["2000-01-01"], object),
            "has the type object, expected dates; give it cftime dates in model time, "
            "as segment.start is one",
        ),
    ],
)
def test_other_times_are_told(times: Any, text: str) -> None:
    """Else results would have them unsorted, twice or where no year of theirs is."""
    assert told(output(times)) == [HERE + text]


@pytest.mark.parametrize("name", ["bounds", "climatology"])
def test_a_mean_over_more_segments_has_cells(name: str) -> None:
    """Its stamp may lie before its segment, never after it."""
    decade = [day(1995)]
    assert told(output(decade, **{name: "cells"})) == []
    assert told(output(decade, **{name: "not there"})) != []
    assert told(output([day(1995), day(2002)], **{name: "cells"})) != []


@pytest.mark.parametrize(
    ("calendar", "date", "fits"),
    [
        ("standard", "2000-07-01", True),
        ("gregorian", "2000-07-01", True),
        ("proleptic_gregorian", "2000-07-01", True),
        ("proleptic_gregorian", "1500-07-01", True),
        ("standard", "1500-07-01", False),
        ("julian", "2000-07-01", False),
    ],
)
def test_dates_of_numpy_are_of_one_calendar(
    calendar: str, date: str, fits: bool
) -> None:
    """They are those of the standard one as well, after its reform."""
    year = int(date[:4])
    start, end = (day(y, calendar=calendar) for y in (year, year + 1))
    segment = Segment(start=start, end=end, index=0)
    dataset = output(np.array([date], "M8[s]"))
    assert (told(dataset, segment) == []) is fits


def test_what_is_no_time_does_not_ascend() -> None:
    """A NaT has no place on the axis."""
    segment = year_2000("standard")
    assert told(output(np.array(["NaT"], "M8[ns]")), segment) == [
        f"{HERE}does not ascend: NaT is no time{ONCE}"
    ]


def test_the_ends_are_dates_of_the_stage() -> None:
    """Dates of NumPy become those of its calendar, to the second and below."""
    times = np.array(["2000-01-01T06:30:15.5", "2000-02-29"], "M8[ns]")
    first, last = ends_of(output(times), "standard")
    assert first == cftime.datetime(2000, 1, 1, 6, 30, 15, 500_000, calendar="standard")
    assert last == day(2000, 2, 29, calendar="standard")


@pytest.mark.parametrize(
    ("newest", "fits"),
    [(None, True), (day(1999, 12, 31), True), (day(2000), False), (day(2001), False)],
)
def test_segments_follow_each_other(newest: cftime.datetime | None, fits: bool) -> None:
    """The end of one is the start of the next, so only one of them has it."""
    found = [str(f) for f in earlier_faults(PLACE, output([day(2000)]), newest)]
    assert found == (
        []
        if fits or newest is None
        else [
            f"{HERE}begins at 2000-01-01T00:00:00, the segments before ended at "
            f"{newest.isoformat()}; give each time of the results once: a segment has "
            "its start or its end, not both, where its neighbours have them too"
        ]
    )
