"""The planet: where its sea and land are, how much sun they get.

Decides the grid and all that is constant on it, from the 2 degree data. Ignores
every process.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from physics.parameters import STEPS_PER_YEAR

__all__ = ["DATA", "Array", "Planet", "planet"]

Array = NDArray[np.float64]

DATA = Path(__file__).resolve().parent.parent / "data"
ROWS_OF_DATA = 90
SOLAR_CONSTANT = 1361.0  # W m-2; Kopp and Lean (2011)
OBLIQUITY = np.deg2rad(23.44)
EQUINOX_DAY = 80.0
EARTH_RADIUS_M = 6.371e6
LAND_ICE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Planet:
    """Constant fields on a regular grid of ``lat`` rows and ``lon`` columns.

    Attributes
    ----------
    lat, lon : ndarray, shape (lat,), (lon,), degrees
        Centres, south to north and west to east.
    weight : ndarray, shape (lat, 1), 1
        Share of a cell in the globe's area; all cells sum to 1.
    area : ndarray, shape (lat, 1), m2
        Area of a cell.
    sea : ndarray, shape (lat, lon), 1
        Share of a cell that is sea, in [0, 1].
    ice_sheet : ndarray, shape (lat, lon), 1
        Share of a cell under land ice today, in [0, 1].
    target : ndarray, shape (month, lat, lon), degC
        Surface temperature that the spin-up aims at: observed by month over
        sea; over land the annual mean 27 - 40 sin2(lat) - 6.5 K per km, the
        same in all months.
    insolation : ndarray, shape (step, lat, 1), W m-2
        Daily mean at the top of the atmosphere in the middle of each step.
    """

    lat: Array
    lon: Array
    weight: Array
    area: Array
    sea: Array
    ice_sheet: Array
    target: Array
    insolation: Array


@cache
def planet(rows: int) -> Planet:
    """Average the data to a grid, once in each process.

    Parameters
    ----------
    rows : int
        Rows of latitude, a divisor of 90; the grid has twice as many columns.

    Returns
    -------
    Planet
    """
    # 65,000 numbers: through numpy, never as a graph inside a task.
    data = xr.open_zarr(DATA / "earth_2deg.zarr", chunks=None).load()
    kind = data["area_type"].to_numpy()
    lat = _coarsen(np.tile(data["lat"].to_numpy()[:, None], 180), rows)[:, 0]
    sea = _coarsen(np.where(kind == 0, 1.0, 0.0), rows)
    height_km = _coarsen(data["orog"].to_numpy(), rows) / 1000.0
    phi = np.deg2rad(lat)[:, None]
    land_target = 27.0 - 40.0 * np.sin(phi) ** 2 - 6.5 * height_km
    sst = np.stack([_coarsen(month, rows) for month in data["sst"].to_numpy()])
    edges = np.deg2rad(np.linspace(-90.0, 90.0, rows + 1))[:, None]
    band = np.diff(np.sin(edges), axis=0) / 2.0
    weight = band / (2 * rows)
    return Planet(
        lat=lat,
        lon=(np.arange(2 * rows) + 0.5) * 180.0 / rows,
        weight=weight,
        area=weight * 4.0 * np.pi * EARTH_RADIUS_M**2,
        sea=sea,
        ice_sheet=_coarsen(np.where(kind == LAND_ICE, 1.0, 0.0), rows),
        target=sea * sst + (1.0 - sea) * land_target,
        insolation=_insolation(phi),
    )


def _coarsen(field: NDArray[np.generic], rows: int) -> Array:
    # Plain means: inside a block of at most 20 degrees the area of the cells
    # changes little, and the model is idealised beyond that.
    size = ROWS_OF_DATA // rows
    blocks = field.astype(np.float64).reshape(rows, size, 2 * rows, size)
    mean: Array = blocks.mean(axis=(1, 3))
    return mean


def _insolation(phi: Array) -> Array:
    # Daily mean on a circular orbit (Hartmann 1994, Global Physical
    # Climatology, eq. 2.17). Polar day and night: the hour angle is clipped.
    day = (np.arange(STEPS_PER_YEAR) + 0.5) * 365.0 / STEPS_PER_YEAR
    season = 2.0 * np.pi * (day - EQUINOX_DAY) / 365.0
    declination = np.arcsin(np.sin(OBLIQUITY) * np.sin(season))[:, None, None]
    hour = np.arccos(np.clip(-np.tan(phi) * np.tan(declination), -1.0, 1.0))
    return np.asarray(
        SOLAR_CONSTANT
        / np.pi
        * (
            hour * np.sin(phi) * np.sin(declination)
            + np.cos(phi) * np.cos(declination) * np.sin(hour)
        )
    )
