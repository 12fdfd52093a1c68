"""What stages exchange lies on one grid, in one calendar and the same units."""

from __future__ import annotations

from typing import Any

import cftime
import numpy as np
import pytest
import xarray as xr

from climorch.errors import InvalidInputError
from climorch.intake.meeting import (
    AFTER,
    READS,
    export_faults,
    first_faults,
    meeting_faults,
    require_meeting,
)
from climorch.model.advance import Segment

SEGMENT = Segment(
    start=cftime.DatetimeNoLeap(2000, 1, 1),
    end=cftime.DatetimeNoLeap(2001, 1, 1),
    index=0,
)


def grid(
    lat: Any = (-45.0, 45.0),
    units: Any = "K",
    name: str = "T",
    dim: str = "lat",
    **coords: Any,
) -> xr.Dataset:
    """A field on a grid."""
    field = xr.Variable(
        dim, np.zeros(len(lat)), {} if units is None else {"units": units}
    )
    return xr.Dataset({name: field}, coords={dim: list(lat), **coords})


def dates(*years: int, calendar: str = "noleap", month: int = 7) -> list[Any]:
    """Dates of a calendar."""
    return [cftime.datetime(year, month, 1, calendar=calendar) for year in years]


@pytest.mark.parametrize(
    "given",
    [
        grid(),
        grid(name="S", units="psu"),
        # Names of its own say that it is another grid.
        grid(lat=(-60.0, 0.0, 60.0), dim="lat_sea"),
        # Told on one side only.
        grid(units=None),
        grid(units="  K "),
        # A numeric code, as some files have it.
        grid(units=7),
        # Made where several segments are joined.
        xr.Dataset({"flux": (("segment", "lat"), np.zeros((3, 2)))}),
        xr.Dataset({"sum": ((), 0.0)}),
    ],
)
def test_what_fits_has_no_fault(given: xr.Dataset) -> None:
    """Equal names mean equal grids and units; what one does not have cannot differ."""
    own = grid().assign(segment=("segment", [1.0, 2.0]))
    assert list(meeting_faults("sea", own, "air", given, how=READS)) == []


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (
            grid(lat=(-60.0, 0.0, 60.0)),
            "coordinate 'lat' has 3 values from -60.0 to 60.0, here 2 values from "
            "-45.0 to 45.0",
        ),
        (
            grid(lat=(45.0, -45.0)),
            "coordinate 'lat' has 2 values from 45.0 to -45.0, here 2 values from "
            "-45.0 to 45.0",
        ),
        (grid(lat=()), "coordinate 'lat' has no values, here 2 values from"),
        (
            xr.Dataset({"flux": ("lat", np.zeros(5))}),
            "dimension 'lat' has length 5, here 2",
        ),
        (grid(units="degC"), "variable 'T' is in units 'degC', here 'K'"),
    ],
)
def test_a_mismatch_names_both_stages_and_what_differs(
    given: xr.Dataset, problem: str
) -> None:
    """And says what to do."""
    (fault,) = meeting_faults("sea", grid(), "air", given, how=READS)
    assert fault.place == "stage 'sea', reads 'air'"
    assert fault.problem.startswith(f"what 'air' gives does not fit: {problem}")
    assert fault.remedy == "export it as the reader has it, or under names of its own"


def test_all_that_differs_between_two_stages_is_one_fault() -> None:
    """Grids, lengths and units of coordinates and variables alike."""
    own = grid().assign(land=("cell", np.zeros(4)))
    given = grid(lat=(0.0,), units="degC").assign(lake=("cell", np.zeros(6)))
    own["lat"].attrs["units"] = "degrees_north"
    given["lat"].attrs["units"] = "radian"

    (fault,) = meeting_faults("sea", own, "air", given, how=AFTER)

    assert fault.problem == (
        "what 'air' gives does not fit: dimension 'cell' has length 6, here 4; "
        "coordinate 'lat' has 1 values from 0.0 to 0.0, here 2 values from -45.0 to "
        "45.0; variable 'T' is in units 'degC', here 'K'; variable 'lat' is in units "
        "'radian', here 'degrees_north'"
    )
    assert fault.remedy == (
        "make the first state with transform=, which may change them"
    )


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (dates(2000, 2001), dates(2001)),
        (np.array(["2000-01-01"], "M8[ns]"), np.array(["2001-01-01"], "M8[ns]")),
        (
            ("time", [0.0], {"units": "days since 1850-01-01", "calendar": "noleap"}),
            ("time", [31.0], {"units": "days since 1900-01-01", "calendar": "noleap"}),
        ),
    ],
)
def test_along_model_time_each_has_its_own_dates(mine: Any, theirs: Any) -> None:
    """Whatever they are counted from."""
    own = grid().assign_coords(time=mine)
    given = grid().assign_coords(time=theirs)
    assert list(meeting_faults("sea", own, "air", given, how=READS)) == []


@pytest.mark.parametrize(
    ("exports", "problem"),
    [
        (grid(time=dates(2000)), ""),
        (grid(time=dates(2000, month=1)), ""),
        (grid(time=dates(2001, month=1)), ""),
        # A ring of the last years: its newest counts.
        (grid(time=dates(1998, 2000)), ""),
        (grid(time=[]), ""),
        (
            grid(time=dates(1999)),
            "coordinate 'time' ends at 1999-07-01T00:00:00, the segment goes from "
            "2000-01-01T00:00:00 to 2001-01-01T00:00:00",
        ),
        (
            grid(time=dates(2000, 2001)),
            "coordinate 'time' ends at 2001-07-01T00:00:00, the segment goes from "
            "2000-01-01T00:00:00 to 2001-01-01T00:00:00",
        ),
        (
            grid(time=dates(2000, calendar="360_day")),
            "coordinate 'time' is in calendar '360_day', the stage in 'noleap'",
        ),
        (
            grid(time=np.array(["2000-07-01"], "M8[ns]")),
            "coordinate 'time' is in calendar 'proleptic_gregorian', the stage in "
            "'noleap'",
        ),
        (
            grid(time=("time", [1.0], {"calendar": "gregorian"})),
            "coordinate 'time' is in calendar 'gregorian', the stage in 'noleap'",
        ),
        (grid(time=("time", [1.0], {"calendar": "365_day"})), ""),
        (grid(level=[1000.0]), ""),
    ],
)
def test_exports_are_of_the_time_and_calendar_of_their_segment(
    exports: xr.Dataset, problem: str
) -> None:
    """The newest date counts; both ends are within."""
    found = list(export_faults("air", ["sea", "ice"], exports, SEGMENT))
    assert [fault.problem for fault in found] == ([problem] if problem else [])
    for fault in found:
        assert fault.place == "stage 'air', exports to 'sea', 'ice'"


def test_exports_that_nobody_reads_are_not_looked_at() -> None:
    """They are kept by nobody."""
    assert list(export_faults("air", [], grid(time=dates(1900)), SEGMENT)) == []


def first(state: xr.Dataset, *, transformed: bool) -> list[str]:
    """Say what is wrong with a first state after two stages."""
    return [
        str(fault)
        for fault in first_faults(
            "future",
            state,
            {"air": grid(), "sea": grid(units="degC")},
            after=("air", "sea"),
            transformed=transformed,
            calendar="noleap",
        )
    ]


def test_a_first_state_fits_all_phases_before_it() -> None:
    """One fault for each of them that it does not fit."""
    assert first(grid(), transformed=False) == [
        "stage 'future', after 'sea': what 'sea' gives does not fit: variable 'T' is "
        "in units 'degC', here 'K'; make the first state with transform=, which may "
        "change them"
    ]


def test_a_transform_may_change_all_but_the_calendar() -> None:
    """Of whatever grid and units its result is."""
    assert first(grid(lat=(0.0,), units="degF"), transformed=True) == []
    found = first(grid(time=dates(2000, calendar="360_day")), transformed=True)
    assert found[0] == (
        "stage 'future', after 'air': its first state has other dates: coordinate "
        "'time' is in calendar '360_day', the stage in 'noleap'; convert them, as with "
        "Dataset.convert_calendar"
    )
    assert len(found) == 2


def test_a_mismatch_is_raised_with_all_faults() -> None:
    """Nothing is raised where there is none."""
    require_meeting([])
    faults = list(meeting_faults("sea", grid(), "air", grid(units="C"), how=READS))
    with pytest.raises(InvalidInputError, match="stages do not fit together") as caught:
        require_meeting(faults)
    assert caught.value.faults == tuple(faults)
