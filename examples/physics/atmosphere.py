"""Air, mixed layer and land skin: everything that changes within a year.

Decides an energy balance of air over a surface, 18 steps a month, with diffusive
transport of heat in the air. Ignores clouds, winds and weather. Snow and
vegetation stay as they were when the segment began; of the deep ocean only the
first layer is predicted meanwhile, so that the heat taken down is nearly right
even in long segments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from climorch.model.advance import Advance, Segment
from physics.cf import dataset_of, fields_of, sizes_of, source_of
from physics.energy import Ground, run_year
from physics.forcing import forcing_of
from physics.grid import Array, planet
from physics.land import LAND_STATE
from physics.lazy import Field, map_latitudes
from physics.ocean import OCEAN_STATE, first_layer_after
from physics.parameters import Member, years_of

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["ATMOSPHERE_STATE", "TEMPERATURE", "atmosphere", "init_atmosphere"]

ATMOSPHERE_STATE = {
    "temperature": ("level", "lat", "lon"),
    "flux_correction": ("month", "lat", "lon"),
}
TEMPERATURE = Field(
    name="temperature",
    dims=("level", "lat", "lon"),
    attrs={"long_name": "temperature of air column and of surface", "units": "degC"},
)
ANNUAL = (
    Field(
        name="ts",
        dims=("year", "lat", "lon"),
        attrs={
            "standard_name": "surface_temperature",
            "long_name": "temperature of the ocean mixed layer and the land skin",
            "units": "degC",
            "cell_methods": "time: mean area: mean",
        },
    ),
    Field(
        name="hfdeep",
        dims=("year", "lat", "lon"),
        attrs={
            "long_name": "heat flux from the mixed layer down, per area of sea",
            "units": "W m-2",
            "cell_methods": "time: mean",
        },
    ),
    Field(
        name="degree_days",
        dims=("year", "lat", "lon"),
        attrs={
            "long_name": "sum of surface temperature above 0 degC over the year",
            "units": "K day",
            "cell_methods": "time: sum",
        },
    ),
    Field(
        name="ts_zonal",
        dims=("year", "lat"),
        attrs={
            "standard_name": "surface_temperature",
            "units": "degC",
            "cell_methods": "time: mean longitude: mean",
        },
    ),
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
        name="rtmt_global",
        dims=("year",),
        attrs={
            "standard_name": "net_downward_radiative_flux_at_top_of_atmosphere_model",
            "long_name": "sunlight absorbed less longwave out plus forcing",
            "units": "W m-2",
            "cell_methods": "time: mean area: mean",
        },
    ),
)
EXPORTS = ("ts", "hfdeep", "degree_days")
OUTPUT = ("ts", "ts_zonal", "ts_global", "rtmt_global")


def atmosphere(
    state: xr.Dataset, inputs: Mapping[str, xr.Dataset], segment: Segment
) -> Advance:
    """Advance air and surface by the years of a segment, lazily.

    Parameters
    ----------
    state : xarray.Dataset
        ``temperature (level, lat, lon)``, degC, level 0 air, 1 surface;
        ``flux_correction (month, lat, lon)``, W m-2, unchanged.
    inputs : mapping of str to xarray.Dataset
        ``ocean``: ``deep_temperature``; ``land``: ``snow_amount`` and
        ``vegetation_carbon``; both as of the segment's start.
    segment : Segment
        Whole calendar years; parameters as `Member`.

    Returns
    -------
    Advance
        Exports: annual fields on ``year``. Output: the same and global and
        zonal means on ``time``.

    Raises
    ------
    InvalidInputError
        If a field, a parameter or the span does not fit.
    """
    member = Member.from_params(segment.params)
    years = years_of(segment)
    temperature, correction = fields_of(state, ATMOSPHERE_STATE, "atmosphere state")
    (deep,) = fields_of(inputs["ocean"], OCEAN_STATE, "atmosphere input 'ocean'")
    snow, carbon = fields_of(inputs["land"], LAND_STATE, "atmosphere input 'land'")
    forcing = forcing_of(member.scenario, member.aerosol, years)
    lazy = map_latitudes(
        "atmosphere",
        partial(_kernel, member.feedback, tuple(forcing)),
        (temperature, correction, deep, snow, carbon),
        # Diffusion couples all latitudes 840 times a year: one chunk.
        lat_chunks=(temperature.sizes["lat"],),
        outputs=(TEMPERATURE, *ANNUAL),
        sizes={**sizes_of(state), "year": len(years)},
    )
    new = state.assign(temperature=(TEMPERATURE.dims, lazy["temperature"]))
    new["temperature"].attrs = dict(TEMPERATURE.attrs)
    by_name = {item.name: item for item in ANNUAL}
    rows = temperature.sizes["lat"]
    return Advance(
        state=new,
        exports=dataset_of([by_name[n] for n in EXPORTS], lazy, rows, segment),
        output=dataset_of(
            [by_name[n] for n in OUTPUT], lazy, rows, segment, dated=True
        ),
    )


def init_atmosphere(segment: Segment, inputs: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """Take air, surface and flux correction over from an earlier phase.

    Parameters
    ----------
    segment : Segment
        The first one; not used.
    inputs : mapping of str to xarray.Dataset
        Final state of ``spinup``, or of an earlier ``atmosphere``.

    Returns
    -------
    xarray.Dataset
        Variables of `ATMOSPHERE_STATE`.

    Raises
    ------
    NotFoundError
        If there is neither.
    InvalidInputError
        If a variable is missing.
    """
    return source_of(inputs, "atmosphere", ATMOSPHERE_STATE)


def _kernel(
    feedback: float,
    forcing: tuple[float, ...],
    rows: slice,
    temperature: Array,
    correction: Array,
    deep: Array,
    snow: Array,
    carbon: Array,
) -> Sequence[Array]:
    place = planet(rows.stop)
    ground = Ground.of(place, snow, carbon)
    air, surface = temperature
    first, second = deep[0], deep[1]
    years = []
    for value in forcing:
        year = run_year(
            place,
            ground,
            air,
            surface,
            correction=correction,
            deep=first,
            feedback=feedback,
            forcing=value,
        )
        air, surface = year.air, year.surface
        first = first_layer_after(first, second, year.deep_flux)
        years.append(year)
    ts = np.stack([year.surface_by_month.mean(axis=0) for year in years])
    net = np.stack([year.net_radiation for year in years])
    return (
        np.stack([air, surface]),
        ts,
        np.stack([year.deep_flux for year in years]),
        np.stack([year.degree_days for year in years]),
        ts.mean(axis=2),
        (ts * place.weight).sum(axis=(1, 2)),
        (net * place.weight).sum(axis=(1, 2)),
    )
