"""The journal: one SQLite file, appended to by one driver at a time.

Decides when a row counts as written (its transaction is on the disk) and what
is set aside for a full disk. Ignores what rows mean.

Not to be carried over a ``fork``: SQLite forbids it, and writing says so. Start
other processes by spawning; they read through `SqliteJournal.open_readonly`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from climorch.core.ports import JournalReport, Row, Snapshot, StoredRow
from climorch.errors import ConflictError, InvalidInputError
from climorch.storage.journal_ballast import BALLAST_BYTES, Ballast
from climorch.storage.journal_chain import Link, raw_rows, snapshot_digest
from climorch.storage.journal_errors import failures
from climorch.storage.journal_file import create
from climorch.storage.journal_mode import MOUNTS
from climorch.storage.journal_reader import JournalReader
from climorch.storage.journal_writer import JournalWriter
from climorch.storage.lock import check_now, renew
from climorch.storage.owner import Owner, is_alive

__all__ = ["SqliteJournal"]

logger = logging.getLogger(__name__)

KEPT_SNAPSHOTS = 2
MAX_SNAPSHOT_BYTES = 2**29
"""Half of what SQLite takes in one value."""


class SqliteJournal:
    """The journal of one campaign, held by this process; see `JournalPort`.

    Made by `open`. Its methods may be called from any thread; writing ones wait
    for each other, reading ones for nothing.

    Parameters
    ----------
    reader : JournalReader
        Reads the file.
    writer : JournalWriter
        Holds its lock.
    ballast : Ballast
        Beside the file.
    """

    def __init__(
        self, reader: JournalReader, writer: JournalWriter, ballast: Ballast
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._ballast = ballast

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        campaign: str,
        owner: Owner,
        now_s: float,
        alive: Callable[[Owner], bool] = is_alive,
        ballast_bytes: int = BALLAST_BYTES,
        mounts: Path = MOUNTS,
    ) -> SqliteJournal:
        """Take the lock of a journal, which is made if there is none.

        Parameters
        ----------
        path : Path
            The file, in a folder that exists.
        campaign : str
            Whose journal it is; not empty.
        owner : Owner
            The calling process, as `climorch.storage.owner.this_process` says.
        now_s : float
            The driver's clock, in seconds; finite.
        alive : callable
            Tells whether a process of this machine still runs.
        ballast_bytes : int
            Space to set aside beside the journal, in bytes; 0: none.
        mounts : Path
            Where the mounted file systems are listed.

        Returns
        -------
        SqliteJournal
            With an epoch above all before.

        Raises
        ------
        InvalidInputError
            If an argument is out of range, or the file is something else; it
            is left as it is.
        ConflictError
            If another driver holds it (``facts["reason"]`` is ``"held"``), or
            it is another campaign's (``"campaign"``) or of another schema
            version (``"schema"``).
        CorruptDataError
            If its tables are not those of a journal.
        BackendError
            If the storage fails, or another process keeps it busy.
        """
        path = path.absolute()
        check_now(now_s)
        reader = _made(path, campaign)
        writer = JournalWriter(path, owner, now_s, alive=alive, mounts=mounts)
        ballast = Ballast(path.with_name(f"{path.name}.ballast"), ballast_bytes)
        if ballast_bytes > 0 and not ballast.restore():
            logger.warning("event=no_ballast path=%s bytes=%d", path, ballast_bytes)
        return cls(reader, writer, ballast)

    @staticmethod
    def open_readonly(path: Path) -> JournalReader:
        """Open a journal for reading, whoever writes it.

        Parameters
        ----------
        path : Path
            The file.

        Returns
        -------
        JournalReader
            Which see, also for what it raises.
        """
        return JournalReader(path)

    @property
    def identity(self) -> str:
        """Of the campaign, see `JournalReader.identity`."""
        return self._reader.identity

    @property
    def epoch(self) -> int:
        """The number of this driver, from 1."""
        return self._writer.epoch

    @property
    def last_serial(self) -> int:
        """Serial of the newest row; 0 when there is none."""
        return self._writer.last.serial

    @property
    def journal_mode(self) -> str:
        """``"wal"``, or ``"delete"`` where that is not safe."""
        return self._writer.journal_mode

    def append(self, rows: Sequence[Row]) -> int:
        """Add rows in one transaction; see `JournalPort.append`.

        After a `BackendError` they are not there. Should the process die before
        it appends again, the next driver may find all of them after all: as
        nothing was done on them, both are right.
        """
        with self._writer.writing("append") as transaction:
            last = transaction.last
            raw = raw_rows(last, self.epoch, rows)
            if raw:
                transaction.db.executemany(
                    "INSERT INTO fact VALUES (?, ?, CAST(? AS TEXT), ?, ?, ?)", raw
                )
                last = transaction.last = Link(raw[-1][0], 0, raw[-1][5])
                transaction.db.execute(
                    "UPDATE journal SET serial=?, chain=?", (last.serial, last.chain)
                )
        return last.serial

    def read(self, after: int = 0, *, check: bool = True) -> Iterator[StoredRow]:
        """Stream rows; see `JournalReader.read`."""
        self._writer.check_open()
        return self._reader.read(after, check=check)

    def verify(self) -> JournalReport:
        """Compare every row with the chain; see `JournalReader.verify`."""
        self._writer.check_open()
        return self._reader.verify()

    def heartbeat(self, now_s: float) -> None:
        """Tell other machines that this driver lives; see `JournalPort`."""
        check_now(now_s)
        with self._writer.writing("heartbeat") as transaction:
            renew(transaction.db, now_s)

    def save_snapshot(self, serial: int, blob: bytes) -> None:
        """Keep an encoded state; see `JournalPort.save_snapshot`."""
        if len(blob) > MAX_SNAPSHOT_BYTES:
            msg = (
                f"snapshot {serial}: {len(blob)} bytes, at most {MAX_SNAPSHOT_BYTES} "
                "are kept; go on without one, or compress it"
            )
            raise InvalidInputError(msg, serial=serial, size_bytes=len(blob))
        with self._writer.writing("save a snapshot") as transaction:
            db = transaction.db
            found = db.execute("SELECT chain FROM fact WHERE serial=?", (serial,))
            row = found.fetchone()
            if row is None:
                msg = (
                    f"snapshot {serial}: no such row, the newest is "
                    f"{transaction.last.serial}; pass the last row that it contains"
                )
                raise InvalidInputError(msg, serial=serial)
            db.execute(
                "INSERT OR REPLACE INTO snapshot VALUES (?, ?, ?)",
                (serial, snapshot_digest(serial, row[0], blob), blob),
            )
            db.execute(
                "DELETE FROM snapshot WHERE serial NOT IN"
                " (SELECT serial FROM snapshot ORDER BY serial DESC LIMIT ?)",
                (KEPT_SNAPSHOTS,),
            )

    def latest_snapshot(self) -> Snapshot | None:
        """Return the newest whole snapshot; see `JournalReader`."""
        self._writer.check_open()
        return self._reader.latest_snapshot()

    @property
    def has_ballast(self) -> bool:
        """Whether all the space is set aside."""
        return self._ballast.present

    def give_up_ballast(self) -> bool:
        """Free the space set aside; return whether there was any."""
        return self._ballast.give_up()

    def restore_ballast(self) -> bool:
        """Set the space aside again; return whether all of it is there now."""
        return self._ballast.restore()

    def close(self) -> None:
        """Release the lock and close the file; again: does nothing."""
        self._writer.close()


def _made(path: Path, campaign: str) -> JournalReader:
    """Make the file if there is none; refuse what is not this campaign's journal."""
    if not campaign:
        msg = f"journal {path}: campaign is empty; name the campaign"
        raise InvalidInputError(msg, path=str(path))
    if not path.parent.is_dir():
        msg = f"journal {path}: its folder does not exist; make it first"
        raise InvalidInputError(msg, path=str(path))
    with failures(path, "create"):
        if not path.exists():
            create(path, campaign)
    reader = JournalReader(path)
    if reader.campaign != campaign:
        msg = (
            f"journal {path}: of campaign {reader.campaign!r}, expected "
            f"{campaign!r}; give that name, or another root"
        )
        raise ConflictError(msg, reason="campaign", campaign=reader.campaign)
    return reader
