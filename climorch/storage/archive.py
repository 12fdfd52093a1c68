"""Checkpoints and results on another tier: one plain zip file of Zarr each.

Decides what is in an archive and what makes it good: each file is compared with the
manifest as it goes in; the whole is read back and its hash compared; and what comes
back is compared again, file by file, before it is a checkpoint.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any

import msgspec
import xxhash

from climorch.errors import BackendError, CorruptDataError
from climorch.storage import durable
from climorch.storage.archive_names import ArchiveNames, Place
from climorch.storage.chunks import read_checked
from climorch.storage.commit import promote, seal
from climorch.storage.depot import Depot
from climorch.storage.inflight import Checkpoint
from climorch.storage.layout import Layout
from climorch.storage.manifest import (
    MANIFEST,
    MAX_BYTES,
    OUTPUTS,
    Entry,
    Manifest,
    decode_manifest,
    encode_manifest,
)
from climorch.storage.results import ResultStore
from climorch.storage.verify import (
    Pace,
    at_once,
    files_below,
    read_fixed,
    refuse_damaged,
)
from climorch.storage.zips import ZipReader, write_zip

__all__ = ["ArchiveStore", "Archived"]

ROOT = "zarr.json"
"""Metadata of all groups and arrays: plain readers open a zip file at its root."""

_READ_BYTES = 4 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Archived:
    """A file in the archive, read back and found to be what was written.

    Attributes
    ----------
    bytes : int
        Its length.
    xxh3 : str
        XXH3-128 of all of it, in hex.
    url : str
        Where it is.
    """

    bytes: int
    xxh3: str
    url: str


class ArchiveStore:
    """The archive of one campaign.

    Every method raises `BackendError` where the depot or the disk fails, which says
    nothing about what is archived.

    Parameters
    ----------
    depot : Depot
        Where it lies.
    campaign : str
        Whose.
    epoch, known
        As for `ArchiveNames`.
    """

    def __init__(
        self,
        depot: Depot,
        campaign: str,
        *,
        epoch: int = 0,
        known: Mapping[Place, str] | None = None,
    ) -> None:
        self.depot = depot
        self.campaign = campaign
        self._names = ArchiveNames(campaign, epoch, known)

    def checkpoint_path(self, manifest: Manifest) -> str:
        """Return where in the depot a checkpoint is, or will be put."""
        return self._names.checkpoint(_place(manifest))

    def put_checkpoint(
        self, checkpoint: Checkpoint, *, pace: Pace = at_once
    ) -> Archived:
        """Archive a checkpoint and verify it; again: the same file.

        Parameters
        ----------
        checkpoint : Checkpoint
            A committed one.
        pace : callable
            Told how many bytes were moved, up and back; may wait, or raise.

        Returns
        -------
        Archived
            Read back from the depot.

        Raises
        ------
        CorruptDataError
            If the checkpoint is not what was committed: nothing was archived.
        """
        manifest = checkpoint.manifest
        place = _place(manifest)

        def members() -> Iterator[tuple[str, bytes]]:
            # First: who reads it back wants it first.
            yield MANIFEST, encode_manifest(manifest)
            yield ROOT, _root(checkpoint)
            for key, entry in manifest.entries.items():
                yield key, _read(checkpoint, key, entry)

        done = self._put(self._names.own(place), members, pace)
        self._names.note(place)
        return done

    def put_results(
        self, results: ResultStore, simulation: str, stage: str, *, pace: Pace = at_once
    ) -> Archived | None:
        """Archive the results of a stage that does not grow any more.

        Parameters
        ----------
        results : ResultStore
            Where they are.
        simulation, stage : str
            Whose.
        pace : callable
            As for `put_checkpoint`.

        Returns
        -------
        Archived or None
            None: there are none.
        """
        if not results.exists(simulation, stage):
            return None
        folder = results.path(simulation, stage)

        def members() -> Iterator[tuple[str, bytes]]:
            for key in sorted(files_below(folder)):
                with durable.translated("read results", folder / key):
                    yield key, (folder / key).read_bytes()

        return self._put(self._names.results(simulation, stage), members, pace)

    def ask_back(self, simulation: str, set: str, folder: str) -> bool:
        """Return whether a checkpoint can be read now; else ask for it.

        Raises
        ------
        CorruptDataError
            If there is none.
        """
        path = self._names.checkpoint((simulation, set, folder))
        if self.depot.length(path) is None:
            raise _corrupt(self.depot.url(path), "is missing")
        return self.depot.ask_back(path)

    def fetch(
        self, layout: Layout, epoch: int, place: Place, *, pace: Pace = at_once
    ) -> Checkpoint:
        """Bring a checkpoint back to the disk; again: does nothing.

        Parameters
        ----------
        layout : Layout
            Of the campaign.
        epoch : int
            Of this driver.
        place : (str, str, str)
            Simulation, set and name of the checkpoint's folder.
        pace : callable
            As for `put_checkpoint`.

        Returns
        -------
        Checkpoint
            Committed, with files of its own.

        Raises
        ------
        AwayError
            If it has to be asked back first.
        CorruptDataError
            If it is missing or anything in it is not as it was committed.
        ConflictError
            If this driver was superseded, or another checkpoint has its name.
        """
        path = self._names.checkpoint(place)
        with self._opened(path) as (_, reader):
            manifest = self._manifest(reader, place)
            reader.refuse_others([MANIFEST, ROOT, *manifest.entries])
            directory = layout.epoch(epoch) / place[0] / f"{place[1]}-recalled"
            with durable.translated("bring back a checkpoint", directory):
                durable.remove_tree(directory)
                # Never the driver's own folder: if it is gone, a newer one has come.
                durable.make_directory(directory.parent)
                durable.make_directory(directory)
                entries = {}
                for key, entry in manifest.entries.items():
                    data = self._member(reader, path, key, entry)
                    durable.make_directories((directory / key).parent)
                    status = durable.write_durably(directory / key, data)
                    entries[key] = msgspec.structs.replace(
                        entry,
                        inode=status.st_ino,
                        mtime_ns=status.st_mtime_ns,
                        linked=False,
                    )
                    pace(entry.length)
            manifest = msgspec.structs.replace(manifest, entries=entries)
        seal(directory, manifest)
        return promote(layout, epoch, directory, manifest)

    def file_of(self, manifest: Manifest, key: str) -> bytes | None:
        """Return a good copy of one file of a checkpoint.

        Parameters
        ----------
        manifest : Manifest
            Of the checkpoint.
        key : str
            Which; one of its manifest.

        Returns
        -------
        bytes or None
            None where there is none, or it cannot be read now.
        """
        path = self.checkpoint_path(manifest)
        try:
            if self.depot.length(path) is None:
                return None
            with self._opened(path) as (_, reader):
                return self._member(reader, path, key, manifest.entries[key])
        except (BackendError, CorruptDataError):
            # The other rungs are there still.
            return None

    def _put(
        self,
        path: str,
        members: Callable[[], Iterator[tuple[str, bytes]]],
        pace: Pace,
    ) -> Archived:
        told: list[tuple[int, str]] = []

        def paced() -> Iterator[tuple[str, bytes]]:
            for key, content in members():
                yield key, content
                pace(len(content))

        def write(file: IO[bytes]) -> None:
            told.append(write_zip(file, paced()))

        self.depot.put(path, write, epoch=self._names.epoch)
        length, xxh3 = told[-1]
        found = self._hash(path, pace)
        if found != (length, xxh3):
            raise BackendError(
                f"archive '{self.depot.url(path)}': {found[0]} bytes with hash "
                f"{found[1]} came back of {length} with {xxh3}; it is written again",
                path=path,
            )
        self.depot.send_away(path)
        return Archived(bytes=length, xxh3=xxh3, url=self.depot.url(path))

    def _hash(self, path: str, pace: Pace) -> tuple[int, str]:
        digest, length = xxhash.xxh3_128(), 0
        with self.depot.open(path) as file:
            while data := _taken(file, self.depot.url(path)):
                digest.update(data)
                length += len(data)
                pace(len(data))
        return length, digest.hexdigest()

    def _opened(self, path: str) -> _Opened:
        length = self.depot.length(path)
        if length is None:
            raise _corrupt(self.depot.url(path), "is missing")
        return _Opened(self.depot, path, length)

    def _manifest(self, reader: ZipReader, place: Place) -> Manifest:
        url = self.depot.url(self._names.checkpoint(place))
        manifest = decode_manifest(reader.read(MANIFEST, MAX_BYTES), url)
        named = (manifest.campaign, manifest.simulation, manifest.set, manifest.folder)
        if named != (self.campaign, *place):
            raise _corrupt(url, f"says that it is {named}")
        return manifest

    def _member(self, reader: ZipReader, path: str, key: str, entry: Entry) -> bytes:
        data = reader.read(key, entry.length)
        refuse_damaged(data, entry, f"{self.depot.url(path)}/{key}")
        return data


class _Opened:
    """An archive while it is read; what the network raises is translated."""

    def __init__(self, depot: Depot, path: str, length: int) -> None:
        self._file = depot.open(path)
        self._url = depot.url(path)
        self._length = length

    def __enter__(self) -> tuple[IO[bytes], ZipReader]:
        try:
            return self._file, ZipReader(self._file, self._length, self._url)
        except OSError as error:
            self._file.close()
            raise _unreadable(self._url, error) from error
        except BaseException:
            self._file.close()
            raise

    def __exit__(self, kind: object, error: BaseException | None, _: Any) -> None:
        self._file.close()
        if isinstance(error, OSError):
            raise _unreadable(self._url, error) from error


def _place(manifest: Manifest) -> Place:
    return manifest.simulation, manifest.set, manifest.folder


def _root(checkpoint: Checkpoint) -> bytes:
    """Make consolidated metadata of the states and exports in a checkpoint."""
    below: dict[str, Any] = {}
    for key, entry in checkpoint.manifest.entries.items():
        folder, _, name = key.rpartition("/")
        if name == ROOT and not key.startswith(f"{OUTPUTS}/"):
            found = json.loads(_read(checkpoint, key, entry))
            found.pop("consolidated_metadata", None)
            below[folder] = found
    about = {"kind": "inline", "must_understand": False, "metadata": below}
    group = {"zarr_format": 3, "node_type": "group", "attributes": {}}
    return json.dumps(group | {"consolidated_metadata": about}).encode()


def _read(checkpoint: Checkpoint, key: str, entry: Entry) -> bytes:
    if entry.raw_xxh3 is None:
        return read_fixed(checkpoint.path / key, entry)
    return read_checked(checkpoint.path / key, entry).tobytes()


def _taken(file: IO[bytes], url: str) -> bytes:
    try:
        return file.read(_READ_BYTES)
    except OSError as error:
        raise _unreadable(url, error) from error


def _unreadable(url: str, error: OSError) -> BackendError:
    message = f"cannot read the archive '{url}': {error}; it is tried again"
    return BackendError(message, url=url)


def _corrupt(url: str, problem: str) -> CorruptDataError:
    message = f"archive '{url}': {problem}; keep it and use another copy"
    return CorruptDataError(message, place=url, problem=problem)
