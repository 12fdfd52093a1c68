"""Nodes in this process and nodes of their own in one site."""

from __future__ import annotations

from pathlib import Path

import pytest

from climorch import Campaign, LocalSite, Scenario
from climorch.model import commands as c
from climorch.model import events as e
from climorch.testing.faults import committed_twice, kill_node, until_record
from climorch.testing.models import box_workflow, reference_run
from tests.live.cases import ended, kinds, policies, records, same


@pytest.mark.live
def test_one_lease_spans_nodes_here_and_nodes_apart(tmp_path: Path) -> None:
    """Blocks travel between both kinds; a killed process costs no bit."""
    site = LocalSite(nodes=3, in_process=1)
    campaign = Campaign("c", root=tmp_path, policies=policies())
    wf = box_workflow(segments=8, nodes=3, work_s=0.03)
    campaign.submit(wf, scenario=Scenario("s"))
    run = campaign.start(site)
    until_record(tmp_path, "c", e.CheckpointCommitted, run=run, timeout_s=60)
    assert site.pid("node000") is None

    killed = kill_node(site, "node002")

    assert run.wait(timeout_s=240)
    assert same(ended(campaign, "s"), reference_run("s", segments=8))
    found = records(campaign)
    assert {"node000", "node001", "node002"} in [
        set(lease.nodes) for lease in kinds(found, c.SetLease)
    ]
    assert [fact.node for fact in kinds(found, e.NodeLost)] == ["node002"]
    assert committed_twice(found) == []
    assert not Path(f"/proc/{killed}").exists()
