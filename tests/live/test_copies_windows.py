"""Copies in partners' memory are on the disk before a window takes their nodes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import xarray as xr

from climorch import Campaign, LocalSite, Policies, Scenario
from climorch.model import commands as c
from climorch.model import events as e
from climorch.policy.checkpointing import EverySegments
from climorch.policy.limits import Limits
from climorch.policy.partnering import PartnerCopy
from climorch.testing.faults import committed_twice, until, until_record
from tests.live.cases import here, kinds, records
from tests.live.gates import GATES, stepped

SEGMENTS = 4


@pytest.fixture
def site() -> LocalSite:
    """Two nodes in this process, where the gates are."""
    return here(2)


@pytest.mark.live
def test_what_partners_hold_is_written_while_a_segment_overruns(
    tmp_path: Path, site: LocalSite
) -> None:
    """Its boundary has passed: what is written is not what the set holds now."""
    partner = PartnerCopy(disk=EverySegments(count=99), most_overhead=1.0)
    policies = Policies(checkpointing=partner, limits=Limits(most_overhead=1.0))
    campaign = Campaign("c", root=tmp_path, policies=policies)
    campaign.submit(
        stepped("w", "a", segments=SEGMENTS, nodes=2),
        scenario=Scenario("s", params={"name": "s"}),
    )
    GATES.open(("s", "a", 3))
    run = campaign.start(site)
    for segment in (0, 1):
        # One copy is on its way at a time: the next is skipped, not queued.
        GATES.open(("s", "a", segment))
        until_record(tmp_path, "c", e.CopyHeld, count=segment + 1, run=run)
    until(lambda: GATES.waiting(("s", "a", 2)), what="the third segment is under way")
    now_s = time.time()

    # The first checkpoint is taken to need up to a minute: this is soon.
    nodes = [node.node for node in campaign.status().nodes]
    name = campaign.maintenance(nodes, now_s + 90, now_s + 600)
    until_record(
        tmp_path, "c", e.CheckpointCommitted, where=lambda f: f.boundary == 2, run=run
    )
    assert GATES.waiting(("s", "a", 2))
    campaign.withdraw(name)
    until(lambda: not campaign.status().windows, what="the window is withdrawn")
    GATES.open(("s", "a", 2))

    assert run.wait(timeout_s=120)
    found = records(campaign)
    begun = [(x.boundary, x.held) for x in kinds(found, c.BeginCheckpoint)]
    assert begun[0] == (2, True)
    assert begun[-1] == (SEGMENTS, False)
    assert committed_twice(found) == []
    heats = [
        xr.open_zarr(path / "state.zarr" / "a")["heat"].to_numpy().tolist()
        for path in campaign.checkpoints("s")
    ]
    assert heats == [[float(SEGMENTS)] * 4, [2.0] * 4]
