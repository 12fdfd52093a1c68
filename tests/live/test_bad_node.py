"""A node on which one simulation fails and no other one ever comes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

from climorch import Advance, Budget, Campaign, Policies, Run, Scenario, Segment
from climorch.engine.worker import node_here
from climorch.model.commands import NodeQuarantined
from climorch.model.events import Cause, SegmentFailed
from climorch.rules import Quarantine
from climorch.testing.faults import until
from tests.live.cases import Array, boxed, column, here, kinds, policies, records

BAD, GOOD = "node001", "node000"


def added(block: Array, bad: str, segment: int) -> Array:
    """Add one, where that can be done."""
    if node_here()[0] in bad.split(","):
        raise ValueError(f"no result here in segment {segment}")
    return block + 1.0


def step(state: xr.Dataset, inputs: Any, segment: Segment) -> Advance:
    """Count, but not on the nodes that the parameters name."""
    data = state["heat"].data
    heat = data.map_blocks(
        added, segment.params["bad"], segment.index, dtype=float, meta=data._meta
    )
    return Advance(state=state.assign(heat=(("lat",), heat)), output=None)


def rules() -> Policies:
    """Try again at once, and set apart what was outdone twice."""
    patient = Budget(retries=1000, first_delay_s=0.1, longest_delay_s=0.1)
    made = policies(budgets={Cause.MODEL: patient})
    quarantine = Quarantine(outdone_after=2, most_nodes=0.5)
    return replace(made, recovery=replace(made.recovery, quarantine=quarantine))


def failures(run: Run) -> int:
    """Count failures so far."""
    return len(kinds([fact for fact, _ in run.facts()], SegmentFailed))


def sent_to_the_bad_one(campaign: Campaign, run: Run) -> None:
    """Let the simulation come to the bad node, fail there, and go on elsewhere."""
    before = failures(run)
    campaign.drain(GOOD)
    until(lambda: failures(run) > before, what="a failure on the bad node")
    committed = campaign.status()["s"].committed
    campaign.undrain(GOOD)
    until(lambda: campaign.status()["s"].committed > committed, what="it goes on")


@pytest.mark.live
def test_a_node_that_only_one_simulation_gets_is_set_apart(tmp_path: Path) -> None:
    """Each time another one computes what failed there; it ends with the right bits."""
    campaign = Campaign("c", root=tmp_path, policies=rules())
    wf = column(step, segments=400)
    campaign.submit(wf, scenario=Scenario("s", params={"bad": BAD}))
    run = campaign.start(here(2))
    try:
        sent_to_the_bad_one(campaign, run)
        assert kinds(records(campaign), NodeQuarantined) == []
        sent_to_the_bad_one(campaign, run)
        until(
            lambda: bool(kinds(records(campaign), NodeQuarantined)),
            what="the node is set apart",
        )
    finally:
        run.stop()

    (found,) = kinds(records(campaign), NodeQuarantined)
    assert found.node == BAD
    assert found.why.startswith("2 times in a row a segment of s failed there")
    failed = {fact.segment for fact in kinds(records(campaign), SegmentFailed)}
    assert len(failed) == 2
    # All that was computed was computed on the other one, once for each segment.
    heat = boxed(campaign, "s")
    assert heat == [float(campaign.status()["s"].committed)] * 4


@pytest.mark.live
def test_a_simulation_that_fails_on_all_nodes_condemns_none(tmp_path: Path) -> None:
    """It was tried on both; it is to blame itself, and fails."""
    made = policies(budgets={Cause.MODEL: Budget(retries=5)})
    quarantine = Quarantine(outdone_after=2, most_nodes=0.5)
    made = replace(made, recovery=replace(made.recovery, quarantine=quarantine))
    campaign = Campaign("c", root=tmp_path, policies=made)
    both = f"{BAD},{GOOD}"
    campaign.submit(column(step), scenario=Scenario("s", params={"bad": both}))
    status = campaign.run(here(2))

    assert status["s"].status == "failed"
    found = records(campaign)
    assert kinds(found, NodeQuarantined) == []
    assert len(kinds(found, SegmentFailed)) == 6
    tried = {n for r in found for n in getattr(r, "leave", ())}
    assert tried == {BAD, GOOD}
