"""`Campaign.rehearse`: from the campaign as it is, which is left as it is."""

from __future__ import annotations

import math
import time
from datetime import timedelta
from pathlib import Path

import pytest

import climorch as co
from climorch.core.orchestrator import Orchestrator, Outcome
from climorch.core.ports import Row
from climorch.engine.session import open_journal
from climorch.intake.planning import make_plan, provenance
from climorch.model import events as e
from climorch.model.commands import encode_record
from climorch.policy.limits import Limits
from climorch.testing.models import box_workflow
from climorch.twin.costs import Amdahl, Costs, Overheads
from climorch.twin.driver import Twin

COSTS = Costs(default=Amdahl(seconds=600.0))
YEARS = 8


def site(nodes: int = 2, *, costs: Costs | None = COSTS) -> co.TwinSite:
    """Nodes on which nothing goes wrong."""
    overheads = Overheads() if costs is not None else None
    return co.TwinSite(nodes=nodes, costs=costs, overheads=overheads)


def campaign(root: Path) -> tuple[co.Campaign, co.Workflow]:
    """Submit a simulation of two coupled boxes."""
    made = co.Campaign(
        "boxes", root=root, policies=co.Policies(checkpointing=co.EverySegments())
    )
    workflow = box_workflow(segments=YEARS)
    made.submit(workflow, scenario=co.Scenario("s"))
    return made, workflow


def journal(root: Path, workflow: co.Workflow, *, until_s: float) -> int:
    """Write the journal that a run of so many seconds leaves behind; return its age."""
    begin_s = time.time() - until_s
    file = open_journal(root, "boxes")

    def append(outcome: Outcome, now_s: float) -> None:
        rows = [
            Row(kind=type(r).__name__, payload=encode_record(r), now_s=now_s)
            for r in outcome.records
        ]
        file.append(rows)

    rules = co.Policies(checkpointing=co.EverySegments())
    twin = Twin(Orchestrator(rules), site(), begin_s=begin_s, watcher=append)
    scenario = co.Scenario("s")
    twin.post(
        e.CampaignOpened(campaign="boxes", version="0"),
        e.DriverStarted(epoch=1, host="here", pid=1),
        e.SimulationSubmitted(
            simulation="s",
            scenario=scenario,
            plan=make_plan(workflow, scenario),
            provenance=provenance(workflow),
        ),
    )
    twin.run(until_s)
    file.close()
    state = twin.orchestrator.state.simulations["s"]
    return sum(n for s in state.sets.values() for n in s.committed_segments.values())


def looks(root: Path) -> dict[str, tuple[bytes, int]]:
    """Return every file below a root with its bytes and its time."""
    return {
        str(path.relative_to(root)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_a_campaign_that_never_ran_is_rehearsed_from_its_submissions(
    tmp_path: Path,
) -> None:
    """Two boxes side by side, ten minutes a year; nothing is written."""
    made, _ = campaign(tmp_path)

    found = made.rehearse(site(), until=timedelta(days=2), seeds=2)

    assert found.to_pandas()["finished"].tolist() == [1.0]
    lasts_s = found.end().timestamp() - found.begin_s
    # Both take 600 s; a start of 35 s, 0.5 s for each cut, 30 s to the last commit.
    stages_in_turn = 2 * YEARS * 600.0
    assert stages_in_turn < lasts_s < stages_in_turn + 120.0
    assert looks(tmp_path) == {}


def test_a_campaign_that_ran_goes_on_in_the_rehearsal_and_its_journal_stays(
    tmp_path: Path,
) -> None:
    """Bytes and times of every file are the same before and after."""
    made, workflow = campaign(tmp_path)
    committed = journal(tmp_path, workflow, until_s=6000.0)
    assert 0 < committed < 2 * YEARS
    before = looks(tmp_path)
    assert "boxes/journal.sqlite" in before

    found = made.rehearse(site(costs=None), until=timedelta(days=2), seeds=[5])

    (fate,) = found[5].fates
    assert fate.status == "finished"
    assert fate.segments == 2 * YEARS - committed
    # Ten minutes a segment, as far as a handful of measurements can tell.
    assert fate.useful_node_s == pytest.approx(600.0 * fate.segments, rel=0.25)
    assert looks(tmp_path) == before


def test_a_wish_can_be_part_of_a_rehearsal(tmp_path: Path) -> None:
    """The simulation is paused an hour from now, in the rehearsal alone."""
    made, workflow = campaign(tmp_path)
    journal(tmp_path, workflow, until_s=3000.0)

    found = made.rehearse(
        site(),
        until=timedelta(days=2),
        seeds=1,
        script=[(timedelta(hours=1), e.PauseRequested(simulation="s"))],
    )

    assert [fate.status for fate in found[0].fates] == ["paused"]
    assert made.status()["s"].status == "waiting"


def test_other_policies_can_be_tried(tmp_path: Path) -> None:
    """One checkpoint at the end instead of one for each year stalls less."""
    made, _ = campaign(tmp_path)
    rare = co.Policies(
        checkpointing=co.EverySegments(count=YEARS),
        limits=Limits(most_exposure_s=math.inf),
    )

    often = made.rehearse(site(), until=timedelta(days=2), seeds=1)
    rarely = made.rehearse(site(), until=timedelta(days=2), seeds=1, policies=rare)

    stalls = [found[0].spent["stall"] for found in (often, rarely)]
    assert stalls[0] > 0
    assert stalls[1] == 0


def test_coarse_finds_what_fine_finds(tmp_path: Path) -> None:
    """The same end, the same useful node-seconds, segments and losses."""
    made = co.Campaign("boxes", root=tmp_path)
    workflow = box_workflow(segments=200)
    for name in ("s", "t"):
        made.submit(workflow, scenario=co.Scenario(name))

    fine, coarse = (
        made.rehearse(site(nodes=4), until=timedelta(days=9), seeds=1, coarse=mode)
        for mode in (False, True)
    )

    lasts_s = [found[0].stop_s - found.begin_s for found in (fine, coarse)]
    assert lasts_s[1] == pytest.approx(lasts_s[0], abs=1e-3)
    assert coarse[0].spent == pytest.approx(fine[0].spent, abs=1e-2)
    assert [f.segments for f in coarse[0].fates] == [f.segments for f in fine[0].fates]


def test_stages_that_nobody_knows_are_named(tmp_path: Path) -> None:
    """Without a run and without a cost there is one clear error."""
    made, _ = campaign(tmp_path)

    with pytest.raises(co.InvalidInputError) as error:
        made.rehearse(site(costs=None), until=timedelta(days=2))

    assert [fault.place for fault in error.value.faults] == [
        "workflow 'boxes', stage 'air'",
        "workflow 'boxes', stage 'sea'",
    ]
