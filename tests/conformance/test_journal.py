"""Every journal keeps the contract of the journal port."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest

from climorch.core.ports import JournalPort
from climorch.storage import journal_file
from climorch.storage.journal import SqliteJournal
from climorch.storage.owner import Owner
from climorch.testing.journal_suite import JournalSuite, OpenJournal
from climorch.testing.memory_journal import MemoryJournal, MemoryStore


class TestSqliteJournal(JournalSuite):
    """The journal on a local disk."""

    filesystem = "ext4"
    mode = "wal"

    @pytest.fixture
    def make_journal(self, tmp_path: Path) -> Iterator[OpenJournal]:
        """Open the same file at each call."""
        mounts = tmp_path / "mounts"
        mounts.write_text(f"server:/x / {self.filesystem} rw 0 0\n")
        with ExitStack() as opened:

            def open_one(
                *, owner: Owner, now_s: float, alive: Callable[[Owner], bool]
            ) -> JournalPort:
                journal = SqliteJournal.open(
                    tmp_path / "journal.sqlite",
                    campaign="c",
                    owner=owner,
                    now_s=now_s,
                    alive=alive,
                    ballast_bytes=4096,
                    mounts=mounts,
                )
                opened.callback(journal.close)
                assert journal.journal_mode == self.mode
                return journal

            yield open_one


class TestSqliteJournalOnANetwork(TestSqliteJournal):
    """The journal where processes share no memory through a file."""

    filesystem = "nfs4"
    mode = "delete"


class TestSqliteJournalWithoutLocks(TestSqliteJournal):
    """The journal where the file system has no locks that work."""

    mode = "delete"

    @pytest.fixture(autouse=True)
    def _no_locks(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(journal_file, "locks_work", lambda path: False)


class TestMemoryJournal(JournalSuite):
    """The journal in memory."""

    @pytest.fixture
    def store(self) -> MemoryStore:
        """Keep what the drivers write."""
        return MemoryStore()

    @pytest.fixture
    def make_journal(self, store: MemoryStore) -> OpenJournal:
        """Open the same store at each call."""

        def open_one(
            *, owner: Owner, now_s: float, alive: Callable[[Owner], bool]
        ) -> JournalPort:
            return MemoryJournal(store, owner=owner, now_s=now_s, alive=alive)

        return open_one

    @pytest.fixture
    def broken_storage(
        self, store: MemoryStore
    ) -> Callable[[], AbstractContextManager[None]]:
        """Make the store refuse all writes."""

        @contextlib.contextmanager
        def broken() -> Iterator[None]:
            store.failing = "full"
            try:
                yield
            finally:
                store.failing = None

        return broken
