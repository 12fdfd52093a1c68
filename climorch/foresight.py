"""What may be asked of a campaign about what is to come."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from climorch.engine.accounting import Accounting
from climorch.forecast.activities import Activity
from climorch.forecast.backtesting import Backtest
from climorch.forecast.capacity import LatestStart, NodesNeeded
from climorch.forecast.entries import Power
from climorch.forecast.history import History
from climorch.forecast.past import Past, at_months, past_of
from climorch.forecast.projection import Forecast
from climorch.model.commands import Record, decode_record
from climorch.model.kinds import checks_kinds
from climorch.twin.asking import Asked, Question, forecast_from
from climorch.twin.hindsight import backtest_from
from climorch.twin.site import TwinSite
from climorch.twin.sizing import latest_start_from, nodes_needed_from

__all__ = ["Foresight"]

Seeds = int | Iterable[int] | None


class Foresight(Accounting):
    """The verbs of a campaign about months to come."""

    @checks_kinds
    def forecast(
        self,
        *,
        months: int = 6,
        plan: Iterable[Activity] = (),
        site: TwinSite | None = None,
        seeds: Seeds = None,
        quick: bool = False,
        processes: int = 1,
        queue_wait: tuple[timedelta, timedelta] = (timedelta(), timedelta()),
        history: History | None = None,
        power: Power | None = None,
    ) -> Forecast:
        """Forecast node-hours, storage, energy and ends, from the journal.

        Parameters
        ----------
        months : int
            Whole ones, beside the rest of the present one; in [1, 120].
        plan : iterable of Activity
            What is not submitted yet; those that are show how late plans are.
        site : TwinSite or None
            Where; None: on nodes as they have been.
        seeds : int or iterable of int or None
            How many worlds, or their seeds; None: 20, or 200 if quick.
        quick : bool
            Whether without the twin: in seconds, and only roughly right about dates.
        processes : int
            Worlds side by side, as for `Campaign.rehearse`.
        queue_wait : tuple of timedelta
            Least and most time until nodes are there.
        history : History or None
            Of use in node-hours, to reconcile with; None: the campaign's own.
        power : Power or None
            What a node draws, for kWh.

        Returns
        -------
        Forecast
            With P10, P50 and P90, which case it is in and what was assumed.

        Raises
        ------
        InvalidInputError, CorruptDataError, BackendError
            Faults of the plan, costs that nobody knows; as for `ledger`.
        """
        question = Question(
            months=months,
            plan=tuple(plan),
            site=site,
            seeds=_seeds(seeds),
            quick=quick,
            processes=processes,
            wait_s=(queue_wait[0].total_seconds(), queue_wait[1].total_seconds()),
            history=history,
            power=power,
        )
        past = self._past()
        return forecast_from(past, question, self._asked(past), begin_s=_begin_s(past))

    @checks_kinds
    def backtest(
        self,
        *,
        months: int = 3,
        plan: Iterable[Activity] = (),
        site: TwinSite | None = None,
        seeds: Seeds = None,
        quick: bool = False,
        processes: int = 1,
    ) -> Backtest:
        """Forecast again from every past month, and compare with what came.

        Parameters
        ----------
        months, plan, site, seeds, quick, processes
            As for `forecast`. Each month knows the journal up to its begin, and of the
            plan what was not submitted yet; policies are those of now.

        Returns
        -------
        Backtest
            Bias, share within 15 %, P90 error and coverage, of all projects together;
            without origins where the journal is too short.

        Raises
        ------
        InvalidInputError, CorruptDataError, BackendError
            As for `forecast`.
        """
        question = Question(
            months=months,
            plan=tuple(plan),
            site=site,
            seeds=_seeds(seeds),
            quick=quick,
            processes=processes,
        )
        pasts = list(at_months(self._told()))
        return backtest_from(pasts, question, self._asked(pasts[-1]))

    @checks_kinds
    def nodes_needed(
        self,
        plan: Iterable[Activity] = (),
        *,
        by: datetime,
        chance: float = 0.9,
        site: TwinSite | None = None,
        seeds: Seeds = None,
        processes: int = 1,
    ) -> NodesNeeded:
        """Find the fewest nodes with which a plan is done in time.

        Parameters
        ----------
        plan : iterable of Activity
            What is to be done, beside all that is submitted and competes with it;
            empty: all that is submitted.
        by : datetime
            Until when, with a time zone.
        chance : float
            In how large a share of worlds, in (0, 1].
        site : TwinSite or None
            What nodes are like; how many is what is searched.
        seeds, processes
            As for `forecast`.

        Returns
        -------
        NodesNeeded
            Checked in the twin.

        Raises
        ------
        InvalidInputError
            If no number is enough, or as for `forecast`.
        CorruptDataError, BackendError
            As for `forecast`.
        """
        past = self._past()
        return nodes_needed_from(
            past,
            Question(
                plan=tuple(plan), site=site, seeds=_seeds(seeds), processes=processes
            ),
            self._asked(past),
            by=by,
            chance=chance,
            begin_s=_begin_s(past),
        )

    @checks_kinds
    def latest_start(
        self,
        activity: Activity,
        *,
        by: datetime,
        plan: Iterable[Activity] = (),
        chance: float = 0.9,
        site: TwinSite | None = None,
        seeds: Seeds = None,
        processes: int = 1,
    ) -> LatestStart:
        """Find the last day on which a scenario can be submitted and is done in time.

        Parameters
        ----------
        activity : Activity
            Which; its own start is not looked at.
        by, chance, site, seeds, processes
            As for `nodes_needed`.
        plan : iterable of Activity
            What else is planned.

        Returns
        -------
        LatestStart
            Checked in the twin.

        Raises
        ------
        InvalidInputError
            If today is too late, or as for `forecast`.
        CorruptDataError, BackendError
            As for `forecast`.
        """
        past = self._past()
        return latest_start_from(
            past,
            Question(
                plan=tuple(plan), site=site, seeds=_seeds(seeds), processes=processes
            ),
            self._asked(past),
            activity=activity,
            by=by,
            chance=chance,
            begin_s=_begin_s(past),
        )

    def _past(self) -> Past:
        """Read the journal, and take the wishes that wait."""
        past = past_of(self._told())
        state = self._state()
        later_s = max(past.as_of_s, state.now_s)
        return replace(past, as_of_s=later_s, state=state)

    def _asked(self, past: Past) -> Asked:
        policies = replace(
            self.policies,
            overrides=self._submissions.overrides,
            remedies=self._submissions.remedies,
        )
        return Asked(
            campaign=self._folder.name,
            facts=tuple(self._submissions.news(past.state)),
            policies=policies,
            workflows=dict(self._submissions.workflows),
        )

    def _told(self) -> Iterable[tuple[Record, float]]:
        for row in self._rows():
            yield decode_record(row.payload), row.now_s


def _begin_s(past: Past) -> float:
    """Return when what is to come begins: now, but not before what is known."""
    return max(time.time(), past.as_of_s)


def _seeds(seeds: Seeds) -> tuple[int, ...]:
    if seeds is None:
        return ()
    return tuple(range(seeds) if isinstance(seeds, int) else seeds)
