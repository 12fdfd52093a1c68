"""A driver that dies where rows become durable, in scripts of their own process."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence

from climorch.core.ports import Row
from climorch.model.commands import Record, encode_record
from climorch.storage.journal import SqliteJournal


class Death:
    """Kills this process at one append.

    Parameters
    ----------
    number : int
        At which of those that count, from 0; -1: never.
    after : bool
        Whether once the rows are durable, or before.
    counts : callable or None
        An append counts that has a row for which this is true; None: all do.
    """

    def __init__(
        self, number: int, *, after: bool, counts: Callable[[Row], bool] | None = None
    ) -> None:
        self.number, self.after = number, after
        self.passed = 0
        self._counts = counts

    def append(self, journal: SqliteJournal, rows: Sequence[Row]) -> None:
        """Append rows, or die."""
        counted = self._counts is None or any(map(self._counts, rows))
        dies = counted and self.passed == self.number
        self.passed += counted
        if dies and not self.after:
            os.kill(os.getpid(), signal.SIGKILL)
        journal.append(rows)
        if dies:
            os.kill(os.getpid(), signal.SIGKILL)


def row_of(record: Record, now_s: float) -> Row:
    """Return the row of the journal that has a record."""
    return Row(kind=type(record).__name__, payload=encode_record(record), now_s=now_s)


def killed(run: Callable[[], object]) -> bool:
    """Run something in a child that is to die there; return whether it did."""
    child = os.fork()
    if child == 0:
        run()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
