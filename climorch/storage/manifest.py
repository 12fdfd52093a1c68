"""The list of everything in a checkpoint, with what each file has to be.

Decides the format of ``MANIFEST.json`` and refuses one that is not what was
written: it is read from a disk on which anything may have happened.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
import xxhash

from climorch.errors import CorruptDataError
from climorch.model.names import name_fault
from climorch.storage import durable
from climorch.storage.arrays import ArraySpec
from climorch.storage.encoding import Hint
from climorch.storage.names import is_safe_key

__all__ = [
    "EXPORTS",
    "FORMAT",
    "MANIFEST",
    "MAX_BYTES",
    "OUTPUTS",
    "STATE",
    "Entry",
    "Manifest",
    "decode_manifest",
    "encode_manifest",
    "read_manifest",
]

MANIFEST = "MANIFEST.json"
"""Its name, beside the trees: Zarr would warn of a foreign file in a group."""

FORMAT = 1
"""Version of the format that is written."""

STATE = "state"
"""Tree of the stages' restart states."""

EXPORTS = "exports"
"""Tree of exports that PREVIOUS readers still need.

Beside the states and not in them: a DataTree wants children to align with parents.
"""

OUTPUTS = "outputs"
"""Directory of staged diagnostics."""

MAX_BYTES = 512 * 2**20
"""A manifest that is longer is refused before it is read."""

_HEX = re.compile(r"[0-9a-f]{32}")
_MODEL_TIME = re.compile(r"-?[0-9]{1,9}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,15}")

_Count = Annotated[int, msgspec.Meta(ge=0)]


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One file of a checkpoint.

    Attributes
    ----------
    length : int
        Bytes.
    crc32c : int
        CRC-32C: of a chunk's file without its last four bytes, which repeat it
        (over all of it, it would be the same number for every intact chunk);
        of all other files as a whole.
    inode, mtime_ns : int
        Of the file when it was committed; only tells whether it may be linked.
    raw_xxh3 : str or None
        XXH3-128 of a chunk's values, in hex; None for files that are no chunks.
    file_xxh3 : str or None
        XXH3-128 of all other files, in hex; None for chunks.
    linked : bool
        Whether an older checkpoint has the same file.
    """

    length: _Count
    crc32c: _Count
    inode: _Count
    mtime_ns: int
    raw_xxh3: str | None = None
    file_xxh3: str | None = None
    linked: bool = False

    def __post_init__(self) -> None:
        hashes = [h for h in (self.raw_xxh3, self.file_xxh3) if h is not None]
        if len(hashes) != 1 or not _HEX.fullmatch(hashes[0]):
            message = "expected exactly one hash of 32 hexadecimal digits"
            raise ValueError(message)


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about a checkpoint.

    Attributes
    ----------
    campaign, simulation, set : str
        Whose it is.
    boundary : int
        Number k of the common boundary.
    model_time, calendar : str
        Date of the boundary (ISO 8601) and its CF calendar.
    params_digest : str
        Of the parameters that the states were computed with.
    epoch, attempt : int
        Driver and try that wrote it.
    entries : dict of str to Entry
        Every file but this one: posix path below the checkpoint.
    arrays : dict of tree to dict of stage to tuple of ArraySpec
        The fields.
    hints : dict of tree to dict of stage to dict of variable to str
        `Rendered.hints` of each group.
    exports : tuple of str
        Stages that have a group in the exports' tree.
    outputs : dict of stage to tuple of int
        Segments whose diagnostics are staged here.
    segments : dict of stage to int
        Segments done at this boundary.
    format : int
        Version of this format.
    """

    campaign: str
    simulation: str
    set: str
    boundary: _Count
    model_time: str
    calendar: str
    params_digest: str
    epoch: _Count
    attempt: _Count
    entries: dict[str, Entry]
    arrays: dict[str, dict[str, tuple[ArraySpec, ...]]]
    hints: dict[str, dict[str, dict[str, Hint]]]
    exports: tuple[str, ...]
    outputs: dict[str, tuple[_Count, ...]]
    segments: dict[str, _Count]
    format: int = FORMAT

    @property
    def folder(self) -> str:
        """Name of the checkpoint's directory: ``1850-01-01-12``."""
        return f"{self.model_time.split('T')[0]}-{self.boundary}"

    def chunks(self) -> dict[str, tuple[ArraySpec, tuple[int, ...]]]:
        """Every chunk of every field: key to array and position in its grid."""
        return {
            f"{tree}.zarr/{stage}/{spec.key(index)}": (spec, index)
            for tree, stages in self.arrays.items()
            for stage, specs in stages.items()
            for spec in specs
            for index in spec.indices()
        }

    def same_content(self, other: Manifest) -> bool:
        """Whether two checkpoints hold the same, whoever wrote them.

        Parameters
        ----------
        other : Manifest
            Of the other one.

        Returns
        -------
        bool
            Compared are all values and names, not how they came about.
        """
        return _content(self) == _content(other)


class _Envelope(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    xxh3: str
    manifest: msgspec.Raw


class _Version(msgspec.Struct):
    format: int


# Made once, at import: what msgspec learns of a type it learns at its first use, and
# two threads that make it learn at the same time end the process.
_ENVELOPE = msgspec.json.Decoder(_Envelope)
_VERSION = msgspec.json.Decoder(_Version)
_MANIFEST = msgspec.json.Decoder(Manifest)


def encode_manifest(manifest: Manifest) -> bytes:
    """Encode a manifest together with its own hash.

    Parameters
    ----------
    manifest : Manifest
        The manifest.

    Returns
    -------
    bytes
        JSON; equal manifests give equal bytes.
    """
    body = msgspec.json.encode(manifest, order="deterministic")
    digest = xxhash.xxh3_128_hexdigest(body)
    return msgspec.json.encode(_Envelope(xxh3=digest, manifest=msgspec.Raw(body)))


def decode_manifest(data: bytes, place: str) -> Manifest:
    """Decode a manifest and refuse what is not as it was written.

    Parameters
    ----------
    data : bytes
        Content of the file.
    place : str
        Where it came from, for messages.

    Returns
    -------
    Manifest
        Every key stays inside the checkpoint and every chunk has an entry.

    Raises
    ------
    CorruptDataError
        If hash, format, a key or a size is wrong.
    """
    try:
        envelope = _ENVELOPE.decode(data)
        body = bytes(envelope.manifest)
        if xxhash.xxh3_128_hexdigest(body) != envelope.xxh3:
            raise _corrupt(place, "does not have the hash that it states")
        version = _VERSION.decode(body).format
        if version != FORMAT:
            problem = f"has format {version}, this version reads {FORMAT}"
            raise _corrupt(place, problem)
        manifest = _MANIFEST.decode(body)
    # Text that is no text, and nesting without end, are not msgspec's own errors.
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _corrupt(place, f"cannot be decoded ({error})") from error
    for problem in _problems(manifest):
        raise _corrupt(place, problem)
    return manifest


def read_manifest(directory: str | os.PathLike[str]) -> Manifest:
    """Read the manifest of a checkpoint.

    Parameters
    ----------
    directory : path
        The checkpoint.

    Returns
    -------
    Manifest
        As `decode_manifest` gives it.

    Raises
    ------
    FileNotFoundError
        If there is none: the checkpoint was never committed, or is gone.
    CorruptDataError
        If it is not what was written.
    BackendError
        If the file system fails.
    """
    path = Path(directory) / MANIFEST
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise
    except OSError:
        with durable.translated("read", path):
            raise
    if len(data) > MAX_BYTES:
        raise _corrupt(str(path), f"has more than {MAX_BYTES} bytes")
    return decode_manifest(data, str(path))


def _content(manifest: Manifest) -> object:
    files = {
        key: (entry.length, entry.crc32c, entry.raw_xxh3, entry.file_xxh3)
        for key, entry in manifest.entries.items()
    }
    return (
        (manifest.campaign, manifest.simulation, manifest.set, manifest.boundary),
        (manifest.model_time, manifest.calendar, manifest.params_digest),
        (manifest.arrays, manifest.hints, manifest.segments, manifest.outputs),
        (manifest.exports, files),
    )


def _corrupt(place: str, problem: str) -> CorruptDataError:
    message = f"manifest '{place}': {problem}; keep it and use another checkpoint"
    return CorruptDataError(message, place=place, problem=problem)


def _problems(manifest: Manifest) -> Iterator[str]:
    stages = {s for tree in manifest.arrays.values() for s in tree}
    stages |= {*manifest.exports, *manifest.outputs, *manifest.segments}
    for name in (manifest.campaign, manifest.simulation, manifest.set, *stages):
        if name_fault(name, place="") is not None:
            yield f"holds the name {name!r}, which is not safe in a path"
    if not _MODEL_TIME.fullmatch(manifest.model_time):
        yield f"holds the model time {manifest.model_time!r}"
    for key in manifest.entries:
        if not is_safe_key(key) or key == MANIFEST:
            yield f"holds the key {key!r}, which is not safe"
    if not set(manifest.arrays) <= {STATE, EXPORTS}:
        yield f"holds the trees {sorted(manifest.arrays)}"
    # Compared before they are counted one by one: shapes may claim anything.
    blocks = sum(
        math.prod(spec.blocks)
        for tree in manifest.arrays.values()
        for specs in tree.values()
        for spec in specs
    )
    if blocks > len(manifest.entries):
        yield f"holds {len(manifest.entries)} files for {blocks} chunks"
    else:
        yield from _without_entry(manifest)


def _without_entry(manifest: Manifest) -> Iterator[str]:
    for key in manifest.chunks():
        entry = manifest.entries.get(key)
        if entry is None or entry.raw_xxh3 is None:
            yield f"holds nothing about the chunk {key!r}"
