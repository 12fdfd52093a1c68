"""What may be asked of a campaign about what it used."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING

from climorch.core.ports import StoredRow
from climorch.engine.custody import Custody
from climorch.engine.session import JOURNAL
from climorch.errors import NotFoundError
from climorch.forecast.backtesting import forecast_series
from climorch.forecast.booked import Ledger, booked
from climorch.forecast.entries import Power
from climorch.forecast.history import history_of_ledger
from climorch.forecast.insights.found import Insights, insights
from climorch.forecast.ledger import KINDS, Bookkeeper
from climorch.forecast.performance import Given, lease_table, performance
from climorch.forecast.periods import Period, period_of
from climorch.forecast.planned import notes_on, planned, projects_of
from climorch.forecast.projection import Forecast
from climorch.forecast.reporting import Report
from climorch.forecast.series import LEVEL_MONTHS
from climorch.forecast.timekeeping import KINDS as TIMED
from climorch.forecast.timekeeping import Timekeeper
from climorch.model.commands import decode_record
from climorch.storage.journal import SqliteJournal

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

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
        whole = self._whole(since_s, until_s, power)
        return whole.select(since_s=since_s, until_s=until_s, project=project)

    def report(
        self,
        *,
        period: Period = None,
        project: str | None = None,
        power: Power | None = None,
        forecast: Forecast | None = None,
    ) -> Report:
        """Report what was used, is planned, was lost and produced.

        Parameters
        ----------
        period, project, power
            As for `ledger`. Plans, budgets and the forecast are as of now, whatever
            the period.
        forecast : Forecast or None
            As `Campaign.forecast` made it: its ranges become columns and tables.

        Returns
        -------
        Report
            Tables, and the same as NetCDF, CSV, JSON or Markdown.

        Raises
        ------
        NotFoundError
            If there is no such project.
        InvalidInputError, CorruptDataError, BackendError
            As for `ledger`.
        """
        state = self._state()
        since_s, until_s = period_of(period)
        whole = self._whole(since_s, until_s, power)
        projects = projects_of(state, whole)
        if project is not None and project not in projects:
            raise NotFoundError(
                f"no project {project!r} has simulations here; there are "
                f"{', '.join(projects) or 'none yet'}"
            )
        chosen = projects if project is None else (project,)
        history = history_of_ledger(whole, project=project)
        known = len(history) >= LEVEL_MONTHS
        return Report(
            campaign=self._folder.name,
            project=project,
            since_s=since_s,
            until_s=until_s,
            ledger=whole.select(since_s=since_s, until_s=until_s, project=project),
            plans=tuple(planned(state, self.policies, whole, name) for name in chosen),
            outlook=forecast_series(history) if known else None,
            forecast=forecast,
            notes=notes_on(whole, known=known or forecast is not None),
        )

    def performance(
        self,
        *,
        power: Power | None = None,
        resolution: Mapping[str, float] | None = None,
        complexity: Mapping[str, float] | None = None,
    ) -> xr.Dataset:
        """Say how well stages compute, and the measures of CPMIP.

        Parameters
        ----------
        power : Power or None
            What a node draws, for joules per model year.
        resolution, complexity : mapping of str to float, or None
            By stage, as CPMIP counts them: spatial degrees of freedom, prognostic
            variables. Only told again.

        Returns
        -------
        xarray.Dataset
            By ``simulation`` and ``stage``, by ``simulation``, by ``month``; each
            variable says what it is.

        Raises
        ------
        InvalidInputError
            If a resolution or complexity is not finite and > 0.
        CorruptDataError, BackendError
            If the journal is damaged, or cannot be read.
        """
        given = Given(resolution=resolution or {}, complexity=complexity or {})
        keeper, timekeeper = self._timed()
        ledger = booked(keeper, self._folder.name, power=power)
        return performance(ledger, timekeeper.times, given)

    def leases(self) -> pd.DataFrame:
        """Say who had how many nodes when.

        Returns
        -------
        pandas.DataFrame
            One row per lease and change of it, by simulation: columns ``simulation``,
            ``nodes``, ``start``, ``stop`` (UTC). Up to the newest row of the journal.

        Raises
        ------
        CorruptDataError, BackendError
            If the journal is damaged, or cannot be read.
        """
        return lease_table(self._timed()[1].times)

    def insights(self) -> Insights:
        """Say what could be better, why that is believed and what it would gain.

        Returns
        -------
        Insights
            Findings, the largest gain first; empty before the campaign has run, and
            where nothing would gain enough.

        Raises
        ------
        CorruptDataError, BackendError
            If the journal is damaged, or cannot be read.
        """
        keeper, timekeeper = self._timed()
        return insights(
            booked(keeper, self._folder.name),
            timekeeper.times,
            longest_s=self.policies.limits.longest_s,
        )

    def _timed(self) -> tuple[Bookkeeper, Timekeeper]:
        """Read the journal for books and times."""
        keeper = Bookkeeper()
        timekeeper = Timekeeper(keeper.books)
        self._read(keeper, timekeeper)
        timekeeper.close(keeper.now_s)
        return keeper, timekeeper

    def _whole(self, since_s: float, until_s: float, power: Power | None) -> Ledger:
        """Return the ledger of everybody, kept so that it can be cut there."""
        cuts = tuple(edge_s for edge_s in (since_s, until_s) if math.isfinite(edge_s))
        keeper = self._books(cuts)
        return booked(keeper, self._folder.name, cuts=cuts, power=power)

    def _books(self, cuts: tuple[float, ...]) -> Bookkeeper:
        """Read the journal for books."""
        keeper = Bookkeeper(cuts)
        self._read(keeper)
        return keeper

    def _read(self, *readers: Bookkeeper | Timekeeper) -> None:
        """Read the journal, without what costs nothing and takes no time."""
        kinds = KINDS if len(readers) == 1 else KINDS | TIMED
        for row in self._rows():
            record = decode_record(row.payload) if row.kind in kinds else None
            for reader in readers:
                if record is None:
                    reader.tick(row.now_s)
                else:
                    reader.note(record, row.now_s)

    def _rows(self) -> Iterator[StoredRow]:
        """Yield the rows of the journal; none without one."""
        path = self._folder / JOURNAL
        if path.exists():
            with closing(SqliteJournal.open_readonly(path)) as journal:
                yield from journal.read()
