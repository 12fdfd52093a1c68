"""Which nodes hold up others."""

from __future__ import annotations

import pytest

from climorch.forecast.insights.straggling import stragglers
from climorch.forecast.timings import Slowness, Times
from tests.unit.forecast.insights.made import study


@pytest.mark.parametrize(
    ("slowness", "found"),
    [
        (Slowness(20, 18, 100.0), True),
        # Too few, not mostly, not by much.
        (Slowness(9, 9, 100.0), False),
        (Slowness(20, 15, 100.0), False),
        (Slowness(20, 20, 10.0), False),
    ],
)
def test_a_straggler_is_the_slowest_mostly_and_by_much(
    slowness: Slowness, found: bool
) -> None:
    """Of 1000 node-seconds in leases; nodes that nobody had do not count."""
    times = Times(nodes={"n1": slowness})
    findings = list(stragglers(study(times, useful=1000.0, free=1e6)))

    assert [x.gain for x in findings] == ([0.1] if found else [])
    assert all("drain('n1')" in x.change for x in findings)


def test_of_nothing_nothing_is_found() -> None:
    """No lease, no share."""
    times = Times(nodes={"n1": Slowness(20, 20, 1.0)})
    assert list(stragglers(study(times))) == []
