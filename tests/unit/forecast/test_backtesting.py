"""Past forecasts and what they were worth."""

from __future__ import annotations

import math

import numpy as np
import pytest

from climorch.errors import InvalidInputError
from climorch.forecast.backtesting import (
    Backtest,
    Origin,
    backtest,
    forecast_series,
    wilson,
)
from climorch.forecast.series import Case
from tests.unit.forecast.test_series import history, noisy


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    [
        # Newcombe (1998), Stat. Med. 17, 857-872, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (29, 29, 0.8830, 1.0),
        (0, 0, 0.0, 1.0),
    ],
)
def test_wilson_intervals_are_those_of_the_tables(
    hits: int, count: int, low: float, high: float
) -> None:
    """Published values, to four digits."""
    assert wilson(hits, count) == pytest.approx((low, high), abs=5e-5)


def origin(expected: float, actual: float, half: float = 0.0) -> Origin:
    """Make a past forecast with a range about it."""
    return Origin(
        month="+000",
        expected=expected,
        p10=expected - half,
        p90=expected + half,
        actual=actual,
    )


def test_a_backtest_says_how_far_off_forecasts_were() -> None:
    """Errors are relative to what came; their sign makes a bias."""
    found = Backtest(
        months=6,
        origins=(
            origin(110.0, 100.0, half=20.0),
            origin(80.0, 100.0),
            origin(100.0, 100.0),
            origin(150.0, 100.0),
        ),
    )

    assert found.mean_error == pytest.approx(0.2)
    assert found.median_error == pytest.approx(0.15)
    assert found.bias == pytest.approx(0.1)
    assert found.p90_error == pytest.approx(0.5)
    assert (found.near, found.within) == (2, 0.5)
    assert found.coverage == 0.5
    assert found.within_interval == found.coverage_interval == wilson(2, 4)
    assert list(found.to_pandas()["covered"]) == [True, False, True, False]
    assert str(found).startswith("4 overlapping origins, 6 months each: mean error 20")


def test_where_nothing_came_any_expectation_was_wrong() -> None:
    """Without bounds; expecting nothing was right."""
    assert origin(1.0, 0.0).error == math.inf
    assert origin(0.0, 0.0).error == 0.0


def test_an_origin_knows_only_what_was_before_it() -> None:
    """A step in the series is missed by all origins before it."""
    found = backtest(history([10.0] * 18 + [20.0] * 12))

    assert [o.month for o in found.origins] == [f"+{k:03d}" for k in range(12, 25)]
    first, last = found.origins[0], found.origins[-1]
    assert (first.expected, first.actual) == (60.0, 60.0)
    assert (last.expected, last.actual) == (120.0, 120.0)
    # Six flat months were known, twelve of the doubled ones came.
    assert found.origins[6].error == -0.5


def test_too_short_a_history_has_no_origins() -> None:
    """All figures are NaN, the interval says nothing."""
    found = backtest(history([1.0] * 17))

    assert found.origins == ()
    assert all(
        math.isnan(x)
        for x in (
            found.mean_error,
            found.median_error,
            found.bias,
            found.p90_error,
            found.within,
            found.coverage,
        )
    )
    assert found.within_interval == (0.0, 1.0)
    assert found.to_pandas().empty


def test_numbers_out_of_range_are_refused() -> None:
    """Both at once."""
    with pytest.raises(InvalidInputError) as caught:
        backtest(history([1.0] * 30), months=0, first=5)

    assert len(caught.value.faults) == 2


@pytest.mark.parametrize(
    ("months", "cv", "case"),
    [
        (48, 0.05, Case.STEADY),
        (48, 0.4, Case.UNEVEN),
        (48, 1.5, Case.ERRATIC),
        (20, 0.05, Case.SHORT),
    ],
)
def test_a_forecast_says_in_which_case_it_is(
    months: int, cv: float, case: Case
) -> None:
    """By its own past."""
    assert forecast_series(noisy(months, cv)).case is case


def test_what_has_stopped_shows_nothing() -> None:
    """To have expected nothing of an empty year makes no forecast good."""
    assert forecast_series(history([5.0] * 6 + [0.0] * 40)).case is Case.SHORT


def test_ranges_hold_about_what_they_say() -> None:
    """Over many series without a trend, about eight of ten totals lie within."""
    covered = [
        o.covered
        for seed in range(30)
        for o in backtest(noisy(42, 0.25, seed), seed=seed).origins[-1:]
    ]

    assert 0.6 <= np.mean(covered) <= 0.95
