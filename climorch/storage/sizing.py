"""How much checkpoints hold, and how much of the disk they take.

Told by their manifests: no file is looked at. A file that several checkpoints have is
on the disk once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np

from climorch.storage.inflight import Checkpoint
from climorch.storage.manifest import Entry, Manifest

__all__ = ["encoded_bytes", "freed_by", "physical_bytes", "raw_bytes"]


def physical_bytes(checkpoints: Iterable[Checkpoint]) -> int:
    """Return the bytes of all chunks of some checkpoints of a set, each file once.

    Parameters
    ----------
    checkpoints : iterable of Checkpoint
        Of one set.
    """
    files: dict[tuple[str, int], int] = {}
    for checkpoint in checkpoints:
        for key, entry in _chunks(checkpoint.manifest):
            files[key, entry.inode] = entry.length
    return sum(files.values())


def freed_by(checkpoint: Checkpoint, others: Iterable[Checkpoint]) -> int:
    """Return the bytes of chunks that one checkpoint has and no other.

    Parameters
    ----------
    checkpoint : Checkpoint
        Which goes.
    others : iterable of Checkpoint
        Of the same set, which stay; itself among them is not looked at.
    """
    shared = {
        (key, entry.inode)
        for other in others
        if other.boundary != checkpoint.boundary
        for key, entry in _chunks(other.manifest)
    }
    return sum(
        entry.length
        for key, entry in _chunks(checkpoint.manifest)
        if (key, entry.inode) not in shared
    )


def encoded_bytes(manifest: Manifest) -> int:
    """Return the bytes of all files of a checkpoint, whoever else has them."""
    return sum(entry.length for entry in manifest.entries.values())


def raw_bytes(manifest: Manifest) -> int:
    """Return the bytes of the values of all fields of a checkpoint."""
    return sum(
        math.prod(spec.shape) * np.dtype(spec.dtype).itemsize
        for stages in manifest.arrays.values()
        for specs in stages.values()
        for spec in specs
    )


def _chunks(manifest: Manifest) -> Iterator[tuple[str, Entry]]:
    for key, entry in manifest.entries.items():
        if entry.raw_xxh3 is not None:
            yield key, entry
