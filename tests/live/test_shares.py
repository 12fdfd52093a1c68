"""Who gives nodes to whom, with real models on them: priority, protection, budgets."""

from __future__ import annotations

from pathlib import Path

from climorch import Campaign, Project, Protection, Run, Scenario
from climorch.model import commands as c
from climorch.model import events as e
from climorch.testing.faults import committed_twice, until
from climorch.testing.models import box_workflow, reference_run
from tests.live.cases import ended, here, kinds, policies, records, same


def computing(campaign: Campaign, *names: str) -> None:
    """Wait until simulations have nodes and computed something."""

    def look() -> bool:
        found = {s.simulation for s in campaign.status() if s.nodes and s.computed}
        return found >= set(names)

    until(look, what=f"{names} compute")


def whole(campaign: Campaign, segments: int, *names: str) -> None:
    """Simulations end with the bits of plain NumPy."""
    for name in names:
        assert campaign.status()[name].status == "finished"
        assert same(ended(campaign, name), reference_run(name, segments=segments))
    assert committed_twice(records(campaign)) == []


def test_a_new_priority_holds_at_the_next_boundary(tmp_path: Path) -> None:
    """The lower one checkpoints at the next boundary, though not due, and waits."""
    campaign = Campaign("c", root=tmp_path, policies=policies(every=99))
    wf = box_workflow(segments=8, work_s=0.05)
    campaign.submit(wf, scenario=Scenario("s"))
    campaign.submit(wf, scenario=Scenario("t"))
    run = campaign.start(here(1))
    computing(campaign, "s")
    assert campaign.status()["t"].status == "waiting"

    campaign.prioritize("t", priority=5)

    computing(campaign, "t")
    assert campaign.status()["s"].status == "waiting"
    run.wait(240)
    found = records(campaign)
    asked = next(i for i, r in enumerate(found) if isinstance(r, c.PreemptPlanned))
    gone = next(
        i
        for i, r in enumerate(found)
        if isinstance(r, c.SetLease) and r.simulation == "s" and not r.nodes
    )
    between = found[asked:gone]
    (planned,) = kinds(between, c.CheckpointPlanned)
    (saved,) = kinds(between, e.CheckpointCommitted)
    assert planned.boundary == saved.boundary
    # Nothing was begun that lies beyond that boundary.
    begun = [r.segment for r in kinds(between, c.StartSegment)]
    assert all(segment < saved.boundary for segment in begun)
    assert kinds(found, c.RolledBack) == []
    whole(campaign, 8, "s", "t")


def test_a_protected_simulation_keeps_what_another_must_give(tmp_path: Path) -> None:
    """Two of higher priority come: one gets the unprotected one's node, one waits."""
    campaign = Campaign("c", root=tmp_path, policies=policies(every=3))
    wf = box_workflow(segments=8, work_s=0.05)
    short = box_workflow("short", segments=2)
    kept = Scenario("kept", protection=Protection(level=1))
    campaign.submit(wf, scenario=kept)
    campaign.submit(wf, scenario=Scenario("loose"))
    run = campaign.start(here(2))
    computing(campaign, "kept", "loose")

    for name in ("x", "y"):
        campaign.submit(short, scenario=Scenario(name, priority=9))

    run.wait(240)
    found = records(campaign)
    assert [r.simulation for r in kinds(found, c.PreemptPlanned)] == ["loose"]
    leases = [r.nodes for r in kinds(found, c.SetLease) if r.simulation == "kept"]
    # One turn, from its first segment to its last.
    assert [len(nodes) for nodes in leases] == [1, 0]
    whole(campaign, 8, "kept", "loose")
    whole(campaign, 2, "x", "y")


def poor(root: Path, node_s: float) -> Campaign:
    """Two projects, one of them with a small budget."""
    campaign = Campaign(
        "c",
        root=root,
        policies=policies(every=99),
        projects=[
            Project("poor", budget_node_hours=node_s / 3600),
            Project("rich"),
        ],
    )
    wf = box_workflow(segments=8, work_s=0.1)
    campaign.submit(wf, scenario=Scenario("s", project="poor"))
    campaign.submit(wf, scenario=Scenario("t", project="rich"))
    return campaign


def first_lease_s(run: Run, simulation: str) -> float:
    """When a simulation first got nodes."""
    return next(
        now_s
        for record, now_s in run.facts()
        if isinstance(record, c.SetLease) and record.simulation == simulation
    )


def test_a_budget_that_is_used_up_ends_at_a_checkpoint(tmp_path: Path) -> None:
    """What runs is finished and saved, nothing more is begun; a larger one goes on."""
    campaign = poor(tmp_path, 2.0)
    run = campaign.start(here(2))
    assert run.wait(240)

    status = campaign.status()
    assert status["s"].status == "waiting"
    assert status["s"].why == "the budget of project poor is used up"
    assert 0 < status["s"].committed < status["s"].segments
    assert status["s"].computed == status["s"].committed
    whole(campaign, 8, "t")
    # On one node a second of the lease is a node-second.
    over_s = first_lease_s(run, "s") + 2.0
    late = [
        record.segment
        for record, now_s in run.facts()
        if isinstance(record, c.StartSegment)
        and record.simulation == "s"
        and now_s >= over_s
    ]
    # At most the rest of the way to one common boundary, which is one segment of each.
    assert all(segment < status["s"].committed // 2 for segment in late)
    assert len(late) <= 1
    assert kinds(records(campaign), c.RolledBack) == []

    assert poor(tmp_path, 3600.0).run(here(2)).finished
    whole(campaign, 8, "s", "t")
