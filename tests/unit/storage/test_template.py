from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import cftime
import dask.array as da
import numpy as np
import pytest
import xarray as xr
import zarr

from climorch.errors import ConflictError, CorruptDataError
from climorch.storage.arrays import ArraySpec
from climorch.storage.chunks import encode_chunk
from climorch.storage.template import (
    TemplateCache,
    open_template,
    tree_metadata,
    write_rendered,
    write_template,
)
from tests.unit.storage.checkpoint_cases import blocks_of, land, ocean


def fill(path: Path, dataset: xr.Dataset, specs: tuple[ArraySpec, ...]) -> None:
    """Write the chunks of all fields."""
    by_name = {spec.name: spec for spec in specs}
    for name, index, values in blocks_of(dataset):
        spec = by_name[name]
        data = encode_chunk(values.astype(spec.dtype), spec.chunk_shape)
        (path / spec.key(index)).write_bytes(data)


def test_fields_are_described_and_the_rest_is_written(tmp_path: Path) -> None:
    """Chunked numbers get directories and a description, all else is there at once."""
    specs = write_template(tmp_path / "ocean", ocean()).arrays
    assert specs == (
        ArraySpec(
            name="T",
            dims=("lat", "lon"),
            dtype="<f4",
            shape=(3, 4),
            chunk_shape=(2, 4),
        ),
        ArraySpec(
            name="mask", dims=("lat",), dtype="|b1", shape=(3,), chunk_shape=(2,)
        ),
    )
    found = sorted(
        str(path.relative_to(tmp_path / "ocean")) + "/" * path.is_dir()
        for path in (tmp_path / "ocean").rglob("*")
    )
    assert found == [
        "T/",
        "T/c/",
        "T/c/0/",
        "T/c/1/",
        "T/zarr.json",
        "clock/",
        "clock/c",
        "clock/zarr.json",
        "lat/",
        "lat/c/",
        "lat/c/0",
        "lat/zarr.json",
        "mask/",
        "mask/c/",
        "mask/zarr.json",
        "zarr.json",
    ]


def test_every_array_has_the_codecs(tmp_path: Path) -> None:
    """All arrays are little-endian, Blosc LZ4 level 1 with shuffle, then CRC-32C."""
    write_template(tmp_path / "a", ocean())
    for name, itemsize in (("T", 4), ("mask", 1), ("lat", 8)):
        about = json.loads((tmp_path / "a" / name / "zarr.json").read_bytes())
        *_, blosc, crc = about["codecs"]
        assert blosc["configuration"] == {
            "typesize": itemsize,
            "cname": "lz4",
            "clevel": 1,
            "shuffle": "shuffle",
            "blocksize": 0,
        }
        assert crc == {"name": "crc32c"}


STATE = xr.Dataset(
    {
        "f4": ("x", np.array([np.nan, -0.0, np.inf, 1e-45, 1.5], "f4")),
        "f8": ("x", np.array([np.nan, -0.0, -np.inf, 5e-324, 1.5])),
        "i8": ("x", np.array([-(2**63), -1, 0, 1, 2**63 - 1])),
        "u1": ("x", np.arange(5, dtype="u1")),
        "b": ("x", np.array([True, False, True, True, False])),
        "c8": ("x", np.array([1j, np.nan, 0, 1, 2], "c8")),
        "scalar": ((), np.float32(2.5)),
        "be": ("x", np.arange(5, dtype=">f4")),
        "none": (("n", "x"), np.zeros((0, 5))),
    },
    attrs={"title": "state"},
)


@pytest.mark.parametrize("chunks", [None, 5, 2])
def test_numbers_come_back_bit_by_bit(tmp_path: Path, chunks: int | None) -> None:
    """NaN, -0.0, extremes and exact types survive, chunked or not."""
    state = STATE if chunks is None else STATE.chunk(x=chunks)
    specs = write_template(tmp_path / "a", state).arrays
    assert len(specs) == (0 if chunks is None else 8)
    fill(tmp_path / "a", state, specs)
    found = xr.open_zarr(tmp_path / "a").load()
    assert found.attrs == {"title": "state"}
    for name, variable in STATE.variables.items():
        dtype = variable.dtype.newbyteorder("=")
        assert found[name].dtype == dtype
        assert found[name].values.tobytes() == variable.values.astype(dtype).tobytes()


def test_chunked_scalar_is_a_field(tmp_path: Path) -> None:
    """A scalar that Dask holds has one chunk."""
    dataset = xr.Dataset({"energy": xr.DataArray(da.full((), 2.5))})
    (spec,) = write_template(tmp_path / "a", dataset).arrays
    assert (spec.shape, [spec.key(i) for i in spec.indices()]) == ((), ["energy/c"])
    fill(tmp_path / "a", dataset, (spec,))
    assert xr.open_zarr(tmp_path / "a").load().identical(dataset.load())


def test_nan_payload_survives(tmp_path: Path) -> None:
    """The bits of a NaN are kept."""
    bits = np.array([0x7FC00001, 0xFFC12345], "u4")
    write_template(tmp_path / "a", xr.Dataset({"x": ("n", bits.view("f4"))}))
    found = open_template(tmp_path / "a")["x"].values.view("u4")
    np.testing.assert_array_equal(found, bits)


HOST = {
    "text": np.array(["ab", "cde"]),
    "objects": np.array(["ab", "cde"], dtype=object),
    "bytes": np.array([b"ab", b"c"]),
    "string": np.array(["ab", "cde"], dtype=np.dtypes.StringDType()),
    "ns": np.array(["2000-01-01", "NaT"], "M8[ns]"),
    "us": np.array(["2000-01-01", "2000-01-02T00:00:01.5"], "M8[us]"),
    "ms": np.array(["1900-01-01", "2000-01-02"], "M8[ms]"),
    "s": np.array(["1900-01-01", "2000-01-02"], "M8[s]"),
    "span": np.array([1, 2], "m8[ms]"),
    "noleap": np.array(
        [cftime.DatetimeNoLeap(1850, 1, 1), cftime.DatetimeNoLeap(1, 3, 1, 0, 0, 0, 5)]
    ),
    "gregorian": np.array(
        [cftime.DatetimeGregorian(2000, 1, 1), cftime.DatetimeGregorian(2001, 1, 1)]
    ),
    "empty": np.array([], dtype=object),
}


@pytest.mark.parametrize("name", HOST)
@pytest.mark.parametrize("coordinate", [False, True])
def test_all_else_comes_back_with_its_type(
    tmp_path: Path, name: str, coordinate: bool
) -> None:
    """Strings, dates of each resolution and calendar come back with exact types."""
    dataset = xr.Dataset({"v": ("n", HOST[name], {"about": "it"})})
    if coordinate:
        dataset = dataset.set_coords("v")
    hints = TemplateCache().render(dataset).hints
    write_template(tmp_path / "a", dataset)
    found = open_template(tmp_path / "a", hints)
    assert found["v"].dtype == HOST[name].dtype
    assert found.identical(dataset)
    xr.open_zarr(tmp_path / "a").load()


def test_inherited_encoding_is_dropped(tmp_path: Path) -> None:
    """Packing that came with a file a state was read from does not change it."""
    dataset = xr.Dataset({"T": ("x", np.array([1.25, np.nan]))})
    dataset["T"].encoding = {
        "scale_factor": 0.1,
        "add_offset": 5.0,
        "dtype": "i2",
        "_FillValue": -1,
    }
    dataset = dataset.assign(U=dataset["T"].chunk(x=1))
    specs = write_template(tmp_path / "a", dataset).arrays
    fill(tmp_path / "a", dataset, specs)
    assert xr.open_zarr(tmp_path / "a").load().identical(dataset.load())


def test_dates_keep_units_where_asked(tmp_path: Path) -> None:
    """Units, calendar and type of dates are chosen exactly, or kept on request."""
    dates = np.array(["2000-01-01T12", "2000-01-03"], "M8[ns]")
    dataset = xr.Dataset({"n": ("time", np.arange(2))}, coords={"time": dates})
    dataset["time"].encoding = {
        "units": "days since 1850-01-01",
        "calendar": "proleptic_gregorian",
        "dtype": "float64",
    }
    for keep, units, dtype in (
        (False, "hours since 2000-01-01 12:00:00", "int64"),
        (True, "days since 1850-01-01", "float64"),
    ):
        path = tmp_path / str(keep)
        write_template(path, dataset, keep_time_encoding=keep)
        about = json.loads((path / "time" / "zarr.json").read_bytes())
        assert (about["attributes"]["units"], about["data_type"]) == (units, dtype)


def test_dates_in_units_of_the_caller_may_be_rounded(tmp_path: Path) -> None:
    """Results store dates in days, which hold microseconds only nearly."""
    dates = np.array(["2000-01-01T00:00:00.000001", "2000-01-03"], "M8[ns]")
    dataset = xr.Dataset(coords={"time": dates})
    dataset["time"].encoding = {"units": "days since 1850-01-01", "dtype": "float64"}
    write_template(tmp_path / "a", dataset, keep_time_encoding=True)
    assert open_template(tmp_path / "a").sizes == {"time": 2}


def test_consolidated_metadata_are_those_of_zarr(tmp_path: Path) -> None:
    """A group and the root above it carry what Zarr itself would consolidate."""
    groups = {name: TemplateCache().render(d) for name, d in stages().items()}
    (tmp_path / "zarr.json").write_bytes(tree_metadata(groups))
    for name, group in groups.items():
        write_rendered(tmp_path / name, group)
    for path in (tmp_path, tmp_path / "ocean"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            mine = zarr.open_consolidated(path).metadata.to_dict()
            theirs = zarr.consolidate_metadata(path).metadata.to_dict()
        assert listed(mine) == listed(theirs)


def stages() -> dict[str, xr.Dataset]:
    return {"ocean": ocean(), "land": land()}


def listed(group: dict[str, Any]) -> dict[str, Any]:
    members = group["consolidated_metadata"]["metadata"]
    for member in members.values():
        member.pop("consolidated_metadata", None)
    return {**group, "consolidated_metadata": members}


def test_variables_keep_their_order(tmp_path: Path) -> None:
    """Plain xarray opens variables in the dataset's order."""
    dataset = xr.Dataset({name: ("x", np.zeros(1)) for name in "zbca"})
    write_template(tmp_path / "a", dataset)
    assert list(xr.open_zarr(tmp_path / "a")) == ["z", "b", "c", "a"]


def test_parents_are_never_made(tmp_path: Path) -> None:
    """A group whose parent is gone is not written."""
    with pytest.raises(ConflictError, match="its directory is gone"):
        write_template(tmp_path / "gone" / "ocean", ocean())


def test_group_that_cannot_be_opened_is_damage(tmp_path: Path) -> None:
    """A missing or broken group is told as damage."""
    with pytest.raises(CorruptDataError, match="cannot be opened"):
        open_template(tmp_path / "gone")
