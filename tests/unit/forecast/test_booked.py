"""The ledger as a value: tables, datasets, energy."""

from __future__ import annotations

import math

import pytest

from climorch.errors import InvalidInputError
from climorch.forecast.booked import Ledger
from climorch.forecast.entries import TB_MONTH, Power
from climorch.forecast.parts import Part
from climorch.model import commands as c
from climorch.model import events as e
from tests.unit.forecast.journal import Journal

HOUR_S = 3600.0


def ledger(power: Power | None = None) -> Ledger:
    """Two hours: one useful segment, a lost one, over the end of a month."""
    journal = Journal()
    journal.lease(0, "n1")
    journal.attempt(0)
    journal.start(2, 0)
    journal.finish(HOUR_S, 0)
    journal.checkpoint(HOUR_S, 1, bytes_written=10**9)
    journal.commit(HOUR_S, 0)
    journal.start(HOUR_S, 1)
    journal.abandon(2 * HOUR_S, back=1)
    return journal.ledger(2 * HOUR_S, power)


def test_a_table_has_hours_by_month_project_and_stage() -> None:
    """Hours of leases, cores, memory and years of model time."""
    table = ledger().to_pandas()

    assert list(table["month"]) == [
        "2026-01",
        "2026-01",
        "2026-01",
        "2026-02",
        "2026-02",
        "2026-02",
    ]
    by = ledger().by("simulation", "stage")
    assert by.loc[("s", "a"), "useful_node_hours"] == pytest.approx(1 - 2 / HOUR_S)
    assert by.loc[("s", "a"), "lost_node_hours"] == pytest.approx(1.0)
    assert by.loc[("s", ""), "restore_node_hours"] == pytest.approx(2 / HOUR_S)
    assert by.loc[("", ""), "free_node_hours"] == 2.0
    assert by.loc[("", ""), "node_hours"] == 0.0
    assert by["node_hours"].sum() == pytest.approx(2.0)
    assert by["core_hours"].sum() == pytest.approx(4 * 4.0)
    assert by["memory_gib_hours"].sum() == pytest.approx(4.0)
    assert by.loc[("s", "a"), "segments"] == 1
    # Segments of a second of model time, in years of 365 days.
    assert by.loc[("s", "a"), "model_years"] == pytest.approx(1 / (365 * 86400))
    assert by["bytes_written"].sum() == 10**9
    assert by["stored_tb_months"].sum() == pytest.approx(1e9 * HOUR_S / TB_MONTH)
    assert set(ledger().by("institution").index) == {"", "i"}


def test_energy_is_told_where_power_is() -> None:
    """500 W for each node that is up; CO2 by what electricity is made of."""
    assert "kwh" not in ledger().to_pandas()
    kwh = ledger(Power(watts_per_node=500.0)).to_pandas()
    assert kwh["kwh"].sum() == pytest.approx(0.5 * 4)
    assert "kg_co2" not in kwh
    green = ledger(Power(watts_per_node=500.0, kg_co2_per_kwh=0.1)).by("project")
    assert green.loc["p", "kg_co2"] == pytest.approx(0.5 * 2 * 0.1)


@pytest.mark.parametrize(
    ("watts", "factor", "faults"),
    [(0.0, None, 1), (math.nan, -1.0, 2), (math.inf, math.inf, 2), (1.0, -0.5, 1)],
)
def test_power_that_cannot_be_is_refused(
    watts: float, factor: float | None, faults: int
) -> None:
    """With every fault at once."""
    with pytest.raises(InvalidInputError) as caught:
        Power(watts_per_node=watts, kg_co2_per_kwh=factor)

    assert len(caught.value.faults) == faults


def test_a_dataset_has_the_same_in_seconds() -> None:
    """Along entries, which may be grouped; units are attributes."""
    found = ledger()
    dataset = found.to_xarray()

    assert float(dataset["node_s"].sum()) == found.node_s() == 4 * HOUR_S
    assert float(dataset["node_s"].sel(part="lost").sum()) == HOUR_S
    assert dataset["node_s"].attrs["units"] == "node s"
    by_month = dataset["core_s"].groupby("month").sum()
    assert by_month.sel(month="2026-01").item() == pytest.approx(8 * HOUR_S)


def test_losses_have_a_table_of_their_own() -> None:
    """One row per month, stage and cause."""
    table = ledger().losses_to_pandas()

    assert table.to_dict("records") == [
        {
            "month": "2026-02",
            "project": "p",
            "simulation": "s",
            "stage": "a",
            "cause": "error in the model",
            "node_hours": 1.0,
        }
    ]


def test_a_ledger_in_words() -> None:
    """Hours by what they were for, shares of what was leased."""
    assert str(ledger()).splitlines() == [
        "campaign c: 2.0 node-h in leases, 2.0 free",
        "  useful              1.0 node-h  50.0%",
        "  lost                1.0 node-h  50.0%",
        "  restore             0.0 node-h   0.0%",
    ]


def test_an_empty_ledger_has_empty_tables() -> None:
    """No row, the same columns."""
    empty = Ledger(campaign="c")

    assert empty.to_pandas().shape == (0, len(ledger().to_pandas().columns))
    assert empty.to_xarray().sizes == {"entry": 0, "part": len(Part)}
    assert empty.held_node_s == 0.0
    assert empty.losses_to_pandas().empty
    assert str(empty) == "campaign c: 0.0 node-h in leases, 0.0 free"


@pytest.mark.parametrize("keys", [(), ("month", "colour")])
def test_keys_that_are_not_there_are_refused(keys: tuple[str, ...]) -> None:
    """The message names those that are."""
    with pytest.raises(InvalidInputError, match="institution"):
        ledger().by(*keys)


def test_what_is_cut_out_is_what_is_asked_for() -> None:
    """A period and a project, with losses, setbacks and what is completed."""
    found = ledger()
    end_s = found.entries[-1].since_s
    later = found.select(since_s=end_s)
    assert {entry.month for entry in later.entries} == {"2026-02"}
    assert (len(later.losses), len(later.setbacks)) == (1, 1)
    earlier = found.select(until_s=end_s, project="p")
    assert (earlier.losses, earlier.setbacks) == ((), ())
    assert {entry.project for entry in earlier.entries} == {"p"}
    assert found.select(project="q").entries == ()


def test_what_is_pending_is_told_where_it_was_computed() -> None:
    """A running segment over the end of a month is pending in both."""
    journal = Journal()
    journal.lease(0, "n1")
    journal.attempt(0)
    journal.start(HOUR_S - 5, 0)
    journal.tell(
        HOUR_S + 5,
        e.StopRequested(),
        c.CheckpointPlanned(simulation="s", set="a", boundary=1, why=""),
    )

    pending = {
        x.month: x.node_s[Part.PENDING]
        for x in journal.ledger(HOUR_S + 5).entries
        if x.stage
    }
    assert pending == {"2026-01": 5, "2026-02": 5}
