"""What a set uses of its share of a lease."""

from __future__ import annotations

from climorch.forecast.timings import SetTimes
from climorch.forecast.under_way import SetUnderWay
from tests.unit.core.script import plan
from tests.unit.twin.stage import stage


def test_only_what_is_computed_is_counted() -> None:
    """Three seconds of one of two stages, each of which asks for half."""
    s = SetTimes(plan=plan(stage("a", nodes=2)).sets[0])
    under_way = SetUnderWay(attempt=1, nodes=3.0)
    under_way.count(s, 10.0)
    under_way.running["a"] = 1
    under_way.count(s, 13.0)
    under_way.count(s, 13.0)

    assert (s.run_s, s.whole_node_s, s.busy_node_s) == (3.0, 9.0, 4.5)
