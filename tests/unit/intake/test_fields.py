from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import xarray as xr

from climorch.intake.fields import (
    chunked,
    field_names,
    is_field,
    lazy_others,
    replaced,
    structure_faults,
)


def state() -> xr.Dataset:
    """Numbers, a scalar, text, dates, and coordinates."""
    return xr.Dataset(
        {
            "T": (("lat", "lon"), np.arange(12.0).reshape(4, 3), {"units": "K"}),
            "mask": ("lat", np.array([True, False, True, False])),
            "clock": np.int64(3),
            "name": ("lat", np.array(["a", "b", "c", "d"])),
            "empty": ("none", np.zeros(0)),
        },
        coords={"lat": [0.0, 1.0, 2.0, 3.0], "area": ("lat", np.ones(4))},
    )


def test_numbers_with_dimensions_become_fields() -> None:
    """Numeric data variables are held by Dask, all else stays in memory."""
    made = chunked(state(), {"lat": 2})
    assert field_names(made) == ["T", "mask", "empty"]
    assert made["T"].chunks == ((2, 2), (3,))
    assert made["mask"].chunks == ((2, 2),)
    assert made["empty"].chunks == ((0,),)
    assert made["T"].attrs == {"units": "K"}
    assert made["T"].values.tolist() == state()["T"].values.tolist()
    assert [is_field(made[n]) for n in ("T", "clock", "name", "area")] == [
        True,
        False,
        False,
        False,
    ]


def test_chunks_longer_than_a_dimension_are_cut_to_it() -> None:
    """A chunk length beyond a dimension means the whole dimension."""
    assert chunked(state(), {"lat": 100})["T"].chunks == ((4,), (3,))


def test_a_dimension_that_does_not_divide_ends_with_the_rest() -> None:
    """The last chunk may be shorter."""
    assert chunked(state(), {"lat": 3})["T"].chunks == ((3, 1), (3,))


def test_fields_in_the_right_chunks_are_not_touched() -> None:
    """What has its chunks already is the same dataset, without a task more."""
    once = chunked(state(), {"lat": 2})
    assert chunked(once, {"lat": 2}) is once


def test_other_chunks_are_changed_back() -> None:
    """A step that rechunks a field gets the chunks of its stage back."""
    other = state().assign(T=state()["T"].chunk({"lat": (1, 3), "lon": 1}))
    made = chunked(other, {"lat": 2})
    assert made["T"].chunks == ((2, 2), (3,))
    assert made["T"].values.tolist() == state()["T"].values.tolist()


def test_lazy_coordinates_are_fields_too() -> None:
    """A coordinate that comes lazy is chunked like a field and stays a coordinate."""
    lazy = state().assign_coords(area=("lat", da.ones(4, chunks=1)))
    made = chunked(lazy, {"lat": 2})
    assert made["area"].chunks == ((2, 2),)
    assert "area" in made.coords


def test_lazy_text_is_no_field() -> None:
    """Text that Dask holds is told apart from fields."""
    lazy = state().assign(name=state()["name"].chunk({"lat": 1}))
    assert lazy_others(lazy) == ["name"]
    assert field_names(lazy) == []


def test_replacing_values_leaves_all_else() -> None:
    """Other values keep dimensions, attributes and the role of a variable."""
    before = state()
    after = replaced(before, {"T": before["T"].values + 1, "area": np.zeros(4)})
    assert after["T"].values.tolist() == (before["T"].values + 1).tolist()
    assert after["T"].attrs == {"units": "K"}
    assert "area" in after.coords
    assert after["area"].values.tolist() == [0.0, 0.0, 0.0, 0.0]
    assert before["T"].values[0, 0] == 0.0
    assert replaced(before, {}) is before


def test_an_equal_structure_has_no_fault() -> None:
    """Values may change, chunks too."""
    after = chunked(state(), {"lat": 1}).assign(clock=np.int64(4))
    assert list(structure_faults(state(), after, place="p")) == []


@pytest.mark.parametrize(
    ("after", "texts"),
    [
        (state().drop_vars("mask"), ["p, variable 'mask': is missing"]),
        (state().assign(more=1), ["p, variable 'more': was not there before"]),
        (
            state().assign(T=state()["T"].astype("f4")),
            ["p, variable 'T': dtype float32, expected float64"],
        ),
        (
            state().assign(T=state()["T"].transpose()),
            [
                "p, variable 'T': dims ('lon', 'lat'), expected ('lat', 'lon')",
                "p, variable 'T': shape (3, 4), expected (4, 3)",
            ],
        ),
        (
            state().assign_coords(lat=[0.0, 1.0, 2.0, 4.0]),
            ["p, coordinate 'lat': its values changed"],
        ),
        (
            state().assign(clock=np.int32(3)).drop_vars("name"),
            [
                "p, variable 'name': is missing",
                "p, variable 'clock': dtype int32, expected int64",
            ],
        ),
    ],
)
def test_every_change_of_structure_is_a_fault(
    after: xr.Dataset, texts: list[str]
) -> None:
    """Each variable that is lost, new or of another form is told, with the remedy."""
    remedy = "return the state with the structure that it came with"
    found = [str(fault) for fault in structure_faults(state(), after, place="p")]
    assert found == [f"{text}; {remedy}" for text in texts]
