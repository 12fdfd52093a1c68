"""Forecasts in reports."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest

from climorch.forecast.booked import Ledger
from climorch.forecast.expecting import expected_of, expected_tables
from climorch.forecast.planned import notes_on
from climorch.forecast.reporting import Report
from tests.unit.forecast.test_projection import forecast
from tests.unit.forecast.test_reporting import PLANS


def report(project: str | None = None) -> Report:
    """Report a campaign that used nothing, with a forecast."""
    return Report(
        campaign="c",
        project=project,
        since_s=-math.inf,
        until_s=math.inf,
        ledger=Ledger(campaign="c"),
        plans=PLANS,
        forecast=forecast(),
    )


def test_tables_have_the_ranges_of_the_forecast() -> None:
    """By month and project; when what is done, as text."""
    tables = report().tables()

    assert tables["expected"].equals(forecast().to_pandas())
    done = tables["completions"]
    assert list(done["p50"]) == ["2027-01-01", ""]
    assert list(done["planned"]) == ["", "yes"]


def test_a_report_of_a_project_has_its_own_alone() -> None:
    """Neither others nor all together."""
    tables = expected_tables(forecast(), "q")

    assert list(tables["expected"].index) == [("2027-01", "q"), ("2027-02", "q")]
    assert list(tables["completions"].index) == ["t"]


def test_plans_tell_what_is_expected_of_them() -> None:
    """All months together; nothing where the forecast knows nobody of that name."""
    planned = report().planned()

    assert planned.loc["p", "expected_p50_node_hours"] == pytest.approx(15.0)
    assert planned.loc["q", "expected_p90_node_hours"] == pytest.approx(29.8)
    assert all(math.isnan(x) for x in expected_of(forecast(), "nobody").values())


def test_the_case_and_what_was_assumed_are_told(tmp_path: Path) -> None:
    """In words, and in what other programs read."""
    text = report().to_markdown()

    assert "Expected: proven: 10 or more finished segments" in text
    assert "A note." in text
    assert "## Completions" in text
    dataset = report().to_xarray()
    assert dataset.attrs["expected_basis"].startswith("proven")
    assert dataset["planned_expected_p50_node_hours"].attrs["units"] == "h"
    report().to_netcdf(tmp_path / "r.nc")
    report().to_json(tmp_path / "r.json")
    assert "2027-01-01" in report().to_csv()


def test_without_a_forecast_there_is_nothing_of_it() -> None:
    """No columns of nothing."""
    bare = dataclasses.replace(report(), forecast=None)

    assert "expected" not in bare.tables()
    assert "expected_p50_node_hours" not in bare.planned()
    assert notes_on(bare.ledger, known=True) == ("Nothing was used yet.",)
