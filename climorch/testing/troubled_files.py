"""Trouble with the storage of campaigns that run in this process.

Through the port of the durable layer. SQLite writes its own files: its transactions
come upon the trouble as they begin, and raise what SQLite makes of such an error.
Only what is written is touched; `climorch.testing.preload` goes further.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from unittest import mock

from climorch.storage import files, journal_writer, lock
from climorch.storage.files import Files, OsFiles
from climorch.testing.trouble import Operation, Place, TroubledStorage, place_of

__all__ = ["TroubledFiles", "in_trouble"]

T = TypeVar("T")

# What SQLite reports where a write or a flush fails so. Of a quota it knows nothing.
_SQLITE = {
    errno.ENOSPC: (sqlite3.SQLITE_FULL, "SQLITE_FULL", "database or disk is full"),
    errno.EDQUOT: (sqlite3.SQLITE_IOERR_WRITE, "SQLITE_IOERR_WRITE", "disk I/O error"),
    errno.EIO: (sqlite3.SQLITE_IOERR_FSYNC, "SQLITE_IOERR_FSYNC", "disk I/O error"),
    errno.EROFS: (sqlite3.SQLITE_IOERR_WRITE, "SQLITE_IOERR_WRITE", "disk I/O error"),
}


class TroubledFiles:
    """The file system of this machine, while a storage may be in trouble.

    Parameters
    ----------
    storage : TroubledStorage
        What is wrong, and when.
    """

    def __init__(self, storage: TroubledStorage) -> None:
        self._storage = storage
        self._files: Files = OsFiles()
        self._places: dict[int, Place | None] = {}

    def make_directory(self, path: str) -> None:
        """Make one directory."""
        self._do("make", (path,), lambda: self._files.make_directory(path))

    def remove_directory(self, path: str) -> None:
        """Remove an empty directory."""
        self._do("remove", (path,), lambda: self._files.remove_directory(path))

    def create(self, path: str, mode: int) -> int:
        """Make a file that is not there yet."""
        return self._opened(path, lambda: self._files.create(path, mode))

    def append_to(self, path: str, mode: int) -> int:
        """Open a file to write at its end."""
        return self._opened(path, lambda: self._files.append_to(path, mode))

    def write(self, descriptor: int, data: memoryview) -> int:
        """Write as much as the system takes at once."""
        place = self._places.get(descriptor)
        return self._at(place, "write", lambda: self._files.write(descriptor, data))

    def reserve(self, descriptor: int, size_bytes: int) -> None:
        """Reserve blocks."""
        place = self._places.get(descriptor)
        self._at(place, "write", lambda: self._files.reserve(descriptor, size_bytes))

    def sync_data(self, descriptor: int) -> None:
        """Flush content and length."""
        place = self._places.get(descriptor)
        self._at(place, "flush", lambda: self._files.sync_data(descriptor))

    def close(self, descriptor: int) -> None:
        """Close a descriptor."""
        # Before it is another's number.
        self._places.pop(descriptor, None)
        self._files.close(descriptor)

    def sync_directory(self, path: str) -> None:
        """Flush the names in a directory."""
        self._do("flush", (path,), lambda: self._files.sync_directory(path))

    def rename(self, source: str, destination: str) -> None:
        """Rename within this file system."""
        both = source, destination
        self._do("name", both, lambda: self._files.rename(source, destination))

    def link(self, source: str, destination: str) -> None:
        """Make a hard link."""
        self._do("make", (destination,), lambda: self._files.link(source, destination))

    def unlink(self, path: str) -> None:
        """Remove a name."""
        self._do("remove", (path,), lambda: self._files.unlink(path))

    def _opened(self, path: str, work: Callable[[], int]) -> int:
        place = self._place(path)
        descriptor = self._at(place, "make", work)
        self._places[descriptor] = place
        return descriptor

    def _do(
        self, operation: Operation, paths: tuple[str, ...], work: Callable[[], T]
    ) -> T:
        places = [self._place(path) for path in paths]
        own = self._storage.trouble.place
        return self._at(own if own in places else None, operation, work)

    def _place(self, path: str) -> Place | None:
        return place_of(os.path.abspath(path), self._storage.campaign)

    def _at(
        self, place: Place | None, operation: Operation, work: Callable[[], T]
    ) -> T:
        times = self._storage.meet(operation, place)
        begin_s = time.monotonic()
        result = work()
        if times > 1:
            time.sleep((times - 1) * (time.monotonic() - begin_s))
        return result


@contextmanager
def in_trouble(storage: TroubledStorage) -> Iterator[TroubledStorage]:
    """Let this process come upon a trouble, from its `begin` to its `end`.

    Parameters
    ----------
    storage : TroubledStorage
        What is wrong, and when.

    Yields
    ------
    TroubledStorage
        The same.
    """
    check_epoch = lock.check_epoch
    begin = journal_writer.JournalWriter.writing

    def meeting(*args: Any) -> None:
        try:
            storage.meet("write", "journal")
        except OSError as error:
            raise _of_sqlite(error) from error
        check_epoch(*args)

    @contextmanager
    def slowed(
        self: journal_writer.JournalWriter, doing: str
    ) -> Iterator[journal_writer.Transaction]:
        begin_s = time.monotonic()
        with begin(self, doing) as transaction:
            yield transaction
        if storage.lasts and storage.trouble.kind == "slow":
            times = storage.meet("flush", "journal")
            time.sleep((times - 1) * (time.monotonic() - begin_s))

    with (
        storage,
        files.using(TroubledFiles(storage)),
        mock.patch.object(journal_writer, "check_epoch", meeting),
        mock.patch.object(journal_writer.JournalWriter, "writing", slowed),
    ):
        yield storage


def _of_sqlite(error: OSError) -> sqlite3.OperationalError:
    code, name, message = _SQLITE[error.errno or 0]
    raised = sqlite3.OperationalError(message)
    raised.sqlite_errorcode, raised.sqlite_errorname = code, name
    return raised
