"""How nodes will fail, from how they have failed."""

from __future__ import annotations

import numpy as np
import pytest

from climorch.forecast.failing import draw_failures
from climorch.forecast.witness import NodesSeen, Outage

DAY_S = 86_400.0


def test_rates_are_those_that_were_seen() -> None:
    """A hundred failures in 10,000 node-days: one in a hundred days, give or take."""
    seen = NodesSeen(
        up_node_s=10_000 * DAY_S,
        span_s=200 * DAY_S,
        failures=100,
        repairs_s=(7200.0,) * 50,
    )
    draws = [draw_failures(seen, seed) for seed in range(200)]
    rates = [DAY_S / d.mtbf_s if d.mtbf_s else 0.0 for d in draws]

    assert float(np.mean(rates)) == pytest.approx(0.01, rel=0.05)
    assert float(np.std(rates)) == pytest.approx(0.001, rel=0.2)
    assert float(np.median([d.repair_s for d in draws])) == pytest.approx(
        7200.0, rel=0.1
    )
    assert draw_failures(seen, 5) == draws[5]


def test_outages_come_again_as_they_came() -> None:
    """Four in 200 days, of half of the nodes."""
    seen = NodesSeen(
        up_node_s=1000 * DAY_S,
        span_s=200 * DAY_S,
        outages=(Outage(share=0.5, lasts_s=3600.0),) * 3
        + (Outage(share=0.5, lasts_s=None),),
    )
    found = [draw_failures(seen, seed).outage for seed in range(200)]

    kept = [o for o in found if o is not None]
    assert len(kept) > 190
    assert {o.share for o in kept} == {0.5}
    # With what is known beforehand: 4 1/8 in 200 days and an eighth of a year.
    assert float(np.mean([1 / o.every_s for o in kept])) == pytest.approx(
        4.125 / (245.6 * DAY_S), rel=0.1
    )


def test_without_a_failure_there_will_be_few() -> None:
    """In most worlds no outage in years; nodes live long."""
    seen = NodesSeen(up_node_s=10_000 * DAY_S, span_s=200 * DAY_S)
    draws = [draw_failures(seen, seed) for seed in range(200)]

    long = [d.mtbf_s is None or d.mtbf_s > 10_000 * DAY_S for d in draws]
    assert np.mean(long) > 0.6
    assert sum(d.mtbf_s is None for d in draws) > 20
    assert sum(d.outage is None for d in draws) > 20
