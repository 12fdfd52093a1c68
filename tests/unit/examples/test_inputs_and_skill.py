"""What the main example reads, its parameters, and how it is scored."""

from __future__ import annotations

from typing import Any

import cftime
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from climorch.errors import InvalidInputError, NotFoundError
from climorch.model.advance import Segment
from physics import Member, init_ocean, land, score_against_hadcrut
from physics.forcing import forcing_of
from physics.grid import DATA, planet
from physics.parameters import years_of

SEGMENT = Segment(
    start=cftime.DatetimeNoLeap(1850, 1, 1),
    end=cftime.DatetimeNoLeap(1851, 1, 1),
    index=0,
    params={"feedback": 1.7, "aerosol": 1.0, "grid_degrees": 20},
)


def test_init_without_a_source_is_refused() -> None:
    """An init that finds no earlier phase names what it looked for."""
    with pytest.raises(NotFoundError, match=r"expected 'spinup' or 'ocean'"):
        init_ocean(SEGMENT, {"land": xr.Dataset()})


def test_fields_that_do_not_fit_are_all_reported() -> None:
    """Missing fields and wrong dimensions come in one error."""
    odd = xr.Dataset({"snow_amount": ("lat", np.zeros(9))})
    with pytest.raises(InvalidInputError) as caught:
        land(odd, {}, SEGMENT)
    assert [fault.problem for fault in caught.value.faults] == [
        "dims ('lat',)",
        "missing",
    ]


def test_bad_parameters_are_all_reported() -> None:
    """Every parameter out of its range is a fault of one error."""
    bad = {"feedback": -1.0, "aerosol": "x", "scenario": "rcp85", "grid_degrees": 7}
    with pytest.raises(InvalidInputError) as caught:
        Member.from_params({**bad, "years_per_segment": 5})
    assert [fault.place for fault in caught.value.faults] == [
        "params['feedback']",
        "params['aerosol']",
        "params['scenario']",
        "params['grid_degrees']",
    ]


@pytest.mark.parametrize(
    ("start", "end"), [((1850, 1, 1), (1850, 7, 1)), ((1850, 1, 1), (1850, 1, 1))]
)
def test_segments_are_whole_years(
    start: tuple[int, int, int], end: tuple[int, int, int]
) -> None:
    """A span that is not made of calendar years is refused."""
    segment = Segment(
        start=cftime.DatetimeNoLeap(*start), end=cftime.DatetimeNoLeap(*end), index=3
    )
    with pytest.raises(InvalidInputError, match="segment 3"):
        years_of(segment)


def test_forcing_is_relative_to_1850_1900() -> None:
    """Forcing is the table's value less its mean of 1850-1900, aerosols scaled."""
    assert forcing_of("ssp245", 1.0, range(1850, 1901)).mean() == pytest.approx(0.0)
    assert forcing_of("ssp245", 1.0, [2014, 1991]) == pytest.approx(
        [2.06119824, 0.52904824]
    )
    assert forcing_of("ssp245", 0.5, [2014]) == pytest.approx([2.64726814])


def test_forcing_ends_in_2100() -> None:
    """Years without data are refused by name."""
    with pytest.raises(InvalidInputError, match="got year 2101"):
        forcing_of("ssp245", 1.0, [2100, 2101])


def test_planet_is_ours() -> None:
    """The default grid has the sea, the sun and the size of the Earth."""
    place = planet(45)
    assert float(place.weight.sum() * 90) == pytest.approx(1.0)
    assert float(place.area.sum() * 90) == pytest.approx(5.1006e14, rel=1e-4)
    assert float((place.sea * place.weight).sum()) == pytest.approx(0.7097, abs=1e-3)
    sun = (place.insolation.mean(axis=0) * place.weight).sum() * 90
    assert float(sun) == pytest.approx(1361.0 / 4.0, rel=2e-3)


# --- skill ------------------------------------------------------------------------


def _series(years: range, values: np.ndarray[Any, Any]) -> xr.Dataset:
    dates = [cftime.DatetimeNoLeap(year, 7, 2, 12) for year in years]
    return xr.Dataset({"ts_global": ("time", values)}, coords={"time": dates})


def _observed() -> np.ndarray[Any, Any]:
    frame = pd.read_csv(DATA / "hadcrut5_global_annual.csv", index_col="Time")
    return np.asarray(frame.loc[1850:2014, "Anomaly (deg C)"], dtype=float)


def test_perfect_model_scores_perfectly() -> None:
    """The observations at another level have no error."""
    skill = score_against_hadcrut(_series(range(1850, 2015), _observed() + 15.0))
    assert skill.rmse_kelvin == pytest.approx(0.0, abs=1e-12)
    assert skill.correlation == pytest.approx(1.0)


def test_error_after_the_baseline_counts() -> None:
    """0.2 K too warm in 114 of 165 years is 0.166 K of RMSE and 0.138 K of bias."""
    warm = _observed() + np.where(np.arange(165) >= 51, 0.2, 0.0)
    skill = score_against_hadcrut(_series(range(1850, 2015), warm))
    assert skill.rmse_kelvin == pytest.approx(0.166242, abs=1e-6)
    assert skill.bias_kelvin == pytest.approx(0.138182, abs=1e-6)


def test_model_that_does_not_vary_has_no_correlation() -> None:
    """A flat series has an RMSE but NaN for the correlation."""
    skill = score_against_hadcrut(_series(range(1850, 2015), np.zeros(165)))
    assert np.isnan(skill.correlation)
    assert skill.rmse_kelvin == pytest.approx(0.39144, abs=1e-5)


def test_unfinished_run_is_not_scored() -> None:
    """A series that ends early names the first missing year."""
    with pytest.raises(InvalidInputError, match="year 2000 and 14 more"):
        score_against_hadcrut(_series(range(1850, 2000), np.zeros(150)))


def test_blown_up_run_is_not_scored() -> None:
    """A series with NaN is refused."""
    with pytest.raises(InvalidInputError, match="not finite"):
        score_against_hadcrut(_series(range(1850, 2015), np.full(165, np.nan)))
