"""Measures of model against observations: equal to values computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import xarray as xr

from climorch import scores
from climorch.errors import InvalidInputError


def grid(values: object, *, units: str | None = "K", name: str = "tas") -> xr.DataArray:
    """A field of two latitudes and two longitudes."""
    attrs = {"units": units} if units else {}
    return xr.DataArray(
        np.asarray(values, dtype=np.float64),
        dims=("lat", "lon"),
        coords={"lat": [0.0, 60.0], "lon": [0.0, 180.0]},
        attrs=attrs,
        name=name,
    )


def series(values: object, start: str = "2000-01-01", freq: str = "YS") -> xr.DataArray:
    """Values along dates without leap days."""
    times = xr.date_range(
        start, periods=len(np.asarray(values)), freq=freq, calendar="noleap"
    )
    found = xr.DataArray(np.asarray(values, dtype=float), dims="time")
    return found.assign_coords(time=times)


MODEL, OBSERVED = grid([[1.0, 3.0], [2.0, 6.0]]), grid([[0.0, 1.0], [2.0, 2.0]])
WEIGHTS = scores.area_weights(MODEL)


def test_area_weights_are_cosines_of_latitude() -> None:
    """One at the equator, a half at 60 degrees, never below nothing at a pole."""
    assert WEIGHTS.to_numpy() == pytest.approx([1.0, 0.5])
    pole = xr.DataArray([0.0], dims="lat", coords={"lat": [-90.0]})
    assert float(scores.area_weights(pole)[0]) >= 0.0


def test_a_mean_weighs_what_is_there() -> None:
    """(1 + 3 + (2 + 6) / 2) / 3, and without the missing 3: (1 + 4) / 2."""
    assert float(scores.mean(MODEL)) == 3.0
    found = scores.mean(MODEL, weights=WEIGHTS)
    assert float(found) == pytest.approx(8 / 3)
    assert found.attrs == {"units": "K"}
    holed = MODEL.where(MODEL != 3.0)
    assert float(scores.mean(holed, weights=WEIGHTS)) == pytest.approx(2.5)
    assert scores.mean(MODEL, over="lon").to_numpy().tolist() == [2.0, 4.0]


def test_bias_and_rmse_are_those_of_the_differences() -> None:
    """Differences 1, 2, 0, 4: plain and by area."""
    assert float(scores.bias(MODEL, OBSERVED)) == 1.75
    assert float(scores.rmse(MODEL, OBSERVED)) == pytest.approx(math.sqrt(21 / 4))
    assert float(scores.bias(MODEL, OBSERVED, weights=WEIGHTS)) == pytest.approx(5 / 3)
    weighed = scores.rmse(MODEL, OBSERVED, weights=WEIGHTS)
    assert float(weighed) == pytest.approx(math.sqrt((1 + 4 + 8) / 3))
    assert weighed.attrs == {"units": "K"}


def test_units_must_be_the_same_where_both_say_them() -> None:
    """The message names both."""
    celsius = grid(OBSERVED, units="degC", name="obs")
    with pytest.raises(InvalidInputError, match=r"'tas' has units 'K'.*'obs' 'degC'"):
        scores.bias(MODEL, celsius)
    assert float(scores.bias(MODEL, grid(OBSERVED, units=None))) == 1.75


def test_a_correlation_is_of_deviations_by_weight() -> None:
    """Of (1, 2, 3) and (1, 3, 2): 1/2. A field that does not vary has none."""
    x, y = series([1.0, 2.0, 3.0, np.nan]), series([1.0, 3.0, 2.0, 9.0])
    assert float(scores.correlation(x, y)) == pytest.approx(0.5)
    assert float(scores.correlation(x, 3 - 2 * x)) == pytest.approx(-1.0)
    assert math.isnan(float(scores.correlation(x, xr.zeros_like(y))))
    # By weights 1, 1, 1/2, 1/2 all moments by hand: 7/3 over 2 and 20/3.
    weighed = scores.correlation(MODEL, OBSERVED, weights=WEIGHTS)
    m, o, w = (np.array(v) for v in ([1, 3, 2, 6], [0, 1, 2, 2], [2, 2, 1, 1]))
    dm, do = m - (m * w).sum() / 6, o - (o * w).sum() / 6
    by_hand = (w * dm * do).sum() / math.sqrt((w * dm**2).sum() * (w * do**2).sum())
    assert float(weighed) == pytest.approx(by_hand)


def test_crps_is_error_less_half_the_distance_of_members() -> None:
    """Members 0, 1, 5 and 2 seen: (2 + 1 + 3) / 3 less (1 + 5 + 4) * 2 / 9 / 2."""
    members = xr.DataArray([5.0, 0.0, 1.0], dims="member")
    seen = xr.DataArray(2.0)

    assert float(scores.crps(members, seen)) == pytest.approx(2 - 10 / 9)
    one = xr.DataArray([5.0], dims="member")
    assert float(scores.crps(one, seen)) == 3.0
    twice = xr.concat([members, members + 1], "lat").assign_coords(lat=[0.0, 60.0])
    # Of 1, 2, 6: (1 + 0 + 4) / 3 less the same; by area.
    mixed = scores.crps(twice, seen, weights=scores.area_weights(twice))
    assert float(mixed) == pytest.approx((2 + 0.5 * 5 / 3) / 1.5 - 10 / 9)


def test_a_trend_is_per_decade() -> None:
    """A tenth a year is one a decade; a missing year changes nothing."""
    straight = series(0.1 * np.arange(30.0))
    assert float(scores.trend(straight)) == pytest.approx(1.0)
    assert float(scores.trend(straight.where(straight != straight[7]))) == (
        pytest.approx(1.0)
    )
    assert math.isnan(float(scores.trend(series([1.0]))))


def test_both_are_cut_to_the_dates_that_they_share() -> None:
    """Calendars and days within a month may be others."""
    model = series([1.0, 2.0, 3.0], "2000-01-01", "MS")
    middles = xr.date_range("2000-02-15", periods=4, freq="30D")
    observed = xr.DataArray([7.0, 8.0, 9.0, 10.0], dims="time")
    observed = observed.assign_coords(time=middles)

    ours, theirs = scores.aligned(model, observed)

    assert ours.to_numpy().tolist() == [2.0, 3.0]
    assert theirs.to_numpy().tolist() == [7.0, 8.0]
    assert (theirs["time"] == ours["time"]).all()


@pytest.mark.parametrize(
    ("observed", "by", "told"),
    [
        (series([1.0], "1990-01-01"), "year", "no year in common: 2000-01-01"),
        (series([1.0, 2.0], "2000-01-01", "MS"), "year", "several dates in one year"),
        (series([1.0]), "week", "align by one of year, month, day"),
    ],
)
def test_what_cannot_be_aligned_is_told(
    observed: xr.DataArray, by: str, told: str
) -> None:
    """With what to do."""
    with pytest.raises(InvalidInputError, match=told):
        scores.aligned(series([1.0, 2.0]), observed, by=by)


def test_blocks_give_the_error_of_a_mean() -> None:
    """Of independent values sd / sqrt(n); blocks that persist count as one value."""
    rng = np.random.default_rng(3)
    blocks = rng.normal(size=60)
    plain = scores.block_bootstrap(scores.mean, series(blocks), block=1, samples=400)
    held = series(np.repeat(blocks, 4))
    naive = scores.block_bootstrap(scores.mean, held, block=1, samples=400)
    fair = scores.block_bootstrap(scores.mean, held, block=8, samples=400)
    error = blocks.std(ddof=0) / math.sqrt(60)

    assert plain.value == pytest.approx(blocks.mean())
    assert plain.sd == pytest.approx(error, rel=0.15)
    assert naive.sd == pytest.approx(error / 2, rel=0.15)
    assert fair.sd == pytest.approx(error, rel=0.3)
    assert (plain.samples, fair.samples) == (60, 30)
    again = scores.block_bootstrap(scores.mean, series(blocks), block=1, samples=400)
    assert again == plain


@pytest.mark.parametrize(("block", "samples"), [(0, 9), (2, 9), (1, 1)])
def test_too_few_blocks_are_refused(block: int, samples: int) -> None:
    """Two are the least that scatter."""
    with pytest.raises(InvalidInputError, match="expected two of both"):
        scores.block_bootstrap(
            scores.mean, series([1.0, 2.0, 3.0]), block=block, samples=samples
        )


def test_members_are_judged_one_by_one() -> None:
    """Errors 1 and 3."""
    members = xr.DataArray([[1.0, 1.0], [3.0, 3.0]], dims=("member", "time"))
    seen = xr.DataArray([0.0, 0.0], dims="time")

    found = scores.by_members(scores.rmse, members, seen)

    assert found.dims == ("member",)
    assert found.to_numpy().tolist() == [1.0, 3.0]
