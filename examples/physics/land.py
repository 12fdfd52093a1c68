"""Lasting snow and vegetation: years to decades.

Decides two stores on land and the albedo that follows from them. Ignores water
and fires; vegetation carbon changes the albedo, not the carbon dioxide, whose
forcing is prescribed. Column by column.
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
from physics.parameters import years_of

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "LAND_STATE",
    "SNOW_CAP",
    "albedo_of_land",
    "grow_year",
    "init_land",
    "land",
    "snow_cover",
]

BARE_ALBEDO = 0.34  # planetary, clouds included
LEAF_ALBEDO = -0.04
SNOW_ALBEDO = 0.18
SNOW_CAP = 3000.0  # kg m-2; what falls on top flows off as ice
SNOW_HALF = 300.0  # kg m-2; half of the ground is covered
CARBON_HALF = 3.0  # kg m-2
SNOWFALL = 300.0  # kg m-2 year-1 where it always freezes
MELT = 3.0  # kg m-2 K-1 day-1; Braithwaite (1995), 3-8
TURNOVER_YEARS = 15.0

LAND_STATE = {
    "snow_amount": ("lat", "lon"),
    "vegetation_carbon": ("lat", "lon"),
}
STATE = (
    Field(
        name="snow_amount",
        dims=("lat", "lon"),
        attrs={"standard_name": "surface_snow_amount", "units": "kg m-2"},
    ),
    Field(
        name="vegetation_carbon",
        dims=("lat", "lon"),
        attrs={"standard_name": "vegetation_carbon_content", "units": "kg m-2"},
    ),
)
CARBON = Field(
    name="cVeg",
    dims=("year", "lat", "lon"),
    attrs={
        "standard_name": "vegetation_carbon_content",
        "long_name": "carbon in vegetation per area of land, 0 over sea",
        "units": "kg m-2",
        "cell_methods": "time: point area: mean where land",
        "comment": "at the end of the year",
    },
)


def land(
    state: xr.Dataset, inputs: Mapping[str, xr.Dataset], segment: Segment
) -> Advance:
    """Advance snow and vegetation by the years of a segment, lazily.

    Parameters
    ----------
    state : xarray.Dataset
        ``snow_amount`` and ``vegetation_carbon``, ``(lat, lon)``, kg m-2,
        chunked in latitude in any way.
    inputs : mapping of str to xarray.Dataset
        ``atmosphere``: ``ts``, degC, and ``degree_days``, K day, both
        ``(year, lat, lon)``, of the same years.
    segment : Segment
        Whole calendar years.

    Returns
    -------
    Advance
        Exports are the state. Output: vegetation carbon on ``time``.

    Raises
    ------
    InvalidInputError
        If a field or the span does not fit.
    """
    years = years_of(segment)
    snow, carbon = fields_of(state, LAND_STATE, "land state")
    wanted = dict.fromkeys(("ts", "degree_days"), ("year", "lat", "lon"))
    forced = fields_of(inputs["atmosphere"], wanted, "land input 'atmosphere'")
    rows = snow.sizes["lat"]
    lazy = map_latitudes(
        "land",
        partial(_kernel, rows),
        (snow, carbon, *forced),
        lat_chunks=snow.chunksizes.get("lat", (rows,)),
        outputs=(*STATE, CARBON),
        sizes={**sizes_of(state), "year": len(years)},
    )
    new = state.assign({item.name: (item.dims, lazy[item.name]) for item in STATE})
    for item in STATE:
        new[item.name].attrs = dict(item.attrs)
    return Advance(
        state=new, output=dataset_of([CARBON], lazy, rows, segment, dated=True)
    )


def init_land(segment: Segment, inputs: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """Take snow and vegetation over from an earlier phase.

    Parameters
    ----------
    segment : Segment
        The first one; not used.
    inputs : mapping of str to xarray.Dataset
        Final state of ``spinup``, or of an earlier ``land``.

    Returns
    -------
    xarray.Dataset
        Variables of `LAND_STATE`.

    Raises
    ------
    NotFoundError
        If there is neither.
    InvalidInputError
        If a variable is missing.
    """
    return source_of(inputs, "land", LAND_STATE)


def snow_cover(snow: Array) -> Array:
    """Share of the land under lasting snow, in [0, 1).

    Parameters
    ----------
    snow : ndarray, kg m-2

    Returns
    -------
    ndarray, 1
    """
    return snow / (snow + SNOW_HALF)


def albedo_of_land(snow: Array, carbon: Array) -> Array:
    """Planetary albedo over land that is not frosted over.

    Parameters
    ----------
    snow, carbon : ndarray, kg m-2

    Returns
    -------
    ndarray, 1
        In (0.30, 0.52).
    """
    leaves = carbon / (carbon + CARBON_HALF)
    return BARE_ALBEDO + LEAF_ALBEDO * leaves + SNOW_ALBEDO * snow_cover(snow)


def grow_year(
    place_land: Array, snow: Array, carbon: Array, ts: Array, degree_days: Array
) -> tuple[Array, Array]:
    """Advance both stores by one year.

    Snow falls on the frozen share of the year and melts by degree days.
    Vegetation grows by the temperature limb of the Miami model (Lieth 1975,
    0.45 of the dry matter is carbon) where no snow lies, and turns over.

    Parameters
    ----------
    place_land : ndarray, 1
        1 where a cell has land, else 0.
    snow, carbon : ndarray, kg m-2
    ts : ndarray, degC
        Annual mean.
    degree_days : ndarray, K day

    Returns
    -------
    snow, carbon : ndarray, kg m-2
    """
    frozen = np.clip(0.5 - ts / 20.0, 0.0, 1.0)
    snow = np.clip(snow + SNOWFALL * frozen - MELT * degree_days, 0.0, SNOW_CAP)
    growth = 3.0 * 0.45 / (1.0 + np.exp(1.315 - 0.119 * ts)) * (1.0 - snow_cover(snow))
    carbon = (carbon + growth) / (1.0 + 1.0 / TURNOVER_YEARS)
    return snow * place_land, carbon * place_land


def _kernel(
    rows_of_globe: int,
    rows: slice,
    snow: Array,
    carbon: Array,
    ts: Array,
    degree_days: Array,
) -> Sequence[Array]:
    place_land = np.where(planet(rows_of_globe).sea[rows] < 1.0, 1.0, 0.0)
    stock = []
    for mean, warmth in zip(ts, degree_days, strict=True):
        snow, carbon = grow_year(place_land, snow, carbon, mean, warmth)
        stock.append(carbon)
    return snow, carbon, np.stack(stock)
