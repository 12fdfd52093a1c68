"""What a campaign says of its use, from a journal on the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from climorch import Campaign, InvalidInputError, NotFoundError
from climorch.core.ports import Row
from climorch.engine.session import JOURNAL
from climorch.forecast.entries import Power
from climorch.forecast.parts import Part
from climorch.model import commands as c
from climorch.model import events as e
from climorch.storage.journal import SqliteJournal
from climorch.storage.owner import this_process
from tests.unit.core.script import submitted
from tests.unit.forecast.journal import BEGIN_S

HOUR_S = 3600.0


def campaign(root: Path) -> Campaign:
    """Make a campaign with two hours of a lease, over the end of January."""
    made = Campaign("c", root=root)
    records: list[tuple[float, c.Record]] = [
        (0.0, e.CampaignOpened(campaign="c", version="0")),
        (0.0, e.NodeJoined(node="n1", cores=4)),
        (0.0, submitted()),
        (0.0, c.SetLease(simulation="s", nodes=("n1",))),
        (2 * HOUR_S, e.StopRequested()),
    ]
    (root / "c").mkdir()
    journal = SqliteJournal.open(
        root / "c" / JOURNAL, campaign="c", owner=this_process(), now_s=BEGIN_S
    )
    journal.append(
        [
            Row(
                kind=type(record).__name__,
                payload=c.encode_record(record),
                now_s=BEGIN_S + after_s,
            )
            for after_s, record in records
        ]
    )
    journal.close()
    return made


def test_a_ledger_is_read_from_the_journal_up_to_its_newest_row(
    tmp_path: Path,
) -> None:
    """Rows that cost nothing tell the time, too."""
    ledger = campaign(tmp_path).ledger(power=Power(watts_per_node=100.0))

    assert ledger.node_s(Part.IDLE) == 2 * HOUR_S
    assert ledger.as_of_s == BEGIN_S + 2 * HOUR_S
    assert ledger.to_pandas()["kwh"].sum() == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("period", "hours"),
    [
        ("2026-01", 1.0),
        ("2026", 2.0),
        (("2026-01-31T23:30Z", "2026-02-01T00:30Z"), 1.0),
        ("2025", 0.0),
    ],
)
def test_a_period_is_cut_out_wherever_it_begins(
    tmp_path: Path, period: str | tuple[str, str], hours: float
) -> None:
    """Months, and times within them."""
    ledger = campaign(tmp_path).ledger(period=period)

    assert ledger.held_node_s == hours * HOUR_S


def test_before_it_has_run_a_campaign_has_used_nothing(tmp_path: Path) -> None:
    """There is no journal yet; a period that cannot be is refused all the same."""
    fresh = Campaign("c", root=tmp_path)

    assert fresh.ledger().entries == ()
    with pytest.raises(InvalidInputError, match="no such period"):
        fresh.ledger(period="soon")


def test_a_report_equals_the_ledger_to_the_second(tmp_path: Path) -> None:
    """Of the period that is asked for; plans are as of now."""
    made = campaign(tmp_path)
    report = made.report(period="2026-01")

    held = report.used()["node_hours"].sum() * HOUR_S
    assert held == made.ledger(period="2026-01").held_node_s == HOUR_S
    (plan,) = report.plans
    assert (plan.project, plan.used_node_hours, plan.segments) == ("default", 2.0, 4)
    assert plan.unknown == ("s",)
    assert report.outlook is None
    assert report.period.startswith("2026-01-01 to 2026-02-01")


def test_a_report_of_nobody_is_refused(tmp_path: Path) -> None:
    """Projects that are there are named."""
    with pytest.raises(NotFoundError, match="default"):
        campaign(tmp_path).report(project="nobody")
    assert campaign_without_a_run(tmp_path).report().plans == ()


def campaign_without_a_run(root: Path) -> Campaign:
    """Make a campaign that has no journal."""
    return Campaign("fresh", root=root)


def test_performance_is_read_from_the_same_journal(tmp_path: Path) -> None:
    """What it held, and what was given."""
    found = campaign(tmp_path).performance(resolution={"a": 100.0})

    assert found["held_s"].values.tolist() == [2 * HOUR_S]
    assert found["resolution"].values.tolist() == [100.0]
    assert found.attrs["campaign"] == "c"
    with pytest.raises(InvalidInputError, match="no measures"):
        campaign_without_a_run(tmp_path).performance(complexity={"a": 0.0})
    assert campaign_without_a_run(tmp_path).performance().sizes["simulation"] == 0


def test_insights_and_leases_are_read_from_the_same_journal(tmp_path: Path) -> None:
    """Nothing to find in a campaign of one lease, which is told."""
    made = campaign(tmp_path)

    assert len(made.insights()) == 0
    (lease,) = made.leases().to_dict("records")
    assert (lease["simulation"], lease["nodes"]) == ("s", 1)
    assert (lease["stop"] - lease["start"]).total_seconds() == 2 * HOUR_S
    fresh = campaign_without_a_run(tmp_path)
    assert len(fresh.insights()) == len(fresh.leases()) == 0
