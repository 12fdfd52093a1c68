"""A campaign seen through its journal, from any process, without holding it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from climorch.core.fold import apply
from climorch.core.state import CampaignState
from climorch.model.commands import decode_record
from climorch.storage.journal import SqliteJournal

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
        return self._state
