"""What forecasts from a campaign's past months would have been worth."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable

from climorch.forecast.backtesting import Backtest, Origin
from climorch.forecast.booked import Ledger
from climorch.forecast.entries import HOUR_S
from climorch.forecast.past import Past
from climorch.forecast.periods import month_begin_s
from climorch.forecast.unfolded import edges_of, labels_of
from climorch.twin.asking import Asked, Question, forecast_from

__all__ = ["backtest_from", "held_hours"]


def held_hours(ledger: Ledger, since_s: float, until_s: float) -> float:
    """Return the node-hours that leases held in whole months.

    Parameters
    ----------
    ledger : Ledger
        Of everybody.
    since_s, until_s : float
        Begins of months, UTC seconds.
    """
    return math.fsum(
        entry.held_node_s / HOUR_S
        for entry in ledger.entries
        if since_s <= entry.since_s < until_s
    )


def backtest_from(pasts: Iterable[Past], question: Question, asked: Asked) -> Backtest:
    """Forecast from the begin of every past month, and compare with what came.

    Parameters
    ----------
    pasts : iterable of Past
        As of the begins of months; the last one as of now.
    question : Question
        What would have been asked; of its plan each origin knows what was not
        submitted yet.
    asked : Asked
        Of which campaign; its facts are of now, and not used.

    Returns
    -------
    Backtest
        Without origins where the journal is too short for one. Policies are those of
        now. Months in which nothing was held show nothing and are left out.

    Raises
    ------
    InvalidInputError
        As `forecast_from` does.
    """
    several = list(pasts)
    now = several[-1]
    last_s = month_begin_s(now.as_of_s)
    origins = []
    then = dataclasses.replace(asked, facts=())
    for past in several[:-1]:
        edges_s = edges_of(past.as_of_s, question.months)
        if edges_s[-1] > last_s or not past.seen.pieces:
            continue
        actual = held_hours(now.ledger, edges_s[0], edges_s[-1])
        if not actual:
            continue
        found = forecast_from(past, question, then, begin_s=past.as_of_s)
        total = found.total()
        origins.append(
            Origin(
                month=labels_of(edges_s)[0],
                expected=total.p50,
                p10=total.p10,
                p90=total.p90,
                actual=actual,
            )
        )
    return Backtest(months=question.months, origins=tuple(origins))
