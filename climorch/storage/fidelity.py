"""What may be stored: only what comes back exactly as it was.

Decides which datasets are refused, and says why for all of their variables at
once. A state that changes on its way through the disk would make a resumed run
differ from an undisturbed one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
import xarray as xr
from zarr.core.buffer import Buffer, cpu
from zarr.storage import MemoryStore

from climorch.errors import Fault, InvalidInputError
from climorch.storage.arrays import MAX_CHUNK_BYTES
from climorch.storage.encoding import Hint, open_group
from climorch.storage.names import variable_fault

__all__ = ["check_dataset", "check_round_trip"]

_NUMERIC = "biufc"


def check_dataset(dataset: xr.Dataset, place: str) -> None:
    """Refuse a dataset that cannot be stored, before anything is rendered.

    Parameters
    ----------
    dataset : xarray.Dataset
        The dataset; no values of fields are looked at.
    place : str
        What it is, for messages.

    Raises
    ------
    InvalidInputError
        With one fault per variable.
    """
    faults = [
        fault
        for name, variable in dataset.variables.items()
        for fault in (variable_fault(name), *_variable_faults(name, variable))
        if fault is not None
    ]
    _refuse(place, faults)


def check_round_trip(
    dataset: xr.Dataset,
    files: Mapping[str, bytes],
    hints: Mapping[str, Hint],
    place: str,
    *,
    exact_times: bool = True,
) -> None:
    """Refuse what does not come back exactly as it was.

    Examples: attributes such as ``_FillValue`` or ``scale_factor``, which a reader
    would apply, or ``units: days since …`` on plain numbers, which it would decode.

    Parameters
    ----------
    dataset : xarray.Dataset
        What was encoded.
    files : mapping of str to bytes
        From `encode`.
    hints : mapping of str to str
        From `hints_of`.
    place : str
        What it is, for messages.
    exact_times : bool
        False where dates are stored in units that the caller chose, in which
        they may be rounded.

    Raises
    ------
    InvalidInputError
        With one fault per variable that changed.
    """
    buffers: dict[str, Buffer] = {k: cpu.Buffer.from_bytes(v) for k, v in files.items()}
    opened = open_group(MemoryStore(buffers), hints, consolidated=False)
    faults = []
    for name, variable in dataset.variables.items():
        found = opened.variables.get(name)
        problem = _difference(variable, found, exact_times=exact_times)
        if problem is None and (name in dataset.coords) != (name in opened.coords):
            problem = "would no longer be the coordinate or data variable that it is"
        if problem is not None:
            remedy = "change its type, or remove or rename the attribute that does this"
            faults.append(
                Fault(
                    place=f"variable {str(name)!r}",
                    problem=f"{problem} when read back",
                    remedy=remedy,
                )
            )
    _refuse(place, faults)


def _refuse(place: str, faults: list[Fault]) -> None:
    if faults:
        message = f"{place} cannot be stored"
        raise InvalidInputError(message, faults=faults)


def _variable_faults(name: object, variable: xr.Variable) -> Iterator[Fault]:
    place, dtype = f"variable {name!r}", variable.dtype
    wide = dtype.kind in "fc" and dtype.itemsize > (8 if dtype.kind == "f" else 16)
    if wide:
        yield Fault(
            place=place,
            problem=f"type {dtype} has no counterpart in Zarr",
            remedy="use at most 64 bits per number",
        )
    if dtype.kind == "M" and not _fits_ns(variable):
        yield Fault(
            place=place,
            problem="has dates before 1678 or after 2262, which plain xarray "
            "cannot read",
            remedy="use cftime dates",
        )
    if variable.chunks is None or wide:
        return
    if dtype.kind not in _NUMERIC:
        yield Fault(
            place=place,
            problem=f"is chunked and of type {dtype}; only numbers and bool may be",
            remedy="load it, e.g. with .compute()",
        )
    for dim, lengths in zip(variable.dims, variable.chunks, strict=True):
        if not _regular(lengths):
            yield Fault(
                place=f"{place}, dimension {dim!r}",
                problem=f"chunks {lengths} are not equal but for a smaller last one",
                remedy="rechunk it, or give the stage chunks for this dimension",
            )
    largest = math.prod(max(1, lengths[0]) for lengths in variable.chunks)
    if largest * dtype.itemsize > MAX_CHUNK_BYTES:
        yield Fault(
            place=place,
            problem=f"its chunks have more than {MAX_CHUNK_BYTES} bytes",
            remedy="give the stage smaller chunks; 4 to 16 MiB are good",
        )


def _regular(lengths: tuple[int, ...]) -> bool:
    # Unknown lengths are NaN, which equals nothing.
    first, last = lengths[0], lengths[-1]
    inner = all(length == first for length in lengths[:-1])
    return inner and (0 < last <= first or lengths == (0,))


def _fits_ns(variable: xr.Variable) -> bool:
    values = variable.values
    in_ns = values.astype("M8[ns]").astype(values.dtype)
    return bool(np.all((in_ns == values) | np.isnat(values)))


def _difference(
    before: xr.Variable, after: xr.Variable | None, *, exact_times: bool
) -> str | None:
    if after is None:
        return "would be lost"
    dtype = before.dtype
    if dtype.kind in _NUMERIC:
        dtype = dtype.newbyteorder("=")
    if after.dtype != dtype:
        return f"would have type {after.dtype} instead of {dtype}"
    if (after.dims, after.shape) != (before.dims, before.shape):
        return f"would be {after.dims} {after.shape}, not {before.dims} {before.shape}"
    if not _bare(before).identical(_bare(after)):
        return f"would have attributes {after.attrs}, not {before.attrs},"
    rounded = dtype.kind in "MmO" and not exact_times
    if before.chunks is None and not rounded and not before.identical(after):
        return "would have other values"
    return None


def _bare(variable: xr.Variable) -> xr.Variable:
    return xr.Variable((), 0, variable.attrs)
