"""The journal's own thread: what shares a transaction, and who learns what."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import pytest

from climorch.core.ports import JournalPort, Row, Snapshot
from climorch.errors import (
    BackendError,
    ClimorchError,
    ConflictError,
    InternalError,
    InvalidInputError,
    NotAllowedError,
)
from climorch.storage.journal_thread import JournalThread
from climorch.testing.memory_journal import MemoryJournal, MemoryStore
from tests.unit.storage.journal_cases import HERE, dead, living, rows

# Only a test that hangs waits for as long.
SOON_S = 60.0


class GatedJournal(MemoryJournal):
    """A journal whose appends wait at a gate, and are counted."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store, owner=HERE, now_s=0.0, alive=living)
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.groups: list[int] = []
        self.beats: list[float] = []
        self.beaten = threading.Event()
        self.error: Exception | None = None

    def append(self, rows: Sequence[Row]) -> int:
        """Wait, then append."""
        self.entered.set()
        assert self.gate.wait(SOON_S)
        self.groups.append(len(rows))
        if self.error is not None:
            raise self.error
        return super().append(rows)

    def heartbeat(self, now_s: float) -> None:
        """Note it."""
        self.beats.append(now_s)
        if len(self.beats) > 2:
            self.beaten.set()
        super().heartbeat(now_s)


@pytest.fixture
def store() -> MemoryStore:
    """Keep what is written."""
    return MemoryStore()


@pytest.fixture
def journal(store: MemoryStore) -> GatedJournal:
    """Open a journal with its gate closed."""
    return GatedJournal(store)


@pytest.fixture
def thread(journal: GatedJournal) -> Iterator[JournalThread]:
    """Start a thread with small transactions, busy with one row at the gate."""
    thread = JournalThread(journal, now=lambda: 0.0, max_rows=4)
    first = thread.submit(rows(1))
    assert journal.entered.wait(SOON_S)
    yield thread
    journal.gate.set()
    thread.close(SOON_S)
    assert first.done()


def test_all_that_waits_shares_a_transaction(
    journal: GatedJournal, thread: JournalThread
) -> None:
    """What was submitted during a transaction goes together into the next."""
    futures = [thread.submit(rows(1, 2)), thread.submit([]), thread.submit(rows(2, 3))]
    assert thread.waiting_rows == 4
    journal.gate.set()

    assert [future.result(SOON_S) for future in futures] == [2, 2, 4]
    assert journal.groups == [1, 3]
    assert thread.waiting_rows == 0
    assert [row.now_s for row in journal.read()] == [1.0, 2.0, 3.0, 4.0]


def test_a_transaction_is_bounded_and_a_submission_never_split(
    journal: GatedJournal, thread: JournalThread
) -> None:
    """A transaction has at most max_rows, unless one submission alone has more."""
    sizes = [3, 2, 2, 9, 1]
    futures = [thread.submit(rows(size)) for size in sizes]
    journal.gate.set()

    assert [future.result(SOON_S) for future in futures] == [4, 6, 8, 17, 18]
    assert journal.groups == [1, 3, 4, 9, 1]


def test_nothing_waits_for_company(journal: GatedJournal) -> None:
    """A submission to an idle thread is written at once, alone."""
    journal.gate.set()
    with JournalThread(journal, now=lambda: 0.0) as thread:
        assert thread.submit(rows(2)).result(SOON_S) == 2
        assert thread.submit([]).result(SOON_S) == 2


def test_all_of_a_failed_group_learn_it(
    journal: GatedJournal, store: MemoryStore, thread: JournalThread
) -> None:
    """When a transaction fails all its futures fail; submitted again it works."""
    store.failing = "SQLITE_FULL"
    futures = [thread.submit(rows(1, 2)), thread.submit(rows(2, 3))]
    journal.gate.set()

    for future in futures:
        error = future.exception(SOON_S)
        assert isinstance(error, BackendError)
        assert error.facts["reason"] == "SQLITE_FULL"
    assert thread.waiting_rows == 0
    store.failing = None
    assert thread.submit(rows(2, 3)).result(SOON_S) == 2
    assert [row.now_s for row in journal.read()] == [3.0, 4.0]


def test_an_unforeseen_error_does_not_end_the_thread(
    journal: GatedJournal, thread: JournalThread
) -> None:
    """Whatever an append raises, the caller learns it and the thread goes on."""
    journal.error = InternalError("a bug")
    future = thread.submit(rows(1))
    journal.gate.set()

    assert isinstance(future.exception(SOON_S), InternalError)
    journal.error = None
    assert thread.submit(rows(1)).result(SOON_S) == 1


def test_what_is_cancelled_in_time_is_not_written(
    journal: GatedJournal, thread: JournalThread
) -> None:
    """A submission cancelled before its transaction leaves no rows."""
    futures = [thread.submit(rows(1, number)) for number in (2, 3, 4)]
    call = thread.call(lambda journal: journal.epoch)
    alone = thread.submit(rows(1, 5))
    assert [futures[1].cancel(), call.cancel(), alone.cancel()] == [True, True, True]
    journal.gate.set()

    assert (futures[0].result(SOON_S), futures[2].result(SOON_S)) == (2, 3)
    assert thread.submit([]).result(SOON_S) == 3
    assert [row.now_s for row in journal.read()] == [1.0, 2.0, 4.0]
    assert thread.waiting_rows == 0


def test_a_call_sees_all_that_was_submitted_before(
    journal: GatedJournal, thread: JournalThread
) -> None:
    """Calls and appends keep their order, and a call's outcome is its future's."""

    def save(journal: JournalPort) -> int:
        journal.save_snapshot(journal.last_serial, b"state")
        return journal.last_serial

    def fail(journal: JournalPort) -> None:
        journal.save_snapshot(99, b"")

    before = thread.submit(rows(2))
    saved = thread.call(save)
    failed = thread.call(fail)
    after = thread.submit(rows(1))
    journal.gate.set()

    assert (before.result(SOON_S), saved.result(SOON_S)) == (3, 3)
    assert isinstance(failed.exception(SOON_S), InvalidInputError)
    assert after.result(SOON_S) == 4
    assert journal.latest_snapshot() == Snapshot(3, b"state")


def test_closing_writes_what_waits(journal: GatedJournal) -> None:
    """To close drains what was submitted, ends the thread and takes no more."""
    thread = JournalThread(journal, now=lambda: 0.0)
    before = {thread.name for thread in threading.enumerate()}
    futures = [thread.submit(rows(1, number)) for number in range(1, 4)]
    journal.gate.set()
    thread.close()
    thread.close()

    assert [future.result(0) for future in futures] == [1, 2, 3]
    assert "climorch-journal" in before
    assert "climorch-journal" not in {thread.name for thread in threading.enumerate()}
    with pytest.raises(NotAllowedError, match="closed"):
        thread.submit(rows(1))
    with pytest.raises(NotAllowedError, match="closed"):
        thread.call(lambda journal: journal.epoch)
    assert journal.append(rows(1)) == 4


def test_a_hanging_disk_does_not_keep_the_driver(
    journal: GatedJournal, thread: JournalThread
) -> None:
    """To close with a limit tells how many rows are not written."""
    thread.submit(rows(2))

    with pytest.raises(BackendError, match="3 rows not written") as hung:
        thread.close(timeout_s=0.0)
    assert hung.value.facts == {"reason": "hang", "waiting_rows": 3}


def test_the_heart_beats_while_nothing_happens(
    journal: GatedJournal, store: MemoryStore
) -> None:
    """Heartbeats are written again and again, with the driver's clock."""
    with JournalThread(journal, now=lambda: 7.0, heartbeat_s=0.001):
        assert journal.beaten.wait(SOON_S)

    assert journal.beats[:3] == [7.0, 7.0, 7.0]
    assert store.lock.heartbeat_s == 7.0


def test_a_heartbeat_that_fails_is_told(
    journal: GatedJournal, store: MemoryStore
) -> None:
    """A failed heartbeat is reported, and another one tried."""
    store.failing = "SQLITE_IOERR"
    told: list[ClimorchError] = []
    superseded = threading.Event()

    def tell(error: ClimorchError) -> None:
        told.append(error)
        if len(told) == 2:
            MemoryJournal(store, owner=HERE, now_s=1.0, alive=dead)
        if isinstance(error, ConflictError):
            superseded.set()

    with JournalThread(
        journal, now=lambda: 7.0, heartbeat_s=0.001, on_heartbeat_error=tell
    ):
        assert superseded.wait(SOON_S)

    assert [type(error) for error in told[:3]] == [
        BackendError,
        BackendError,
        ConflictError,
    ]


def test_nobody_needs_to_be_told(journal: GatedJournal, store: MemoryStore) -> None:
    """Without a callback failed heartbeats are only logged."""
    store.failing = "SQLITE_IOERR"
    with JournalThread(journal, now=lambda: 7.0, heartbeat_s=0.001):
        assert journal.beaten.wait(SOON_S)

    assert store.lock.heartbeat_s == 0.0


def test_a_callback_that_raises_does_not_end_the_thread(
    journal: GatedJournal, store: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    """What the callback of a failed heartbeat raises is logged, and all goes on."""
    store.failing = "SQLITE_IOERR"
    journal.gate.set()

    def tell(error: ClimorchError) -> None:
        raise KeyError(error)

    with JournalThread(
        journal, now=lambda: 7.0, heartbeat_s=0.001, on_heartbeat_error=tell
    ) as thread:
        assert journal.beaten.wait(SOON_S)
        store.failing = None
        assert thread.submit(rows(2)).result(SOON_S) == 2

    assert "event=heartbeat_callback_failed" in caplog.text


@pytest.mark.parametrize(
    ("heartbeat_s", "max_rows"), [(0.0, 1), (-1.0, 1), (float("nan"), 1), (1.0, 0)]
)
def test_settings_are_checked(
    journal: GatedJournal, heartbeat_s: float, max_rows: int
) -> None:
    """A heartbeat interval is positive and a transaction has room for a row."""
    with pytest.raises(InvalidInputError, match="journal thread"):
        JournalThread(journal, heartbeat_s=heartbeat_s, max_rows=max_rows)
