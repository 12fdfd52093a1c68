"""Writing transactions of one driver, from taking the lock to releasing it.

Decides what happens around a transaction: the file must still be in its
place, the epoch the newest, and the rows those that this driver knows of. After
an error the connection is given up and a new one made for the next attempt,
since a file handle on network storage may never work again.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from climorch.errors import (
    BackendError,
    ConflictError,
    CorruptDataError,
    NotAllowedError,
)
from climorch.storage.baton import Baton
from climorch.storage.journal_chain import Link
from climorch.storage.journal_errors import failures, is_passing
from climorch.storage.journal_file import (
    check_schema,
    connect,
    file_id,
    read_head,
)
from climorch.storage.journal_mode import set_journal_mode
from climorch.storage.lock import acquire, check_epoch, read_lock, release
from climorch.storage.owner import Owner

__all__ = ["JournalWriter", "Transaction"]

logger = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Transaction:
    """What a transaction works with.

    Attributes
    ----------
    db : sqlite3.Connection
        With the transaction open.
    last : Link
        The newest row; to be replaced where rows are added.
    """

    db: sqlite3.Connection
    last: Link


class JournalWriter:
    """The one connection that writes.

    Parameters
    ----------
    path : Path
        The journal.
    owner : Owner
        The calling process.
    now_s : float
        Its clock, in seconds.
    alive : callable
        Tells whether a process of this machine still runs.
    mounts : Path
        Where the mounted file systems are listed.

    Raises
    ------
    ConflictError
        If another driver holds the journal, or it has another schema version.
    CorruptDataError
        If its tables are not those of a journal.
    BackendError
        If the storage fails, or another process keeps it busy.
    """

    def __init__(
        self,
        path: Path,
        owner: Owner,
        now_s: float,
        *,
        alive: Callable[[Owner], bool],
        mounts: Path,
    ) -> None:
        self._path = path
        self._place = f"journal {path}"
        self._mounts = mounts
        self._pid = os.getpid()
        self._mutex = threading.Lock()
        self._closed = False
        with failures(path, "take the lock"):
            self._file_id = file_id(path)
            self._baton = Baton(path)
            self._baton.tidy()
            with (
                self._baton.held("take the lock"),
                contextlib.ExitStack() as on_failure,
            ):
                db = on_failure.enter_context(closing(connect(path)))
                check_schema(db, path)
                _begin(db, path, self._place)
                self._epoch = acquire(db, owner, now_s, alive=alive, place=self._place)
                self._last = read_head(db, path)
                db.execute("COMMIT")
                on_failure.callback(release, db, self._epoch)
                self._journal_mode = set_journal_mode(db, path, mounts)
                # Makes the side files of WAL now, while there is room for them.
                read_head(db, path)
                on_failure.pop_all()
        self._db: sqlite3.Connection | None = db

    @property
    def epoch(self) -> int:
        """The number of this driver."""
        return self._epoch

    @property
    def last(self) -> Link:
        """The newest row that is committed."""
        return self._last

    @property
    def journal_mode(self) -> str:
        """``"wal"`` or ``"delete"``."""
        return self._journal_mode

    def check_open(self) -> None:
        """Refuse a journal that is closed, or was inherited by a fork.

        Raises
        ------
        NotAllowedError
            If it is.
        """
        if os.getpid() != self._pid:
            msg = (
                f"{self._place}: opened by process {self._pid}, which process "
                f"{os.getpid()} was forked from; spawn instead, and open it read-only"
            )
            raise NotAllowedError(msg, reason="forked", pid=self._pid)
        if self._closed:
            msg = f"{self._place}: closed; open it again"
            raise NotAllowedError(msg, reason="closed")

    @contextlib.contextmanager
    def writing(self, doing: str) -> Iterator[Transaction]:
        """Open a transaction, and commit it unless the block raises.

        Parameters
        ----------
        doing : str
            What is tried, for messages.

        Yields
        ------
        Transaction
            Committed when the block is left without an exception.

        Raises
        ------
        NotAllowedError
            If the journal is closed.
        ConflictError
            If this driver was superseded, or the file moved away.
        CorruptDataError
            If rows that were written are gone.
        BackendError
            If the storage fails; nothing was committed.
        """
        self.check_open()
        with (
            self._mutex,
            failures(self._path, doing),
            self._baton.held(doing),
        ):
            self.check_open()
            self._check_in_place()
            db = self._connected()
            try:
                db.execute("BEGIN IMMEDIATE")
                check_epoch(db, self._epoch, self._place)
                self._settle(db)
                transaction = Transaction(db=db, last=self._last)
                yield transaction
                db.execute("COMMIT")
            except sqlite3.Error as error:
                self._recover(db, error)
                raise
            except BaseException:
                db.execute("ROLLBACK")
                raise
            self._last = transaction.last

    def _recover(self, db: sqlite3.Connection, error: sqlite3.Error) -> None:
        """Roll back, and give the connection up where it may not work again."""
        # Mostly SQLite has done so itself, and then has no transaction to end.
        with contextlib.suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        # Kept on a full disk, where a new one would not find room for its index.
        if db.in_transaction or not is_passing(error):
            self._db = None
            db.close()

    def _connected(self) -> sqlite3.Connection:
        """Return the connection, made anew after an error."""
        if self._db is None:
            with contextlib.ExitStack() as on_failure:
                db = on_failure.enter_context(closing(connect(self._path)))
                check_schema(db, self._path)
                self._journal_mode = set_journal_mode(db, self._path, self._mounts)
                on_failure.pop_all()
            self._db = db
        return self._db

    def _check_in_place(self) -> None:
        """Refuse to write into a file that nobody will find again."""
        try:
            found = file_id(self._path)
        except FileNotFoundError:
            found = None
        if found != self._file_id:
            msg = (
                f"{self._place}: moved, deleted or replaced while it was in use; put "
                "it back and start the driver again"
            )
            raise ConflictError(msg, reason="moved", path=str(self._path))

    def _settle(self, db: sqlite3.Connection) -> None:
        """Make what is stored equal to what was acknowledged.

        Where the disk failed in the middle of a commit, recovery may bring a
        transaction back that was reported as failed: those rows go, for their
        caller will append them again.
        """
        head = read_head(db, self._path)
        known = self._last
        if head == known:
            return
        if head.serial <= known.serial:
            msg = (
                f"{self._place}: its newest row is {head.serial}, but {known.serial} "
                "was written; the storage lost data: go back to a copy of it"
            )
            raise CorruptDataError(msg, serial=head.serial, expected=known.serial)
        db.execute("DELETE FROM snapshot WHERE serial > ?", (known.serial,))
        db.execute("DELETE FROM fact WHERE serial > ?", (known.serial,))
        db.execute("UPDATE journal SET serial=?, chain=?", (known.serial, known.chain))
        logger.warning(
            "event=failed_append_undone path=%s first=%d last=%d",
            self._path,
            known.serial + 1,
            head.serial,
        )

    def close(self) -> None:
        """Release the lock and close the file; again: does nothing.

        Where the storage fails, the lock stays until this process ends.
        """
        with self._mutex:
            if self._closed:
                return
            self._closed = True
            if os.getpid() != self._pid:
                return
            try:
                doing = "release the lock"
                with failures(self._path, doing), self._baton.held(doing):
                    self._check_in_place()
                    with closing(self._connected()) as db:
                        release(db, self._epoch)
                        self._fold(db)
            except (BackendError, ConflictError, CorruptDataError) as error:
                logger.warning("event=lock_not_released error=%s", error)
            finally:
                if self._db is not None:
                    self._db.close()
                self._db = None

    def _fold(self, db: sqlite3.Connection) -> None:
        """Leave one plain file behind, readable where nothing can be written."""
        db.execute("PRAGMA busy_timeout=0")
        # Refused while somebody reads: then the WAL stays, which is right as well.
        with contextlib.suppress(sqlite3.OperationalError):
            db.execute("PRAGMA journal_mode=DELETE")


def _begin(db: sqlite3.Connection, path: Path, place: str) -> None:
    """Begin the transaction that takes the lock, or say who is in the way.

    A driver that was stopped inside a transaction keeps SQLite's own lock as
    long as its process exists, however long it is silent.
    """
    try:
        db.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
            raise
        holder = read_lock(db, place).holder
        if holder is None:
            raise
        msg = (
            f"journal {path}: take the lock: {error}: process {holder.pid} on host "
            f"{holder.host!r} may have been stopped while writing; kill it, then try "
            "again"
        )
        raise BackendError(
            msg,
            reason="SQLITE_BUSY",
            path=str(path),
            host=holder.host,
            pid=holder.pid,
        ) from error
