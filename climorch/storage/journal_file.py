"""The SQLite file under the journal: its schema, its making, its opening.

Decides what a journal file looks like, how it is made and when it is refused.
Ignores what the rows say.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import secrets
import sqlite3
from contextlib import closing
from pathlib import Path

from climorch.errors import (
    ConflictError,
    CorruptDataError,
    InvalidInputError,
)
from climorch.storage import durable
from climorch.storage.baton import folder_of, has_baton, locks_work
from climorch.storage.journal_chain import Link, genesis

__all__ = [
    "APPLICATION_ID",
    "SCHEMA_VERSION",
    "FileId",
    "check_schema",
    "connect",
    "create",
    "file_id",
    "inspect",
    "read_head",
    "read_origin",
]

logger = logging.getLogger(__name__)

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

# For SQLite not to ask for locks, where a baton keeps everybody else out.
_WITHOUT_LOCKS = "vfs=unix-none"

_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


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


def connect(
    path: Path,
    query: str = "mode=rw",
    *,
    readonly: bool = False,
    locks: bool | None = None,
) -> sqlite3.Connection:
    """Open an existing file.

    Parameters
    ----------
    path : Path
        The journal.
    query : str
        Of the SQLite URI.
    readonly : bool
        Whether to refuse statements that write.
    locks : bool or None
        Whether SQLite locks the file; None: unless it is one with a baton.

    Returns
    -------
    sqlite3.Connection
        In autocommit mode; usable from any thread, one at a time.
    """
    if locks is None:
        locks = not has_baton(path)
    if not locks:
        query = f"{query}&{_WITHOUT_LOCKS}"
    with contextlib.ExitStack() as on_failure:
        db = on_failure.enter_context(
            closing(
                sqlite3.connect(
                    f"{path.absolute().as_uri()}?{query}",
                    uri=True,
                    isolation_level=None,
                    timeout=BUSY_TIMEOUT_S,
                    check_same_thread=False,
                )
            )
        )
        # The file is untrusted: no functions run from its schema, pages are checked.
        db.execute("PRAGMA trusted_schema=OFF")
        db.execute("PRAGMA cell_size_check=ON")
        db.execute(f"PRAGMA query_only={int(readonly)}")
        # FULL, and in a rollback mode the folder synced too: the commit is an unlink.
        db.execute("PRAGMA synchronous=EXTRA")
        on_failure.pop_all()
    return db


def create(path: Path, campaign: str) -> None:
    """Make an empty journal; where there is one already, leave that alone.

    It is built under another name and linked to its own when it is whole and
    durable, so that no other process ever sees a half-made one. Where the file system
    has no locks that work, it is one with a baton from the beginning.

    Parameters
    ----------
    path : Path
        Where; its folder exists.
    campaign : str
        Whose.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}.new")
    # Not mkstemp: the group may do what the umask lets it; nobody else may write.
    durable.make_new_file(draft, 0o664)
    try:
        locks = locks_work(draft)
        with closing(connect(draft, locks=locks)) as db:
            db.executescript(_SCHEMA)
            identity = os.urandom(16)
            chain = genesis(campaign, identity).chain
            db.execute(
                "INSERT INTO journal VALUES (1, ?, ?, 0, ?)",
                (campaign, identity, chain),
            )
            db.execute("COMMIT")
        if not locks:
            logger.warning("event=no_locks path=%s", path)
            durable.make_directory(folder_of(path))
        _publish(draft, path)
    finally:
        durable.remove_file(draft)
    durable.fsync_directory(path.parent)


def _publish(draft: Path, path: Path) -> None:
    """Give a finished file its name, unless another one has it already."""
    try:
        # A link, unlike a rename, never replaces the file of another driver.
        durable.link_new(draft, path)
    except FileExistsError:
        return
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # Should two drivers get here at once, the loser's epoch check finds its
        # file gone from under its name.
        if not path.exists():
            durable.rename(draft, path)


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
    if not path.is_file():
        raise _foreign(path)
    try:
        # Immutable: no lock, no recovery, no side file. Not by reading the bytes:
        # to close a file drops all locks that this process has on it.
        with closing(connect(path, "mode=ro&immutable=1")) as db:
            _check_kind(db, path)
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", None)
        if code == sqlite3.SQLITE_NOTADB:
            raise _foreign(path) from error
        # In the middle of another process's commit the file alone may look damaged:
        # check_schema tells, which sees its side files too.
        if code != sqlite3.SQLITE_CORRUPT:
            raise


def _check_kind(db: sqlite3.Connection, path: Path) -> None:
    """Refuse another application's file, and another version of the schema."""
    if _pragma(db, "application_id") != APPLICATION_ID:
        raise _foreign(path)
    version = _pragma(db, "user_version")
    if version != SCHEMA_VERSION:
        msg = (
            f"journal {path}: schema version {version}, this climorch knows "
            f"{SCHEMA_VERSION}; use the climorch that wrote it, or a newer one"
        )
        raise ConflictError(msg, reason="schema", path=str(path), version=version)


def _foreign(path: Path) -> InvalidInputError:
    msg = (
        f"journal {path}: not a climorch journal; give another path, or move "
        "that file away"
    )
    return InvalidInputError(msg, path=str(path))


def check_schema(db: sqlite3.Connection, path: Path) -> None:
    """Refuse what is not a journal of this version with its own tables only.

    Parameters
    ----------
    db : sqlite3.Connection
        Of the journal.
    path : Path
        The journal.

    Raises
    ------
    InvalidInputError
        If it is something else.
    ConflictError
        If it has another schema version.
    CorruptDataError
        If tables are missing, or tables, views or triggers were added.
    """
    _check_kind(db, path)
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
            raise _headless(path)


def read_head(db: sqlite3.Connection, path: Path) -> Link:
    """Read which row the journal says is its newest.

    Parameters
    ----------
    db : sqlite3.Connection
        Of the journal.
    path : Path
        The journal.

    Returns
    -------
    Link
        With epoch 0, which is not kept there.

    Raises
    ------
    CorruptDataError
        If that is missing or not readable.
    """
    match db.execute("SELECT serial, chain FROM journal").fetchone():
        case (int(serial), bytes(chain)):
            return Link(serial, 0, chain)
        case _:
            raise _headless(path)


def _headless(path: Path) -> CorruptDataError:
    msg = f"journal {path}: no readable head; go back to a copy of it"
    return CorruptDataError(msg, path=str(path))


def _pragma(db: sqlite3.Connection, name: str) -> int:
    return int(db.execute(f"PRAGMA {name}").fetchone()[0])
