"""Bytes of checkpoints that were written, read and kept."""

from __future__ import annotations

from typing import Any

from climorch.model import events as e
from tests.unit.forecast.journal import BEGIN_S, Journal

OWN: dict[str, Any] = {"simulation": "s", "set": "a"}
HOUR_S = 3600.0


def test_bytes_are_kept_from_a_commit_to_a_deletion() -> None:
    """100 bytes for 10 s, 150 for 10 s, then what a deletion freed is gone."""
    journal = Journal()
    journal.lease(0, "n1")
    journal.attempt(0)
    journal.checkpoint(10, 1, bytes_written=70, bytes_salvaged=30, bytes_linked=900)
    journal.checkpoint(20, 2, bytes_written=50)
    # Told twice, and of a boundary that is there.
    journal.checkpoint(20, 2, bytes_written=50)
    journal.checkpoint(20, 1, attempt=7, bytes_written=50)
    journal.tell(30, e.CheckpointDeleted(**OWN, boundary=1, bytes_freed=60))
    journal.tell(30, e.CheckpointDeleted(**OWN, boundary=1))
    journal.tell(40, e.CheckpointDeleted(**OWN, boundary=2))

    (entry,) = [x for x in journal.ledger(50).entries if x.simulation]
    assert (entry.bytes_written, entry.bytes_read) == (150, 7)
    assert entry.stored_byte_s == 100 * 10 + 150 * 10 + 90 * 10 + 40 * 10


def test_a_count_of_the_files_is_right() -> None:
    """It replaces what was added up; less than nothing is never there."""
    journal = Journal()
    journal.checkpoint(0, 1, bytes_written=100)
    journal.tell(10, e.StorageCounted(**OWN, bytes=30))
    journal.tell(20, e.CheckpointDeleted(**OWN, boundary=1))
    strange = e.StorageCounted(simulation="t", set="a", bytes=5)
    journal.tell(20, strange)

    entry = next(x for x in journal.ledger(30).entries if x.simulation)
    assert entry.stored_byte_s == 100 * 10 + 30 * 10


def test_bytes_are_kept_while_nobody_drives_and_through_months() -> None:
    """Storage does not end with a driver, and is divided at the end of a month."""
    journal = Journal()
    journal.checkpoint(0, 1, bytes_written=2)
    journal.tell(10, e.DriverStopped(reason="stop"))
    journal.tell(HOUR_S + 10, e.DriverStarted(epoch=2, host="h", pid=1))

    stored = {
        x.month: x.stored_byte_s
        for x in journal.ledger(HOUR_S + 10).entries
        if x.simulation
    }
    assert stored == {"2026-01": 2 * HOUR_S, "2026-02": 20}
    assert journal.keeper.now_s == BEGIN_S + HOUR_S + 10


def test_archives_are_counted_apart_and_recalls_are_read() -> None:
    """Checkpoints and results in the archive; one of the former comes back."""
    journal = Journal()
    archived: dict[str, Any] = {"bytes": 40, "xxh3": "", "url": "u", "folder": "f"}
    journal.tell(0, e.CheckpointArchived(**OWN, boundary=1, **archived))
    journal.tell(0, e.CheckpointArchived(**OWN, boundary=1, **archived))
    journal.tell(5, e.ResultsArchived(simulation="s", stage="a", bytes=10))
    journal.tell(5, e.ResultsArchived(simulation="t", stage="a", bytes=10))
    recalled = e.CheckpointRecalled(**OWN, boundary=1, attempt=1, bytes=25)
    journal.tell(10, recalled, recalled)
    strange: dict[str, Any] = {"simulation": "t", "set": "a", "boundary": 1}
    journal.tell(10, e.CheckpointArchived(**strange, **archived))
    journal.tell(10, e.CheckpointRecalled(**strange, attempt=1, bytes=1))

    entry = next(x for x in journal.ledger(20).entries if x.simulation)
    assert entry.archived_byte_s == 40 * 5 + 50 * 15
    assert (entry.bytes_read, entry.bytes_written) == (50, 25)
    assert entry.stored_byte_s == 25 * 10
