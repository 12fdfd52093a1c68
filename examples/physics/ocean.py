"""Heat below the mixed layer: years to centuries.

Decides vertical diffusion through four layers, 1200 m in all, column by column,
driven by exactly the heat that the atmosphere stage took out of the mixed layer:
no heat is lost between the stages. Within a segment the atmosphere reckons that
heat with its own forecast of the first layer, which holds the second one still,
as it does snow and vegetation: against segments of one year the global mean of
1850-2014 differs by at most 0.008, 0.025, 0.041 and 0.08 K with 5, 10, 15 and 30
years.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from climorch.model.advance import Advance, Segment
from physics.cf import dataset_of, fields_of, sizes_of, source_of
from physics.grid import Array, planet
from physics.lazy import Field, map_latitudes
from physics.parameters import YEAR_S, years_of

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "LAYERS_M",
    "OCEAN_STATE",
    "RHO_C",
    "first_layer_after",
    "heat_down",
    "init_ocean",
    "ocean",
]

RHO_C = 4.1e6  # J m-3 K-1, sea water
LAYERS_M = (200.0, 200.0, 300.0, 500.0)
DIFFUSIVITY = 1.0e-4  # m2 s-1; Munk (1966)
STEPS_PER_YEAR = 12

OCEAN_STATE = {"deep_temperature": ("depth", "lat", "lon")}
DEEP = Field(
    name="deep_temperature",
    dims=("depth", "lat", "lon"),
    attrs={
        "long_name": "temperature of the layers below the mixed layer, 0 on land",
        "units": "degC",
    },
)
HEAT = Field(
    name="ohc_zonal",
    dims=("year", "lat"),
    attrs={
        "long_name": "heat below the mixed layer in a band of latitude, from 0 degC",
        "units": "J",
        "cell_methods": "time: point longitude: sum",
        "comment": "at the end of the year",
    },
)


def ocean(
    state: xr.Dataset, inputs: Mapping[str, xr.Dataset], segment: Segment
) -> Advance:
    """Advance the deep ocean by the years of a segment, lazily.

    Parameters
    ----------
    state : xarray.Dataset
        ``deep_temperature (depth, lat, lon)``, degC, chunked in latitude in
        any way.
    inputs : mapping of str to xarray.Dataset
        ``atmosphere``: ``hfdeep (year, lat, lon)``, W m-2, of the same years.
    segment : Segment
        Whole calendar years.

    Returns
    -------
    Advance
        Exports are the state. Output: heat content by latitude on ``time``.

    Raises
    ------
    InvalidInputError
        If a field or the span does not fit.
    """
    years = years_of(segment)
    (deep,) = fields_of(state, OCEAN_STATE, "ocean state")
    wanted = {"hfdeep": ("year", "lat", "lon")}
    (flux,) = fields_of(inputs["atmosphere"], wanted, "ocean input 'atmosphere'")
    rows = deep.sizes["lat"]
    lazy = map_latitudes(
        "ocean",
        partial(_kernel, rows),
        (deep, flux),
        lat_chunks=deep.chunksizes.get("lat", (rows,)),
        outputs=(DEEP, HEAT),
        sizes={**sizes_of(state), "year": len(years)},
    )
    new = state.assign(deep_temperature=(DEEP.dims, lazy["deep_temperature"]))
    new["deep_temperature"].attrs = dict(DEEP.attrs)
    return Advance(
        state=new, output=dataset_of([HEAT], lazy, rows, segment, dated=True)
    )


def init_ocean(segment: Segment, inputs: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """Take the deep ocean over from an earlier phase.

    Parameters
    ----------
    segment : Segment
        The first one; not used.
    inputs : mapping of str to xarray.Dataset
        Final state of ``spinup``, or of an earlier ``ocean``.

    Returns
    -------
    xarray.Dataset
        Variables of `OCEAN_STATE`.

    Raises
    ------
    NotFoundError
        If there is neither.
    InvalidInputError
        If a variable is missing.
    """
    return source_of(inputs, "ocean", OCEAN_STATE)


def heat_down(deep: Array, flux: Array) -> Array:
    """Advance the deep layers by one year.

    Explicit monthly steps; at most 0.03 of a temperature difference is
    exchanged in one, far from the limit of 1/2.

    Parameters
    ----------
    deep : ndarray, shape (depth, lat, lon), degC
        Not written to.
    flux : ndarray, shape (lat, lon), W m-2
        Annual mean into the first layer.

    Returns
    -------
    ndarray, shape (depth, lat, lon), degC
    """
    step_s = YEAR_S / STEPS_PER_YEAR
    thickness = np.array(LAYERS_M)[:, None, None]
    conductance = RHO_C * DIFFUSIVITY / ((thickness[1:] + thickness[:-1]) / 2.0)
    gain = step_s / (RHO_C * thickness)
    # Downward flux through the top of each layer and the closed floor.
    down = np.zeros((len(LAYERS_M) + 1, *flux.shape))
    down[0] = flux
    layers = deep.copy()
    for _ in range(STEPS_PER_YEAR):
        np.subtract(layers[:-1], layers[1:], out=down[1:-1])
        down[1:-1] *= conductance
        layers += gain * (down[:-1] - down[1:])
    return layers


def first_layer_after(first: Array, second: Array, flux: Array) -> Array:
    """Forecast the first deep layer by a year, the second one held still.

    Parameters
    ----------
    first, second : ndarray, shape (lat, lon), degC
        The two upper layers; not written to.
    flux : ndarray, shape (lat, lon), W m-2
        Annual mean into the first layer.

    Returns
    -------
    ndarray, shape (lat, lon), degC
    """
    spacing = (LAYERS_M[0] + LAYERS_M[1]) / 2.0
    lost = RHO_C * DIFFUSIVITY / spacing * (first - second)
    return first + (flux - lost) * (YEAR_S / (RHO_C * LAYERS_M[0]))


def _kernel(
    rows_of_globe: int, rows: slice, deep: Array, flux: Array
) -> Sequence[Array]:
    place = planet(rows_of_globe)
    column = place.area[rows] * place.sea[rows]
    capacity = RHO_C * np.array(LAYERS_M)[:, None, None]
    heat = []
    for annual in flux:
        deep = heat_down(deep, annual)
        heat.append(((deep * capacity).sum(axis=0) * column).sum(axis=1))
    return deep, np.stack(heat)
