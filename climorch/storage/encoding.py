"""One dataset to the files of a Zarr group and back, through xarray and Zarr.

Decides codecs and which types are stored how. What has to be refused is decided in
`climorch.storage.fidelity`.
"""

from __future__ import annotations

import contextlib
import math
import pickle
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import xarray as xr
import xxhash
from zarr.codecs import BloscCodec, Crc32cCodec
from zarr.storage import MemoryStore

from climorch.errors import CorruptDataError, Fault, InvalidInputError
from climorch.model.codec import LZ4, Codec, Storing
from climorch.storage.arrays import ArraySpec

if TYPE_CHECKING:
    from zarr.abc.codec import BytesBytesCodec
    from zarr.abc.store import Store
    from zarr.core.buffer import Buffer

__all__ = [
    "Hint",
    "codecs_of",
    "digest_of",
    "encode",
    "field_specs",
    "hints_of",
    "open_group",
    "plain_numbers",
    "structure_of",
]

Hint: TypeAlias = Literal[
    "object",
    "cftime",
    "datetime64[s]",
    "datetime64[ms]",
    "datetime64[us]",
    "datetime64[ns]",
]
"""Type of a variable that plain xarray would open as another one."""

NOTHING_SAID = Storing()

_UNITS: dict[Hint, Literal["s", "ms", "us", "ns"]] = {
    "datetime64[s]": "s",
    "datetime64[ms]": "ms",
    "datetime64[us]": "us",
    "datetime64[ns]": "ns",
}
_TIME_ENCODING = ("units", "calendar", "dtype")
# Filters of warnings belong to the whole process: one thread at a time.
_WARNINGS = threading.Lock()


def codecs_of(codec: Codec) -> tuple[BytesBytesCodec, ...]:
    """Return what Zarr is told of a codec.

    `climorch.storage.codec` writes the same bytes without Zarr.

    Parameters
    ----------
    codec : Codec
        Of an array.
    """
    if codec.name == "none":
        return (Crc32cCodec(),)
    blosc = BloscCodec(
        typesize=None, cname=codec.name, clevel=codec.level, shuffle="shuffle"
    )
    return (blosc, Crc32cCodec())


def field_specs(
    dataset: xr.Dataset, storing: Mapping[str, Storing]
) -> tuple[ArraySpec, ...]:
    """Describe the fields: chunked variables of a numeric or bool type.

    Parameters
    ----------
    dataset : xarray.Dataset
        One that passed `check_dataset`.
    storing : mapping of str to Storing
        How variables are stored, where anything was said.

    Returns
    -------
    tuple of ArraySpec
        In the dataset's order.
    """
    return tuple(
        ArraySpec(
            name=str(name),
            dims=tuple(map(str, variable.dims)),
            dtype=variable.dtype.newbyteorder("<").str,
            shape=variable.shape,
            chunk_shape=tuple(max(1, lengths[0]) for lengths in variable.chunks),
            codec=storing.get(str(name), NOTHING_SAID).codec,
            keep_bits=storing.get(str(name), NOTHING_SAID).keep_bits,
        )
        for name, variable in dataset.variables.items()
        if variable.chunks is not None
    )


def structure_of(
    dataset: xr.Dataset, keep_time_encoding: bool, storing: Mapping[str, Storing]
) -> bytes:
    """Digest of everything about a dataset except values.

    Parameters
    ----------
    dataset : xarray.Dataset
        The dataset.
    keep_time_encoding : bool
        Whether the units of dates count.
    storing : mapping of str to Storing
        How variables are stored, where anything was said.

    Returns
    -------
    bytes
        Equal only where both would be rendered into the same metadata, but for
        plain attributes of the whole dataset and for the units of dates that are
        chosen from values.
    """
    attrs = dataset.attrs
    # Texts and numbers of the whole dataset stand in the file as they are.
    described: list[Any] = [None if _is_plain(attrs) else attrs, keep_time_encoding]
    described += sorted(
        (name, said.codec.name, said.codec.level, said.keep_bits)
        for name, said in storing.items()
    )
    for name, variable in dataset.variables.items():
        about = (name, variable.dims, variable.shape, variable.dtype.str)
        time = _time_encoding(variable) if keep_time_encoding else None
        described.append(
            [about, variable.chunks, variable.attrs, time, name in dataset.coords]
        )
    # Never stored, never read: only a fast way to see every attribute as bytes.
    return xxhash.xxh3_128_digest(pickle.dumps(described, protocol=5))


def _is_plain(attrs: Mapping[Any, Any]) -> bool:
    return "coordinates" not in attrs and all(
        isinstance(key, str)
        # Not their subclasses: NumPy's floats are floats too.
        and (type(value) in (str, int, bool) or _is_finite(value))
        for key, value in attrs.items()
    )


def _is_finite(value: object) -> bool:
    return type(value) is float and math.isfinite(value)


def digest_of(variable: xr.Variable) -> str:
    """Digest of a variable's values.

    Parameters
    ----------
    variable : xarray.Variable
        One that is no field; it is loaded.

    Returns
    -------
    str
        Hex.
    """
    # Reaches into the objects of an array of dates or strings as well.
    return xxhash.xxh3_128_hexdigest(pickle.dumps(variable.values, protocol=5))


def plain_numbers(
    variable: xr.Variable, keep_time_encoding: bool
) -> npt.NDArray[Any] | None:
    """Return the numbers by which a variable is stored, where that is simple.

    Parameters
    ----------
    variable : xarray.Variable
        One in memory.
    keep_time_encoding : bool
        Whether dates keep the units of their ``encoding``.

    Returns
    -------
    ndarray or None
        Its own values; of dates those that xarray encodes them by; None for
        strings, and for dates whose units are chosen from their values.
    """
    if variable.dtype.kind in "biufc":
        return np.asarray(variable.values)
    time = _time_encoding(variable) if keep_time_encoding else {}
    if not {"units", "dtype"} <= set(time):
        return None
    encoding = {**time, "_FillValue": None}
    bare = xr.Variable(variable.dims, variable.values, encoding=encoding)
    numbers = np.asarray(xr.conventions.encode_cf_variable(bare).values)
    # Dates that do not fit into integers become floats, with a warning.
    return numbers if numbers.dtype == np.dtype(time["dtype"]) else None


def hints_of(dataset: xr.Dataset) -> dict[str, Hint]:
    """Say for which variables the file format does not tell the exact type.

    Parameters
    ----------
    dataset : xarray.Dataset
        The dataset.

    Returns
    -------
    dict of str to str
        Dates have a resolution or are cftime objects; strings may be objects.
    """
    hints: dict[str, Hint] = {}
    for name, variable in dataset.variables.items():
        if variable.dtype.kind == "M":
            # xarray has no other resolutions than these.
            hints |= {str(name): h for h in _UNITS if h == variable.dtype.name}
        elif variable.dtype.kind == "O":
            hints[str(name)] = "cftime" if _is_cftime(variable) else "object"
    return hints


def encode(
    dataset: xr.Dataset,
    specs: Sequence[ArraySpec],
    place: str,
    *,
    keep_time_encoding: bool,
) -> dict[str, bytes]:
    """Encode a dataset as the files of a group, without chunks of fields.

    Parameters
    ----------
    dataset, specs
        One that passed `fidelity.check_dataset`, and its fields.
    place : str
        What it is, for messages.
    keep_time_encoding : bool
        Whether dates keep the units of their ``encoding``.

    Returns
    -------
    dict of str to bytes
        Posix path to content; the metadata are not consolidated.

    Raises
    ------
    InvalidInputError
        If xarray or Zarr cannot encode it.
    """
    # All other inherited encodings are dropped: a scale factor or fill value of the
    # file that a state once came from would change its values.
    encoding: dict[Any, dict[str, Any]] = {
        name: {"compressors": codecs_of(LZ4), "_FillValue": None}
        | (_time_encoding(variable) if keep_time_encoding else {})
        for name, variable in dataset.variables.items()
    }
    for spec in specs:
        encoding[spec.name]["chunks"] = spec.chunk_shape
        encoding[spec.name]["compressors"] = codecs_of(spec.codec)
    files: dict[str, Buffer] = {}
    try:
        with _quiet(dataset):
            # Not computed, so that values of fields are not written.
            _without_values(dataset, specs).to_zarr(
                MemoryStore(files),
                mode="w",
                zarr_format=3,
                consolidated=False,
                compute=False,
                encoding=encoding,
                write_empty_chunks=True,
            )
    except (TypeError, ValueError, KeyError, NotImplementedError) as error:
        fault = Fault(
            place=place,
            problem=f"xarray cannot write it to Zarr: {error}",
            remedy="use types and attributes that xarray.Dataset.to_zarr accepts",
        )
        message = f"{place} cannot be stored"
        raise InvalidInputError(message, faults=[fault]) from error
    return {key: buffer.to_bytes() for key, buffer in files.items()}


def open_group(
    store: str | Store, hints: Mapping[str, Hint], *, consolidated: bool = True
) -> xr.Dataset:
    """Open a group lazily with exact types.

    Parameters
    ----------
    store : str or zarr Store
        Where the group is.
    hints : mapping of str to str
        From `hints_of`; may be empty.
    consolidated : bool
        Whether its metadata are.

    Returns
    -------
    xarray.Dataset
        Variables with hints are loaded.

    Raises
    ------
    CorruptDataError
        If it cannot be opened.
    """
    times = {name: _coder(hint) for name, hint in hints.items() if hint != "object"}
    try:
        dataset = xr.open_zarr(
            store, chunks=None, consolidated=consolidated, decode_times=times or True
        )
        objects = {
            name: dataset.variables[name].astype(object)
            for name, hint in hints.items()
            if hint == "object"
        }
    except (TypeError, ValueError, KeyError, OSError, RuntimeError) as error:
        message = f"Zarr group '{store}': cannot be opened ({error}); use another copy"
        raise CorruptDataError(message, store=str(store)) from error
    return _assigned(dataset, objects)


def _is_cftime(variable: xr.Variable) -> bool:
    values = variable.values.ravel()
    return values.size > 0 and hasattr(values[0], "calendar")


def _time_encoding(variable: xr.Variable) -> dict[str, Any]:
    if variable.dtype.kind in "Mm" or variable.dtype.kind == "O":
        return {
            k: variable.encoding[k] for k in _TIME_ENCODING if k in variable.encoding
        }
    return {}


def _without_values(dataset: xr.Dataset, specs: Sequence[ArraySpec]) -> xr.Dataset:
    """Return the dataset with lazy zeros for fields: their graphs are not seen."""
    zeros = {
        spec.name: xr.zeros_like(
            dataset.variables[spec.name], dtype=np.dtype(spec.dtype)
        )
        for spec in specs
    }
    return _assigned(dataset, zeros)


def _assigned(dataset: xr.Dataset, new: Mapping[str, xr.Variable]) -> xr.Dataset:
    """Replace variables; each stays the coordinate or data variable that it was."""
    coords = {n: v for n, v in new.items() if n in dataset.coords}
    data = {n: v for n, v in new.items() if n not in dataset.coords}
    return dataset.assign(data).assign_coords(coords)


@contextlib.contextmanager
def _quiet(dataset: xr.Dataset) -> Iterator[None]:
    """Silence Zarr's warning about string types of fixed length.

    It says that other implementations may not read them; xarray does, without a
    warning.
    """
    kinds = {variable.dtype.kind for variable in dataset.variables.values()}
    if not kinds & set("US"):
        yield
        return
    with _WARNINGS, warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="The data type .* does not have a Zarr"
        )
        yield


def _coder(hint: Hint) -> xr.coders.CFDatetimeCoder:
    if hint == "cftime":
        return xr.coders.CFDatetimeCoder(use_cftime=True)
    return xr.coders.CFDatetimeCoder(time_unit=_UNITS[hint])
