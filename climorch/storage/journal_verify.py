"""Finding everything that is wrong with a journal.

Decides which rows were changed, removed, reordered or inserted. A changed row
is named alone, since the next one is compared with the chain as it stands; a
row that was exchanged may draw its successor in.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from climorch.core.ports import JournalReport
from climorch.errors import CorruptDataError, Fault
from climorch.storage.journal_chain import RawRow, problem_with, snapshot_fits
from climorch.storage.journal_errors import is_damage
from climorch.storage.journal_file import (
    check_schema,
    read_head,
    read_origin,
)
from climorch.storage.lock import read_lock

__all__ = ["fetch_rows", "verify_rows"]

BATCH_ROWS = 1024
BATCH_BYTES = 8 * 2**20
MAX_FAULTS = 100

_REMEDY = "keep the file as evidence and go back to a copy of it"


def fetch_rows(db: sqlite3.Connection, after: int, upto: int) -> list[RawRow]:
    """Read some rows, in one short read transaction.

    Parameters
    ----------
    db : sqlite3.Connection
        Of a journal.
    after, upto : int
        Serials: the first exclusive, the last inclusive.

    Returns
    -------
    list of RawRow
        At most `BATCH_ROWS`, and no more than fill `BATCH_BYTES`, but at least
        one if there is one.
    """
    # Casts: in a damaged file a column may have any type.
    cursor = db.execute(
        "SELECT serial, epoch, CAST(kind AS BLOB), CAST(payload AS BLOB), now_s, chain"
        " FROM fact WHERE serial > ? AND serial <= ? ORDER BY serial LIMIT ?",
        (after, upto, BATCH_ROWS),
    )
    rows: list[RawRow] = []
    size = 0
    for raw in cursor:
        rows.append(raw)
        size += len(raw[3] or b"")
        if size >= BATCH_BYTES:
            break
    # Ends the read transaction, so that the driver is not held up.
    cursor.close()
    return rows


class _Findings:
    """Faults in the order found, as many as a person would read."""

    def __init__(self, path: Path) -> None:
        self.faults: list[Fault] = []
        self.serials: list[int] = []
        self._path = path

    def add(self, what: str, problem: str, serials: range | tuple[int, ...]) -> None:
        room = MAX_FAULTS - len(self.faults)
        if room > 0:
            place = f"journal {self._path}{what}"
            self.faults.append(Fault(place=place, problem=problem, remedy=_REMEDY))
        self.serials.extend(serials[: MAX_FAULTS - len(self.serials)])

    def row(self, serial: int, problem: str) -> None:
        self.add(f", row {serial}", problem, (serial,))

    def missing(self, first: int, last: int) -> None:
        if first == last:
            self.row(first, "is missing")
        else:
            what = f", rows {first} to {last}"
            self.add(what, "are missing", range(first, last + 1))


def verify_rows(
    connected: Callable[[], sqlite3.Connection], path: Path
) -> JournalReport:
    """Compare every row with the chain and report all that is wrong.

    Parameters
    ----------
    connected : callable
        Makes a connection, closed here; a driver may append through another one
        meanwhile.
    path : Path
        The journal.

    Returns
    -------
    JournalReport
        Rows appended after the start may or may not have been looked at.

    Raises
    ------
    sqlite3.Error
        If the storage fails; damage is reported, not raised.
    """
    findings = _Findings(path)
    rows = last_serial = epoch = 0
    try:
        with closing(connected()) as db:
            _check_pages(db, findings)
            check_schema(db, path)
            head = read_head(db, path)
            last_serial = head.serial
            _, first = read_origin(db, path)
            rows, seen, chain = _check_rows(db, last_serial, first.chain, findings)
            if chain != head.chain and last_serial not in findings.serials:
                findings.row(last_serial, "is not the newest row that was written")
            _check_beyond(db, findings)
            epoch = read_lock(db, f"journal {path}").epoch
            if seen > epoch:
                findings.add("", f"has rows of epoch {seen}, newest is {epoch}", ())
            _check_snapshots(db, findings)
    except CorruptDataError as error:
        findings.add("", error.message, ())
    except sqlite3.Error as error:
        if not is_damage(error):
            raise
        findings.add("", f"cannot be read to its end: {error}", ())
    except UnicodeDecodeError as error:
        findings.add("", f"holds text that is damaged: {error.reason}", ())
    return JournalReport(
        rows=rows,
        last_serial=last_serial,
        epoch=epoch,
        faults=tuple(findings.faults),
        bad_serials=tuple(findings.serials),
    )


def _check_pages(db: sqlite3.Connection, findings: _Findings) -> None:
    """Let SQLite check its own pages; in rollback mode appends wait meanwhile."""
    for (text,) in db.execute(f"PRAGMA quick_check({MAX_FAULTS})"):
        if text != "ok":
            findings.add("", f"SQLite finds: {text}", ())


def _check_rows(
    db: sqlite3.Connection, upto: int, chain: bytes, findings: _Findings
) -> tuple[int, int, bytes]:
    """Check rows 1 to `upto`; return their number, last epoch and last chain."""
    count = serial = epoch = 0
    while serial < upto and (batch := fetch_rows(db, serial, upto)):
        for raw in batch:
            if raw[0] <= serial:
                # Pages that point in a circle give rows without end.
                findings.row(raw[0], "comes out of order")
                return count, epoch, chain
            if raw[0] != serial + 1:
                # What it should match is gone, so its own chain proves nothing.
                findings.missing(serial + 1, raw[0] - 1)
            elif problem := problem_with(chain, epoch, raw):
                findings.row(raw[0], problem)
            serial, chain = raw[0], raw[5]
            epoch = raw[1] if isinstance(raw[1], int) else epoch
        count += len(batch)
    if serial < upto:
        findings.missing(serial + 1, upto)
    return count, epoch, chain


def _check_beyond(db: sqlite3.Connection, findings: _Findings) -> None:
    """Find rows behind the one that the head names, in one statement."""
    beyond = db.execute(
        "SELECT fact.serial FROM fact, journal WHERE fact.serial > journal.serial"
        " OR fact.serial < 1 ORDER BY fact.serial LIMIT ?",
        (MAX_FAULTS,),
    )
    for (serial,) in beyond:
        findings.row(serial, "was not written by a driver")


def _check_snapshots(db: sqlite3.Connection, findings: _Findings) -> None:
    found = db.execute(
        "SELECT serial, digest, blob, chain FROM snapshot LEFT JOIN fact USING (serial)"
        " ORDER BY serial"
    )
    for serial, digest, blob, chain in found:
        if not snapshot_fits(serial, digest, chain, blob):
            findings.add(f", snapshot {serial}", "is not what was written", ())
