"""The benchmark of a forecast's speed, with few simulations."""

from __future__ import annotations

from benchmarks.forecast_speed import asked, measure


def test_a_small_campaign_is_forecast_in_both_ways() -> None:
    """Ten days of ten simulations: node-hours alike in both."""
    given = asked(10, 240)

    plain, twin = (
        measure(given, quick=quick, worlds=2, processes=1) for quick in (True, False)
    )

    assert float(plain["node_hours"]) > 0.0
    ratio = float(twin["node_hours"]) / float(plain["node_hours"])
    assert 0.8 < ratio < 1.3
