"""A campaign seen through its journal, from any process, without holding it."""

from __future__ import annotations

import copy
import logging
import time
from contextlib import closing
from pathlib import Path

from climorch.core.fold import apply
from climorch.core.state import CampaignState
from climorch.errors import BackendError
from climorch.model.commands import decode_record
from climorch.model.events import DriverStopped, WishTaken
from climorch.storage import inbox
from climorch.storage.journal import SqliteJournal
from climorch.storage.lock import LockRow, may_take_over
from climorch.storage.owner import is_alive, this_process

__all__ = ["JournalView"]

logger = logging.getLogger(__name__)


class JournalView:
    """The state that a journal tells, kept up to date by reading what is new.

    Parameters
    ----------
    path : Path
        The journal; it need not exist yet.

    Attributes
    ----------
    driven : bool
        Whether a driver held it when the state was last asked for.
    """

    def __init__(self, path: Path) -> None:
        self.driven = False
        self._path = path
        self._state = CampaignState()
        self._serial = 0

    def state(self) -> CampaignState:
        """Return the state after the newest row; to be read only."""
        if not self._path.exists():
            self._state, self._serial = CampaignState(), 0
            self.driven = False
        else:
            self._read()
        if self.driven:
            return self._state
        died = self._serial and self._state.driven
        wishes = self._wishes()
        if not (died or wishes):
            return self._state
        seen = copy.deepcopy(self._state)
        if died:
            # Its driver died without a word: nothing runs, though no row says so.
            apply(seen, DriverStopped(reason="died"), seen.now_s)
        for wish in wishes:
            # Durable already; the next driver begins with them.
            apply(seen, wish, seen.now_s)
        return seen

    def _read(self) -> None:
        with closing(SqliteJournal.open_readonly(self._path)) as journal:
            if journal.last_serial < self._serial:
                # Another journal lies there now.
                self._state, self._serial = CampaignState(), 0
            for row in journal.read(self._serial):
                apply(self._state, decode_record(row.payload), row.now_s)
                self._serial = row.serial
            self.driven = not _is_free(journal.lock)

    def _wishes(self) -> list[WishTaken]:
        try:
            found = inbox.look(self._path.parent / inbox.FOLDER).wishes
        except BackendError as error:
            logger.warning("wishes that wait are not shown: %s", error)
            return []
        return [wish for wish in found if wish.id not in self._state.wishes]


def _is_free(row: LockRow) -> bool:
    alive = row.holder is not None and is_alive(row.holder)
    return may_take_over(row, this_process(), time.time(), alive)
