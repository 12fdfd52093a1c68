"""The journal where there are no locks that work: a baton stands in for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from climorch.errors import BackendError
from climorch.storage import baton, journal_file
from climorch.storage.baton import Baton, folder_of, has_baton
from climorch.storage.journal import SqliteJournal
from tests.unit.storage.journal_cases import open_journal, rows, written


@pytest.fixture
def without_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the file system have none that work."""
    monkeypatch.setattr(journal_file, "locks_work", lambda path: False)


@pytest.mark.usefixtures("without_locks")
def test_without_locks_a_journal_has_a_baton(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For good: also for those who find that locks work there."""
    path = written(tmp_path / "j")
    assert has_baton(path)
    monkeypatch.undo()
    assert not has_baton(written(tmp_path / "k"))

    journal = open_journal(path)
    assert journal.journal_mode == "delete"
    assert journal.append(rows(1)) == 11
    journal.close()
    assert len(list(SqliteJournal.open_readonly(path).read())) == 11
    assert SqliteJournal.open_readonly(path).verify().faults == ()
    # Nobody holds it between two transactions.
    assert list(folder_of(path).rglob("*+*")) == []


@pytest.mark.usefixtures("without_locks")
def test_whoever_reads_row_by_row_holds_the_driver_not_up(tmp_path: Path) -> None:
    """The baton is given back before a row is given out."""
    journal = open_journal(tmp_path / "j")
    journal.append(rows(3))
    reading = SqliteJournal.open_readonly(tmp_path / "j").read()
    assert next(reading).serial == 1

    assert journal.append(rows(1)) == 4

    assert [row.serial for row in reading] == [2, 3]
    journal.close()


@pytest.mark.usefixtures("without_locks")
def test_who_holds_the_baton_of_a_journal_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading or writing, nobody gets past."""
    path = written(tmp_path / "j")
    journal = open_journal(path)
    monkeypatch.setattr(baton, "PATIENCE_S", 0.0)
    with Baton(path).held("something else"):
        for work in (lambda: journal.append(rows(1)), lambda: journal.verify()):
            with pytest.raises(BackendError, match="holds its baton") as caught:
                work()
            assert caught.value.facts["reason"] == "baton"
    assert journal.append(rows(1)) == 11
    journal.close()
