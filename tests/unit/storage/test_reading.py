"""Results up to a mark, whatever was published since."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from climorch.errors import NotFoundError
from climorch.storage.reading import open_segments


def grown(path: Path) -> None:
    """Write results of three segments: two times each, then three."""
    times = xr.date_range("2000-01-01", periods=7, freq="D", use_cftime=True)
    found = xr.Dataset({"x": ("time", np.arange(7.0))}, coords={"time": times})
    found.attrs["climorch"] = json.dumps({"chunk": 1, "lengths": [[2, 2], [3, 1]]})
    found.to_zarr(path, consolidated=True)


@pytest.mark.parametrize(("segments", "expected"), [(0, 0), (1, 2), (2, 4), (3, 7)])
def test_results_are_cut_after_whole_segments(
    tmp_path: Path, segments: int, expected: int
) -> None:
    """By how many times each of them has."""
    grown(tmp_path / "r")

    found = open_segments(tmp_path / "r", segments)

    assert found["x"].to_numpy().tolist() == list(range(expected))


def test_a_stage_without_results_is_told(tmp_path: Path) -> None:
    """With where they come from."""
    with pytest.raises(NotFoundError, match="if the step of the stage returns output"):
        open_segments(tmp_path / "r", 1)
