"""Files of a program to a state and back, so that nothing of them is lost.

Variables are taken as they are stored: nothing is masked, scaled or decoded, since
what is decoded is not written again as it was. Attributes that a reader would apply
are kept beside the others as text, with their types; so a state goes through a
checkpoint, and a program finds the same file before and after it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import xxhash
from xarray.coders import CFDatetimeCoder

from climorch.errors import CorruptDataError
from climorch.model.programs import ZARR, kind_of

__all__ = [
    "digest_of",
    "hash_file",
    "read_fields",
    "read_files",
    "read_outputs",
    "write_fields",
    "write_files",
]

TYPED = "netcdf_attributes"
UNLIMITED = "netcdf_unlimited"
# What a reader of the checkpoint would apply, and so hide what is stored.
APPLIED = frozenset(
    {"_FillValue", "missing_value", "scale_factor", "add_offset", "_Unsigned"}
    | {"coordinates", "grid_mapping", "dtype", "calendar"}
)
DURATIONS = frozenset({"days", "hours", "minutes", "seconds", "milliseconds"})
FILE, HASH = "file", "xxh3_128"


def read_fields(path: Path) -> xr.Dataset:
    """Read all variables of a NetCDF or Zarr file as they are stored."""
    with _opened(path) as opened:
        dataset = opened.load()
    attrs = _kept(dataset.attrs)
    unlimited = dataset.encoding.get("unlimited_dims") or ()
    if unlimited:
        attrs[UNLIMITED] = json.dumps(sorted(map(str, unlimited)))
    return _with(dataset, attrs, {n: _kept(v.attrs) for n, v in _variables(dataset)})


def write_fields(dataset: xr.Dataset, path: Path) -> None:
    """Write a file that `read_fields` has read, or any other dataset."""
    attrs = {k: v for k, v in dataset.attrs.items() if k != UNLIMITED}
    unlimited = json.loads(dataset.attrs.get(UNLIMITED, "[]"))
    own = {n: _stored(v.attrs, v.dtype) for n, v in _variables(dataset)}
    made = _with(dataset, _stored(attrs), own)
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind_of(path.name) == ZARR:
        made.to_zarr(path, mode="w", consolidated=True)
        return
    for _, variable in _variables(made):
        if "_FillValue" not in variable.attrs:
            # Else one is made up.
            variable.encoding["_FillValue"] = None
    made.to_netcdf(path, engine="netcdf4", unlimited_dims=unlimited)


def read_files(folder: Path, restart: Mapping[str, str]) -> xr.Dataset:
    """Read files byte for byte, each as a variable with its hash.

    Parameters
    ----------
    folder : Path
        Where they are.
    restart : mapping of str to str
        Name of each, to the name under which it is read again.
    """
    variables = {}
    for written, name in restart.items():
        content = np.fromfile(folder / written, dtype=np.uint8)
        label = name.replace("/", "__")
        attrs = {FILE: name, HASH: xxhash.xxh3_128_hexdigest(content.data)}
        variables[label] = xr.Variable((f"{label}_byte",), content, attrs)
    return xr.Dataset(variables)


def write_files(dataset: xr.Dataset, folder: Path) -> None:
    """Write what `read_files` has read.

    Raises
    ------
    CorruptDataError
        If bytes are not those that were read.
    """
    for name, variable in dataset.data_vars.items():
        content = np.ascontiguousarray(variable.to_numpy())
        if xxhash.xxh3_128_hexdigest(content.data) != variable.attrs.get(HASH):
            raise CorruptDataError(f"restart file {name!r} is not what was written")
        path = folder / str(variable.attrs[FILE])
        if not path.resolve().is_relative_to(folder.resolve()):
            raise CorruptDataError(f"restart file {name!r} leaves the run folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        content.tofile(path)


def read_outputs(folder: Path, pattern: str) -> xr.Dataset | None:
    """Read diagnostics, with dates as dates; None: there are none."""
    parts = []
    for path in sorted(folder.glob(pattern)):
        with xr.open_dataset(
            path, engine="netcdf4", decode_times=CFDatetimeCoder(use_cftime=True)
        ) as opened:
            parts.append(opened.load())
    if not parts:
        return None
    whole = parts[0]
    if len(parts) > 1:
        whole = xr.concat(parts, "time", data_vars="minimal")
    for _, variable in _variables(whole):
        variable.encoding.clear()
    return whole


def digest_of(datasets: Mapping[str, xr.Dataset], words: object) -> str:
    """Return a hash of all that a run is given."""
    digest = xxhash.xxh3_128(repr(words).encode())
    for where, dataset in sorted(datasets.items()):
        digest.update(repr((where, sorted(map(repr, dataset.attrs.items())))).encode())
        for name, variable in sorted(_variables(dataset), key=lambda v: str(v[0])):
            told = (name, variable.dims, variable.shape, variable.dtype.str)
            attrs = sorted(map(repr, variable.attrs.items()))
            digest.update(repr((told, attrs)).encode())
            values = np.ascontiguousarray(variable.to_numpy())
            # Strings and dates are objects, whose bytes say where they are.
            plain = values.dtype.kind != "O"
            digest.update(values.tobytes() if plain else repr(values.tolist()).encode())
    return digest.hexdigest()


def hash_file(path: Path) -> str:
    """Return the hash of a file, or of all files below a folder."""
    digest = xxhash.xxh3_128()
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    for one in files:
        if one.is_file():
            digest.update(str(one.relative_to(path.parent)).encode() + b"\0")
            with one.open("rb") as file:
                while block := file.read(2**20):
                    digest.update(block)
    return digest.hexdigest()


def copy(source: Path, target: Path) -> None:
    """Copy a file or a folder, in place of what is there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir():
        shutil.rmtree(target)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)


def _opened(path: Path) -> xr.Dataset:
    engine = "zarr" if kind_of(path.name) == ZARR else "netcdf4"
    return xr.open_dataset(path, engine=engine, decode_cf=False, chunks=None)


def _variables(dataset: xr.Dataset) -> list[tuple[Any, xr.Variable]]:
    return list(dataset.variables.items())


def _kept(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    """Return attributes that survive a checkpoint, as a reader may see them."""
    typed = {
        str(name): _typed(value)
        for name, value in attrs.items()
        if not isinstance(value, str) or _applied(name, value)
    }
    kept = {
        str(name): value if isinstance(value, str) else np.asarray(value).tolist()
        for name, value in attrs.items()
        if not _applied(name, value)
    }
    return kept | ({TYPED: json.dumps(typed, sort_keys=True)} if typed else {})


def _stored(
    attrs: Mapping[Any, Any], dtype: np.dtype[Any] | None = None
) -> dict[str, Any]:
    """Return attributes as they were in the file."""
    own = {str(name): value for name, value in attrs.items() if name != TYPED}
    for name, (value, kind) in json.loads(attrs.get(TYPED, "{}")).items():
        if kind == "str":
            own[name] = value
        else:
            of = dtype if name == "_FillValue" and dtype is not None else np.dtype(kind)
            array = np.asarray(value, dtype=of)
            own[name] = array[()] if array.ndim == 0 else array
    return own


def _typed(value: Any) -> tuple[Any, str]:
    if isinstance(value, str):
        return value, "str"
    array = np.asarray(value)
    return array.tolist(), array.dtype.str


def _applied(name: Any, value: Any) -> bool:
    if name == "units":
        return " since " in str(value) or value in DURATIONS
    return name in APPLIED


def _with(
    dataset: xr.Dataset, attrs: Mapping[str, Any], own: Mapping[Any, Mapping[str, Any]]
) -> xr.Dataset:
    """Return a dataset with other attributes and without encodings."""
    variables = {
        name: xr.Variable(variable.dims, variable.data, own[name])
        for name, variable in _variables(dataset)
    }
    coords = {name: variables.pop(name) for name in dataset.coords}
    return xr.Dataset(variables, coords, attrs)
