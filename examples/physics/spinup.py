"""The base state: all three components together, 40 years of 1850-1900.

Decides the flux correction that makes the observed surface temperature the
steady state of the model at the mean forcing of 1850-1900. The base state has
the pattern of 1991-2020, whose data there are: only anomalies are scored. One
stage, one chunk; the components meet every year here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import dask.array as da
import numpy as np
import xarray as xr

from climorch.model.advance import Advance, Segment
from physics.atmosphere import ATMOSPHERE_STATE, TEMPERATURE
from physics.cf import axes_of, dataset_of, fields_of, sizes_of
from physics.energy import Ground, run_year
from physics.grid import Array, planet
from physics.land import LAND_STATE, SNOW_CAP, grow_year
from physics.land import STATE as LAND_FIELDS
from physics.lazy import Field, map_latitudes
from physics.ocean import DEEP, LAYERS_M, OCEAN_STATE, heat_down
from physics.parameters import Member, years_of

__all__ = ["init_spinup", "spinup"]

RESTORING = 40.0  # W m-2 K-1 over sea, within the year
LAND_GAIN = 3.0  # W m-2 of correction per K of last year's error over land
AIR_BELOW_SURFACE = 8.0  # K, first guess

CORRECTION = Field(
    name="flux_correction",
    dims=("month", "lat", "lon"),
    attrs={"long_name": "heat flux correction into the surface", "units": "W m-2"},
)
STATE = (TEMPERATURE, CORRECTION, DEEP, *LAND_FIELDS)
OUTPUT = (
    Field(
        name="ts_global",
        dims=("year",),
        attrs={
            "standard_name": "surface_temperature",
            "units": "degC",
            "cell_methods": "time: mean area: mean",
        },
    ),
    Field(
        name="ts_error",
        dims=("year",),
        attrs={
            "long_name": "root mean square error of the annual mean surface",
            "units": "K",
            "cell_methods": "time: mean area: mean",
        },
    ),
)
# Numbers, not words: Zarr v3 has no settled type for short strings.
LEVELS = {"long_name": "level", "flag_values": [0, 1], "flag_meanings": "air surface"}


def init_spinup(segment: Segment, inputs: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """Start from observed temperatures at rest, lazily.

    Parameters
    ----------
    segment : Segment
        The first one; ``params["grid_degrees"]`` chooses the grid.
    inputs : mapping of str to xarray.Dataset
        Not used.

    Returns
    -------
    xarray.Dataset
        The states of atmosphere, ocean and land in one.

    Raises
    ------
    InvalidInputError
        If a parameter is out of its range.
    """
    rows = 180 // Member.from_params(segment.params).grid_degrees
    axes = axes_of(rows)
    start = xr.DataArray(da.from_array(axes["lat"].to_numpy()), dims="lat")
    sizes = {
        "lat": rows,
        "lon": 2 * rows,
        "level": 2,
        "month": 12,
        "depth": len(LAYERS_M),
    }
    lazy = map_latitudes(
        "init-spinup",
        _first_guess,
        (start,),
        lat_chunks=(rows,),
        outputs=STATE,
        sizes=sizes,
    )
    bottom = np.cumsum(LAYERS_M)
    depth = {
        "long_name": "depth below the mixed layer",
        "units": "m",
        "positive": "down",
    }
    coords = {
        **axes,
        "level": ("level", np.arange(2), LEVELS),
        "month": ("month", np.arange(1, 13)),
        "depth": ("depth", bottom - np.array(LAYERS_M) / 2.0, depth),
    }
    return xr.Dataset(
        {item.name: (item.dims, lazy[item.name], item.attrs) for item in STATE},
        coords=coords,
    )


def spinup(
    state: xr.Dataset, inputs: Mapping[str, xr.Dataset], segment: Segment
) -> Advance:
    """Advance all components at constant forcing and correct the fluxes, lazily.

    Over sea the surface is pulled to the observed month; the pull of a year is
    added to the correction of its month, so it dies out. Over land, whose
    seasons are the model's own, the correction follows the annual mean.

    Parameters
    ----------
    state : xarray.Dataset
        From `init_spinup`.
    inputs : mapping of str to xarray.Dataset
        Not used.
    segment : Segment
        Whole calendar years; of the parameters `Member.feedback` matters.

    Returns
    -------
    Advance
        Output: global mean and error of the surface temperature on ``time``.

    Raises
    ------
    InvalidInputError
        If a field, a parameter or the span does not fit.
    """
    member = Member.from_params(segment.params)
    years = years_of(segment)
    wanted = {**ATMOSPHERE_STATE, **OCEAN_STATE, **LAND_STATE}
    fields = fields_of(state, wanted, "spinup state")
    rows = state.sizes["lat"]
    lazy = map_latitudes(
        "spinup",
        partial(_kernel, member.feedback, len(years)),
        fields,
        lat_chunks=(rows,),
        outputs=(*STATE, *OUTPUT),
        sizes={**sizes_of(state), "year": len(years)},
    )
    new = state.assign({item.name: (item.dims, lazy[item.name]) for item in STATE})
    for item in STATE:
        new[item.name].attrs = dict(item.attrs)
    return Advance(
        state=new, output=dataset_of(OUTPUT, lazy, rows, segment, dated=True)
    )


def _first_guess(rows: slice, lat: Array) -> Sequence[Array]:
    place = planet(lat.size)
    annual = place.target.mean(axis=0)
    wet = np.where(place.sea > 0.0, 1.0, 0.0)
    return (
        np.stack([annual - AIR_BELOW_SURFACE, place.target[0]]),
        np.zeros_like(place.target),
        np.broadcast_to(annual * wet, (len(LAYERS_M), *annual.shape)).copy(),
        SNOW_CAP * place.ice_sheet,
        np.zeros_like(annual),
    )


def _kernel(
    feedback: float,
    years: int,
    rows: slice,
    temperature: Array,
    correction: Array,
    deep: Array,
    snow: Array,
    carbon: Array,
) -> Sequence[Array]:
    place = planet(rows.stop)
    # A cell is led by what most of it is.
    sea = np.where(place.sea > 0.5, 1.0, 0.0)
    place_land = np.where(place.sea < 1.0, 1.0, 0.0)
    target = place.target.mean(axis=0)
    air, surface = temperature
    means, errors = [], []
    for _ in range(years):
        year = run_year(
            place,
            Ground.of(place, snow, carbon),
            air,
            surface,
            correction=correction,
            deep=deep[0],
            feedback=feedback,
            forcing=0.0,
            restoring=RESTORING * sea,
        )
        air, surface = year.air, year.surface
        ts = year.surface_by_month.mean(axis=0)
        pull = RESTORING * sea * (place.target - year.surface_by_month)
        correction = correction + pull + LAND_GAIN * (1.0 - sea) * (target - ts)
        deep = heat_down(deep, year.deep_flux)
        snow, carbon = grow_year(place_land, snow, carbon, ts, year.degree_days)
        means.append((ts * place.weight).sum())
        errors.append(np.sqrt(((ts - target) ** 2 * place.weight).sum()))
    return (
        np.stack([air, surface]),
        correction,
        deep,
        snow,
        carbon,
        np.array(means),
        np.array(errors),
    )
