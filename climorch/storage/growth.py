"""From an output to the results that it continues: of one structure, chunk by chunk.

Decides what an output must have in common with those before it, and where its
chunks go. Lengths and chunks along time may differ; all else that gives a number
its meaning may not. Ignores when the new length is seen.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash
import zarr

from climorch.errors import Fault
from climorch.storage import durable
from climorch.storage.codec import encode_chunk
from climorch.storage.passage import link_through, write_through
from climorch.storage.template import GROUP, Rendered

__all__ = [
    "TIME",
    "Structure",
    "bring",
    "chunk_of",
    "copy_constants",
    "grid",
    "members_of",
    "same_constants",
    "structure_faults",
    "structure_of",
    "time_axis",
    "times_of",
]

TIME = "time"

Structure = Mapping[str, Mapping[str, Any]]
"""What must not change, by variable."""

# Attributes by which readers turn numbers into quantities.
_MEANING = ("units", "calendar", "scale_factor", "add_offset", "_FillValue")


def members_of(group: Path) -> dict[str, Any]:
    """Return the metadata of the arrays of a group, by name."""
    about = json.loads((group / GROUP).read_bytes())
    members: dict[str, Any] = about["consolidated_metadata"]["metadata"]
    return members


def time_axis(member: Mapping[str, Any]) -> int | None:
    """Return which dimension of an array is time; None: it does not vary."""
    names = member.get("dimension_names") or []
    return names.index(TIME) if TIME in names else None


def grid(member: Mapping[str, Any]) -> list[int]:
    """Return the shape of an array's chunks."""
    shape: list[int] = member["chunk_grid"]["configuration"]["chunk_shape"]
    return shape


def times_of(group: Path) -> int:
    """Return how many times an output or results have."""
    length: int = members_of(group)[TIME]["shape"][0]
    return length


def chunk_of(group: Path) -> int:
    """Return the chunk length along time that an output was written with."""
    members = members_of(group)
    lengths = {
        grid(member)[axis]
        for name, member in members.items()
        if name != TIME and (axis := time_axis(member)) is not None
    }
    # Variables that were in memory have one chunk, as long as the segment.
    return min(lengths, default=members[TIME]["shape"][0])


def same_constants(last: Rendered, now: Rendered) -> bool:
    """Whether nothing but the numbers of dates is another."""
    dates = f"{TIME}/c"
    return last.files.keys() == now.files.keys() and all(
        content == now.files[key] or key.startswith(dates)
        for key, content in last.files.items()
    )


def structure_of(group: Path) -> Structure:
    """Return what other outputs must have in common with a group.

    Parameters
    ----------
    group : Path
        Results, or an output; one that is staged may lack its chunks.
    """
    return {
        name: _structure(group / name, member)
        for name, member in members_of(group).items()
    }


def _structure(array: Path, member: Mapping[str, Any]) -> dict[str, Any]:
    axis = time_axis(member)
    attributes = member.get("attributes") or {}
    return {
        "type": member["data_type"],
        "dimensions": list(member.get("dimension_names") or ()),
        "shape without time": [n for i, n in enumerate(member["shape"]) if i != axis],
        **{name: attributes.get(name) for name in _MEANING},
        "digest of values": _digest(array) if axis is None else None,
    }


def _digest(array: Path) -> str | None:
    """Return a hash of an array's chunks; None: they are not written yet."""
    digest = xxhash.xxh3_128()
    files = [path for path in sorted((array / "c").rglob("*")) if path.is_file()]
    if (array / "c").is_file():
        files = [array / "c"]
    for path in files:
        digest.update(path.read_bytes())
    return digest.hexdigest() if files else None


def structure_faults(
    before: Structure, after: Structure, *, place: str
) -> Iterator[Fault]:
    """Say how an output differs from those before it.

    Parameters
    ----------
    before, after : Structure
        Of the results so far, and of the output that shall follow.
    place : str
        Where.

    Yields
    ------
    Fault
        One for each variable that is missing, new, or has another type, other
        dimensions, another shape (but for time), other units, or other values
        although it does not vary in time.
    """
    remedy = (
        "return outputs of one structure in all segments; what varies needs a "
        "time dimension"
    )
    for name in sorted({*before, *after}):
        here = f"{place}, variable {name!r}"
        if name not in after:
            yield Fault(place=here, problem="is missing", remedy=remedy)
        elif name not in before:
            yield Fault(place=here, problem="was not there before", remedy=remedy)
        else:
            changes = list(_changes(before[name], after[name]))
            if changes:
                yield Fault(place=here, problem="; ".join(changes), remedy=remedy)


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for what, was in old.items():
        unknown = what == "digest of values" and None in (was, new[what])
        if new[what] != was and not unknown:
            yield f"{what} is {new[what]!r}, was {was!r}"


def bring(
    source: Path,
    target: Path,
    model: Mapping[str, Any],
    first: int,
    chunk: int,
    *,
    way: Path,
) -> None:
    """Put what varies in time into the results; again: no change.

    Parameters
    ----------
    source, target : Path
        Groups of the output and of the results.
    model : mapping of str to mapping
        Metadata of the results' arrays: their chunks.
    first, chunk : int
        Number of the first chunk along time, and the length of each.
    way : Path
        In-flight folder of this driver, through which every file goes.
    """
    for name, member in members_of(source).items():
        axis = time_axis(member)
        if axis is None:
            continue
        wanted = grid(model[name])
        wanted = [*wanted[:axis], chunk, *wanted[axis + 1 :]]
        if grid(member) != wanted:
            _rewrite(source, target, name, axis, wanted, first, way)
            continue
        for path in sorted((source / name / "c").rglob("*")):
            if path.is_file():
                parts = list(path.relative_to(source / name / "c").parts)
                parts[axis] = str(int(parts[axis]) + first)
                _link(path, target.joinpath(name, "c", *parts), way)


def _rewrite(
    source: Path,
    target: Path,
    name: str,
    axis: int,
    wanted: list[int],
    first: int,
    way: Path,
) -> None:
    """Write a variable in the chunks of the results.

    One that was in memory comes in other chunks; so does a last segment that
    does not fill its chunk.
    """
    values: npt.NDArray[Any] = np.asarray(zarr.open_array(source / name, mode="r")[...])
    counts = [-(-size // n) for size, n in zip(values.shape, wanted, strict=True)]
    for index in np.ndindex(*counts):
        where = tuple(
            slice(i * n, (i + 1) * n) for i, n in zip(index, wanted, strict=True)
        )
        parts = [str(i) for i in index]
        parts[axis] = str(first + index[axis])
        path = target.joinpath(name, "c", *parts)
        durable.make_directories(path.parent)
        write_through(way, path, encode_chunk(values[where], wanted))


def copy_constants(source: Path, target: Path, *, way: Path) -> None:
    """Link the arrays that do not vary in time; again: no change.

    Parameters
    ----------
    source, target : Path
        Groups of the output and of the results.
    way : Path
        As in `bring`.
    """
    for name, member in members_of(source).items():
        if time_axis(member) is None:
            _copy(source / name, target / name, way)


def _link(source: Path, target: Path, way: Path) -> None:
    durable.make_directories(target.parent)
    if target.exists():
        if os.path.samefile(source, target):
            return
    elif link_through(way, source, target):
        return
    write_through(way, target, source.read_bytes())


def _copy(source: Path, target: Path, way: Path) -> None:
    """Link a whole array that does not vary in time."""
    for path in sorted(source.rglob("*")):
        if path.is_file():
            _link(path, target / path.relative_to(source), way)
