"""The SQLite file under the journal: its schema, its making, its failures.

Decides what a journal file looks like, how it is made, when it is refused and
what a SQLite error means to the caller. Ignores what the rows say.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from climorch.errors import (
    BackendError,
    ClimorchError,
    ConflictError,
    CorruptDataError,
    InternalError,
    InvalidInputError,
)
from climorch.storage.journal_chain import Link, genesis

__all__ = [
    "APPLICATION_ID",
    "SCHEMA_VERSION",
    "FileId",
    "check_schema",
    "connect",
    "create",
    "failures",
    "file_id",
    "inspect",
    "read_origin",
]

APPLICATION_ID = 0x434C4D4A
"""Bytes 68 to 71 of the file: ``CLMJ``."""

SCHEMA_VERSION = 1
"""``PRAGMA user_version`` of the files that this version reads and writes."""

BUSY_TIMEOUT_S = 10.0
"""How long a transaction waits for another connection's, in seconds."""

FileId = tuple[int, int]
"""Device and inode."""

# ``typeof`` checks stand in for STRICT, which needs SQLite 3.37.
_SCHEMA = f"""
BEGIN IMMEDIATE;
PRAGMA application_id={APPLICATION_ID};
PRAGMA user_version={SCHEMA_VERSION};
CREATE TABLE journal (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  campaign TEXT NOT NULL,
  identity BLOB NOT NULL,
  serial INTEGER NOT NULL,
  chain BLOB NOT NULL
);
CREATE TABLE driver (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  epoch INTEGER NOT NULL,
  held INTEGER NOT NULL,
  heartbeat_s REAL NOT NULL,
  host TEXT NOT NULL,
  boot_id TEXT NOT NULL,
  pid INTEGER NOT NULL,
  start_ticks INTEGER NOT NULL,
  namespace TEXT NOT NULL
);
CREATE TABLE fact (
  serial INTEGER PRIMARY KEY,
  epoch INTEGER NOT NULL CHECK (typeof(epoch) = 'integer'),
  kind TEXT NOT NULL,
  payload BLOB NOT NULL CHECK (typeof(payload) = 'blob'),
  now_s REAL NOT NULL CHECK (typeof(now_s) = 'real'),
  chain BLOB NOT NULL CHECK (typeof(chain) = 'blob')
);
CREATE TABLE snapshot (
  serial INTEGER PRIMARY KEY,
  digest BLOB NOT NULL,
  blob BLOB NOT NULL
);
INSERT INTO driver VALUES (1, 0, 0, 0.0, '', '', 0, 0, '');
"""

_OBJECTS = [("table", name) for name in ("driver", "fact", "journal", "snapshot")]

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

_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)

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
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        msg = f"journal {path}: {doing}: {reason}; check the storage, then try again"
        raise BackendError(msg, reason=reason, path=str(path)) from error


def _translated(error: sqlite3.Error, path: Path, doing: str) -> ClimorchError:
    """Find the class and the remedy of a SQLite error."""
    code = getattr(error, "sqlite_errorcode", None)
    reason = getattr(error, "sqlite_errorname", type(error).__name__)
    # The low byte is the primary code, the rest tells which call failed.
    primary = None if code is None else code & 0xFF
    what = f"journal {path}: {doing}: {error} ({reason})"
    facts = {"reason": reason, "path": str(path)}
    if primary in _DAMAGED:
        remedy = "keep the file as evidence and go back to a copy of it"
        return CorruptDataError(f"{what}; {remedy}", **facts)
    if primary in _REMEDIES:
        return BackendError(f"{what}; {_REMEDIES[primary]}", **facts)
    return InternalError(f"{what}; please report this", **facts)


def file_id(path: Path) -> FileId:
    """Tell a file from another that later has the same name.

    Parameters
    ----------
    path : Path
        An existing file.

    Returns
    -------
    FileId
        Device and inode.
    """
    found = path.stat()
    return found.st_dev, found.st_ino


def connect(path: Path, query: str = "mode=rw") -> sqlite3.Connection:
    """Open an existing file, without looking into it.

    Parameters
    ----------
    path : Path
        The journal.
    query : str
        Of the SQLite URI.

    Returns
    -------
    sqlite3.Connection
        In autocommit mode; usable from any thread, one at a time.
    """
    db = sqlite3.connect(
        f"{path.absolute().as_uri()}?{query}",
        uri=True,
        isolation_level=None,
        timeout=BUSY_TIMEOUT_S,
        check_same_thread=False,
    )
    # The file is untrusted input: no functions run from its schema, pages checked.
    db.execute("PRAGMA trusted_schema=OFF")
    db.execute("PRAGMA cell_size_check=ON")
    return db


def create(path: Path, campaign: str) -> None:
    """Make an empty journal; where there is one already, leave that alone.

    It is built under another name and linked to its own when it is whole and
    durable, so that no other process ever sees a half-made one.

    Parameters
    ----------
    path : Path
        Where; its folder exists.
    campaign : str
        Whose.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}.new")
    # Not mkstemp: the group may read what the umask lets it.
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666))
    try:
        with closing(connect(draft)) as db:
            # EXTRA is FULL and the folder synced too, so that the name lasts.
            db.execute("PRAGMA synchronous=EXTRA")
            db.executescript(_SCHEMA)
            identity = os.urandom(16)
            chain = genesis(campaign, identity).chain
            db.execute(
                "INSERT INTO journal VALUES (1, ?, ?, 0, ?)",
                (campaign, identity, chain),
            )
            db.execute("COMMIT")
        _publish(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _publish(draft: Path, path: Path) -> None:
    """Give a finished file its name, unless another one has it already."""
    try:
        # A link, unlike a rename, never replaces the file of another driver.
        os.link(draft, path)
    except FileExistsError:
        return
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # Should two drivers get here at once, the loser's epoch check finds its
        # file gone from under its name.
        if not path.exists():
            draft.rename(path)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def inspect(path: Path) -> None:
    """Refuse a file that is not a journal of this version, leaving it untouched.

    Parameters
    ----------
    path : Path
        An existing file.

    Raises
    ------
    InvalidInputError
        If it is something else.
    ConflictError
        If it has another schema version.
    """
    try:
        # Immutable: no lock, no recovery, no side file; only page 1 is read.
        with closing(connect(path, "mode=ro&immutable=1")) as db:
            found = _pragma(db, "application_id")
            version = _pragma(db, "user_version")
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_NOTADB:
            raise
        found = version = 0
    if found != APPLICATION_ID:
        msg = (
            f"journal {path}: not a climorch journal; give another path, or move "
            "that file away"
        )
        raise InvalidInputError(msg, path=str(path))
    check_version(path, version)


def check_version(path: Path, version: int) -> None:
    """Refuse a schema that this version of the library does not know.

    Parameters
    ----------
    path : Path
        The journal.
    version : int
        Of its schema.

    Raises
    ------
    ConflictError
        If it is not `SCHEMA_VERSION`.
    """
    if version != SCHEMA_VERSION:
        msg = (
            f"journal {path}: schema version {version}, this climorch knows "
            f"{SCHEMA_VERSION}; use the climorch that wrote it, or a newer one"
        )
        raise ConflictError(msg, reason="schema", path=str(path), version=version)


def check_schema(db: sqlite3.Connection, path: Path) -> None:
    """Refuse a journal with another version or other tables than its own.

    Parameters
    ----------
    db : sqlite3.Connection
        Of the journal.
    path : Path
        The journal.

    Raises
    ------
    ConflictError
        If it has another schema version.
    CorruptDataError
        If tables are missing, or tables, views or triggers were added.
    """
    # Again, after recovery: page 1 of the file may have been an older one.
    check_version(path, _pragma(db, "user_version"))
    objects = db.execute("SELECT type, name FROM sqlite_master ORDER BY name")
    if (found := objects.fetchall()) != _OBJECTS:
        names = ", ".join(f"{kind} {name}" for kind, name in found)
        msg = f"journal {path}: expected only the tables of a journal, found {names}"
        raise CorruptDataError(f"{msg}; go back to a copy of it", path=str(path))


def read_origin(db: sqlite3.Connection, path: Path) -> tuple[str, Link]:
    """Read whose journal it is and where its chain starts.

    Parameters
    ----------
    db : sqlite3.Connection
        Of the journal.
    path : Path
        The journal.

    Returns
    -------
    campaign : str
        Name of the campaign.
    first : Link
        The link before the first row.

    Raises
    ------
    CorruptDataError
        If that is missing or not readable.
    """
    row = db.execute("SELECT campaign, identity FROM journal").fetchone()
    match row:
        case (str(campaign), bytes(identity)):
            return campaign, genesis(campaign, identity)
        case _:
            msg = f"journal {path}: no readable head; go back to a copy of it"
            raise CorruptDataError(msg, path=str(path))


def _pragma(db: sqlite3.Connection, name: str) -> int:
    return int(db.execute(f"PRAGMA {name}").fetchone()[0])
