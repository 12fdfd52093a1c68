"""Files of a program become a state and the same files again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import cftime
import netCDF4
import numpy as np
import pytest
import xarray as xr

from climorch.engine.programs.restarts import (
    copy,
    digest_of,
    hash_file,
    read_fields,
    read_files,
    read_outputs,
    write_fields,
    write_files,
)
from climorch.errors import CorruptDataError
from climorch.storage.template import TemplateCache


def model_file(path: Path) -> Path:
    """What a model writes: packed, masked, dated, with an unlimited dimension."""
    with netCDF4.Dataset(path, "w") as file:
        file.title, file.version, file.weights = "a model", np.int32(3), [0.5, 0.25]
        file.createDimension("time", None)
        file.createDimension("x", 4)
        time = file.createVariable("time", "f8", ("time",))
        time.units, time.calendar = "days since 1850-01-01", "noleap"
        time[:] = [365.0]
        packed = file.createVariable("packed", "i2", ("time", "x"), fill_value=-999)
        packed.scale_factor, packed.add_offset = np.float32(0.1), 273.15
        packed.set_auto_maskandscale(False)
        packed[:] = [[1, -999, 3, 4]]
        heat = file.createVariable("heat", "f4", ("x",))
        heat.units, heat.coordinates = "K", "lon"
        heat[:] = np.array([1.5, np.nan, -0.0, 3e-42], dtype="f4")
        file.createVariable("lon", "f8", ("x",))[:] = [0, 90, 180, 270]
        step = file.createVariable("step", "i8")
        step.units = "seconds"
        step[...] = 12345678901
    return path


def contents(path: Path) -> dict[str, Any]:
    """All that a file holds, types included."""
    with netCDF4.Dataset(path) as file:
        file.set_auto_maskandscale(False)

        def attrs(of: Any) -> dict[str, Any]:
            got = {name: of.getncattr(name) for name in of.ncattrs()}
            return {n: (np.asarray(v).dtype.str, str(v)) for n, v in got.items()}

        return {
            "attrs": attrs(file),
            "dims": {n: (len(d), d.isunlimited()) for n, d in file.dimensions.items()},
            "variables": {
                n: (v.dimensions, v.dtype.str, np.asarray(v[...]).tobytes(), attrs(v))
                for n, v in file.variables.items()
            },
        }


def test_a_file_comes_back_as_it_was(tmp_path: Path) -> None:
    """Packed numbers, fill values, dates, types of attributes, unlimited dimensions."""
    first = model_file(tmp_path / "old.nc")
    write_fields(read_fields(first), tmp_path / "again.nc")
    assert contents(tmp_path / "again.nc") == contents(first)


def test_what_is_read_can_be_a_checkpoint(tmp_path: Path) -> None:
    """No attribute is left that a reader of the checkpoint would apply."""
    state = read_fields(model_file(tmp_path / "old.nc"))
    TemplateCache().render(state.chunk({"x": 2}), place="state")
    assert state["heat"].attrs["units"] == "K"
    assert state.attrs["title"] == "a model"
    assert "_FillValue" not in state["packed"].attrs


def test_a_store_of_zarr_comes_back_as_it_was(tmp_path: Path) -> None:
    """Values, types and attributes."""
    state = xr.Dataset(
        {
            "heat": (("x",), np.array([1.0, np.nan], dtype="f4"), {"units": "K"}),
            "step": ((), np.int64(7), {"units": "seconds since 1850-01-01"}),
        },
        attrs={"title": "a model"},
    )
    plain = state.assign(step=state["step"].assign_attrs(units="1"))
    plain.to_zarr(tmp_path / "first.zarr", consolidated=True)
    one = read_fields(tmp_path / "first.zarr")
    write_fields(one, tmp_path / "again.zarr")
    again = read_fields(tmp_path / "again.zarr")
    xr.testing.assert_identical(one, again)
    assert one["heat"].to_numpy().tobytes() == state["heat"].to_numpy().tobytes()


def test_any_other_files_are_kept_byte_for_byte(tmp_path: Path) -> None:
    """Each is a variable with its hash, under the name by which it is read."""
    (tmp_path / "new.bin").write_bytes(b"\x00\x01\xff")
    (tmp_path / "more.txt").write_bytes(b"")
    state = read_files(tmp_path, {"new.bin": "in/old.bin", "more.txt": "less.txt"})
    assert {n: v.shape for n, v in state.data_vars.items()} == {
        "in__old.bin": (3,),
        "less.txt": (0,),
    }
    target = tmp_path / "run"
    target.mkdir()
    write_files(state, target)
    assert (target / "in" / "old.bin").read_bytes() == b"\x00\x01\xff"
    assert (target / "less.txt").read_bytes() == b""


@pytest.mark.parametrize("change", ["bytes", "file", "hash"])
def test_bytes_that_are_not_those_that_were_read_are_refused(
    tmp_path: Path, change: str
) -> None:
    """As are names that lead elsewhere."""
    (tmp_path / "a").write_bytes(b"abc")
    state = read_files(tmp_path, {"a": "a"})
    match change:
        case "bytes":
            state["a"][1] = 0
        case "file":
            state["a"].attrs["file"] = "../b"
        case "hash":
            del state["a"].attrs["xxh3_128"]
    with pytest.raises(CorruptDataError):
        write_files(state, tmp_path / "run")
    assert not (tmp_path / "b").exists()


def test_diagnostics_are_put_together_along_time(tmp_path: Path) -> None:
    """With dates as dates; none where there is no file."""
    assert read_outputs(tmp_path, "history*.nc") is None
    for day in (2, 1):
        date = cftime.DatetimeNoLeap(2000, 1, day)
        made = xr.Dataset({"t": ("time", [float(day)])}, {"time": [date]})
        made.to_netcdf(tmp_path / f"history{day}.nc", engine="netcdf4")
    found = read_outputs(tmp_path, "history*.nc")
    assert found is not None
    assert found["t"].to_numpy().tolist() == [1.0, 2.0]
    assert found["time"].to_numpy()[1] == cftime.DatetimeNoLeap(2000, 1, 2)


STATE = xr.Dataset({"a": ("x", [1.0, 2.0], {"units": "K"}), "n": ("y", ["p", "q"])})


@pytest.mark.parametrize(
    "other",
    [
        STATE.assign(a=STATE["a"] + 1e-16).assign(a=("x", [1.0, 2.5])),
        STATE.rename(a="b"),
        STATE.assign(a=STATE["a"].astype("f4")),
        STATE.assign(a=STATE["a"].assign_attrs(units="C")),
        STATE.assign(n=("y", ["p", "r"])),
        STATE.assign_attrs(title="x"),
        STATE.rename(x="z"),
    ],
)
def test_what_is_given_has_a_hash_of_all_of_it(other: xr.Dataset) -> None:
    """Values, names, types, attributes, dimensions, and where it is given."""
    one = digest_of({"": STATE}, ("call",))
    assert one == digest_of({"": STATE.copy(deep=True)}, ("call",))
    assert one != digest_of({"": other}, ("call",))
    assert one != digest_of({".air": STATE}, ("call",))
    assert one != digest_of({"": STATE}, ("other",))


def test_hashes_of_files_and_folders_see_every_byte(tmp_path: Path) -> None:
    """And names within a folder."""
    folder = tmp_path / "a.zarr"
    folder.mkdir()
    (folder / "x").write_bytes(b"1")
    before = hash_file(folder)
    copy(folder, tmp_path / "b" / "a.zarr")
    assert hash_file(tmp_path / "b" / "a.zarr") == before
    (folder / "x").rename(folder / "y")
    assert hash_file(folder) != before
    copy(folder, tmp_path / "b" / "a.zarr")
    assert (tmp_path / "b" / "a.zarr" / "y").exists()
    assert not (tmp_path / "b" / "a.zarr" / "x").exists()
    assert hash_file(folder / "y") != hash_file(folder)


def test_the_reader_of_a_checkpoint_needs_nothing_of_ours(tmp_path: Path) -> None:
    """Plain xarray opens what was read and stored."""
    state = read_fields(model_file(tmp_path / "old.nc"))
    state.to_zarr(tmp_path / "plain.zarr", consolidated=True)
    code = (
        "import sys, xarray; d = xarray.open_zarr(sys.argv[1]); "
        "assert not any(m.startswith('climorch') for m in sys.modules); "
        "print(d['heat'].values[0], d['step'].values)"
    )
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(tmp_path / "plain.zarr")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.split() == ["1.5", "12345678901"]
