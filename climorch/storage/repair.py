"""What became bad in a checkpoint, made good from another physical copy.

Decides which file may take the place of a bad one: one of the same length, checksum
and hash in another checkpoint, which is another file on the disk and was read and
found good; else what another tier has. Every name of the bad file gets the good one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from climorch.errors import CorruptDataError
from climorch.storage import durable
from climorch.storage.chunks import read_checked
from climorch.storage.inflight import Checkpoint
from climorch.storage.layout import Layout
from climorch.storage.manifest import Entry, Manifest
from climorch.storage.passage import link_through, write_through
from climorch.storage.verify import read_fixed

__all__ = ["Donor", "repair"]

Donor: TypeAlias = Callable[[Manifest, str], bytes | None]
"""Gives a good copy of one file of a checkpoint from elsewhere, or None."""


def repair(
    layout: Layout,
    epoch: int,
    checkpoint: Checkpoint,
    key: str,
    others: Sequence[Checkpoint],
    donor: Donor | None = None,
) -> bool:
    """Replace a bad file by a good one; again: does nothing bad.

    Parameters
    ----------
    layout : Layout
        Of the campaign.
    epoch : int
        Of this driver: the new file goes through its own folder.
    checkpoint : Checkpoint
        Whose file is bad.
    key : str
        Which; one of its manifest.
    others : sequence of Checkpoint
        Where a copy may be, of the same set.
    donor : callable or None
        Asked where none of them has one: gives a good copy of a file of a checkpoint
        from another tier, or None.

    Returns
    -------
    bool
        False where there is no other copy: then nothing was changed.

    Raises
    ------
    ConflictError
        If this driver was superseded.
    BackendError
        If the file system fails.
    """
    entry = checkpoint.manifest.entries[key]
    path = checkpoint.path / key
    with durable.translated("repair", path):
        bad = _inode(path)
        data = next(_copies(key, entry, bad, others), None)
        if data is None and donor is not None:
            data = donor(checkpoint.manifest, key)
        if data is None:
            return False
        names = [path]
        for other in others:
            linked = other.path / key
            if bad is not None and _inode(linked) == bad:
                names.append(linked)
        way = layout.epoch(epoch)
        write_through(way, path, data)
        for name in names[1:]:
            if not link_through(way, path, name):
                write_through(way, name, data)
        for name in names:
            durable.fsync_directory(name.parent)
    return True


def _copies(
    key: str, entry: Entry, bad: tuple[int, int] | None, others: Sequence[Checkpoint]
) -> Iterator[bytes]:
    """Yield the content of files that are what the bad one should be."""
    for other in others:
        twin = other.manifest.entries.get(key)
        path = other.path / key
        if twin is None or _content(twin) != _content(entry) or _inode(path) == bad:
            continue
        try:
            if entry.raw_xxh3 is None:
                yield read_fixed(path, entry)
            else:
                # Of equal length and checksum, and coded alike: equal bytes.
                yield read_checked(path, entry).tobytes()
        except CorruptDataError:
            continue


def _content(entry: Entry) -> tuple[object, ...]:
    return entry.length, entry.crc32c, entry.raw_xxh3, entry.file_xxh3


def _inode(path: os.PathLike[str]) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
