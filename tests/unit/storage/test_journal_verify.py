"""What is noticed when a journal is not what was written."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from climorch.core.ports import JournalReport
from climorch.errors import BackendError, CorruptDataError
from climorch.storage import journal_verify
from climorch.storage.journal import SqliteJournal
from climorch.storage.journal_chain import Link, RawRow, raw_rows
from climorch.testing.memory_journal import MemoryJournal, MemoryStore
from tests.unit.storage.journal_cases import (
    HERE,
    damage,
    living,
    open_journal,
    rows,
    written,
)

SWAP = (
    "UPDATE fact SET serial=-4 WHERE serial=4",
    "UPDATE fact SET serial=4 WHERE serial=5",
    "UPDATE fact SET serial=5 WHERE serial=-4",
)


def verified(path: Path) -> JournalReport:
    """Verify a journal as another process would."""
    return SqliteJournal.open_readonly(path).verify()


@pytest.mark.parametrize(
    ("statements", "bad_serials"),
    [
        # changed
        (["UPDATE fact SET payload=x'00' WHERE serial=5"], (5,)),
        (["UPDATE fact SET kind='Fake' WHERE serial=5"], (5,)),
        (["UPDATE fact SET kind=CAST(x'ff' AS TEXT) WHERE serial=5"], (5,)),
        (["UPDATE fact SET now_s=now_s+1 WHERE serial=5"], (5,)),
        (["UPDATE fact SET epoch=9 WHERE serial=10"], (10,)),
        (["UPDATE fact SET now_s='soon' WHERE serial=5"], (5,)),
        (["UPDATE fact SET epoch='one' WHERE serial=5"], (5,)),
        (["UPDATE fact SET payload=7 WHERE serial=5"], (5,)),
        (["UPDATE fact SET chain=x'00' WHERE serial=5"], (5, 6)),
        (["UPDATE fact SET payload=x'' WHERE serial IN (1, 10)"], (1, 10)),
        # removed
        (["DELETE FROM fact WHERE serial=1"], (1,)),
        (["DELETE FROM fact WHERE serial=5"], (5,)),
        (["DELETE FROM fact WHERE serial IN (5, 6, 8)"], (5, 6, 8)),
        (["DELETE FROM fact WHERE serial > 8"], (9, 10)),
        (["DELETE FROM fact"], (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)),
        # reordered: the row behind the pair hangs on the wrong one
        (SWAP, (4, 5, 6)),
        # inserted
        (["INSERT INTO fact SELECT 11,epoch,kind,payload,now_s,chain FROM fact"
          " WHERE serial=10"], (11,)),
        (["INSERT INTO fact SELECT -3,epoch,kind,payload,now_s,chain FROM fact"
          " WHERE serial=10"], (-3,)),
        # another head
        (["UPDATE journal SET serial=9"], (9, 10)),
        (["UPDATE journal SET serial=11"], (11,)),
        (["UPDATE journal SET chain=x'00'"], (10,)),
        (["UPDATE journal SET identity=x'00'"], (1,)),
        (["UPDATE journal SET campaign='d'"], (1,)),
    ],
)  # fmt: skip
def test_a_changed_journal_is_noticed(
    tmp_path: Path, statements: list[str], bad_serials: tuple[int, ...]
) -> None:
    """A changed, removed, reordered or inserted row is found and named."""
    path = written(tmp_path / "j.sqlite")
    damage(path, *statements)

    report = verified(path)

    assert not report.good
    assert report.bad_serials == bad_serials
    assert "go back to a copy" in str(report.faults[0])


@pytest.mark.parametrize(
    ("statements", "problem"),
    [
        (["UPDATE driver SET epoch=0"], "has rows of epoch 1, newest is 0"),
        (["DELETE FROM journal"], "no readable head"),
        (["UPDATE journal SET serial='x'"], "no readable head"),
        (["DELETE FROM driver"], "no readable lock row"),
        (["DROP TABLE snapshot"], "expected only the tables"),
        (["UPDATE journal SET campaign=CAST(x'ff' AS TEXT)"], "cannot be read"),
        (["INSERT INTO snapshot VALUES (3, x'00', x'00')"], "snapshot 3: is not what"),
        (["INSERT INTO snapshot VALUES (99, x'00', x'00')"], "snapshot 99: is not"),
        (["UPDATE fact SET payload='text' WHERE serial=5"], "SQLite finds: CHECK"),
    ],
)
def test_what_is_not_a_row_is_verified_too(
    tmp_path: Path, statements: list[str], problem: str
) -> None:
    """Head, lock, tables, snapshots and SQLite's own pages are verified."""
    path = written(tmp_path / "j.sqlite")
    reader = SqliteJournal.open_readonly(path)
    damage(path, *statements)

    report = reader.verify()

    assert any(problem in str(fault) for fault in report.faults)


def test_an_epoch_never_falls(tmp_path: Path) -> None:
    """A row of an older driver behind one of a newer is found, well chained or not."""
    path = written(tmp_path / "j.sqlite", 2)
    last = list(SqliteJournal.open_readonly(path).read())[-1]
    raw = raw_rows(Link(2, 0, last.chain), 0, rows(1, 3))
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.executemany("INSERT INTO fact VALUES (?, ?, 'Fact', ?, ?, ?)",
                       [(r[0], r[1], *r[3:]) for r in raw])  # fmt: skip
        db.execute("UPDATE journal SET serial=3, chain=?", (raw[0][5],))

    report = verified(path)

    assert [fault.problem for fault in report.faults] == [
        "has epoch 0 after a row of epoch 1"
    ]


def test_a_flipped_bit_in_the_file_is_found(tmp_path: Path) -> None:
    """One bit flipped in a payload on the disk is found, and its row named."""
    path = written(tmp_path / "j.sqlite")
    content = bytearray(path.read_bytes())
    content[content.index(b"payload-000007") + 3] ^= 0x10
    path.write_bytes(content)

    report = verified(path)

    assert report.bad_serials == (7,)
    assert [fault.problem for fault in report.faults] == [
        "does not match its hash chain"
    ]


def test_damaged_text_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error whose message is no text is one more finding."""
    path = written(tmp_path / "j.db", 3)

    def garbled(db: sqlite3.Connection, after: int, upto: int) -> list[RawRow]:
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")

    monkeypatch.setattr(journal_verify, "fetch_rows", garbled)
    with closing(SqliteJournal.open_readonly(path)) as reader:
        report = reader.verify()

    assert "text that is damaged: invalid start byte" in str(report.faults)


def test_pages_that_point_in_a_circle_are_not_followed_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that come back in another order are told, and the check ends."""
    path = written(tmp_path / "j.db", 3)
    fetch_rows = journal_verify.fetch_rows

    def circling(db: sqlite3.Connection, after: int, upto: int) -> list[RawRow]:
        return fetch_rows(db, 0, 2)[:: 1 if after == 0 else -1]

    monkeypatch.setattr(journal_verify, "fetch_rows", circling)
    with closing(SqliteJournal.open_readonly(path)) as reader:
        report = reader.verify()

    assert not report.good
    assert "comes out of order" in str(report.faults)


@pytest.mark.parametrize("page", [1, 2, 3, 4, 5, 6, 7])
def test_a_lost_page_is_found(tmp_path: Path, page: int) -> None:
    """A page of zeros, as a disk may return, is reported and not raised."""
    path = written(tmp_path / "j.sqlite", 200)
    reader = SqliteJournal.open_readonly(path)
    content = bytearray(path.read_bytes())
    content[page * 4096 : (page + 1) * 4096] = bytes(4096)
    path.write_bytes(content)

    assert not reader.verify().good


def test_a_truncated_file_is_found(tmp_path: Path) -> None:
    """A file that lost its end is reported and not raised."""
    path = written(tmp_path / "j.sqlite", 200)
    reader = SqliteJournal.open_readonly(path)
    path.write_bytes(path.read_bytes()[:8192])

    assert not reader.verify().good


def test_a_report_is_short_enough_to_be_read(tmp_path: Path) -> None:
    """However much is wrong, at most 100 faults and serials are named."""
    path = written(tmp_path / "j.sqlite", 300)
    damage(path, "UPDATE fact SET payload=x'00'")

    report = verified(path)

    assert (report.rows, len(report.faults), len(report.bad_serials)) == (300, 100, 100)


def test_a_storage_that_fails_is_not_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An I/O error while verifying is raised: it says nothing about the rows."""
    reader = SqliteJournal.open_readonly(written(tmp_path / "j.sqlite"))

    def fail(*_: object) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_READ
        error.sqlite_errorname = "SQLITE_IOERR_READ"
        raise error

    monkeypatch.setattr(journal_verify, "_check_rows", fail)

    with pytest.raises(BackendError, match="SQLITE_IOERR_READ"):
        reader.verify()


@pytest.mark.parametrize(
    ("statement", "given_out", "problem"),
    [
        ("UPDATE fact SET payload=x'00' WHERE serial=5", 4, "row 5: does not match"),
        ("DELETE FROM fact WHERE serial=5", 4, "row 5: is missing"),
        ("DELETE FROM fact WHERE serial > 8", 8, "row 9: is missing"),
        ("UPDATE journal SET chain=x'00'", 10, "row 10: is not the newest row"),
    ],
)
def test_reading_stops_before_a_bad_row(
    tmp_path: Path, statement: str, given_out: int, problem: str
) -> None:
    """A row that is not what was written is never given out."""
    path = written(tmp_path / "j.sqlite")
    damage(path, statement)
    reading = SqliteJournal.open_readonly(path).read()
    seen: list[int] = []

    with pytest.raises(CorruptDataError, match=problem):
        seen.extend(row.serial for row in reading)

    assert seen == list(range(1, given_out + 1))


def test_unchecked_reading_gives_out_what_is_there(tmp_path: Path) -> None:
    """Without checks a changed row is given out, but a missing one still noticed."""
    path = written(tmp_path / "j.sqlite", 4)
    damage(
        path,
        "UPDATE fact SET kind=CAST(x'ff' AS TEXT) WHERE serial=1",
        "UPDATE fact SET kind='' WHERE serial=2",
        "DELETE FROM fact WHERE serial=4",
    )
    reading = SqliteJournal.open_readonly(path).read(check=False)

    assert [next(reading).kind for _ in range(3)] == ["\ufffd", "", "Fact"]
    with pytest.raises(CorruptDataError, match="row 4: is missing"):
        next(reading)


def test_reading_after_a_row_that_is_gone_is_refused(tmp_path: Path) -> None:
    """To go on from a row that was removed is an error."""
    path = written(tmp_path / "j.sqlite")
    damage(path, "DELETE FROM fact WHERE serial=5")

    with pytest.raises(CorruptDataError, match="row 5: is missing"):
        list(SqliteJournal.open_readonly(path).read(5))


def test_large_rows_are_read_a_few_at_a_time(tmp_path: Path) -> None:
    """A batch ends when it fills its bytes, so that memory stays bounded."""
    path = tmp_path / "j.sqlite"
    journal = open_journal(path)
    big = [type(row)(kind="Big", payload=bytes(2**22), now_s=0.0) for row in rows(5)]
    journal.append(big)
    journal.close()

    with closing(sqlite3.connect(path)) as db:
        batch = journal_verify.fetch_rows(db, 0, 5)

    assert [raw[0] for raw in batch] == [1, 2]
    assert verified(path).rows == 5


def test_more_rows_than_a_batch_are_read(tmp_path: Path) -> None:
    """Reading and verifying go on from batch to batch."""
    path = written(tmp_path / "j.sqlite", 2500)
    reader = SqliteJournal.open_readonly(path)

    assert [row.serial for row in reader.read(10)] == list(range(11, 2501))
    assert verified(path) == JournalReport(rows=2500, last_serial=2500, epoch=1)


@pytest.mark.parametrize("column", ["digest", "blob"])
def test_a_damaged_snapshot_is_passed_over(tmp_path: Path, column: str) -> None:
    """Where the newest snapshot is damaged the one before is returned."""
    path = written(tmp_path / "j.sqlite", 4)
    journal = open_journal(path)
    journal.save_snapshot(2, b"two")
    journal.save_snapshot(4, b"four")
    journal.close()
    reader = SqliteJournal.open_readonly(path)

    damage(path, f"UPDATE snapshot SET {column}='x' WHERE serial=4")
    assert reader.latest_snapshot() == (2, b"two")
    damage(path, f"UPDATE snapshot SET {column}='x'")
    assert reader.latest_snapshot() is None


@pytest.fixture
def memory() -> Iterator[tuple[MemoryStore, MemoryJournal]]:
    """Open a journal in memory with three rows."""
    store = MemoryStore()
    journal = MemoryJournal(store, owner=HERE, now_s=1.0, alive=living)
    journal.append(rows(3))
    yield store, journal
    journal.close()


@pytest.mark.parametrize(
    ("change", "bad_serials"),
    [
        (lambda row: (*row[:3], b"other", *row[4:]), (2,)),
        (lambda row: (*row[:5], b"x" * 16), (2, 3)),
    ],
)
def test_the_journal_in_memory_verifies_as_well(
    memory: tuple[MemoryStore, MemoryJournal],
    change: Callable[[tuple[object, ...]], tuple[int, int, bytes, bytes, float, bytes]],
    bad_serials: tuple[int, ...],
) -> None:
    """A changed row in memory is found and named."""
    store, journal = memory
    store.rows[1] = change(store.rows[1])

    report = journal.verify()

    assert not report.good
    assert report.bad_serials == bad_serials
