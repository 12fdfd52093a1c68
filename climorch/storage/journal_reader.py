"""Reading the journal, in the driver or in any other process.

Decides how rows are streamed in bounded memory without holding up the driver:
each call has its own connection, each batch its own short read transaction.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from climorch.core.ports import JournalReport, Snapshot, StoredRow
from climorch.errors import (
    CorruptDataError,
    InvalidInputError,
    NotAllowedError,
    NotFoundError,
)
from climorch.storage.baton import Baton
from climorch.storage.journal_chain import Link, RawRow, problem_with, snapshot_fits
from climorch.storage.journal_errors import failures
from climorch.storage.journal_file import (
    check_schema,
    connect,
    inspect,
    read_head,
    read_origin,
)
from climorch.storage.journal_verify import fetch_rows, verify_rows
from climorch.storage.lock import LockRow, read_lock

__all__ = ["JournalReader"]

logger = logging.getLogger(__name__)


class JournalReader:
    """A journal as other processes may see it, while a driver writes or not.

    Holds no file open between two calls.

    Parameters
    ----------
    path : Path
        The journal.

    Raises
    ------
    NotFoundError
        If there is none.
    InvalidInputError
        If the file is something else.
    ConflictError
        If it has another schema version.
    BackendError
        If it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self._closed = False
        with failures(self._path, "open for reading"):
            if not self._path.exists():
                msg = f"journal {path}: there is none; start the campaign first"
                raise NotFoundError(msg, path=str(path))
            inspect(self._path)
        self._baton = Baton(self._path)
        with self._reading("open for reading") as db:
            self._campaign, self._first = read_origin(db, self._path)

    @property
    def campaign(self) -> str:
        """Name of the campaign."""
        return self._campaign

    @property
    def identity(self) -> str:
        """Of the campaign: another one of the same name, or elsewhere, has another."""
        return self._first.chain.hex()

    @property
    def last_serial(self) -> int:
        """Serial of the newest row now; 0 when there is none."""
        with self._reading("read its head") as db:
            return read_head(db, self._path).serial

    @property
    def lock(self) -> LockRow:
        """Epoch, holder and heartbeat now."""
        with self._reading("read its lock") as db:
            return read_lock(db, str(self._path))

    def read(self, after: int = 0, *, check: bool = True) -> Iterator[StoredRow]:
        """Stream the rows that are there when the first is asked for.

        Parameters
        ----------
        after : int
            Serial of the last row that is not wanted; >= 0.
        check : bool
            Whether to compare each row with its chain before giving it out.

        Returns
        -------
        iterator of StoredRow
            In the order of their serials. A row that is missing is noticed
            with and without `check`.

        Raises
        ------
        InvalidInputError
            If `after` is negative.
        CorruptDataError
            At the first row that is not what was written;
            ``facts["serial"]`` is its serial.
        BackendError
            If the storage fails.
        """
        if after < 0:
            msg = f"journal {self._path}: read after {after}: expected 0 or more"
            raise InvalidInputError(f"{msg}; pass the last serial seen", after=after)
        return self._stream(after, check)

    def _stream(self, after: int, check: bool) -> Iterator[StoredRow]:
        doing = "read"
        # Rows are given out without the baton: whoever takes them may take long.
        with failures(self._path, doing), closing(self._connect()) as db:
            with self._baton.held(doing):
                check_schema(db, self._path)
                head = read_head(db, self._path)
                if after >= head.serial:
                    return
                serial, epoch, chain = self._link(db, after)
            while serial < head.serial:
                with self._baton.held(doing):
                    batch = fetch_rows(db, serial, head.serial)
                if not batch:
                    raise self._damaged(serial + 1, "is missing")
                for raw in batch:
                    if raw[0] != serial + 1:
                        raise self._damaged(serial + 1, "is missing")
                    if check and (problem := problem_with(chain, epoch, raw)):
                        raise self._damaged(raw[0], problem)
                    yield _stored(raw)
                    serial, epoch, chain = raw[0], raw[1], raw[5]
            if check and chain != head.chain:
                raise self._damaged(serial, "is not the newest row that was written")

    def _link(self, db: sqlite3.Connection, serial: int) -> Link:
        """Find the place to go on from."""
        if serial == 0:
            return self._first
        found = db.execute(
            "SELECT epoch, chain FROM fact WHERE serial=?", (serial,)
        ).fetchone()
        if found is None:
            raise self._damaged(serial, "is missing")
        return Link(serial, *found)

    def _damaged(self, serial: int, problem: str) -> CorruptDataError:
        msg = (
            f"journal {self._path}, row {serial}: {problem}; keep the file as "
            "evidence, look at verify(), and go back to a copy of it"
        )
        return CorruptDataError(msg, path=str(self._path), serial=serial)

    def verify(self) -> JournalReport:
        """Compare every row with the chain and report all that is wrong.

        Returns
        -------
        JournalReport
            Also of what SQLite finds in its own pages, and of snapshots.

        Raises
        ------
        BackendError
            If the storage fails.
        """
        # Where there is a baton appends wait meanwhile, as in a rollback mode.
        with failures(self._path, "verify"), self._baton.held("verify"):
            return verify_rows(self._connect, self._path)

    def latest_snapshot(self) -> Snapshot | None:
        """Return the newest snapshot that is whole and of this history.

        Returns
        -------
        Snapshot or None
            None if there is none.

        Raises
        ------
        BackendError
            If the storage fails.
        """
        with self._reading("read a snapshot") as db:
            found = db.execute(
                "SELECT serial, digest, blob, chain FROM snapshot JOIN fact"
                " USING (serial) ORDER BY serial DESC"
            )
            for serial, digest, blob, chain in found:
                if snapshot_fits(serial, digest, chain, blob):
                    return Snapshot(serial, blob)
                logger.warning(
                    "event=bad_snapshot path=%s serial=%d", self._path, serial
                )
        return None

    def close(self) -> None:
        """Refuse all further calls; again: does nothing."""
        self._closed = True

    @contextlib.contextmanager
    def _reading(self, doing: str) -> Iterator[sqlite3.Connection]:
        with (
            failures(self._path, doing),
            self._baton.held(doing),
            closing(self._connect()) as db,
        ):
            check_schema(db, self._path)
            yield db

    def _connect(self) -> sqlite3.Connection:
        if self._closed:
            msg = f"journal {self._path}: closed; open it again"
            raise NotAllowedError(msg, reason="closed")
        # Not mode=ro, which could not recover what a killed driver left behind.
        return connect(self._path, "mode=rw", readonly=True)


def _stored(raw: RawRow) -> StoredRow:
    serial, epoch, kind, payload, now_s, chain = raw
    return StoredRow(
        serial=serial,
        epoch=epoch,
        # Unchecked, the text may be damaged: that is no reason to stop here.
        kind=kind.decode("utf-8", "replace") if kind else "",
        payload=payload,
        now_s=now_s,
        chain=chain,
    )
