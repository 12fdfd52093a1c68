"""Nodes that are serviced or kept for somebody, with real models on them."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from climorch import Campaign, LocalSite, NotFoundError, Run, Scenario
from climorch.model import commands as c
from climorch.model import events as e
from climorch.testing.faults import committed_twice, kill_node, until
from climorch.testing.models import box_workflow, reference_run
from tests.live.cases import ended, here, kinds, policies, records, same


def begun(
    root: Path, *names: str, site: LocalSite, segments: int, work_s: float = 0.05
) -> tuple[Campaign, Run]:
    """Start simulations that compute, all of which have nodes."""
    campaign = Campaign("c", root=root, policies=policies(every=5))
    wf = box_workflow(segments=segments, work_s=work_s)
    for name in names:
        campaign.submit(wf, scenario=Scenario(name))
    run = campaign.start(site)
    compute(campaign, *names)
    return campaign, run


def compute(campaign: Campaign, *names: str) -> None:
    """Wait until simulations have nodes and computed something."""

    def look() -> bool:
        found = {s.simulation for s in campaign.status() if s.nodes and s.computed}
        return found >= set(names)

    until(look, what=f"{names} compute")


def whole(campaign: Campaign, *names: str, segments: int) -> None:
    """Whatever happened, every simulation ends with the bits of plain NumPy."""
    assert campaign.status().finished
    for name in names:
        assert same(ended(campaign, name), reference_run(name, segments=segments))
    assert committed_twice(records(campaign)) == []


def held(run: Run, simulation: str) -> list[tuple[tuple[str, ...], float]]:
    """Leases of a simulation with their times, in order."""
    return [
        (record.nodes, now_s)
        for record, now_s in run.facts()
        if isinstance(record, c.SetLease) and record.simulation == simulation
    ]


def test_maintenance_moves_a_simulation_at_a_boundary(tmp_path: Path) -> None:
    """It checkpoints, goes on elsewhere, loses no segment and no bit."""
    campaign, run = begun(tmp_path, "s", site=here(2), segments=8)
    (node,) = [n.node for n in campaign.status().nodes if n.simulation == "s"]
    now_s = time.time()

    name = campaign.maintenance(node, now_s, now_s + 600, hard=False)

    until(lambda: bool(campaign.status().windows), what="the driver knows the window")
    (window,) = campaign.status().windows
    assert (window.window, window.nodes) == (name, (node,))
    assert (window.placed, window.begun, window.holder) == (True, True, None)
    run.wait()
    first, away, other = (nodes for nodes, _ in held(run, "s")[:3])
    assert (first, away) == ((node,), ())
    assert other not in ((), (node,))
    assert kinds(records(campaign), c.RolledBack) == []
    whole(campaign, "s", segments=8)


@pytest.mark.benchmark
def test_a_window_of_the_whole_site_is_waited_through(tmp_path: Path) -> None:
    """All checkpoint before it; its nodes die in it; then all go on by themselves."""
    site = LocalSite(nodes=2)
    campaign, run = begun(tmp_path, "s", "t", site=site, segments=10)
    start_s = time.time() + 2.0
    stop_s = start_s + 2.0

    campaign.maintenance(
        "all",
        datetime.fromtimestamp(start_s, UTC),
        datetime.fromtimestamp(stop_s, UTC).isoformat(),
        name="power",
    )

    until(lambda: time.time() > start_s + 0.2, what="it has begun")
    status = campaign.status()
    assert [s.nodes for s in status] == [0, 0]
    assert [n.windows for n in status.nodes] == [("power",), ("power",)]
    assert "window power" in status["s"].why
    for node in status.nodes:
        kill_node(site, node.node)
    assert run.wait(240)
    for name in "st":
        _, (none, left_s), (again, back_s), _ = held(run, name)
        assert (none, len(again)) == ((), 1)
        assert left_s <= start_s + 0.5 < stop_s <= back_s
    inside = [
        record
        for record, now_s in run.facts()
        if isinstance(record, c.StartSegment) and start_s <= now_s < stop_s
    ]
    assert inside == []
    assert len(kinds(records(campaign), e.NodeLost)) >= 2
    assert [w.name for w in kinds(records(campaign), c.WindowEnded)] == ["power"]
    whole(campaign, "s", "t", segments=10)


def test_a_reservation_is_honoured(tmp_path: Path) -> None:
    """Others leave; its holder runs there, though it is the last in line."""
    campaign, run = begun(tmp_path, "s", "t", site=here(2), segments=10)
    campaign.submit(
        box_workflow("late", segments=3), scenario=Scenario("u", priority=-9)
    )
    assert campaign.status()["u"].status == "waiting"
    start_s = time.time() + 1.0

    name = campaign.reserve(1, start_s, start_s + 600, holder="u")

    until(lambda: campaign.status()["u"].status == "finished", what="u has run")
    # Its holder may come earlier: others have left before the start.
    until(lambda: campaign.status().windows[0].begun, what="the window has begun")
    (window,) = campaign.status().windows
    assert (window.window, window.holder, window.begun) == (name, "u", True)
    assert held(run, "u")[0][0] == window.nodes
    (other,) = [s.nodes for s in campaign.status() if s.nodes and s.simulation != "u"]
    assert other == 1
    gave = next(n for n in "st" if not campaign.status()[n].nodes)
    assert f"nodes of window {name}" in campaign.status()[gave].why
    # Nobody else has the node before the window is withdrawn.
    campaign.withdraw(name)
    until(lambda: campaign.status()[gave].nodes == 1, what=f"{gave} goes on")
    run.wait(240)
    assert [w.name for w in kinds(records(campaign), e.WindowWithdrawn)] == []
    whole(campaign, "s", "t", segments=10)


def test_windows_are_declared_while_no_driver_runs(tmp_path: Path) -> None:
    """They wait in the inbox, are shown at once, and hold from the first lease on."""
    now_s = time.time()
    outside = Campaign("c", root=tmp_path)
    name = outside.maintenance("node000", now_s, now_s + 600, hard=False)
    gone = outside.maintenance(["node001"], now_s, now_s + 600)
    outside.withdraw(gone)
    with pytest.raises(NotFoundError, match="no window"):
        outside.withdraw(gone)
    campaign = Campaign("c", root=tmp_path, policies=policies())
    campaign.submit(box_workflow(segments=3), scenario=Scenario("s"))

    assert campaign.run(here(2)).finished

    leases = {r.nodes for r in kinds(records(campaign), c.SetLease) if r.nodes}
    assert leases == {("node001",)}
    (window,) = campaign.status().windows
    assert window.window == name
    assert campaign.status().windows_to_pandas().loc[name, "nodes"] == ("node000",)
