"""The journal in SQLite: what it does beyond the contract of its port."""

from __future__ import annotations

import logging
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from climorch.errors import (
    BackendError,
    ConflictError,
    CorruptDataError,
    InvalidInputError,
    NotAllowedError,
)
from climorch.storage import journal as journal_module
from climorch.storage import journal_file, journal_writer
from climorch.storage.journal import SqliteJournal
from climorch.storage.journal_ballast import Ballast
from climorch.storage.journal_chain import Link, raw_rows
from climorch.storage.lock import LockRow
from climorch.testing.journal_suite import failing_writes
from tests.unit.storage.journal_cases import (
    HERE,
    damage,
    dead,
    living,
    open_journal,
    rows,
    written,
)


@pytest.fixture(params=["ext4", "nfs"])
def mounts(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Pretend that everything lies on one kind of file system."""
    path = tmp_path / "mounts"
    path.write_text(f"any / {request.param} rw 0 0\n")
    return path


def test_another_reader_follows_a_driver(tmp_path: Path, mounts: Path) -> None:
    """Readers see each append at once, and the driver never waits for them."""
    path = tmp_path / "j.sqlite"
    journal = open_journal(path, mounts=mounts)
    reader = SqliteJournal.open_readonly(path)
    journal.append(rows(3000))
    reading = reader.read()
    first = next(reading)

    journal.append(rows(1))

    assert (first.serial, reader.last_serial) == (1, 3001)
    assert [row.serial for row in reader.read(2999)] == [3000, 3001]
    assert sum(1 for _ in reading) == 2999
    assert (reader.campaign, reader.verify().good) == ("c", True)
    assert reader.lock == LockRow(epoch=1, holder=HERE, heartbeat_s=100.0)
    journal.close()
    assert reader.lock == LockRow(epoch=1, holder=None, heartbeat_s=100.0)


def test_a_closed_reader_reads_no_more(tmp_path: Path) -> None:
    """After close a reader refuses every call."""
    reader = SqliteJournal.open_readonly(written(tmp_path / "j.sqlite"))
    reader.close()
    reader.close()

    with pytest.raises(NotAllowedError, match="closed"):
        reader.verify()
    with pytest.raises(NotAllowedError, match="closed"):
        list(reader.read())


def test_a_reader_writes_nothing(tmp_path: Path) -> None:
    """To read a journal that is closed leaves the file as it is."""
    path = written(tmp_path / "j.sqlite")
    before = path.read_bytes()

    reader = SqliteJournal.open_readonly(path)
    rows_read = list(reader.read())
    reader.verify()

    assert len(rows_read) == 10
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["j.sqlite"]


def test_a_driver_that_closes_while_somebody_reads(
    tmp_path: Path, mounts: Path
) -> None:
    """A driver can close under a reader, which then reads to its end."""
    path = tmp_path / "j.sqlite"
    journal = open_journal(path, mounts=mounts)
    journal.append(rows(3000))
    reading = SqliteJournal.open_readonly(path).read()
    next(reading)

    journal.close()

    assert sum(1 for _ in reading) == 2999
    assert open_and_count(path) == 3000


def open_and_count(path: Path) -> int:
    """Open a journal as its driver and return its last serial."""
    journal = open_journal(path)
    count = journal.last_serial
    journal.close()
    return count


def test_a_journal_left_by_a_killed_driver_is_whole(
    tmp_path: Path, mounts: Path
) -> None:
    """What a driver wrote that never closed is there for readers and the next."""
    path = tmp_path / "j.sqlite"
    killed = open_journal(path, mounts=mounts)
    killed.append(rows(5))

    assert SqliteJournal.open_readonly(path).verify().rows == 5
    following = open_journal(path, alive=dead, mounts=mounts)
    assert (following.epoch, following.append(rows(1))) == (2, 6)
    assert following.verify().good
    following.close()
    killed.close()


@pytest.mark.parametrize("replace", [False, True])
def test_a_journal_that_was_moved_is_not_written_to(
    tmp_path: Path, replace: bool
) -> None:
    """A driver whose file was moved away or replaced stops, and says so."""
    path = written(tmp_path / "j.sqlite")
    journal = open_journal(path)
    path.rename(tmp_path / "moved.sqlite")
    if replace:
        written(path)

    with pytest.raises(ConflictError, match="put it back") as stopped:
        journal.append(rows(1))
    assert stopped.value.facts["reason"] == "moved"
    journal.close()


def test_a_forked_process_may_not_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A journal that came over a fork refuses to be used, and is not closed."""
    journal = open_journal(tmp_path / "j.sqlite")
    with monkeypatch.context() as forked:
        forked.setattr(os, "getpid", lambda: 1)
        with pytest.raises(NotAllowedError, match="spawn instead") as refused:
            journal.append(rows(1))
        assert refused.value.facts["reason"] == "forked"

    assert journal.append(rows(1)) == 1
    with monkeypatch.context() as forked:
        forked.setattr(os, "getpid", lambda: 1)
        journal.close()
    assert SqliteJournal.open_readonly(tmp_path / "j.sqlite").lock.holder == HERE


def leave_uncertain_rows(path: Path, count: int) -> None:
    """Commit rows that the driver was told had failed, as a bad fsync may."""
    reader = SqliteJournal.open_readonly(path)
    last = list(reader.read())[-1]
    raw = raw_rows(Link(last.serial, 0, last.chain), last.epoch, rows(count, 500))
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN")
        db.executemany("INSERT INTO fact VALUES (?, ?, CAST(? AS TEXT), ?, ?, ?)", raw)
        db.execute("INSERT INTO snapshot VALUES (?, x'', x'')", (raw[-1][0],))
        db.execute("UPDATE journal SET serial=?, chain=?", (raw[-1][0], raw[-1][5]))
        db.execute("COMMIT")


def test_rows_of_a_failed_append_are_not_written_twice(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Rows that come back from an append that failed go before the next one."""
    path = tmp_path / "j.sqlite"
    journal = open_journal(path)
    journal.append(rows(3))
    leave_uncertain_rows(path, 2)

    assert journal.append(rows(2, 500)) == 5

    assert [row.now_s for row in journal.read()] == [1.0, 2.0, 3.0, 500.0, 501.0]
    assert journal.verify().good
    assert "event=failed_append_undone" in caplog.text
    assert "first=4 last=5" in caplog.text
    journal.close()


def test_the_next_driver_keeps_what_it_finds(tmp_path: Path) -> None:
    """Rows of an append whose outcome nobody learned are the next driver's."""
    path = tmp_path / "j.sqlite"
    killed = open_journal(path)
    killed.append(rows(3))
    leave_uncertain_rows(path, 2)

    following = open_journal(path, alive=dead)

    assert following.last_serial == 5
    following.close()
    killed.close()


@pytest.mark.parametrize(
    "statement", ["UPDATE journal SET serial=2", "UPDATE journal SET chain=x'00'"]
)
def test_a_storage_that_forgot_rows_stops_the_driver(
    tmp_path: Path, statement: str
) -> None:
    """Where a row that was written is gone the driver appends nothing behind."""
    path = tmp_path / "j.sqlite"
    journal = open_journal(path)
    journal.append(rows(3))
    damage(path, statement)

    with pytest.raises(CorruptDataError, match="the storage lost data"):
        journal.append(rows(1))
    journal.close()


def test_a_journal_can_be_closed_on_a_failing_disk(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """To close never fails; where the lock stays, the next driver takes it over."""
    path = tmp_path / "j.sqlite"
    journal = open_journal(path)
    journal.append(rows(3))
    with failing_writes():
        journal.close()

    assert "event=lock_not_released" in caplog.text
    with pytest.raises(ConflictError):
        open_journal(path, alive=living)
    following = open_journal(path, alive=dead)
    assert following.append(rows(1)) == 4
    following.close()


def test_a_driver_that_failed_to_connect_again_tries_once_more(tmp_path: Path) -> None:
    """After an error each append makes its own attempt to open the file."""
    path = tmp_path / "j.sqlite"
    journal = open_journal(path)
    with failing_writes(), pytest.raises(BackendError):
        journal.append(rows(1))
    damage(path, "PRAGMA user_version=7")
    with pytest.raises(ConflictError, match="schema version 7"):
        journal.append(rows(1))
    damage(path, "PRAGMA user_version=1")

    assert journal.append(rows(1)) == 1
    journal.close()


def test_a_journal_that_cannot_be_opened_again_can_be_closed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """To close does not fail where the file is no longer what it was."""
    path = tmp_path / "j.sqlite"
    journal = open_journal(path)
    with failing_writes(), pytest.raises(BackendError):
        journal.append(rows(1))
    damage(path, "DROP TABLE snapshot")

    journal.close()

    assert "event=lock_not_released" in caplog.text


def test_opening_that_fails_holds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where opening fails after the lock was taken the lock is released."""
    path = tmp_path / "j.sqlite"

    def fail(*_: object) -> None:
        error = sqlite3.OperationalError("database is locked")
        error.sqlite_errorcode = sqlite3.SQLITE_BUSY
        error.sqlite_errorname = "SQLITE_BUSY"
        raise error

    with monkeypatch.context() as failing:
        failing.setattr(journal_writer, "set_journal_mode", fail)
        with pytest.raises(BackendError, match="take the lock"):
            open_journal(path)

    journal = open_journal(path, alive=living)
    assert journal.epoch == 2
    journal.close()


def test_who_was_stopped_while_writing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite's lock stays with a process that is stopped inside a transaction."""
    path = tmp_path / "j.sqlite"
    monkeypatch.setattr(journal_file, "BUSY_TIMEOUT_S", 0.05)
    old = open_journal(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as writing:
        writing.execute("BEGIN IMMEDIATE")
        with pytest.raises(BackendError, match="stopped while writing") as caught:
            open_journal(path)
        assert caught.value.facts["pid"] == HERE.pid
        writing.execute("ROLLBACK")
        old.close()
        writing.execute("BEGIN IMMEDIATE")
        with pytest.raises(BackendError, match="another process is using it"):
            open_journal(path)
    open_journal(path).close()


def test_a_snapshot_has_a_largest_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A snapshot above what one value may hold is refused before it is written."""
    journal = open_journal(tmp_path / "j.sqlite")
    journal.append(rows(1))
    monkeypatch.setattr(journal_module, "MAX_SNAPSHOT_BYTES", 4)

    journal.save_snapshot(1, b"four")
    with pytest.raises(InvalidInputError, match="5 bytes, at most 4"):
        journal.save_snapshot(1, b"fiver")
    journal.close()


def test_the_ballast_is_real_space(tmp_path: Path) -> None:
    """The ballast takes blocks on the disk, not a hole in a file."""
    journal = open_journal(tmp_path / "j.sqlite", ballast_bytes=2**20)
    ballast = tmp_path / "j.sqlite.ballast"

    assert ballast.stat().st_blocks * 512 >= 2**20
    assert journal.give_up_ballast()
    assert not ballast.exists()
    journal.close()


def test_a_journal_opens_without_its_ballast(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Where there is no space for ballast the journal opens, and says so."""
    path = tmp_path / "j.sqlite"
    (tmp_path / "j.sqlite.ballast").mkdir()

    with caplog.at_level(logging.WARNING):
        journal = open_journal(path, ballast_bytes=4096 * 2**20)

    assert "event=no_ballast" in caplog.text
    assert not journal.has_ballast
    assert not journal.give_up_ballast()
    journal.close()


def test_no_ballast_is_wanted(tmp_path: Path) -> None:
    """With a size of 0 there is never any."""
    ballast = Ballast(tmp_path / "ballast", 0)

    assert not ballast.restore()
    assert not ballast.present
    assert not ballast.give_up()
