"""The usual tools read what is exported, and find in it what is in it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.formats.island import heat

pytestmark = pytest.mark.benchmark


def run(*command: str) -> str:
    """Run a tool, or skip the test loudly where it is missing; what it prints."""
    if shutil.which(command[0]) is None:
        pytest.skip(
            f"{command[0]} is not installed: apt-get install netcdf-bin nco cdo"
        )
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_ncdump_tells_dates_and_values(netcdf: Path) -> None:
    """Dates in the calendar of the model, values to the last digit."""
    header = run("ncdump", "-h", str(netcdf))
    assert "double tas(time, lat, lon)" in header
    assert ':Conventions = "CF-1.11"' in header
    dates = run("ncdump", "-t", "-v", "time", str(netcdf))
    assert 'time = "2001-01-01", "2002-01-01", "2003-01-01"' in dates
    values = run("ncdump", "-p", "9,17", "-v", "tas", str(netcdf))
    data = values.partition(" tas =")[2].replace("}", "").replace(";", "")
    found = [float(text) for text in re.split(r"[,\s]+", data) if text]
    assert found == np.stack([heat("warm", k) for k in range(3)]).ravel().tolist()


def test_nco_averages_over_time(netcdf: Path, tmp_path: Path) -> None:
    """The mean of three years at the warmest place."""
    run("ncra", "-O", "-v", "tas", str(netcdf), str(tmp_path / "mean.nc"))
    there = ["-d", "lat,42.5", "-d", "lon,92.5"]
    told = run(
        "ncks", "-H", "-C", "-s", "%.9f", "-v", "tas", *there, str(tmp_path / "mean.nc")
    )
    expected = np.mean([heat("warm", k)[26, 18] for k in range(3)])
    assert float(told.strip()) == pytest.approx(expected, abs=1e-8)


def test_cdo_knows_grid_and_calendar(netcdf: Path) -> None:
    """It averages over the sphere, by areas that it takes from the axes."""
    about = run("cdo", "-s", "sinfo", str(netcdf))
    assert "lonlat" in about
    assert "points=2592 (72x36)" in about
    assert "Calendar = 365_day" in about
    assert "2001-01-01 00:00:00  2002-01-01 00:00:00  2003-01-01 00:00:00" in about
    told = run("cdo", "-s", "outputf,%.9f,1", "-fldmean", "-selyear,2002", str(netcdf))
    rows = np.linspace(-90, 90, 37)
    areas = np.diff(np.sin(np.deg2rad(rows)))
    zonal = heat("warm", 1).mean(axis=1)
    # Its cells have great circles for edges, ours have parallels.
    expected = np.average(zonal, weights=areas)
    assert float(told.strip()) == pytest.approx(expected, abs=1e-3)
    assert abs(zonal.mean() - expected) > 1e-2
