"""When the storage is what is waited for."""

from __future__ import annotations

import pytest

from climorch.forecast.insights.storing import storage_bound
from climorch.forecast.timings import Times, Width
from tests.unit.forecast.insights.made import simulation, study


@pytest.mark.parametrize(
    ("alone", "crowded", "drain", "losses", "gain"),
    [
        # 20 of 30 s of writing are too long, in which 100 of 1000 are waited.
        (Width(10, 100.0), Width(10, 300.0), 100.0, 0, 0.1 * 200 / 400),
        # Each of ten losses costs ten seconds more.
        (Width(10, 100.0), Width(10, 300.0), 0.0, 10, 0.1),
        # Too few, not slower, nobody waits.
        (Width(4, 40.0), Width(10, 300.0), 100.0, 0, None),
        (Width(10, 100.0), Width(4, 300.0), 100.0, 0, None),
        (Width(10, 100.0), Width(10, 140.0), 100.0, 0, None),
        (Width(10, 100.0), Width(10, 300.0), 10.0, 0, None),
        (Width(10, 0.0), Width(10, 300.0), 100.0, 0, None),
    ],
)
def test_checkpoints_in_a_crowd_are_compared_with_those_alone(
    alone: Width, crowded: Width, drain: float, losses: int, gain: float | None
) -> None:
    """And it counts what leases waited and what came too late."""
    made = simulation()
    s = made.sets["a"]
    s.alone, s.crowded, s.losses = alone, crowded, losses
    given = study(Times(of={"s": made}), useful=800.0 - drain, drain=drain, lost=200.0)
    found = list(storage_bound(given))

    if gain is None:
        assert found == []
    else:
        assert [x.gain for x in found] == [pytest.approx(gain * 1000 / 1000)]
