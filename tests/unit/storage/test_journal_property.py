"""Whatever happens to a journal, it holds what was acknowledged, in order."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from climorch.core.ports import Row, Snapshot
from climorch.errors import BackendError, ConflictError
from climorch.testing.journal_suite import failing_writes
from tests.unit.storage.journal_cases import dead, living, open_journal

ROWS = st.lists(
    st.builds(
        Row,
        kind=st.sampled_from(["SegmentFinished", "SegmentCommitted", "x"]),
        payload=st.binary(max_size=300),
        now_s=st.floats(allow_nan=False, allow_infinity=False),
    ),
    max_size=6,
)


class JournalMachine(RuleBasedStateMachine):
    """A journal and a list, through appends, failures, crashes and reopenings."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "j.sqlite"
        self.mounts = Path(self.folder.name) / "mounts"
        self.model: list[tuple[int, Row]] = []
        self.epoch = 1
        self.snapshots: dict[int, bytes] = {}

    @initialize(filesystem=st.sampled_from(["ext4", "nfs"]))
    def begin(self, filesystem: str) -> None:
        """Open the journal for the first time."""
        self.mounts.write_text(f"any / {filesystem} rw 0 0\n")
        self.journal = open_journal(self.path, mounts=self.mounts)

    @rule(rows=ROWS)
    def append(self, rows: list[Row]) -> None:
        """Append, and have it acknowledged."""
        self.model += [(self.epoch, row) for row in rows]
        assert self.journal.append(rows) == len(self.model)

    @rule(rows=ROWS.filter(bool))
    def append_to_a_failing_disk(self, rows: list[Row]) -> None:
        """Append, and be told that it failed."""
        with failing_writes(), pytest.raises(BackendError):
            self.journal.append(rows)

    @rule(blob=st.binary(max_size=50), share=st.floats(0.0, 1.0))
    def save_snapshot(self, blob: bytes, share: float) -> None:
        """Keep a snapshot of some row."""
        if self.model:
            serial = max(1, round(share * len(self.model)))
            self.journal.save_snapshot(serial, blob)
            kept = {**self.snapshots, serial: blob}
            self.snapshots = dict(sorted(kept.items())[-2:])

    @rule()
    def reopen(self) -> None:
        """Close it and open it again."""
        self.journal.close()
        self.journal = open_journal(self.path, alive=living, mounts=self.mounts)
        self.epoch += 1

    @rule(rows=ROWS)
    def take_over(self, rows: list[Row]) -> None:
        """Let the next driver take it from one that hangs and wakes up again."""
        old = self.journal
        self.journal = open_journal(self.path, alive=dead, mounts=self.mounts)
        self.epoch += 1
        with pytest.raises(ConflictError):
            old.append(rows)
        old.close()

    @rule(after=st.integers(0, 40))
    def read_on(self, after: int) -> None:
        """Read what follows a serial."""
        stored = [row.serial for row in self.journal.read(after)]
        assert stored == list(range(after + 1, len(self.model) + 1))

    @invariant()
    def holds_what_was_acknowledged(self) -> None:
        """Compare all of it with the model."""
        stored = list(self.journal.read())
        assert [
            (row.epoch, Row(kind=row.kind, payload=row.payload, now_s=row.now_s))
            for row in stored
        ] == self.model
        newest = max(self.snapshots.items(), default=None)
        found = self.journal.latest_snapshot()
        assert found == (None if newest is None else Snapshot(*newest))
        report = self.journal.verify()
        assert report.good
        assert (report.rows, report.epoch) == (len(self.model), self.epoch)

    def teardown(self) -> None:
        """Remove the file."""
        if hasattr(self, "journal"):
            self.journal.close()
        self.folder.cleanup()


def test_a_journal_holds_what_was_acknowledged() -> None:
    """Any sequence of appends, failures and reopenings keeps what was acknowledged."""
    run_state_machine_as_test(
        JournalMachine, settings=settings(max_examples=15, stateful_step_count=20)
    )
