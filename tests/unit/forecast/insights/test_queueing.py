"""Who waits for whom."""

from __future__ import annotations

import pytest

from climorch.forecast.insights.finding import Kind
from climorch.forecast.insights.queueing import bound
from climorch.forecast.timings import LeaseSpan, SimulationTimes, Times
from tests.unit.forecast.insights.made import simulation, study


def held(
    since_s: float, until_s: float, queue_s: float, submitted_s: float = 0.0
) -> SimulationTimes:
    """Make a simulation of one node that had it for a while."""
    made = simulation(
        queue_s=queue_s,
        held_s=until_s - since_s,
        spans=[LeaseSpan(1, since_s, until_s)],
    )
    made.submitted_s = submitted_s
    return made


@pytest.mark.parametrize(
    ("of", "free", "kind", "nodes"),
    [
        # One node, two simulations one after the other: two nodes would do.
        ([held(0, 50, 0.0), held(50, 100, 50.0)], 0.0, Kind.QUEUE, 2.0),
        # Nodes were free though somebody waited: more of them would not help.
        ([held(0, 50, 0.0), held(50, 100, 50.0)], 100.0, None, 0.0),
        # Two nodes, of which one was leased at a time.
        ([held(0, 50, 0.0), held(50, 100, 0.0)], 100.0, Kind.COMPUTE, 1.0),
        # Nobody waits and little is free.
        ([held(0, 100, 0.0)], 10.0, None, 0.0),
        # Free at the end only: both nodes were needed at first.
        ([held(0, 100, 0.0), held(0, 50, 0.0)], 50.0, None, 0.0),
        ([], 100.0, None, 0.0),
    ],
)
def test_nodes_are_too_few_or_too_many(
    of: list[SimulationTimes], free: float, kind: Kind | None, nodes: float
) -> None:
    """By who waited, and by what nobody leased."""
    times = Times(of={f"s{i}": x for i, x in enumerate(of)})
    leased = sum(x.held_s for x in of)

    found = list(bound(study(times, useful=leased, free=free)))
    assert [(x.kind, x.settings["nodes"]) for x in found] == (
        [(kind, nodes)] if kind else []
    )
    assert all(x.gain == pytest.approx(0.5) for x in found)


def test_more_nodes_do_not_help_who_computes_all_the_time() -> None:
    """The longest simulation takes as long as the campaign."""
    times = Times(of={"s": held(0, 100, 0.0), "t": held(0, 0, 100.0)})
    assert list(bound(study(times, useful=100.0))) == []
