"""Whether a checkpoint still is what was committed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import google_crc32c
import xxhash

from climorch.errors import CorruptDataError
from climorch.storage import durable
from climorch.storage.arrays import ArraySpec
from climorch.storage.chunks import (
    chunk_problem,
    read_checked,
    read_chunk,
    read_file,
)
from climorch.storage.codec import as_bytes
from climorch.storage.inflight import Checkpoint
from climorch.storage.manifest import MANIFEST, Entry, Manifest, read_manifest

__all__ = [
    "Pace",
    "VerifyReport",
    "at_once",
    "files_below",
    "physically_independent",
    "read_fixed",
    "refuse_changed",
    "refuse_damaged",
    "verify",
]


Pace: TypeAlias = Callable[[int], None]
"""Told how many bytes were read; may wait, or raise."""


def at_once(read_bytes: int) -> None:
    """Wait for nothing: a pace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """What a verification found.

    Attributes
    ----------
    bad : tuple of (key, what)
        Every file that is missing, damaged or not in the manifest.
    """

    bad: tuple[tuple[str, str], ...] = ()

    @property
    def good(self) -> bool:
        """Whether every file is what was written, and there are no others."""
        return not self.bad


def verify(
    path: str | os.PathLike[str],
    manifest: Manifest | None = None,
    *,
    pace: Pace = at_once,
) -> VerifyReport:
    """Read every file of a checkpoint and compare it with the manifest.

    Parameters
    ----------
    path : path
        The checkpoint, committed or in flight.
    manifest : Manifest, optional
        What it should have; the manifest on the disk is compared with it too.
    pace : callable
        Told after each file how many bytes were read; may wait, or raise.

    Returns
    -------
    VerifyReport
        Chunks of fields are decoded and their values hashed.

    Raises
    ------
    BackendError
        If the file system fails, which says nothing about the checkpoint.
    """
    root = Path(path)
    try:
        found = read_manifest(root)
    except FileNotFoundError:
        return VerifyReport(bad=((MANIFEST, "is missing"),))
    except CorruptDataError as error:
        return VerifyReport(bad=((MANIFEST, str(error)),))
    if manifest is not None and found != manifest:
        return VerifyReport(bad=((MANIFEST, "is not the one that was committed"),))
    return VerifyReport(bad=tuple(_bad(root, found, pace)))


def read_fixed(path: str | os.PathLike[str], entry: Entry) -> bytes:
    """Read a file that is no chunk and compare it with its entry.

    Parameters
    ----------
    path : path
        The file.
    entry : Entry
        What it has to be.

    Returns
    -------
    bytes
        Its content.

    Raises
    ------
    CorruptDataError
        If it is missing or not what was written.
    BackendError
        If the file system fails.
    """
    data = read_file(path)
    refuse_damaged(data, entry, str(path))
    return data


def refuse_damaged(data: bytes, entry: Entry, place: str) -> None:
    """Refuse the content of a file that is not what was written.

    Parameters
    ----------
    data : bytes
        All of it. A chunk's values are not decoded.
    entry : Entry
        What it has to be.
    place : str
        Where it came from, for the message.

    Raises
    ------
    CorruptDataError
        If length, checksum or hash is another one.
    """
    if entry.raw_xxh3 is not None:
        problem = chunk_problem(as_bytes(data), entry)
    else:
        found = (len(data), google_crc32c.value(data), xxhash.xxh3_128_hexdigest(data))
        problem = None
        if found != (entry.length, entry.crc32c, entry.file_xxh3):
            problem = f"has {found[0]} bytes and hash {found[2]}, expected "
            problem += f"{entry.length} and {entry.file_xxh3}"
    if problem is not None:
        message = f"file '{place}': {problem}; keep it and use another copy"
        raise CorruptDataError(message, path=place, problem=problem)


def physically_independent(a: Checkpoint, b: Checkpoint) -> bool:
    """Whether damage to one file can never harm both checkpoints.

    Parameters
    ----------
    a, b : Checkpoint
        Committed checkpoints.

    Returns
    -------
    bool
        False where they share a chunk's file, or one has lost a chunk.

    Raises
    ------
    BackendError
        If the file system fails.
    """
    first, second = _inodes(a), _inodes(b)
    return first is not None and second is not None and first.isdisjoint(second)


def refuse_changed(path: Path, entries: Mapping[str, Entry]) -> None:
    """Refuse files that are not as they were committed, without reading them all.

    Parameters
    ----------
    path : Path
        The checkpoint.
    entries : mapping of str to Entry
        Of the files in question.

    Raises
    ------
    CorruptDataError
        If one is missing or has another length; where it is not the very file that
        was committed, or was touched since, it is read and compared.
    BackendError
        If the file system fails.
    """
    for key, entry in entries.items():
        with durable.translated("look at", path / key):
            try:
                status = os.stat(path / key)
            except FileNotFoundError:
                status = None
        known = (entry.length, entry.inode, entry.mtime_ns)
        if status and (status.st_size, status.st_ino, status.st_mtime_ns) == known:
            continue
        if entry.raw_xxh3 is None:
            read_fixed(path / key, entry)
        else:
            read_checked(path / key, entry)


def files_below(root: str | os.PathLike[str]) -> Iterator[str]:
    """List the files of a tree.

    Parameters
    ----------
    root : path
        The directory.

    Yields
    ------
    str
        Posix path below it.

    Raises
    ------
    BackendError
        If the file system fails.
    """

    def fail(error: OSError) -> None:
        raise error

    top = os.fspath(root)
    with durable.translated("list", root):
        for directory, _, names in os.walk(top, onerror=fail):
            prefix = os.path.relpath(directory, top)
            for name in names:
                yield name if prefix == "." else f"{prefix}/{name}"


def _bad(root: Path, manifest: Manifest, pace: Pace) -> Iterator[tuple[str, str]]:
    chunks = manifest.chunks()
    for key, entry in manifest.entries.items():
        problem = _problem(root / key, entry, chunks.get(key))
        pace(entry.length)
        if problem is not None:
            yield key, problem
    if not root.is_dir():
        # Deleted while it was read.
        yield MANIFEST, "is missing"
        return
    known: Mapping[str, object] = {**manifest.entries, MANIFEST: None}
    for key in files_below(root):
        if key not in known:
            yield key, "is not in the manifest"


def _problem(
    path: Path, entry: Entry, chunk: tuple[ArraySpec, tuple[int, ...]] | None
) -> str | None:
    try:
        if chunk is not None:
            spec, index = chunk
            shape = spec.block_shape(index)
            read_chunk(path, entry, spec.dtype, spec.chunk_shape, shape, spec.codec)
        elif entry.raw_xxh3 is not None:
            # A chunk of staged diagnostics: their arrays are described elsewhere.
            read_checked(path, entry)
        else:
            read_fixed(path, entry)
    except CorruptDataError as error:
        return str(error.facts["problem"])
    return None


def _inodes(checkpoint: Checkpoint) -> set[tuple[int, int]] | None:
    found = set()
    with durable.translated("look at", checkpoint.path):
        for key, entry in checkpoint.manifest.entries.items():
            if entry.raw_xxh3 is None:
                continue
            try:
                status = os.stat(checkpoint.path / key)
            except FileNotFoundError:
                return None
            found.add((status.st_dev, status.st_ino))
    return found
