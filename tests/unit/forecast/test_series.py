"""Top-down forecasts of a series: level, ranges, trust."""

from __future__ import annotations

import numpy as np
import pytest

from climorch.errors import InvalidInputError
from climorch.forecast.history import History
from climorch.forecast.series import Case, judged, outlook


def history(used: list[float], *, capacity: float | None = None) -> History:
    """Make a history of months of ten days."""
    return History(
        unit="node h",
        months=tuple(f"+{k:03d}" for k in range(len(used))),
        days=(10.0,) * len(used),
        used=tuple(used),
        capacity_per_day=capacity,
    )


def noisy(months: int, cv: float, seed: int = 3) -> History:
    """Make a history that varies about 1000."""
    draw = np.random.default_rng(seed)
    return history([float(x) for x in 1000 * draw.lognormal(0.0, cv, months)])


def test_the_level_is_the_mean_of_the_last_six_months() -> None:
    """What was before does not count for it."""
    found = outlook(history([1.0] * 20 + [4.0] * 6), months=3)

    assert found.expected == pytest.approx((4.0, 4.0, 4.0))
    assert found.total == pytest.approx(12.0)
    assert found.months == ("+026", "+027", "+028")


def test_months_are_as_long_as_they_are() -> None:
    """The same use a day is more in a longer month."""
    steady = History(
        unit="h",
        months=tuple(f"2025-{m:02d}" for m in range(1, 13)),
        days=(31.0, 28.0, 31.0, 30.0, 31.0, 30.0, 31.0, 31.0, 30.0, 31.0, 30.0, 31.0),
        used=(31.0, 28.0, 31.0, 30.0, 31.0, 30.0, 31.0, 31.0, 30.0, 31.0, 30.0, 31.0),
    )

    found = outlook(steady, months=2)

    assert found.expected == (31.0, 28.0)
    assert (found.total_p10, found.total_p90) == pytest.approx((59.0, 59.0))


def test_ranges_are_as_wide_as_the_past_was_uneven() -> None:
    """A wider past gives a wider range; a total varies less than its months."""
    narrow, wide = (outlook(noisy(48, cv)) for cv in (0.05, 0.3))

    for found in (narrow, wide):
        assert found.total_p10 < found.total_p50 < found.total_p90
        assert found.total_p50 == pytest.approx(found.total, rel=0.02)
        single = (found.p90[0] - found.p10[0]) / found.expected[0]
        assert (found.total_p90 - found.total_p10) / found.total < single
    spread = (wide.total_p90 - wide.total_p10) / (narrow.total_p90 - narrow.total_p10)
    assert 3 < spread < 12


def test_a_seed_gives_the_same_numbers_and_another_one_about_the_same() -> None:
    """Draws are no source of surprise."""
    past = noisy(30, 0.2)
    assert outlook(past, seed=5) == outlook(past, seed=5)
    assert outlook(past, seed=6).total_p90 == pytest.approx(
        outlook(past, seed=5).total_p90, rel=0.05
    )


def test_nobody_uses_more_than_there_is() -> None:
    """Expectations and ranges end at the capacity."""
    found = outlook(history([float(x) for x in noisy(40, 0.2).used], capacity=100.0))

    assert max(found.p90) <= 1000.0
    assert found.total <= 6000.0


def test_a_longer_forecast_joins_blocks() -> None:
    """Fourteen months from blocks of six."""
    found = outlook(noisy(30, 0.2), months=14)

    assert (len(found.p10), len(found.months)) == (14, 14)


def test_with_less_than_a_year_little_must_do() -> None:
    """And that is said."""
    found = outlook(noisy(7, 0.3))

    assert found.blocks == 5
    assert "very little" in found.notes[-1]
    assert found.case is Case.SHORT
    assert found.total_p10 < found.total < found.total_p90


def test_after_nothing_nothing_is_expected() -> None:
    """A series of zeros has no ratios to anything."""
    for months in (8, 20):
        found = outlook(history([0.0] * months))
        assert (found.total, found.total_p90) == (0.0, 0.0)
    woken = outlook(history([0.0] * 12 + [6.0] * 6))
    assert woken.total == pytest.approx(36.0)


def test_a_series_that_mostly_stood_still_has_no_centre() -> None:
    """Most futures of any past were empty: no range is claimed, as nothing is left."""
    found = outlook(history([6.0] * 6 + [0.0] * 60))

    assert (found.total, found.total_p10, found.total_p90) == (0.0, 0.0, 0.0)


def test_what_cannot_be_forecast_is_refused_with_every_fault() -> None:
    """Too short a history, too many months, too few paths."""
    with pytest.raises(InvalidInputError) as caught:
        outlook(history([1.0] * 5), months=0, paths=1)

    assert len(caught.value.faults) == 3


@pytest.mark.parametrize(
    ("within", "error", "case"),
    [
        (None, None, Case.SHORT),
        (0.8, 0.1, Case.STEADY),
        (0.79, 0.29, Case.UNEVEN),
        (0.1, 0.3, Case.ERRATIC),
    ],
)
def test_trust_follows_from_past_forecasts(
    within: float | None, error: float | None, case: Case
) -> None:
    """Without any the case is that nobody can tell."""
    assert judged(outlook(noisy(12, 0.1)), within=within, error=error).case is case


def test_an_outlook_has_tables_and_words() -> None:
    """Months and the total; quantiles along a dimension."""
    found = outlook(history([10.0] * 12), months=2)

    table = found.to_pandas()
    assert list(table.index) == ["+012", "+013", "(total)"]
    assert table.loc["(total)", "expected"] == 20.0
    dataset = found.to_xarray()
    assert dataset["used"].sel(quantile=0.9, month="+012").item() == 10.0
    assert dataset["used"].attrs["units"] == "node h"
    assert str(found).startswith("+012 to +013: 20 node h (20 to 20); short")
