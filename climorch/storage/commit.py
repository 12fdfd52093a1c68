"""From an in-flight folder to a checkpoint: complete, listed, and then one rename.

Decides whether everything is there, and the order in which it becomes durable.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import google_crc32c
import msgspec
import xxhash

from climorch.errors import BackendError, ConflictError, CorruptDataError
from climorch.storage import durable
from climorch.storage.chunks import RECEIPTS, read_checked, read_file
from climorch.storage.fencing import left_of, refuse_if_fenced
from climorch.storage.inflight import Checkpoint, InFlight
from climorch.storage.jobs import ChunkReceipt
from climorch.storage.layout import Layout, output_notes
from climorch.storage.manifest import (
    MANIFEST,
    OUTPUTS,
    Entry,
    Manifest,
    encode_manifest,
    read_manifest,
)
from climorch.storage.removal import set_aside
from climorch.storage.verify import files_below

__all__ = [
    "Filled",
    "collect_entries",
    "commit",
    "promote",
    "seal",
    "sweep",
    "take_outputs",
]

_SHOWN = 5


def commit(
    layout: Layout, epoch: int, in_flight: InFlight, receipts: Iterable[ChunkReceipt]
) -> Checkpoint:
    """Commit an in-flight checkpoint; see `CheckpointStore.commit`."""
    refuse_if_fenced(layout, epoch)
    entries = collect_entries(in_flight, receipts)
    manifest = in_flight.manifest(layout.campaign.name, epoch, entries)
    seal(in_flight.directory, manifest)
    refuse_if_fenced(layout, epoch)
    checkpoint = promote(layout, epoch, in_flight.directory, manifest)
    _sweep_older(layout, epoch, manifest)
    return checkpoint


def _sweep_older(layout: Layout, epoch: int, manifest: Manifest) -> None:
    """Delete what broken attempts left of boundaries that are committed now."""
    # Only space: what cannot be listed or deleted is tried again at the next commit.
    with suppress(BackendError):
        left = left_of(layout, epoch, manifest.simulation, manifest.set)
        done = [f.path for f in left if f.boundary <= manifest.boundary]
        # Also what could not even be given up, where nothing could be renamed.
        begun = layout.begun(epoch, manifest.simulation)
        done += [
            f.path
            for f in begun
            if f.set == manifest.set and f.boundary < manifest.boundary
        ]
        for path in done:
            with suppress(OSError):
                durable.remove_tree(path)


class Filled(Protocol):
    """A folder that should have everything; `InFlight` is one."""

    @property
    def directory(self) -> Path:
        """Where."""

    @property
    def expected(self) -> set[str]:
        """Keys of all chunks that need a receipt."""

    @property
    def fixed(self) -> dict[str, str]:
        """Key to hash of every file that was there before the chunks."""


def collect_entries(
    in_flight: Filled, receipts: Iterable[ChunkReceipt]
) -> dict[str, Entry]:
    """Make the list of all files of a checkpoint.

    Parameters
    ----------
    in_flight : Filled
        What is expected.
    receipts : iterable of ChunkReceipt
        What was written.

    Returns
    -------
    dict of str to Entry
        By key, ascending.

    Raises
    ------
    CorruptDataError
        If a chunk is missing, was not asked for or was written twice, or a file
        is not what it should be.
    """
    given = list(receipts)
    _check_keys(in_flight.expected, Counter(receipt.key for receipt in given))
    sweep(in_flight.directory)
    entries = {r.key: _chunk_entry(in_flight.directory, r) for r in given}
    others = [k for k in files_below(in_flight.directory) if k not in entries]
    for key in others:
        if key in in_flight.fixed or key.startswith(f"{OUTPUTS}/"):
            entries[key] = _fixed_entry(in_flight, key)
        elif not key.startswith(f"{RECEIPTS}/"):
            raise _incomplete("files were not asked for", [key])
    missing = sorted(set(in_flight.fixed) - set(entries))
    if missing:
        raise _incomplete("files are missing", missing)
    return dict(sorted(entries.items()))


def seal(directory: Path, manifest: Manifest) -> None:
    """Write the manifest: from here on the folder can be finished by anybody.

    Parameters
    ----------
    directory : Path
        In-flight folder with everything in it.
    manifest : Manifest
        The list of it.

    Raises
    ------
    ConflictError
        If the folder is gone.
    BackendError
        If the file system fails.
    """
    with durable.translated("write manifest", directory):
        durable.write_durably(directory / MANIFEST, encode_manifest(manifest))


def promote(
    layout: Layout, epoch: int, directory: Path, manifest: Manifest
) -> Checkpoint:
    """Give a sealed folder its final name: the only commit point.

    Parameters
    ----------
    layout : Layout
        Of the campaign.
    epoch : int
        Of this driver.
    directory : Path
        The sealed folder.
    manifest : Manifest
        Of it.

    Returns
    -------
    Checkpoint
        The committed one; where the same is committed already, that one.

    Raises
    ------
    ConflictError
        If the folder is gone, or another checkpoint has this name.
    BackendError
        If the file system fails. The folder may have got its name all the same;
        committing the same again tells.
    """
    final = layout.final(
        manifest.simulation, manifest.set, manifest.boundary, manifest.model_time
    )
    with durable.translated("commit checkpoint", final):
        durable.make_directories(final.parent)
        existing = _existing(layout, epoch, final)
        if existing is None:
            durable.remove_tree(directory / RECEIPTS)
            durable.fsync_tree(directory)
            durable.rename_durably(directory, final)
            return Checkpoint(path=final, manifest=manifest)
        if existing.same_content(manifest):
            durable.fsync_directory(final.parent)
            durable.remove_tree(directory)
            return Checkpoint(path=final, manifest=existing)
    message = (
        f"checkpoint '{final}' exists with other content (epoch {existing.epoch}, "
        f"attempt {existing.attempt}); set it aside if it is the wrong one"
    )
    raise ConflictError(message, path=str(final))


def take_outputs(
    in_flight: InFlight,
    stage: str,
    segment: int,
    staged: Path,
    receipts: Iterable[ChunkReceipt],
) -> list[ChunkReceipt]:
    """Move staged diagnostics in; see `CheckpointStore.add_outputs`."""
    folder = f"{OUTPUTS}/{stage}/{segment:d}"
    target = in_flight.directory / folder
    if (stage, segment) in in_flight.outputs:
        message = f"'{target}' is in the checkpoint already; add each segment once"
        raise ConflictError(message, stage=stage, segment=segment)
    with durable.translated("take over diagnostics", target):
        durable.make_directory(in_flight.directory / OUTPUTS)
        durable.make_directory(target.parent)
        with suppress(FileNotFoundError):
            # By them another driver can finish the checkpoint.
            durable.rename(
                staged / RECEIPTS, output_notes(in_flight.directory, stage, segment)
            )
        durable.rename_durably(staged, target)
    moved = [
        msgspec.structs.replace(receipt, key=f"{folder}/{receipt.key}")
        for receipt in receipts
    ]
    in_flight.outputs[stage, segment] = {receipt.key for receipt in moved}
    return moved


def sweep(directory: Path) -> None:
    """Delete what writers that were killed have not finished.

    Parameters
    ----------
    directory : Path
        In-flight folder.

    Raises
    ------
    BackendError
        If the file system fails.
    """
    for key in list(files_below(directory)):
        if key.rpartition("/")[2].startswith(durable.TEMPORARY_PREFIX):
            durable.remove_file(directory / key)


def _existing(layout: Layout, epoch: int, final: Path) -> Manifest | None:
    if not final.exists():
        return None
    try:
        return read_manifest(final)
    except (FileNotFoundError, CorruptDataError):
        set_aside(layout, epoch, final)
        return None


def _check_keys(expected: set[str], given: Counter[str]) -> None:
    twice = sorted(key for key, count in given.items() if count > 1)
    missing = sorted(expected - set(given))
    extra = sorted(set(given) - expected)
    for problem, keys in (
        ("chunks were never written", missing),
        ("chunks were not asked for", extra),
        ("chunks were written twice", twice),
    ):
        if keys:
            raise _incomplete(problem, keys, missing=missing, extra=extra, twice=twice)


def _incomplete(problem: str, keys: list[str], **facts: object) -> CorruptDataError:
    shown = ", ".join(keys[:_SHOWN]) + (", …" if len(keys) > _SHOWN else "")
    message = (
        f"checkpoint cannot be committed: {len(keys)} {problem} ({shown}); abandon "
        "the attempt and write it again"
    )
    return CorruptDataError(message, problem=problem, keys=keys, **facts)


def _chunk_entry(directory: Path, receipt: ChunkReceipt) -> Entry:
    path = directory / receipt.key
    with durable.translated("look at chunk", path):
        try:
            status = os.stat(path)
        except FileNotFoundError:
            raise _incomplete("chunks are missing", [receipt.key]) from None
    seen = (status.st_ino, status.st_size, status.st_mtime_ns)
    if seen != (receipt.inode, receipt.length, receipt.mtime_ns):
        # Written again by a second run of the same task, or damaged: reading tells.
        read_checked(path, receipt)
    return Entry(
        length=receipt.length,
        crc32c=receipt.crc32c,
        inode=status.st_ino,
        mtime_ns=status.st_mtime_ns,
        raw_xxh3=receipt.raw_xxh3,
        linked=receipt.linked and not receipt.salvaged,
    )


def _fixed_entry(in_flight: Filled, key: str) -> Entry:
    path = in_flight.directory / key
    data = read_file(path)
    digest = xxhash.xxh3_128_hexdigest(data)
    if in_flight.fixed.get(key, digest) != digest:
        raise _incomplete("files changed since they were written", [key])
    status = os.stat(path)
    return Entry(
        length=len(data),
        crc32c=google_crc32c.value(data),
        inode=status.st_ino,
        mtime_ns=status.st_mtime_ns,
        file_xxh3=digest,
    )
