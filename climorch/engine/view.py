"""A campaign seen through its journal, from any process, without holding it."""

from __future__ import annotations

import copy
import time
from contextlib import closing
from pathlib import Path

from climorch.core.fold import apply
from climorch.core.state import CampaignState
from climorch.model.commands import decode_record
from climorch.model.events import DriverStopped
from climorch.storage.journal import SqliteJournal
from climorch.storage.lock import LockRow, may_take_over
from climorch.storage.owner import is_alive, this_process

__all__ = ["JournalView"]


class JournalView:
    """The state that a journal tells, kept up to date by reading what is new.

    Parameters
    ----------
    path : Path
        The journal; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._state = CampaignState()
        self._serial = 0

    def state(self) -> CampaignState:
        """Return the state after the newest row; to be read only."""
        if not self._path.exists():
            self._state, self._serial = CampaignState(), 0
            return self._state
        with closing(SqliteJournal.open_readonly(self._path)) as journal:
            if journal.last_serial < self._serial:
                # Another journal lies there now.
                self._state, self._serial = CampaignState(), 0
            for row in journal.read(self._serial):
                apply(self._state, decode_record(row.payload), row.now_s)
                self._serial = row.serial
            alone = _is_free(journal.lock)
        held = self._state.nodes or any(
            s.lease for s in self._state.simulations.values()
        )
        if not (alone and held):
            return self._state
        # Its driver died without a word: nothing runs, though no row says so.
        ended = copy.deepcopy(self._state)
        apply(ended, DriverStopped(reason="died"), ended.now_s)
        return ended


def _is_free(row: LockRow) -> bool:
    alive = row.holder is not None and is_alive(row.holder)
    return may_take_over(row, this_process(), time.time(), alive)
