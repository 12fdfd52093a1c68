"""Results go out as NetCDF and Zarr, bit by bit, singly and as an ensemble."""

from __future__ import annotations

from pathlib import Path

import netCDF4
import numpy as np
import xarray as xr

from climorch import Campaign
from tests.formats.island import MEMBERS, SEGMENTS, heat


def expected(member: str) -> bytes:
    """Every value that a member has told, in order."""
    return np.stack([heat(member, k) for k in range(SEGMENTS)]).tobytes()


def years(dataset: xr.Dataset) -> list[int]:
    """The dates that it goes along."""
    return [date.year for date in dataset["time"].to_numpy()]


def test_results_export_to_netcdf_and_back(netcdf: Path) -> None:
    """In one call of xarray; values, dates and attributes are what they were."""
    with xr.open_dataset(netcdf) as found:
        assert found["tas"].to_numpy().tobytes() == expected("warm")
        assert found["tas"].attrs["standard_name"] == "air_temperature"
        assert years(found) == [2001, 2002, 2003]
        assert found["time"].dt.calendar == "noleap"
        assert found.attrs["title"] == "An island of heat"


def test_the_netcdf_library_alone_reads_it(netcdf: Path) -> None:
    """Without xarray: time has its units and calendar, axes have no fill values."""
    with netCDF4.Dataset(netcdf) as found:
        assert found.Conventions == "CF-1.11"
        time = found["time"]
        assert time.units == "days since 1850-01-01"
        assert time.calendar == "noleap"
        assert time[:].tolist() == [
            365.0 * (year - 1850) for year in (2001, 2002, 2003)
        ]
        assert time.standard_name == "time"
        for name in ("time", "lat", "lon"):
            assert "_FillValue" not in found[name].ncattrs()
        assert found["tas"][:].filled().tobytes() == expected("warm")


def test_results_export_to_zarr_and_back(campaign: Campaign, tmp_path: Path) -> None:
    """Into a store of the user's own, with other chunks."""
    whole = campaign.results("cold", "air").chunk(time=-1)
    for variable in whole.variables.values():
        variable.encoding.pop("chunks", None)
        variable.encoding.pop("preferred_chunks", None)
    whole.to_zarr(tmp_path / "cold.zarr")

    found = xr.open_zarr(tmp_path / "cold.zarr")

    assert found["tas"].chunks == ((SEGMENTS,), (36,), (72,))
    assert found["tas"].to_numpy().tobytes() == expected("cold")
    assert years(found) == [2001, 2002, 2003]


def test_an_ensemble_is_a_tree_that_goes_out_whole(
    campaign: Campaign, tmp_path: Path
) -> None:
    """One group for each simulation, as NetCDF and as Zarr."""
    tree = campaign.ensemble("air")
    assert sorted(tree.children) == sorted(MEMBERS)
    tree.to_netcdf(tmp_path / "all.nc")
    tree.to_zarr(tmp_path / "all.zarr")

    for path, engine in (("all.nc", "netcdf4"), ("all.zarr", "zarr")):
        with xr.open_datatree(tmp_path / path, engine=engine) as found:
            for member in MEMBERS:
                values = found[member]["tas"].to_numpy()
                assert values.tobytes() == expected(member), path
