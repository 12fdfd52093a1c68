"""What a campaign says of months to come, from a journal on the disk."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from climorch import Campaign, InvalidInputError, Project
from climorch.core.ports import Row
from climorch.engine.session import JOURNAL
from climorch.forecast.trust import Basis
from climorch.model import commands as c
from climorch.storage.journal import SqliteJournal
from climorch.storage.owner import this_process
from climorch.twin.site import TwinSite
from tests.unit.twin.months import BEGIN, POLICIES, activity, told


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    """Write the journal of five virtual months, and open its campaign."""
    root = tmp_path_factory.mktemp("root")
    made = Campaign("c", root=root, projects=[Project("p"), Project("q")])
    made.policies = POLICIES
    (root / "c").mkdir()
    journal = SqliteJournal.open(
        root / "c" / JOURNAL,
        campaign="c",
        owner=this_process(),
        now_s=BEGIN.timestamp(),
    )
    journal.append(
        [
            Row(
                kind=type(record).__name__,
                payload=c.encode_record(record),
                now_s=now_s,
            )
            for record, now_s in told()
        ]
    )
    journal.close()
    return made


def test_a_campaign_is_forecast_from_its_journal(campaign: Campaign) -> None:
    """From its newest row on, if that is later than now; one simulation is left."""
    found = campaign.forecast(months=2, seeds=3)

    assert found.months == ("2027-05", "2027-06", "2027-07")
    assert found.mode == "twin"
    assert found.trust.basis is Basis.PROVEN
    # 102 of 400 half-days on two nodes are left.
    assert found.total(project="q").p50 == pytest.approx(2 * 24 * 51, rel=0.12)
    assert found.total(project="p").p90 == 0.0
    assert [x.simulation for x in found.completions] == ["three"]


def test_plans_and_queues_may_be_asked_about(campaign: Campaign) -> None:
    """Quickly, too."""
    plan = (activity("new", start=datetime(2027, 6, 1, tzinfo=UTC)),)

    quick = campaign.forecast(months=3, seeds=[4, 5], quick=True, plan=plan)
    late = campaign.forecast(
        months=1, seeds=1, queue_wait=(timedelta(days=20), timedelta(days=20))
    )

    assert len(quick.node_hours) == 2
    assert quick.total(project="p").p50 > 0.0
    assert 0.0 < late.total().p90 <= 2 * 24 * 10.5


def test_past_forecasts_are_judged(campaign: Campaign) -> None:
    """From every month on whose next one is whole."""
    found = campaign.backtest(months=1, quick=True, seeds=10)

    assert [o.month for o in found.origins] == ["2027-02", "2027-03", "2027-04"]
    # Three months from February on are whole; the twin knows what they hold.
    assert campaign.backtest(seeds=3).mean_error < 0.05
    assert campaign.backtest(months=6).origins == ()


def test_nodes_and_starts_are_searched_for(campaign: Campaign) -> None:
    """A month of work on two nodes, from the newest row on."""
    planned = activity("new", segments=60)
    by = datetime(2027, 7, 10, tzinfo=UTC)

    needed = campaign.nodes_needed([planned], by=by, chance=0.5, seeds=2)
    latest = campaign.latest_start(planned, by=by, chance=0.5, seeds=2)

    assert 2 <= needed.nodes <= 4
    assert timedelta(days=28) <= by - latest.start <= timedelta(days=36)


def test_a_campaign_that_never_ran_rests_on_guesses(tmp_path: Path) -> None:
    """What the script submits is in it; without a site nobody knows where."""
    made = Campaign("new", root=tmp_path, projects=[Project("p")])
    planned = activity("s", segments=10)
    made.submit(planned.workflow, scenario=planned.scenario)

    with pytest.raises(InvalidInputError, match="cannot be forecast"):
        made.forecast()
    found = made.forecast(site=TwinSite(nodes=2), seeds=2)
    assert found.trust.basis is Basis.GUESS
    assert found.total(project="p").p50 > 0.0
    assert made.backtest().origins == ()
