"""What a segment is given fits, or it is said before anything computes on it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import cftime
import numpy as np
import pytest
import xarray as xr

from climorch.engine.exchanging import inputs_of, require_dates, require_first
from climorch.errors import InvalidInputError
from climorch.model.advance import Advance, Segment
from climorch.model.plan import Coupling, SetPlan
from tests.unit.core.script import stage

AIR = stage("air", boundaries=(0, 1, 2, 3, 4))
SEA = stage("sea", boundaries=(0, 2, 4), reads={"air": Coupling.SAME}, after=("spin",))
SEGMENT = Segment(
    start=cftime.DatetimeNoLeap(2000, 1, 1),
    end=cftime.DatetimeNoLeap(2001, 1, 1),
    index=0,
)


def field(value: float = 0.0, cells: int = 4) -> xr.Dataset:
    """A field on cells."""
    return xr.Dataset({"T": ("x", np.full(cells, value))}, coords={"x": range(cells)})


def attempt(**exports: Any) -> Any:
    """An attempt whose air is ahead of its sea."""
    return SimpleNamespace(
        set=SetPlan(name="air", stages=(AIR, SEA)),
        stages={"sea": SimpleNamespace(transform=None)},
        states={"air": field(), "sea": field()},
        finals={"spin": field(9.0)},
        exports={"air": {0: field(1.0), 1: field(2.0), **exports}},
    )


def test_a_segment_is_given_what_it_reads_and_the_first_one_what_came_before() -> None:
    """Several exports along a dimension of their own."""
    first = inputs_of(attempt(), SEA, 0)
    assert list(first) == ["spin", "air"]
    assert first["air"]["T"].values[:, 0].tolist() == [1.0, 2.0]
    assert first["spin"]["T"].values[0] == 9.0

    late = attempt()
    late.exports["air"] |= {2: field(3.0), 3: field(4.0)}
    assert list(inputs_of(late, SEA, 1)) == ["air"]


def test_a_grid_that_changes_on_the_way_is_refused() -> None:
    """With both names, before the reader computes on it."""
    changed = attempt()
    changed.exports["air"] = {k: field(cells=5) for k in range(2)}
    with pytest.raises(InvalidInputError) as caught:
        inputs_of(changed, SEA, 0)
    (fault,) = caught.value.faults
    assert fault.place == "stage 'sea', reads 'air'"
    assert "coordinate 'x' has 5 values from 0 to 4, here 4 values from 0 to 3" in str(
        fault
    )


def test_a_first_state_of_another_grid_is_refused() -> None:
    """Unless a transform made it."""
    found = attempt()
    require_first(found, SEA, Advance(state=field()))
    with pytest.raises(InvalidInputError, match="stage 'sea', after 'spin'"):
        require_first(found, SEA, Advance(state=field(cells=2)))
    found.stages["sea"].transform = field
    require_first(found, SEA, Advance(state=field(cells=2)))


def test_exports_of_another_time_are_refused() -> None:
    """Where somebody reads them; a state is what it is."""
    old = field().expand_dims(time=[cftime.DatetimeNoLeap(1990, 1, 1)])
    require_dates(attempt(), AIR, Advance(state=old), SEGMENT)
    require_dates(attempt(), SEA, Advance(state=old, exports=old), SEGMENT)
    with pytest.raises(InvalidInputError, match="stage 'air', exports to 'sea'"):
        require_dates(attempt(), AIR, Advance(state=old, exports=old), SEGMENT)
