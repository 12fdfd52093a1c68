"""Reports: every figure is the ledger's, in whatever form."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from climorch.core.estimating import Interval
from climorch.errors import BackendError, NotAllowedError
from climorch.forecast.booked import Ledger
from climorch.forecast.entries import Power
from climorch.forecast.history import History
from climorch.forecast.parts import Part
from climorch.forecast.reporting import Planned, Report
from climorch.forecast.series import outlook
from tests.unit.forecast.journal import Journal
from tests.unit.twin.stage import stage

HOUR_S = 3600.0


def ledger() -> Ledger:
    """An hour and a bit of a simulation that ends after a fall back."""
    journal = Journal(stage(segments=2))
    journal.lease(0, "n1")
    journal.attempt(0)
    journal.start(2, 0)
    journal.finish(1000.7, 0)
    journal.start(1000.7, 1)
    journal.abandon(2000.3, back=0)
    journal.attempt(2000.3, 2)
    journal.start(2003, 0, attempt=2)
    journal.finish(3000, 0, attempt=2)
    journal.start(3000, 1, attempt=2)
    journal.finish(4000, 1, attempt=2)
    journal.checkpoint(4001, 2, attempt=2, bytes_written=5)
    journal.commit(4001, 0, 1)
    journal.lease(4001)
    return journal.ledger(5000, Power(watts_per_node=400.0, kg_co2_per_kwh=0.5))


PLANS = (
    Planned(
        project="p",
        institution="i",
        budget_node_hours=2.0,
        used_node_hours=1.5,
        simulations=1,
        completed=1,
        segments=2,
        committed=2,
        remaining_node_hours=Interval(p10=1.0, p50=2.0, p90=4.0),
    ),
    Planned(
        project="q",
        institution="q",
        budget_node_hours=None,
        used_node_hours=0.0,
        simulations=2,
        completed=0,
        segments=4,
        committed=0,
        remaining_node_hours=None,
        unknown=("t", "u"),
    ),
)


def report(*, forecast: bool = False) -> Report:
    """Make a report of all, with or without a forecast."""
    history = History(
        unit="node h",
        months=tuple(f"2025-{m:02d}" for m in range(6, 13)),
        days=(30.0,) * 7,
        used=(30.0,) * 7,
    )
    return Report(
        campaign="c",
        project="p",
        since_s=-math.inf,
        until_s=math.inf,
        ledger=ledger(),
        plans=PLANS,
        outlook=outlook(history, months=1) if forecast else None,
        notes=("A note.",),
    )


def test_the_summary_is_that_of_the_ledger_to_the_second() -> None:
    """Hours by part, of leases, of cores; energy; efficiency; what was produced."""
    value = report().to_pandas()["value"]
    found = ledger()

    assert value["node_hours"] * HOUR_S == pytest.approx(found.held_node_s, abs=1e-6)
    for part in Part:
        hours = value[f"{part.name.lower()}_node_hours"]
        assert hours * HOUR_S == pytest.approx(found.node_s(part), abs=1e-6)
    useful_s = 997 + 1000
    assert value["efficiency"] == pytest.approx(useful_s / 4001)
    assert value["kwh"] == pytest.approx(0.4 * 10_000 / HOUR_S)
    assert value["kg_co2"] == pytest.approx(0.2 * 10_000 / HOUR_S)
    assert (value["segments"], value["scenarios_done"], value["setbacks"]) == (2, 1, 1)
    assert report().to_pandas().loc["kwh", "unit"] == "kWh"


def test_what_was_used_is_told_by_month_and_project() -> None:
    """The end of January and an hour and a bit of February."""
    used = report().used()

    assert used.loc[("2026-01", "p"), "node_hours"] == pytest.approx(1.0)
    assert used.loc[("2026-02", "p"), "node_hours"] == pytest.approx(401 / HOUR_S)
    assert used["node_hours"].sum() * HOUR_S == pytest.approx(4001)


def test_plans_tell_budgets_and_what_is_left() -> None:
    """No number where there is no limit, or nothing is known."""
    planned = report().planned()

    assert planned.loc["p", "budget_left_node_hours"] == 0.5
    assert planned.loc["p", "remaining_p90_node_hours"] == 4.0
    assert np.isnan(planned.loc["q", "budget_left_node_hours"])
    assert np.isnan(planned.loc["q", "remaining_p50_node_hours"])
    assert planned.loc["q", "unknown"] == "t u"


def test_losses_are_told_by_cause() -> None:
    """Hours, their share of what was leased, and how often."""
    lost = report().lost()

    assert list(lost.index) == ["error in the model"]
    row = lost.loc["error in the model"]
    assert row["node_hours"] * HOUR_S == pytest.approx(2000.3 - 2)
    assert row["share"] == pytest.approx(1998.3 / 4001)
    assert row["setbacks"] == 1


def test_what_was_produced_is_told_by_simulation() -> None:
    """Model years, what each of them took, and when it was done."""
    produced = report().produced()

    years = 2 / (365 * 86_400)
    assert produced.loc["s", "model_years"] == pytest.approx(years)
    assert produced.loc["s", "completed"] == "2026-02-01T00:06:41Z"
    per_year = produced.loc["s", "node_hours_per_model_year"]
    assert per_year == pytest.approx(4001 / HOUR_S / years)


def test_a_forecast_is_there_only_where_there_is_one() -> None:
    """No table, and nothing in its place."""
    assert "forecast" not in report().tables()
    forecast = report(forecast=True).tables()["forecast"]
    assert forecast.loc["(total)", "expected"] == pytest.approx(31.0)


def test_json_has_every_figure_in_full() -> None:
    """What is not known is null, so that any reader can read it."""
    found = json.loads(report(forecast=True).to_json())

    assert found["campaign"] == "c"
    assert found["forecast_case"].startswith("short")
    held = math.fsum(row["node_hours"] for row in found["tables"]["used"])
    assert held * HOUR_S == pytest.approx(4001, abs=1e-6)
    assert found["tables"]["planned"][1]["budget_node_hours"] is None


def test_csv_has_every_figure_in_one_long_table(tmp_path: Path) -> None:
    """A row for each value; the same in the file."""
    text = report().to_csv(tmp_path / "r.csv")
    assert (tmp_path / "r.csv").read_text() == text
    rows = list(csv.DictReader(io.StringIO(text)))

    held = [
        float(row["value"])
        for row in rows
        if row["table"] == "used" and row["quantity"] == "node_hours"
    ]
    assert math.fsum(held) * HOUR_S == pytest.approx(4001, abs=1e-6)
    assert {row["table"] for row in rows} == {
        *("summary", "used", "planned", "lost", "produced")
    }


def test_markdown_is_for_people() -> None:
    """A heading, notes, sections; columns that say nothing are left out."""
    text = report(forecast=True).to_markdown()

    assert text.startswith("# Campaign c, project p\n\nPeriod: its begin to 2026-02-01")
    assert "\n\nA note.\n\nForecast: short" in text
    assert (
        "\n## Lost\n\n| cause | node hours | share | setbacks |\n|---|---|---|---|\n"
        in text
    )
    assert "| error in the model | 0.555 | 0.499 | 1 |" in text
    assert "wide node hours" not in text.split("## Used")[1]
    assert str(report()) == report().to_markdown()


def test_netcdf_follows_cf_and_reads_back(tmp_path: Path) -> None:
    """Dates of months with bounds, units, conventions; figures to the second."""
    path = tmp_path / "r.nc"
    report(forecast=True).to_netcdf(path)

    with xr.open_dataset(path) as found:
        assert found.attrs["Conventions"] == "CF-1.11"
        hours = found["used_node_hours"]
        assert hours.attrs["units"] == "h"
        memory = found["used_memory_gib_hours"]
        assert memory.attrs["units"] == "1073741824 byte h"
        assert float(hours.sum()) * HOUR_S == pytest.approx(4001, abs=1e-6)
        assert found["used_time"].attrs["standard_name"] == "time"
        bounds = found["used_time_bounds"].to_numpy()
        assert str(bounds[0, 1])[:10] == "2026-02-01"
        assert "forecast_time" not in found
        assert list(found["lost_cause"].to_numpy()) == ["error in the model"]


def test_what_cannot_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No folder, no library."""
    for write in (report().to_csv, report().to_json, report().to_markdown):
        with pytest.raises(BackendError, match="cannot write"):
            write(tmp_path / "none" / "r")
    with pytest.raises(BackendError, match="cannot write"):
        report().to_netcdf(tmp_path / "none" / "r.nc")

    def missing(*_: object, **__: object) -> None:
        raise ValueError("unrecognized engine 'netcdf4'")

    monkeypatch.setattr(xr.Dataset, "to_netcdf", missing)
    with pytest.raises(NotAllowedError, match=r"climorch\[netcdf\]"):
        report().to_netcdf(tmp_path / "r.nc")


def test_a_report_on_nothing_has_empty_tables() -> None:
    """No use, no plans, no number instead."""
    empty = Report(
        campaign="c",
        project=None,
        since_s=0.0,
        until_s=86_400.0,
        ledger=Ledger(campaign="c"),
    )

    assert math.isnan(empty.efficiency)
    assert empty.period == "1970-01-01 to 1970-01-02 (UTC, end not included)"
    text = empty.to_markdown()
    assert text.count("Nothing.") == 4
    assert json.loads(empty.to_json())["tables"]["used"] == []
    assert empty.to_xarray().sizes["used_row"] == 0
    assert isinstance(empty.to_pandas(), pd.DataFrame)
