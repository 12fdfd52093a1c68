"""Rows that cannot land wait, and the driver goes on without them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence

import pytest

from climorch.core.ports import Row
from climorch.engine import keeper as keeping
from climorch.engine.keeper import RecordKeeper
from climorch.errors import BackendError, ConflictError
from climorch.model.events import Fact, StopRequested
from climorch.storage.owner import Owner
from climorch.testing.memory_journal import MemoryJournal, MemoryStore

ME = Owner(host="h", boot_id="b", pid=1)
FACTS: list[Fact] = [StopRequested()]


class Journal(MemoryJournal):
    """Hangs, or fails in a way that is none of the disk's, when it is told to."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store, owner=ME, now_s=1.0)
        self.answers = threading.Event()
        self.answers.set()
        self.error: Exception | None = None

    def append(self, rows: Sequence[Row]) -> int:
        self.answers.wait()
        if self.error is not None:
            raise self.error
        return super().append(rows)


@pytest.fixture
async def made(
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[tuple[RecordKeeper, Journal, MemoryStore, asyncio.Event]]:
    """A keeper without patience, its journal, the store, and its recovery."""
    monkeypatch.setattr(keeping, "RETRY_S", 0.001)
    monkeypatch.setattr(keeping, "PATIENCE_S", 0.05)
    store, recovered = MemoryStore(), asyncio.Event()
    journal = Journal(store)
    keeper = RecordKeeper(journal)
    keeper.on_recovery = recovered.set
    yield keeper, journal, store, recovered
    journal.answers.set()
    await keeper.close()


Made = tuple[RecordKeeper, Journal, MemoryStore, asyncio.Event]


async def test_a_journal_that_hangs_holds_nobody_up(made: Made) -> None:
    """Rows wait, it is said why, and each lands once when the disk answers."""
    keeper, journal, store, recovered = made
    assert await keeper.append(FACTS, now_s=1.0)
    journal.answers.clear()

    assert not await keeper.append(FACTS, now_s=2.0)
    assert not await keeper.append(FACTS, now_s=3.0)

    assert keeper.trouble == (
        "the journal cannot be written (its disk has not answered for 0.05 s); "
        "1 records wait, nothing is committed or deleted meanwhile"
    )
    allowed = asyncio.create_task(keeper.writable())
    await asyncio.sleep(0)
    assert not allowed.done()
    journal.answers.set()
    await asyncio.wait_for(recovered.wait(), 60)
    await asyncio.wait_for(allowed, 60)
    assert keeper.trouble == ""
    assert await keeper.append(FACTS, now_s=4.0)
    assert [row[4] for row in store.rows] == [1.0, 2.0, 3.0, 4.0]


async def test_a_disk_that_refuses_rows_costs_the_ballast(made: Made) -> None:
    """It is tried again until the rows land; then the space is set aside again."""
    keeper, _, store, recovered = made
    store.failing = "full"
    assert not await keeper.append(FACTS, now_s=1.0)
    while store.has_ballast:
        await asyncio.sleep(0.001)
    while "the ballast file was given up" not in keeper.trouble:
        await asyncio.sleep(0.001)
    store.failing = None
    await asyncio.wait_for(recovered.wait(), 60)
    assert len(store.rows) == 1
    while not store.has_ballast:
        await asyncio.sleep(0.001)


async def test_a_takeover_is_told_though_rows_wait(made: Made) -> None:
    """Whoever is superseded while its disk fails learns of it."""
    keeper, journal, _, recovered = made
    told: list[BaseException] = []
    keeper.on_takeover = told.append
    journal.error = BackendError("full")
    assert not await keeper.append(FACTS, now_s=1.0)
    journal.error = ConflictError("a newer driver")
    while not told:
        await asyncio.sleep(0.001)
    assert str(told[0]) == "a newer driver"
    assert not recovered.is_set()


async def test_rows_that_wait_are_bounded(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the driver ends, and says why."""
    keeper, journal, _, _ = made
    monkeypatch.setattr(keeping, "MOST_WAITING", 2)
    journal.error = BackendError("full")
    assert not await keeper.append(FACTS, now_s=1.0)
    with pytest.raises(BackendError, match="3 records wait for the journal: the jour"):
        await keeper.append(FACTS * 2, now_s=1.0)


async def test_an_end_does_not_wait_for_a_disk_that_hangs(
    made: Made, caplog: pytest.LogCaptureFixture
) -> None:
    """The lock stays with the process: what hangs may land yet."""
    keeper, journal, store, _ = made
    journal.answers.clear()
    assert not await keeper.append(FACTS, now_s=1.0)
    await asyncio.to_thread(keeper.release, 0.01)
    assert "rows not written after 0.01 s" in caplog.text
    assert store.lock.holder == ME
