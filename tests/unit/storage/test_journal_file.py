"""The journal's file: how it is made, and which files are refused."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from climorch.core.ports import Row
from climorch.errors import (
    BackendError,
    ClimorchError,
    ConflictError,
    CorruptDataError,
    InternalError,
    InvalidInputError,
    NotFoundError,
)
from climorch.storage import journal_file
from climorch.storage.journal import SqliteJournal
from climorch.storage.journal_errors import failures
from climorch.storage.journal_file import create
from climorch.storage.journal_mode import (
    filesystem_type,
    set_journal_mode,
    wal_is_safe,
)
from tests.unit.storage.journal_cases import damage, open_journal, rows, written


def foreign_database(path: Path) -> None:
    """Write another program's database, in WAL mode and never folded."""
    db = sqlite3.connect(path)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("CREATE TABLE notes (text)")
    db.commit()
    db.close()


def newer_journal(path: Path) -> None:
    """Write a journal of a version to come."""
    written(path)
    damage(path, "PRAGMA user_version=7")


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (foreign_database, InvalidInputError, "not a climorch journal"),
        (newer_journal, ConflictError, "schema version 7, this climorch knows 1"),
        (lambda path: path.write_bytes(b""), InvalidInputError, "not a climorch"),
        (lambda path: path.write_bytes(b"abc"), InvalidInputError, "not a climorch"),
        (lambda path: path.write_bytes(b"g" * 9999), InvalidInputError, "not a clim"),
        (Path.mkdir, InvalidInputError, "not a climorch journal"),
    ],
)
def test_another_file_is_refused_and_left_alone(
    tmp_path: Path,
    make: Callable[[Path], object],
    kind: type[ClimorchError],
    message: str,
) -> None:
    """A foreign, damaged or newer file gives one clear error and is not touched."""
    path = tmp_path / "j.sqlite"
    make(path)
    before = {p: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()}

    for attempt in (open_journal, SqliteJournal.open_readonly):
        with pytest.raises(kind, match=message):
            attempt(path)

    assert {p: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()} == before


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER t AFTER INSERT ON fact BEGIN DELETE FROM fact; END",
        "CREATE VIEW v AS SELECT * FROM fact",
        "DROP TABLE snapshot",
        "ALTER TABLE fact RENAME TO other",
    ],
)
def test_a_journal_with_other_tables_is_damaged(tmp_path: Path, statement: str) -> None:
    """Tables that are missing, and triggers that were slipped in, are refused."""
    path = written(tmp_path / "j.sqlite")
    damage(path, statement)

    with pytest.raises(CorruptDataError, match="expected only the tables"):
        open_journal(path)
    with pytest.raises(CorruptDataError, match="expected only the tables"):
        SqliteJournal.open_readonly(path)


@pytest.mark.parametrize(
    "statement", ["DELETE FROM journal", "UPDATE journal SET campaign=x'ff'"]
)
def test_a_journal_without_a_head_is_damaged(tmp_path: Path, statement: str) -> None:
    """A head that is missing or unreadable is damage."""
    path = written(tmp_path / "j.sqlite")
    damage(path, statement)

    with pytest.raises(CorruptDataError, match="no readable head"):
        open_journal(path)


def test_text_that_is_not_utf8_is_damage(tmp_path: Path) -> None:
    """Text that cannot be decoded is damage too."""
    path = written(tmp_path / "j.sqlite")
    damage(path, "UPDATE journal SET campaign=CAST(x'ff' AS TEXT)")

    with pytest.raises(CorruptDataError, match="go back to a copy"):
        open_journal(path)


def test_a_schema_that_is_not_utf8_is_damage(tmp_path: Path) -> None:
    """SQLite quotes a damaged schema, which may not be text at all."""
    path = written(tmp_path / "j.sqlite")
    path.write_bytes(
        path.read_bytes().replace(b"CREATE TABLE fact", b"CREATE T\xffBLE fact")
    )

    with pytest.raises(CorruptDataError, match="go back to a copy"):
        open_journal(path)


def test_the_journal_of_another_campaign_is_refused(tmp_path: Path) -> None:
    """A journal belongs to one campaign."""
    path = written(tmp_path / "j.sqlite")

    with pytest.raises(ConflictError, match="of campaign 'c', expected 'd'") as refused:
        open_journal(path, campaign="d")
    assert refused.value.facts == {"reason": "campaign", "campaign": "c"}


def test_a_campaign_has_a_name(tmp_path: Path) -> None:
    """An empty campaign name is an error of the call."""
    with pytest.raises(InvalidInputError, match="name the campaign"):
        open_journal(tmp_path / "j.sqlite", campaign="")


def test_a_journal_is_made_in_a_folder_that_exists(tmp_path: Path) -> None:
    """Where the folder is missing the error says so."""
    with pytest.raises(InvalidInputError, match="its folder does not exist"):
        open_journal(tmp_path / "none" / "j.sqlite")


def test_a_reader_needs_a_journal(tmp_path: Path) -> None:
    """To read a journal that is not there is an error, and makes none."""
    with pytest.raises(NotFoundError, match="there is none"):
        SqliteJournal.open_readonly(tmp_path / "j.sqlite")
    assert list(tmp_path.iterdir()) == []


def test_any_path_will_do(tmp_path: Path) -> None:
    """Characters that mean something in a URI mean nothing in a path."""
    folder = tmp_path / "50% of #1? ä b"
    folder.mkdir()

    path = written(folder / "j?mode=ro.sqlite", 3)

    assert SqliteJournal.open_readonly(path).last_serial == 3
    assert [p.name for p in folder.iterdir()] == ["j?mode=ro.sqlite"]


def test_making_a_journal_never_replaces_one(tmp_path: Path) -> None:
    """Of two drivers that make a journal at once the second uses the first's."""
    path = written(tmp_path / "j.sqlite", 3)

    create(path, "other")

    assert SqliteJournal.open_readonly(path).campaign == "c"
    assert SqliteJournal.open_readonly(path).last_serial == 3
    assert [p.name for p in tmp_path.iterdir()] == ["j.sqlite"]


def test_a_journal_is_made_without_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the file system has no hard links a rename does, replacing nothing."""

    def refuse(source: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "no links", str(source), None, str(target))

    monkeypatch.setattr(os, "link", refuse)
    path = written(tmp_path / "j.sqlite", 3)
    create(path, "other")

    assert SqliteJournal.open_readonly(path).campaign == "c"
    assert [p.name for p in tmp_path.iterdir()] == ["j.sqlite"]


def test_a_storage_that_fails_while_a_journal_is_made_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A journal is there as a whole or not at all."""

    def fail(source: Path, target: Path) -> None:
        raise OSError(errno.EIO, "bad disk", str(source), None, str(target))

    monkeypatch.setattr(os, "link", fail)

    with pytest.raises(BackendError, match="create") as failed:
        open_journal(tmp_path / "j.sqlite")
    assert failed.value.facts["reason"] == "EIO"
    assert list(tmp_path.iterdir()) == []


def test_the_group_may_read_what_the_umask_lets_it(tmp_path: Path) -> None:
    """A journal has the permissions that any new file would have."""
    (tmp_path / "any").touch()

    path = written(tmp_path / "j.sqlite")

    assert path.stat().st_mode == (tmp_path / "any").stat().st_mode


MOUNTS = (
    "rootfs / rootfs rw 0 0\n/dev/a / ext4 rw 0 0\nsrv:/x /data nfs4 rw 0 0\n"
    "tmp /data/fast\\040disk tmpfs rw 0 0\nodd\n/dev/b /home\\134x xfs rw 0 0\n"
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/j.sqlite", "ext4"),
        ("/data/j.sqlite", "nfs4"),
        ("/database/j.sqlite", "ext4"),
        ("/data/fast disk/j.sqlite", "tmpfs"),
        ("/home\\x/j.sqlite", "xfs"),
    ],
)
def test_the_file_system_is_that_of_the_nearest_mount(path: str, expected: str) -> None:
    """A path lies on the file system mounted nearest above it, the last of a stack."""
    assert filesystem_type(Path(path), MOUNTS) == expected
    assert filesystem_type(Path(path), "") == ""


@pytest.mark.parametrize(
    ("filesystem", "expected"),
    [
        ("ext4", True),
        ("xfs", True),
        ("tmpfs", True),
        ("fuseblk", True),
        ("", True),
        ("nfs", False),
        ("nfs4", False),
        ("lustre", False),
        ("gpfs", False),
        ("cifs", False),
        ("beegfs", False),
        ("fuse", False),
        ("fuse.sshfs", False),
    ],
)
def test_where_wal_is_safe(filesystem: str, expected: bool) -> None:
    """WAL is used where all processes share mapped memory."""
    assert wal_is_safe(filesystem) is expected


def test_without_a_list_of_mounts_storage_is_taken_as_local(tmp_path: Path) -> None:
    """Where the kernel lists no mounts WAL is used."""
    journal = open_journal(tmp_path / "j.sqlite", mounts=tmp_path / "none")

    assert journal.journal_mode == "wal"
    journal.close()


def test_a_rollback_journal_is_used_where_sqlite_cannot_do_wal(tmp_path: Path) -> None:
    """Where SQLite refuses WAL the journal still works."""
    path = written(tmp_path / "j.sqlite")
    uri = f"file:{path}?vfs=unix-dotfile"
    with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as db:
        assert set_journal_mode(db, path, tmp_path / "none") == "delete"


@pytest.mark.parametrize(
    ("code", "name", "kind", "remedy"),
    [
        (sqlite3.SQLITE_FULL, "SQLITE_FULL", BackendError, "free space"),
        (sqlite3.SQLITE_IOERR_FSYNC, "SQLITE_IOERR", BackendError, "check the storage"),
        (sqlite3.SQLITE_READONLY, "SQLITE_READONLY", BackendError, "writable"),
        (sqlite3.SQLITE_BUSY, "SQLITE_BUSY", BackendError, "try again"),
        (sqlite3.SQLITE_CORRUPT, "SQLITE_CORRUPT", CorruptDataError, "evidence"),
        (sqlite3.SQLITE_NOTADB, "SQLITE_NOTADB", CorruptDataError, "evidence"),
        (sqlite3.SQLITE_MISUSE, "SQLITE_MISUSE", InternalError, "report"),
    ],
)
def test_what_sqlite_reports_says_what_to_do(
    code: int, name: str, kind: type[ClimorchError], remedy: str
) -> None:
    """Each result code of SQLite becomes the error that says what to do."""
    error = sqlite3.OperationalError("it failed")
    error.sqlite_errorcode = code
    error.sqlite_errorname = name

    with (
        pytest.raises(
            kind, match=f"j: append: it failed .{name}.; .*{remedy}"
        ) as raised,
        failures(Path("j"), "append"),
    ):
        raise error
    assert raised.value.facts == {"reason": name, "path": "j"}
    assert raised.value.__cause__ is error


def test_a_misuse_of_sqlite_is_ours() -> None:
    """An error of the module itself, without a code, is a bug of the library."""
    with (
        pytest.raises(InternalError, match="ProgrammingError"),
        failures(Path("j"), "append"),
    ):
        raise sqlite3.ProgrammingError("closed")


def test_a_disk_that_fails_says_nothing_about_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a file cannot be looked into it is not called foreign."""
    path = written(tmp_path / "j.sqlite")

    def fail(*_: object, **__: object) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_READ
        error.sqlite_errorname = "SQLITE_IOERR_READ"
        raise error

    monkeypatch.setattr(journal_file, "connect", fail)

    with pytest.raises(BackendError, match="SQLITE_IOERR_READ"):
        SqliteJournal.open_readonly(path)


@pytest.mark.parametrize(
    ("kind", "payload", "now_s", "place"),
    [
        ("", b"", 0.0, "kind"),
        ("1st", b"", 0.0, "kind"),
        ("a b", b"", 0.0, "kind"),
        ("a" * 65, b"", 0.0, "kind"),
        ("a", bytes(64 * 2**20 + 1), 0.0, "payload"),
        ("a", b"", float("nan"), "now_s"),
        ("a", b"", float("-inf"), "now_s"),
    ],
)
def test_a_row_that_exists_can_be_stored(
    kind: str, payload: bytes, now_s: float, place: str
) -> None:
    """A row is checked when it is made, each fault with its place."""
    with pytest.raises(InvalidInputError) as refused:
        Row(kind=kind, payload=payload, now_s=now_s)
    assert [fault.place for fault in refused.value.faults] == [f"row {kind!r}, {place}"]


def test_the_file_is_a_plain_one_when_it_is_closed(tmp_path: Path) -> None:
    """A closed journal is one file that any SQLite reads."""
    path = tmp_path / "j.sqlite"
    journal = open_journal(path, ballast_bytes=4096)
    journal.append(rows(2))
    journal.close()

    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "j.sqlite",
        "j.sqlite.ballast",
    ]
    uri = f"file:{path}?mode=ro&immutable=1"
    with closing(sqlite3.connect(uri, uri=True)) as db:
        assert db.execute("SELECT serial, kind, payload FROM fact").fetchall() == [
            (1, "Fact", b"payload-000001"),
            (2, "Fact", b"payload-000002"),
        ]
