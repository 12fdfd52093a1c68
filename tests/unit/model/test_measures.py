"""Grid cells count by their area."""

from __future__ import annotations

import math

import dask.array as da
import numpy as np
import pytest
import xarray as xr

from climorch import scores
from climorch.model.measures import area_mean, area_weights


def test_metrics_and_scores_weigh_alike() -> None:
    """By one function; a pole does not count, and never below zero."""
    assert scores.area_weights is area_weights
    lat = xr.DataArray([-90.0, 0.0, 60.0], dims="lat", attrs={"units": "degrees_north"})
    weights = area_weights(xr.DataArray(np.ones(3), dims="lat", coords={"lat": lat}))
    assert weights.to_numpy() == pytest.approx([0.0, 1.0, 0.5], abs=1e-12)
    assert weights.min() >= 0.0
    assert weights.attrs == {}


def test_an_area_mean_weighs_by_the_cosine() -> None:
    """Over what is asked for; lazily, and without what is missing."""
    lat = xr.DataArray([-60.0, 0.0, 60.0], dims="lat")
    values = xr.DataArray(
        da.from_array(np.array([[1.0, 3.0], [5.0, 7.0], [math.nan, 11.0]])),
        dims=("lat", "lon"),
        coords={"lat": lat},
    )

    mean = area_mean(values)
    assert values.chunks is not None
    assert mean.chunks is not None
    # Weights 0.5, 1 and 0.5: (0.5 * 4 + 12 + 0.5 * 11) / (0.5 * 3 + 2).
    assert float(mean) == pytest.approx(19.5 / 3.5, rel=1e-12)
    zonal = area_mean(values, dims=["lon"])
    assert zonal.to_numpy().tolist() == [2.0, 6.0, 11.0]
