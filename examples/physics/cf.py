"""Datasets at the edge of a step: names, coordinates, CF attributes.

Decides what goes in and out of a stage and checks it. Ignores what the numbers
mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

import cftime
import xarray as xr

from climorch.errors import Fault, InvalidInputError, NotFoundError
from climorch.model.advance import Segment
from physics.grid import planet
from physics.lazy import Field
from physics.parameters import years_of

if TYPE_CHECKING:
    import dask.array as da

__all__ = ["axes_of", "dataset_of", "fields_of", "sizes_of", "source_of"]


@cache
def axes_of(rows: int) -> dict[str, xr.Variable]:
    """Name the points of the grid's horizontal axes.

    Parameters
    ----------
    rows : int
        Rows of latitude.

    Returns
    -------
    dict of str to xarray.Variable
        ``lat`` and ``lon``.
    """
    place = planet(rows)
    lat = {"standard_name": "latitude", "units": "degrees_north", "axis": "Y"}
    lon = {"standard_name": "longitude", "units": "degrees_east", "axis": "X"}
    return {
        "lat": xr.IndexVariable("lat", place.lat, lat),
        "lon": xr.IndexVariable("lon", place.lon, lon),
    }


def fields_of(
    dataset: xr.Dataset, wanted: Mapping[str, tuple[str, ...]], place: str
) -> list[xr.DataArray]:
    """Take variables out of a dataset and check their dimensions.

    Parameters
    ----------
    dataset : xarray.Dataset
        State or input of a stage.
    wanted : mapping of str to tuple of str
        Names and dimensions.
    place : str
        Where the dataset comes from, for the error.

    Returns
    -------
    list of xarray.DataArray
        In the order of ``wanted``.

    Raises
    ------
    InvalidInputError
        With one fault for each variable that is missing or has other
        dimensions.
    """
    faults = []
    for name, dims in wanted.items():
        found = dataset[name].dims if name in dataset else None
        if found != dims:
            faults.append(
                Fault(
                    place=f"{place}, variable {name!r}",
                    problem="missing" if found is None else f"dims {found}",
                    remedy=f"give it with dims {dims}",
                )
            )
    if faults:
        raise InvalidInputError(f"{place}: fields do not fit", faults=faults)
    return [dataset[name] for name in wanted]


def sizes_of(dataset: xr.Dataset) -> dict[str, int]:
    """Read the length of each dimension.

    Parameters
    ----------
    dataset : xarray.Dataset

    Returns
    -------
    dict of str to int
    """
    return {str(dim): size for dim, size in dataset.sizes.items()}


def source_of(
    inputs: Mapping[str, xr.Dataset], stage: str, wanted: Mapping[str, tuple[str, ...]]
) -> xr.Dataset:
    """Take the first state of a stage out of the phase before.

    Parameters
    ----------
    inputs : mapping of str to xarray.Dataset
        Final states by stage.
    stage : str
        Where to look if there is no ``spinup``.
    wanted : mapping of str to tuple of str
        Names and dimensions.

    Returns
    -------
    xarray.Dataset
        Only what is wanted, lazy as it was.

    Raises
    ------
    NotFoundError
        If neither stage is among the inputs.
    InvalidInputError
        If a variable is missing or has other dimensions.
    """
    name = "spinup" if "spinup" in inputs else stage
    if name not in inputs:
        raise NotFoundError(
            f"first state of {stage!r}: got inputs {sorted(inputs)}, expected "
            f"'spinup' or {stage!r}; name one in after=",
            stage=stage,
        )
    fields_of(inputs[name], wanted, f"final state of {name!r}")
    return inputs[name][list(wanted)]


def dataset_of(
    wanted: Sequence[Field],
    lazy: Mapping[str, da.Array],
    rows: int,
    segment: Segment,
    *,
    dated: bool = False,
) -> xr.Dataset:
    """Wrap lazy annual arrays as a dataset with coordinates.

    Parameters
    ----------
    wanted : sequence of Field
        What to put in; each has a ``year`` dimension.
    lazy : mapping of str to dask.array.Array
        Their values.
    rows : int
        Rows of latitude of the grid.
    segment : Segment
        Names the years.
    dated : bool, default False
        Label with dates, the middle of each year, on ``time`` (for results)
        and not with calendar years on ``year`` (for exchange).

    Returns
    -------
    xarray.Dataset
    """
    years = years_of(segment)
    if dated:
        calendar = segment.start.calendar
        middle = [cftime.datetime(y, 7, 2, 12, calendar=calendar) for y in years]
        axis = ("time", middle, {"standard_name": "time", "axis": "T"})
    else:
        axis = ("year", list(years), {"long_name": "calendar year"})
    fields = {
        item.name: (
            tuple(axis[0] if dim == "year" else dim for dim in item.dims),
            lazy[item.name],
            item.attrs,
        )
        for item in wanted
    }
    used = {dim for dims, *_ in fields.values() for dim in dims}
    coords = {axis[0]: axis, **{k: v for k, v in axes_of(rows).items() if k in used}}
    return xr.Dataset(fields, coords=coords)
