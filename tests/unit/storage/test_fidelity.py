from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import pytest
import xarray as xr

from climorch.errors import InvalidInputError
from climorch.storage.fidelity import check_round_trip
from climorch.storage.template import (
    TemplateCache,
)


def fault_of(dataset: xr.Dataset) -> str:
    with pytest.raises(
        InvalidInputError, match="state of 'ocean' cannot be stored"
    ) as e:
        TemplateCache().render(dataset, place="state of 'ocean'")
    return str(e.value)


@pytest.mark.parametrize(
    ("attrs", "values", "problem"),
    [
        ({"_FillValue": 1.0}, np.array([1.0, 2]), "would have attributes"),
        ({"scale_factor": 2.0}, np.array([1.0, 2]), "would have attributes"),
        (
            {"units": "days since 2000-01-01"},
            np.array([1, 2]),
            "would have type datetime",
        ),
        ({}, np.array(["1200-01-01", "2000-01-01"], "M8[s]"), "before 1678 or after"),
        ({}, np.array([1.0, 2], np.longdouble), "has no counterpart in Zarr"),
        ({}, np.array([1.0, 2], np.clongdouble), "has no counterpart in Zarr"),
        ({"f": object()}, np.array([1.0, 2]), "cannot write it to Zarr"),
        ({}, np.array([{}, 1], dtype=object), "cannot write it to Zarr"),
    ],
)
@pytest.mark.parametrize("chunks", [None, {"x": 1}])
def test_what_would_not_come_back_is_refused(
    attrs: dict[str, Any], values: Any, problem: str, chunks: dict[str, int] | None
) -> None:
    """Values, types and attributes that would change on their way are refused."""
    dataset = xr.Dataset({"v": ("x", values, attrs)})
    if chunks is not None and values.dtype.kind in "biufc":
        dataset = dataset.chunk(chunks)
    assert problem in fault_of(dataset)


@pytest.mark.parametrize(
    "name", ["a/b", "..", ".a", "__a", "a\\b", "a\nb", "zarr.json", "", "é" * 101, 5]
)
def test_names_that_are_no_directories_are_refused(name: Any) -> None:
    """A variable whose name would leave its group or collide with it is refused."""
    problem = fault_of(xr.Dataset({name: ("x", np.zeros(2))}))
    assert "the name cannot be used as the name of a directory" in problem


def test_all_faults_are_told_at_once() -> None:
    """Every variable that cannot be stored is named in one error."""
    uneven = xr.DataArray(np.zeros(6), dims="x").chunk(x=(1, 3, 2))
    text = xr.DataArray(np.array(["a"] * 6), dims="x").chunk(x=3)
    zero = xr.DataArray(np.zeros(6), dims="x").chunk(x=(6, 0))
    huge = xr.DataArray(da.zeros(2**28, chunks=2**28), dims="y")
    message = fault_of(xr.Dataset({"u": uneven, "t": text, "z": zero, "h": huge}))
    assert "variable 'u', dimension 'x': chunks (1, 3, 2) are not equal" in message
    assert "variable 't': is chunked and of type <U1" in message
    assert "variable 'z', dimension 'x': chunks (6, 0)" in message
    assert "variable 'h': its chunks have more than 2147483631 bytes" in message


def test_lost_variables_and_roles_are_refused() -> None:
    """What is missing, of another shape or no longer a coordinate is a fault."""
    full = xr.Dataset({"a": ("x", np.zeros(2)), "b": ("x", np.ones(2))})
    cache = TemplateCache()
    files = dict(cache.render(full).files)
    other = {
        "lost": full.assign(c=("x", np.zeros(2))),
        "shape": full.assign(a=("y", np.zeros(3))),
        "role": full.set_coords("a"),
        "values": full.assign(a=("x", np.ones(2))),
    }
    problems = {}
    for name, dataset in other.items():
        with pytest.raises(InvalidInputError) as caught:
            check_round_trip(dataset, files, {}, "x")
        problems[name] = str(caught.value)
    assert "'c': would be lost when read back" in problems["lost"]
    assert "'a': would be ('x',) (2,), not ('y',) (3,)" in problems["shape"]
    assert "'a': would no longer be the coordinate" in problems["role"]
    assert "'a': would have other values" in problems["values"]
