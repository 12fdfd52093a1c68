"""Datasets taken apart and put together."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import xarray as xr

from climorch.engine.outline import distinct, joined, outlined, own_fields
from climorch.intake.fields import chunked
from climorch.model.advance import Segment
from climorch.testing.awkward import awkward_init
from tests.unit.engine.model_cases import segment

FIRST: Segment = segment(0)
STATE = awkward_init(FIRST, {})


def test_an_outline_knows_all_but_the_values() -> None:
    """Filled again, a dataset is what it was, in the same order."""
    found = outlined(STATE, own_fields(STATE))

    assert list(found.fields) == ["heat", "corners", "hits", "wet"]
    assert found.rest.nbytes < 200
    arrays = {name: STATE[name].to_numpy() for name in found.fields}
    again = found.filled(arrays)
    xr.testing.assert_identical(again, STATE)
    assert list(again.data_vars) == list(STATE.data_vars)


def test_a_coordinate_that_is_elsewhere_comes_back_as_one() -> None:
    """Dask may hold coordinates, too."""
    state = STATE.assign_coords(area=(("row", "col"), np.ones((6, 4))))
    found = outlined(state, ["area", "heat"])

    again = found.filled({n: state[n].to_numpy() for n in ("area", "heat")})

    xr.testing.assert_identical(again, state)
    assert "area" in again.coords


def test_fields_get_the_chunks_that_a_function_would_give_them() -> None:
    """One rule for all kinds of steps."""
    wanted = {"row": 4, "x-stag": 2, "nv": 9}
    lazy = chunked(STATE, wanted)
    found = outlined(STATE, own_fields(STATE))

    assert {n: f.chunks(wanted) for n, f in found.fields.items()} == {
        name: lazy[name].chunks for name in found.fields
    }


@pytest.mark.parametrize("chunks", [(1, 1), (2, 3), (4, 2), (6, 4)])
def test_blocks_are_joined_where_they_belong(chunks: tuple[int, int]) -> None:
    """Also where the last ones are smaller."""
    field = outlined(STATE, ["heat"]).fields["heat"]
    whole = STATE["heat"].to_numpy()
    lengths = field.chunks(dict(zip(field.dims, chunks, strict=True)))
    blocks = [
        whole[i * chunks[0] : (i + 1) * chunks[0], j * chunks[1] : (j + 1) * chunks[1]]
        for i, j in itertools.product(*(range(len(length)) for length in lengths))
    ]

    found = joined(field, [len(length) for length in lengths], blocks)

    assert np.array_equal(found, whole)


def test_two_datasets_that_share_arrays_become_distinct() -> None:
    """Else a pickle of both would make one array for the two."""
    other = distinct(STATE)

    xr.testing.assert_identical(other, STATE)
    for name in ("heat", "names", "clock", "depth"):
        assert other[name].variable._data is not STATE[name].variable._data
    assert np.shares_memory(other["heat"].to_numpy(), STATE["heat"].to_numpy())
