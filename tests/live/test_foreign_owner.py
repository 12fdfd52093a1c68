"""A cluster of others, whose owner takes workers and loads nodes meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, LocalCluster

from climorch import Campaign, DaskSite, Run, Scenario
from climorch.model import commands as c
from climorch.model import events as e
from climorch.testing.faults import committed_twice, until, until_record
from climorch.testing.models import box_workflow, reference_run
from tests.live.cases import ended, kinds, policies, records, same
from tests.live.outside import cluster, where

SEGMENTS = 20
GATE = threading.Event()


@pytest.fixture
def theirs() -> Iterator[LocalCluster]:
    """Five workers; an address of theirs cannot be asked for more."""
    GATE.clear()
    with cluster(5) as made:
        yield made
        GATE.set()


def begun(root: Path, theirs: LocalCluster) -> tuple[Campaign, Run]:
    """Start a malleable simulation on three nodes and a gang on two."""
    campaign = Campaign("c", root=root, policies=policies(every=3))
    wide = box_workflow("wide", segments=SEGMENTS, work_s=0.03, nodes=1, max_nodes=3)
    gang = box_workflow("gang", segments=SEGMENTS, work_s=0.03, nodes=2)
    campaign.submit(wide, scenario=Scenario("wide"))
    campaign.submit(gang, scenario=Scenario("gang"))
    run = campaign.start(DaskSite(theirs.scheduler_address, min_nodes=5))
    for name in ("wide", "gang"):
        until_record(
            root,
            "c",
            e.CheckpointCommitted,
            where=lambda r, name=name: r.simulation == name,  # type: ignore[misc]
            run=run,
        )
    leased(campaign, wide=3, gang=2)
    return campaign, run


def leased(campaign: Campaign, **nodes: int) -> None:
    """Wait until simulations hold so many nodes."""
    until(
        lambda: {s.simulation: s.nodes for s in campaign.status()} == nodes,
        what=f"leases are {nodes}",
    )


def held(campaign: Campaign, simulation: str) -> list[str]:
    """Nodes of a simulation."""
    return [n.node for n in campaign.status().nodes if n.simulation == simulation]


def attempts(campaign: Campaign, simulation: str) -> int:
    """Count the attempts of a simulation so far."""
    started = kinds(records(campaign), c.StartAttempt)
    return len([r for r in started if r.simulation == simulation])


def whole(campaign: Campaign, run: Run) -> None:
    """All end with the bits of an undisturbed run."""
    assert run.wait(240)
    for name in ("wide", "gang"):
        assert same(ended(campaign, name), reference_run(name, segments=SEGMENTS))
    assert committed_twice(records(campaign)) == []


def test_of_a_node_that_is_retired_only_its_holder_feels_anything(
    tmp_path: Path, theirs: LocalCluster
) -> None:
    """It goes on, narrower, from its newest checkpoint; told which went and why."""
    campaign, run = begun(tmp_path, theirs)
    node = held(campaign, "wide")[-1]
    before = attempts(campaign, "gang")

    with Client(theirs, set_as_default=False) as client:
        client.retire_workers(names=[int(node)])

    leased(campaign, wide=2, gang=2)
    reason = "retired by whoever runs the cluster"
    told = campaign.explain("wide")
    assert told.status.why == f"nodes lost: {node} ({reason})"
    assert told.factors["nodes lost"] == {node: reason}
    assert "nodes lost" not in campaign.explain("gang").factors
    whole(campaign, run)
    assert attempts(campaign, "gang") == before
    found = records(campaign)
    first, *late = kinds(found, c.RolledBack)
    assert first.cause is e.Cause.NODE_LOST
    # A checkpoint that the lost attempt had complete in flight may be found
    # after the next attempt began below it.
    superseded = {
        (r.set, r.attempt)
        for r in kinds(found, c.AbandonAttempt)
        if r.why == "a newer checkpoint was found"
    }
    assert {(r.set, r.attempt) for r in late} <= superseded
    for back in (first, *late):
        assert back.simulation == "wide"
        # To the newest checkpoint that there was.
        earlier = kinds(found[: found.index(back)], e.CheckpointCommitted)
        newest = max((r.boundary for r in earlier if r.simulation == "wide"), default=0)
        assert back.boundary == newest


@pytest.mark.benchmark
def test_a_gang_that_loses_a_node_is_given_a_lent_one_at_a_boundary(
    tmp_path: Path, theirs: LocalCluster
) -> None:
    """Who was lent it shrinks after a checkpoint and loses nothing."""
    campaign, run = begun(tmp_path, theirs)
    node = held(campaign, "gang")[-1]

    theirs.sync(theirs.workers[int(node)].close, executor_wait=False)

    until(lambda: not held(campaign, "gang"), what="the gang gave back the rest")
    told = campaign.explain("gang").status.why
    leased(campaign, wide=2, gang=2)
    whole(campaign, run)
    assert told.startswith("needs 2 more nodes; 1 are free")
    assert told.endswith(f"; nodes lost: {node} (its connection ended)")
    found = records(campaign)
    asked = next(i for i, r in enumerate(found) if isinstance(r, c.ShrinkPlanned))
    after = found[asked:]
    shrunk = next(
        i
        for i, r in enumerate(after)
        if isinstance(r, c.SetLease) and r.simulation == "wide"
    )
    # The last one: another may have been in flight when it was asked.
    saved = [
        r
        for r in kinds(after[:shrunk], e.CheckpointCommitted)
        if r.simulation == "wide"
    ][-1]
    again = next(
        r for r in kinds(after[shrunk:], c.StartAttempt) if r.simulation == "wide"
    )
    assert again.boundary == saved.boundary
    assert [r.simulation for r in kinds(found, c.RolledBack)] == ["gang"]


@pytest.mark.benchmark
def test_an_owner_who_drains_a_node_first_costs_nobody_anything(
    tmp_path: Path, theirs: LocalCluster
) -> None:
    """The lease moves off it at a boundary; then it is retired, and nothing is lost."""
    campaign, run = begun(tmp_path, theirs)
    node = held(campaign, "gang")[-1]

    campaign.drain(node)

    until(lambda: node not in held(campaign, "gang"), what="the gang leaves it")
    with Client(theirs, set_as_default=False) as client:
        client.retire_workers(names=[int(node)])
    leased(campaign, wide=2, gang=2)
    whole(campaign, run)
    found = records(campaign)
    assert [fact.node for fact in kinds(found, e.NodeLost)] == [node]
    assert kinds(found, c.RolledBack) == []


def busy(label: str) -> Any:
    """Keep a thread until the test lets go; return where."""
    assert GATE.wait(240)
    return where(0)


def test_foreign_tasks_that_were_there_first_end_where_they_are(
    tmp_path: Path, theirs: LocalCluster
) -> None:
    """They load a node that is then leased: its holder waits for a thread."""
    with Client(theirs, set_as_default=False) as client:
        (address,) = client.retire_workers(names=[1, 2, 3, 4]) and [
            theirs.workers[0].address
        ]
        loads = [client.submit(busy, f"load{i}", workers=[address]) for i in range(2)]
        until(
            lambda: len(client.processing()[address]) == 2, what="all threads are busy"
        )
        campaign = Campaign("c", root=tmp_path, policies=policies(every=3))
        campaign.submit(box_workflow("one", segments=4), scenario=Scenario("one"))
        run = campaign.start(DaskSite(theirs.scheduler_address))
        leased(campaign, one=1)
        until_record(tmp_path, "c", c.StartAttempt, run=run)
        assert kinds(records(campaign), e.SegmentFinished) == []

        GATE.set()

        assert client.gather(loads) == [address, address]
        assert run.wait(240)
    assert same(ended(campaign, "one"), reference_run("one", segments=4))
    assert kinds(records(campaign), c.RolledBack) == []
