"""A campaign as its journal tells it up to a moment: state, books, what was seen.

One pass over the records serves all that forecasts, also those from past months.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from climorch.core.fold import apply
from climorch.core.state import CampaignState
from climorch.forecast.booked import Ledger, booked
from climorch.forecast.entries import Power
from climorch.forecast.ledger import Bookkeeper
from climorch.forecast.periods import month_begin_s
from climorch.forecast.witness import Seen, Witness
from climorch.model.commands import Record
from climorch.model.events import DriverStopped

__all__ = ["Past", "at_months", "past_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What is known at a moment.

    Attributes
    ----------
    as_of_s : float
        That moment, UTC seconds.
    state : CampaignState
        Of the campaign; to be read only.
    ledger : Ledger
        Of everybody, from its begin on.
    seen : Seen
        Costs and nodes.
    """

    as_of_s: float
    state: CampaignState
    ledger: Ledger
    seen: Seen


class _Reader:
    """Folds records in three ways."""

    def __init__(self) -> None:
        self.state = CampaignState()
        self._keeper = Bookkeeper()
        self._witness = Witness()

    def note(self, record: Record, now_s: float) -> None:
        apply(self.state, record, now_s)
        self._keeper.note(record, now_s)
        self._witness.note(record, now_s)

    def past(self, as_of_s: float, *, power: Power | None = None) -> Past:
        # Books are closed to be read: those that go on stay open.
        keeper = copy.deepcopy(self._keeper)
        keeper.tick(as_of_s)
        state = copy.deepcopy(self.state)
        if any(s.lease for s in state.simulations.values()):
            # As if the script were run again now: that is no failure.
            apply(state, DriverStopped(reason="forecast"), as_of_s)
        return Past(
            as_of_s=as_of_s,
            state=state,
            ledger=booked(keeper, state.campaign, power=power),
            seen=self._witness.seen(as_of_s),
        )


def past_of(
    records: Iterable[tuple[Record, float]], *, power: Power | None = None
) -> Past:
    """Read a whole journal.

    Parameters
    ----------
    records : iterable of (Record, float)
        Each with the driver's clock, in order.
    power : Power or None
        What a node draws.

    Returns
    -------
    Past
        As of the newest record.
    """
    reader = _Reader()
    now_s = 0.0
    for record, now_s in records:
        reader.note(record, now_s)
    return reader.past(now_s, power=power)


def at_months(records: Iterable[tuple[Record, float]]) -> Iterator[Past]:
    """Read a journal and stop at the begin of each month in it.

    Parameters
    ----------
    records : iterable of (Record, float)
        Each with the driver's clock, in order.

    Yields
    ------
    Past
        As of the begin of each month but the first; at last as of the newest record.
    """
    reader = _Reader()
    edge_s: float | None = None
    now_s = 0.0
    for record, now_s in records:
        if edge_s is None:
            edge_s = month_begin_s(now_s, later=1)
        while now_s >= edge_s:
            yield reader.past(edge_s)
            edge_s = month_begin_s(edge_s, later=1)
        reader.note(record, now_s)
    yield reader.past(now_s)
