"""What may be asked of a campaign about what it used."""

from __future__ import annotations

import math
from contextlib import closing

from climorch.engine.custody import Custody
from climorch.engine.session import JOURNAL
from climorch.forecast.booked import Ledger, booked
from climorch.forecast.entries import Power
from climorch.forecast.ledger import KINDS, Bookkeeper
from climorch.forecast.periods import Period, period_of
from climorch.model.commands import decode_record
from climorch.storage.journal import SqliteJournal

__all__ = ["Accounting"]


class Accounting(Custody):
    """The verbs of a campaign about its use of nodes and bytes."""

    def ledger(
        self,
        *,
        period: Period = None,
        project: str | None = None,
        power: Power | None = None,
    ) -> Ledger:
        """Say what was used and what for, by month, project, simulation and stage.

        Read from the journal alone, up to its newest row: what runs since is told
        with the next one.

        Parameters
        ----------
        period : str, tuple or None
            A year or month of UTC, or begin and end; None: all there is.
        project : str or None
            Whose; None: everybody's, and nodes that nobody leased.
        power : Power or None
            What a node draws, for kWh and CO2.

        Returns
        -------
        Ledger
            Each second of each node once; empty before the campaign has run.

        Raises
        ------
        InvalidInputError
            If there is no such period.
        CorruptDataError, BackendError
            If the journal is damaged, or cannot be read.
        """
        since_s, until_s = period_of(period)
        cuts = tuple(edge_s for edge_s in (since_s, until_s) if math.isfinite(edge_s))
        keeper = self._books(cuts)
        found = booked(keeper, self._folder.name, cuts=cuts, power=power)
        return found.select(since_s=since_s, until_s=until_s, project=project)

    def _books(self, cuts: tuple[float, ...]) -> Bookkeeper:
        """Read the journal, without what costs nothing."""
        keeper = Bookkeeper(cuts)
        path = self._folder / JOURNAL
        if not path.exists():
            return keeper
        with closing(SqliteJournal.open_readonly(path)) as journal:
            for row in journal.read():
                if row.kind in KINDS:
                    keeper.note(decode_record(row.payload), row.now_s)
                else:
                    keeper.tick(row.now_s)
        return keeper
