"""How grid cells count by their area: one way for metrics, conditions and scores."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["area_mean", "area_weights"]


def area_weights(field: xr.DataArray, lat: str = "lat") -> xr.DataArray:
    """Return weights of grid cells by the cosine of their latitude.

    Parameters
    ----------
    field : xarray.DataArray
        With a latitude in degrees, of a grid that is regular in it.
    lat : str
        Its name.

    Returns
    -------
    xarray.DataArray
        Along the latitude, in memory, >= 0.
    """
    degrees = field[lat].drop_attrs()
    # The cosine of 90 degrees is 6e-17, at -90 sometimes below 0.
    cosine = np.maximum(np.cos(np.deg2rad(degrees.to_numpy())), 0.0)
    return degrees.copy(data=cosine)


def area_mean(
    field: xr.DataArray, lat: str = "lat", dims: Iterable[str] | None = None
) -> xr.DataArray:
    """Return the mean of a field over the sphere, weighted by area.

    Lazy if the field is: for the metrics of a step.

    Parameters
    ----------
    field : DataArray
        On a grid of equal steps in longitude; NaN is left out.
    lat : str
        Its coordinate of latitude, degrees.
    dims : iterable of str or None
        Over which; None: all.

    Returns
    -------
    DataArray
        In the field's unit. Cells count as by `area_weights`, which is exact up to a
        factor common to all where their latitudes are equally spaced.
    """
    weighted = field.weighted(area_weights(field, lat))
    return weighted.mean(None if dims is None else list(dims))
