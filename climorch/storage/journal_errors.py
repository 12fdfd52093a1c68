"""What a SQLite error means to the caller of the journal.

Decides by the primary result code which of our errors it is, and its remedy.
"""

from __future__ import annotations

import contextlib
import errno
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from climorch.errors import (
    BackendError,
    ClimorchError,
    CorruptDataError,
    InternalError,
)

__all__ = ["failures", "is_damage", "is_passing"]

_REMEDIES = {
    sqlite3.SQLITE_FULL: "free space on that file system, then try again",
    sqlite3.SQLITE_IOERR: "check the storage and quotas, then try again",
    sqlite3.SQLITE_READONLY: "make the file and its folder writable, then try again",
    sqlite3.SQLITE_CANTOPEN: "check that the folder exists and is writable",
    sqlite3.SQLITE_BUSY: "another process is using it; try again",
    sqlite3.SQLITE_LOCKED: "another connection is using it; try again",
    sqlite3.SQLITE_PROTOCOL: "another process is using it; try again",
    sqlite3.SQLITE_NOMEM: "free memory, then try again",
    sqlite3.SQLITE_PERM: "check the permissions of the file and its folder",
    sqlite3.SQLITE_AUTH: "check the permissions of the file and its folder",
    sqlite3.SQLITE_TOOBIG: "split what is written; the file keeps at most 1 GB a row",
}

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


@contextlib.contextmanager
def failures(path: Path, doing: str) -> Iterator[None]:
    """Raise what SQLite or the kernel reports as an error of this library.

    Parameters
    ----------
    path : Path
        The journal.
    doing : str
        What is tried, for the message.

    Yields
    ------
    None
        Around the calls.

    Raises
    ------
    BackendError
        If the disk is full, fails, is read-only or in use;
        ``facts["reason"]`` is SQLite's name of it or the errno's.
    CorruptDataError
        If the file is damaged.
    InternalError
        If SQLite was used wrongly.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise _translated(error, path, doing) from error
    except UnicodeDecodeError as error:
        # SQLite quotes what it read from the file in its message.
        msg = f"journal {path}: {doing}: its text is damaged ({error.reason}); keep "
        msg += "the file as evidence and go back to a copy of it"
        raise CorruptDataError(msg, reason="text", path=str(path)) from error
    except OSError as error:
        reason = errno.errorcode.get(error.errno or 0, type(error).__name__)
        msg = f"journal {path}: {doing}: {error}; check the storage, then try again"
        raise BackendError(msg, reason=reason, path=str(path)) from error


def _translated(error: sqlite3.Error, path: Path, doing: str) -> ClimorchError:
    """Find the class and the remedy of a SQLite error."""
    reason = getattr(error, "sqlite_errorname", type(error).__name__)
    what = f"journal {path}: {doing}: {error} ({reason})"
    facts = {"reason": reason, "path": str(path)}
    if is_damage(error):
        remedy = "keep the file as evidence and go back to a copy of it"
        return CorruptDataError(f"{what}; {remedy}", **facts)
    passing = _REMEDIES.get(_primary_code(error))
    if passing is not None:
        return BackendError(f"{what}; {passing}", **facts)
    return InternalError(f"{what}; please report this", **facts)


def _primary_code(error: sqlite3.Error) -> int:
    """Return the low byte; the rest of a code tells which call failed."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def is_damage(error: sqlite3.Error) -> bool:
    """Tell damage of the file from all else that SQLite reports.

    Parameters
    ----------
    error : sqlite3.Error
        As raised.

    Returns
    -------
    bool
        True also for text that is not UTF-8, which comes without a code.
    """
    if not hasattr(error, "sqlite_errorcode"):
        return isinstance(error, sqlite3.OperationalError)
    return _primary_code(error) in _DAMAGED


def is_passing(error: sqlite3.Error) -> bool:
    """Tell a lack of room or of a lock, after which a connection is as good as new.

    Parameters
    ----------
    error : sqlite3.Error
        As raised.

    Returns
    -------
    bool
        False for I/O errors, after which a file handle may never work again.
    """
    return _primary_code(error) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY)
