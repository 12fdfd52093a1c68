"""An owner who loads one node of a shared cluster: leases move off it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import LocalCluster

from climorch import Campaign, DaskSite, Run, Scenario
from climorch.model import commands as c
from climorch.model import events as e
from climorch.policy.moving import Moving
from climorch.testing.faults import committed_twice, until, until_record
from climorch.testing.models import reference_run
from tests.live.cases import ended, kinds, policies, records, same
from tests.live.loaded import LOADED, throttled, working
from tests.live.outside import Outside, cluster

# A task that sleeps may be late on a busy machine, not by so much.
QUICK = Moving(slow_factor=4.0, slow_min_s=0.2, rest_s=1.0)


@pytest.fixture
def theirs() -> Iterator[LocalCluster]:
    """Three workers in this process, none of which is loaded."""
    LOADED.clear()
    with cluster(3) as made:
        yield made
    LOADED.clear()


def begun(
    root: Path, theirs: LocalCluster, moving: Moving, *, nodes: int, segments: int
) -> tuple[Campaign, Run, str]:
    """Start a simulation, let it show its pace, load the last of its nodes."""
    campaign = Campaign("c", root=root, policies=policies(every=2, moving=moving))
    campaign.submit(
        working("s", segments=segments, nodes=nodes, chunk=4), scenario=Scenario("s")
    )
    run = campaign.start(DaskSite(theirs.scheduler_address, min_nodes=3))
    until_record(root, "c", e.SegmentFinished, count=8, run=run)
    node = held(campaign)[-1]
    LOADED.add(node)
    return campaign, run, node


def held(campaign: Campaign) -> list[str]:
    """Nodes of the simulation, in the order of its lease."""
    leases = kinds(records(campaign), c.SetLease)
    return list(leases[-1].nodes)


def whole(campaign: Campaign, run: Run, segments: int) -> None:
    """It ends with the bits of an undisturbed run, and nothing was lost."""
    assert run.wait(240)
    assert same(ended(campaign, "s"), reference_run("s", segments=segments))
    assert committed_twice(records(campaign)) == []
    assert kinds(records(campaign), c.RolledBack) == []


@pytest.mark.parametrize("nodes", [1, pytest.param(2, marks=pytest.mark.benchmark)])
def test_a_lease_moves_off_a_node_that_is_loaded(
    tmp_path: Path, theirs: LocalCluster, nodes: int
) -> None:
    """At a boundary, after a checkpoint; `explain` and `status` name the cause."""
    campaign, run, node = begun(tmp_path, theirs, QUICK, nodes=nodes, segments=18)

    until_record(tmp_path, "c", c.MovePlanned, run=run)
    until(lambda: node not in held(campaign) and held(campaign), what="it moved")

    told = campaign.explain("s")
    slow = {n.node: n.slow for n in campaign.status().nodes}
    assert told.status.why.startswith(f"leaves {node}: {node} is ")
    assert told.status.why.endswith(" times slower than expected")
    assert told.factors["last move"]["leave"] == (node,)
    assert (slow[node] or 0.0) >= 4.0
    assert [s for n, s in slow.items() if n != node] == [None, None]
    whole(campaign, run, 18)
    found = records(campaign)
    (shunned,) = kinds(found, c.NodeShunned)
    assert (shunned.node, shunned.simulation) == (node, "s")
    assert shunned.segments >= 3
    # Where it had begun again, it began at what was committed.
    again = kinds(found, c.StartAttempt)[-1]
    saved = [r.boundary for r in kinds(found, e.CheckpointCommitted)]
    assert len(kinds(found, c.StartAttempt)) == 2
    assert again.boundary in saved


@pytest.mark.benchmark
def test_without_the_rule_it_stays_on_the_loaded_node(
    tmp_path: Path, theirs: LocalCluster
) -> None:
    """Nothing else moves a lease off it."""
    never = Moving(slow_factor=math.inf)
    campaign, run, node = begun(tmp_path, theirs, never, nodes=2, segments=10)

    whole(campaign, run, 10)
    found = records(campaign)
    assert kinds(found, c.NodeShunned) == kinds(found, c.MovePlanned) == []
    assert [r.nodes[-1] for r in kinds(found, c.SetLease) if r.nodes] == [node]


@pytest.mark.benchmark
def test_with_no_other_node_it_stays_and_says_so(
    tmp_path: Path, theirs: LocalCluster
) -> None:
    """A slow node is better than none; when the load is gone it is trusted again."""
    campaign, run, node = begun(tmp_path, theirs, QUICK, nodes=3, segments=22)

    until_record(tmp_path, "c", c.NodeShunned, run=run)
    told = campaign.explain("s")
    LOADED.clear()
    until_record(tmp_path, "c", c.NodeTrusted, run=run)

    assert told.status.why.startswith(f"its turn; {node} is ")
    assert told.status.why.endswith("it stays until others are free")
    assert list(told.factors["slow nodes"]) == [node]
    whole(campaign, run, 22)
    found = records(campaign)
    assert kinds(found, c.MovePlanned) == []
    trusted = kinds(found, c.NodeTrusted)[0]
    assert (trusted.node, trusted.why) == (node, "it keeps pace again")


@pytest.mark.live
@pytest.mark.benchmark
def test_a_lease_moves_off_a_process_that_gets_a_tenth_of_a_core(
    tmp_path: Path,
) -> None:
    """The owner stops one worker's process most of the time, by signals."""
    rules = policies(every=2, moving=Moving(slow_factor=2.5, slow_min_s=0.2, rest_s=1))
    campaign = Campaign("c", root=tmp_path, policies=rules)
    flow = working("s", rounds=1_000_000, segments=36, nodes=2)
    campaign.submit(flow, scenario=Scenario("s"))
    with Outside(tmp_path) as outside:
        outside.start_scheduler()
        workers = {f"w{i}": outside.start_worker("--name", f"w{i}") for i in range(3)}
        run = campaign.start(DaskSite(outside.address, min_nodes=3))
        until_record(tmp_path, "c", e.SegmentFinished, count=10, run=run, timeout_s=120)
        node = held(campaign)[-1]
        with throttled(workers[node].pid, run_s=0.02, stop_s=0.18):
            until_record(tmp_path, "c", c.MovePlanned, run=run, timeout_s=120)
            until(
                lambda: node not in held(campaign) and held(campaign),
                what="it moved",
                timeout_s=60,
            )
            told = campaign.explain("s")
        assert f"{node} is " in told.status.why
        assert run.wait(240)
    assert kinds(records(campaign), c.NodeShunned)[0].node == node
    assert same(ended(campaign, "s"), reference_run("s", segments=36))
