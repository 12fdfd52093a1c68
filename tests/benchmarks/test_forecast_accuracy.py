"""The benchmark of forecasts, with one campaign and few worlds."""

from __future__ import annotations

import dataclasses

import pytest

from benchmarks.forecast_accuracy import figures_of, misses
from benchmarks.forecast_judged import Judged, Size, compared
from benchmarks.hidden_truth import Truth, truth_of
from climorch.forecast.costing import CostDraw
from climorch.forecast.past import Past, past_of


@pytest.fixture(scope="module")
def known() -> tuple[Truth, Past]:
    """Let one campaign be, and read its journal up to month six."""
    truth = truth_of(0)
    return truth, past_of(truth.records)


def test_a_campaign_with_hidden_laws_is_forecast(known: tuple[Truth, Past]) -> None:
    """One limited by demand, with scenarios to come: the quick sum, in two figures."""
    judged = compared(*known, Size(worlds=20, quick=True))

    figures = figures_of([judged])

    assert judged.coming > 0
    assert judged.fewest >= 10
    assert float(figures["median_error_6"]) < 0.15
    assert judged.months > 0


def test_a_forecaster_that_knows_no_costs_is_noticed(
    known: tuple[Truth, Past], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test of the test: with all costs a third, the error shows it."""
    right = CostDraw.mean_s
    monkeypatch.setattr(CostDraw, "mean_s", lambda *given: right(*given) / 3)

    judged = compared(*known, Size(worlds=5, quick=True))

    assert abs(judged.errors[0]) > 0.15


GOOD = Judged(
    seed=0,
    limited="demand",
    coming=0,
    fewest=10,
    errors=(0.01, 0.02),
    flat=(0.1, 0.1),
    naive=(0.1, 0.1),
    covered=(True, True),
    months=5,
    right=5,
)


def test_each_bar_can_fall_short() -> None:
    """By figures that are just bad enough."""
    nodes = dataclasses.replace(GOOD, limited="nodes")
    out = dataclasses.replace(nodes, covered=(False, False))
    assert misses(figures_of([GOOD] * 4 + [out])) == []

    assert misses(figures_of([GOOD, nodes])) == ["coverage"]
    far = dataclasses.replace(out, errors=(0.2, 0.2), right=0)
    assert misses(figures_of([far, dataclasses.replace(far, limited="demand")])) == [
        "within 15 % in 90 %",
        "median error",
        "better than flat",
        "better than plan times mean",
        "coverage",
        "months",
    ]
