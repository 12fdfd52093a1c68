"""The benchmark of forecasts, with one campaign and few worlds."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from benchmarks import forecast_accuracy
from benchmarks.forecast_accuracy import figures_of, judged_in_pieces, misses
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
    slow = dataclasses.replace(GOOD, cpu_s=901.0)
    assert misses(figures_of([slow] * 4 + [out])) == ["time"]
    far = dataclasses.replace(out, errors=(0.2, 0.2), right=0)
    assert misses(figures_of([far, dataclasses.replace(far, limited="demand")])) == [
        "within 15 % in 90 %",
        "median error",
        "better than flat",
        "better than plan times mean",
        "coverage",
        "months",
    ]


def test_what_is_judged_is_kept_and_not_judged_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is killed loses one campaign; others of another size are others."""
    asked: list[int] = []

    def judge(size: Size, seed: int) -> Judged:
        asked.append(seed)
        if seed == 3:
            raise KeyboardInterrupt
        return dataclasses.replace(GOOD, seed=seed)

    monkeypatch.setattr(forecast_accuracy, "judge", judge)
    keep = tmp_path / "kept.jsonl"
    with pytest.raises(KeyboardInterrupt):
        judged_in_pieces(Size(), (1, 2, 3), keep, processes=1)
    asked.clear()

    found = judged_in_pieces(Size(), (2, 4, 1), keep, processes=1)

    assert asked == [4]
    assert [judged.seed for judged in found] == [2, 4, 1]
    assert found[0] == dataclasses.replace(GOOD, seed=2)
    judged_in_pieces(Size(worlds=1), (1,), keep, processes=1)
    judged_in_pieces(Size(), (1,), None, processes=1)
    assert asked == [4, 1, 1]
