"""A campaign in the twin, what is found about it, and what it took in all."""

from __future__ import annotations

from typing import Any

from climorch.forecast.booked import booked
from climorch.forecast.insights.finding import Finding, Kind
from climorch.forecast.insights.found import Insights, insights
from climorch.forecast.ledger import Bookkeeper
from climorch.forecast.parts import Part
from climorch.forecast.timekeeping import Timekeeper
from climorch.twin.costs import Work
from tests.unit.twin.stage import Play

__all__ = ["HOUR_S", "Outcome", "linear", "played"]

HOUR_S = 3600.0


class Outcome:
    """What became of a campaign that was played to its end.

    Attributes
    ----------
    found : Insights
        By its journal alone.
    span_s : float
        Seconds from its beginning to its end.
    node_s : float
        Node-seconds that were up, leased or not.
    held_node_s, useful_node_s : float
        Node-seconds in leases; those that became committed work.
    """

    def __init__(self, play: Play, longest_s: float) -> None:
        keeper = Bookkeeper()
        timekeeper = Timekeeper(keeper.books)
        for now_s, record in play.records:
            keeper.note(record, now_s)
            timekeeper.note(record, now_s)
        now_s = play.twin.ledger.now_s
        keeper.tick(now_s)
        timekeeper.close(now_s)
        ledger = booked(keeper, "c")
        self.times = timekeeper.times
        self.found: Insights = insights(ledger, self.times, longest_s=longest_s)
        self.span_s = now_s
        self.node_s = ledger.node_s()
        self.held_node_s = ledger.held_node_s
        self.useful_node_s = ledger.node_s(Part.USEFUL)

    def one(self, kind: Kind) -> Finding:
        """Return the only finding of a kind."""
        (finding,) = self.found.of(kind)
        return finding


def played(
    play: Play, *, longest_s: float = 1e9, until_s: float | None = None
) -> Outcome:
    """Run a campaign to its end, or for a time, and look at its journal."""
    play.run(until_s or 1e8)
    assert play.twin.ended or until_s
    return Outcome(play, longest_s)


def linear(**seconds: float) -> Any:
    """Return a cost by stage, in node-seconds of a segment: twice the nodes, half."""

    def cost(work: Work, nodes: float) -> float:
        return seconds[work.stage] / nodes

    return cost
