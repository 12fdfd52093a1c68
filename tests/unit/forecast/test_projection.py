"""A forecast as a value, tables and a dataset."""

from __future__ import annotations

import dataclasses
import math
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from climorch.forecast.activities import Slippage
from climorch.forecast.entries import Power
from climorch.forecast.projection import Forecast, completion_of
from climorch.forecast.trust import Basis, Trust
from climorch.forecast.unfolded import edges_of

BEGIN_S = datetime(2027, 1, 1, tzinfo=UTC).timestamp()
TRUST = Trust(
    basis=Basis.PROVEN,
    segments=12,
    weakest="w/a",
    noise_cv=0.2,
    trend_per_month=0.01,
    changes=(),
    slippage=Slippage(),
    failures=1,
    outages=0,
)


def forecast(power: Power | None = None) -> Forecast:
    """Make one of eleven draws, two projects and two months."""
    return Forecast(
        campaign="c",
        mode="twin",
        edges_s=edges_of(BEGIN_S, 2),
        projects=("p", "q"),
        # The first grows by one from draw to draw, the second the other way.
        node_hours=tuple(((float(k), 10.0), (float(10 - k), 20.0)) for k in range(11)),
        tb_months=(((0.5, 0.5), (1.0, math.nan)),) * 11,
        capacity_node_hours=(100.0, 90.0),
        completions=(
            completion_of("s", "p", [BEGIN_S] * 5 + [math.inf] * 5, planned=False),
            completion_of("t", "q", [math.inf] * 10, planned=True),
        ),
        trust=TRUST,
        power=power,
        notes=("A note.",),
    )


def test_totals_are_of_the_same_worlds() -> None:
    """What one project has more the other has less, so the sum is sure."""
    found = forecast()

    whole, first = found.total(), found.total(months=1, project="p")
    assert (whole.p10, whole.p50, whole.p90) == (40.0, 40.0, 40.0)
    assert (first.p10, first.p50, first.p90) == pytest.approx((0.2, 5.0, 9.8))
    assert found.months == ("2027-01", "2027-02")


def test_the_table_has_a_row_for_each_month_and_project() -> None:
    """And for all of them; energy where it is known what a node draws."""
    table = forecast(Power(watts_per_node=500.0)).to_pandas()

    assert list(table.index[:3]) == [
        ("2027-01", "p"),
        ("2027-01", "q"),
        ("2027-01", "(all)"),
    ]
    row = table.loc[("2027-01", "p")]
    assert row["node_hours_p90"] == pytest.approx(9.8)
    assert row["kwh_p90"] == pytest.approx(4.9)
    assert row["tb_months_p50"] == 0.5
    assert "kwh_p50" not in forecast().to_pandas()


def test_completions_are_dates_or_later() -> None:
    """Half of the draws are half of the chance."""
    table = forecast().completions_to_pandas()

    assert list(table["share"]) == [0.5, 0.0]
    assert table.loc["s", "p50"] == pd.Timestamp("2027-01-01", tz="UTC")
    assert table.loc["s", "p90"] is pd.NaT
    assert list(table["planned"]) == [False, True]
    none = dataclasses.replace(forecast(), completions=())
    assert none.completions_to_pandas().shape == (0, 6)


def test_the_dataset_has_all_draws_and_units() -> None:
    """Sums over projects first, then quantiles."""
    found = forecast(Power(watts_per_node=500.0)).to_xarray()

    assert dict(found.sizes) == {
        "draw": 11,
        "project": 2,
        "month": 2,
        "quantile": 3,
        "simulation": 2,
    }
    assert found["node_hours"].attrs["units"] == "node h"
    assert found["kwh"].attrs["units"] == "kWh"
    np.testing.assert_allclose(found["total_node_hours"].values, [[10, 30]] * 3)
    assert found["completed"].sel(simulation="s").values.tolist() == [
        BEGIN_S,
        BEGIN_S,
        math.inf,
    ]
    assert found.attrs["basis"] == Basis.PROVEN.value
    bare = dataclasses.replace(forecast(), completions=()).to_xarray()
    assert bare["completed"].shape == (3, 0)


def test_it_says_in_words_what_it_is_and_rests_on() -> None:
    """Total, range, case and notes."""
    assert str(forecast()).splitlines() == [
        "c, 2027-01 to 2027-02: 40 node h (40 to 40) of 190",
        "proven: 10 or more finished segments of every configuration (w/a: 12); noise "
        "20%, trend +1.0% a month, 0 changes, slippage +7 days assumed (0 seen), 1 "
        "failures, 0 outages",
        "A note.",
    ]
