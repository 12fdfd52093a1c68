"""A campaign runs whole, on nodes within this process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from climorch import (
    AddSimulation,
    Campaign,
    Committed,
    ConflictError,
    InvalidInputError,
    NotFoundError,
    Scenario,
)
from climorch.forecast.parts import Part
from climorch.model import commands as c
from climorch.model import events as e
from climorch.sites.settings import DASK_SETTINGS
from climorch.testing.faults import committed_twice, until, until_record
from climorch.testing.models import box_workflow, reference_run
from tests.live.cases import (
    NoSite,
    continued,
    ended,
    here,
    kinds,
    last,
    policies,
    records,
    same,
    series,
)

READER = """
import sys
sys.modules["climorch"] = None
import xarray as xr
for stage in ("air", "sea"):
    ds = xr.open_zarr(f"{sys.argv[1]}/state.zarr/{stage}")
    heat = ds["heat"].to_numpy().tobytes().hex()
    print(stage, heat, int(ds["clock"]), ds.sizes["lat"])
"""


def branch(committed: Committed) -> Iterable[AddSimulation]:
    """Give each simulation one child, named after it."""
    yield AddSimulation(
        template="future", scenario=Scenario(f"{committed.simulation}-future")
    )


def booked_as_held(campaign: Campaign) -> None:
    """See that the ledger has what the leases held, and each segment once."""
    ledger = campaign.ledger()
    found = ledger.by("simulation")
    for status in campaign.status():
        row = found.loc[status.simulation]
        assert row["node_hours"] == pytest.approx(status.node_hours, abs=1e-6)
        assert row["useful_node_hours"] > 0
        assert row["segments"] == status.committed
        assert row["bytes_written"] > 0
    assert len(ledger.completed) == len(campaign.status().simulations)
    assert ledger.node_s(Part.PENDING, Part.LOST) == 0
    assert campaign.ledger(period="1999").entries == ()
    assert campaign.ledger(project="nobody").entries == ()
    report = campaign.report(project="default")
    held_s = report.used()["node_hours"].sum() * 3600
    assert held_s == pytest.approx(
        ledger.select(project="default").held_node_s, abs=1e-6
    )
    assert report.to_pandas().loc["scenarios_done", "value"] == len(ledger.completed)
    assert report.planned().loc["default", "remaining_p90_node_hours"] == 0


def test_a_campaign_with_spinup_coupling_and_branches_ends_as_computed_by_hand(
    tmp_path: Path,
) -> None:
    """Every simulation and every branch ends with the bits that NumPy gets."""
    plain = box_workflow(
        "plain",
        segments=4,
        templates=(continued("future", year=2004, segments=2),),
    )
    plain.rule("branch", when="sea", then=branch)
    spun = box_workflow("spun", segments=3, spinup=2)
    campaign = Campaign("c", root=tmp_path, policies=policies(every=2))
    campaign.submit(plain, scenario=Scenario("s0"))
    campaign.submit(plain, scenario=Scenario("s1"))
    campaign.submit(spun, scenario=Scenario("s2"))

    status = campaign.run(here(3))

    assert status.finished
    assert sorted(s.simulation for s in status) == [
        "s0", "s0-future", "s1", "s1-future", "s2",
    ]  # fmt: skip
    for name in ("s0", "s1"):
        assert same(ended(campaign, name), reference_run(name, segments=4))
        child = series(f"{name}-future", 2, start=reference_run(name, segments=4))
        assert same(ended(campaign, f"{name}-future"), last(child))
    spun_up = series("s2", 3, spinup=2)
    assert same(ended(campaign, "s2"), last(spun_up))
    for stage in ("air", "sea"):
        results = campaign.results("s2", stage)
        assert (
            results["heat"].to_numpy().tobytes() == np.stack(spun_up[stage]).tobytes()
        )
        assert [date.year for date in results["time"].to_numpy()] == [2000, 2001, 2002]
        assert results.attrs["Conventions"] == "CF-1.11"
    tree = campaign.ensemble("air")
    assert sorted(tree.children) == ["s0", "s0-future", "s1", "s1-future", "s2"]
    assert tree["s0"].sizes["time"] == 4
    assert committed_twice(records(campaign)) == []
    assert status.to_pandas().loc["s0", "committed"] == 8
    booked_as_held(campaign)

    again = Campaign("c", root=tmp_path, policies=policies(every=2))
    again.submit(plain, scenario=Scenario("s0"))
    again.submit(plain, scenario=Scenario("s1"))
    again.submit(spun, scenario=Scenario("s2"))
    before = len(kinds(records(again), e.SegmentFinished))

    assert again.run(NoSite(nodes=3)).finished
    assert len(kinds(records(again), e.SegmentFinished)) == before


def test_checkpoints_open_with_plain_xarray_in_a_process_without_climorch(
    tmp_path: Path,
) -> None:
    """Whoever has xarray and Zarr can read a checkpoint."""
    campaign = Campaign("c", root=tmp_path, policies=policies(every=2))
    campaign.submit(box_workflow(segments=4), scenario=Scenario("s"))
    campaign.run(here())

    paths = campaign.checkpoints("s")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", READER, str(paths[0])],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )

    assert [path.name for path in paths] == ["2004-01-01-4", "2002-01-01-2"]
    wanted = reference_run("s", segments=4)
    assert done.stdout.splitlines() == [
        f"air {wanted['air'].tobytes().hex()} 4 8",
        f"sea {wanted['sea'].tobytes().hex()} 4 8",
    ]


@pytest.mark.parametrize("seed", [1, 2])
def test_a_stopped_campaign_goes_on_where_it_was(tmp_path: Path, seed: int) -> None:
    """Stopped at a random segment and run again, it ends bitwise the same."""
    after = int(np.random.default_rng(seed).integers(1, 8))
    campaign = Campaign("c", root=tmp_path, policies=policies(every=2))
    wf = box_workflow(segments=6, work_s=0.02)
    campaign.submit(wf, scenario=Scenario("s"))
    run = campaign.start(here())
    until_record(tmp_path, "c", e.SegmentFinished, count=after, run=run)

    run.stop()

    assert not run.alive
    stopped = kinds(records(campaign), e.DriverStopped)
    assert [fact.reason for fact in stopped] == ["stop"]
    again = Campaign("c", root=tmp_path, policies=policies(every=2))
    again.submit(wf, scenario=Scenario("s"))
    # What was computed is committed: nothing is to be computed a second time.
    status = again.status()["s"]
    assert status.computed == status.committed
    assert again.run(here()).finished
    assert same(ended(again, "s"), reference_run("s", segments=6))
    found = records(again)
    assert committed_twice(found) == []
    assert len(kinds(found, e.SegmentFinished)) == 12


def test_pause_resume_cancel_and_prioritize_act_on_a_running_campaign(
    tmp_path: Path,
) -> None:
    """Each wish is fulfilled within a boundary, and status and explain tell why."""
    campaign = Campaign("c", root=tmp_path, policies=policies())
    wf = box_workflow(segments=40, work_s=0.02)
    for name in ("a", "b"):
        campaign.submit(wf, scenario=Scenario(name))
    run = campaign.start(here())
    until_record(
        tmp_path, "c", e.SegmentFinished, where=lambda r: r.simulation == "a", run=run
    )

    assert campaign.status()["a"].status == "running"
    waiting = campaign.explain("b")
    assert waiting.status.status == "waiting"
    assert waiting.factors["nodes needed"] == 1
    assert str(waiting).startswith("b is waiting: ")

    campaign.pause("a")
    until(lambda: campaign.status()["a"].status == "paused", what="a is paused")
    until(lambda: campaign.status()["b"].status == "running", what="b runs")
    assert campaign.status()["a"].nodes == 0
    assert campaign.status()["a"].committed == campaign.status()["a"].computed

    campaign.prioritize("a", priority=5)
    until(lambda: campaign.status()["a"].priority == 5, what="a has its priority")
    assert campaign.explain("a").factors["priority"] == 5

    # Before b ends: with nothing left that may run, the driver leaves.
    campaign.resume("a")
    campaign.cancel("b")
    until(lambda: campaign.status()["b"].status == "cancelled", what="b is cancelled")
    until(lambda: campaign.status()["a"].status == "running", what="a runs again")
    campaign.cancel("a")
    assert run.wait(timeout_s=240)
    assert [s.status for s in campaign.status()] == ["cancelled", "cancelled"]


def test_wishes_before_a_run_are_kept_for_it(tmp_path: Path) -> None:
    """Paused and prioritized while nothing runs, a simulation obeys at the start."""
    campaign = Campaign("c", root=tmp_path, policies=policies())
    wf = box_workflow(segments=1)
    campaign.submit(wf, scenario=Scenario("a"))
    campaign.submit(wf, scenario=Scenario("b"))
    campaign.pause("a")
    campaign.prioritize("b", priority=3)

    status = campaign.run(here())

    assert [(s.status, s.priority) for s in status] == [("paused", 0), ("finished", 3)]
    campaign.resume("a")
    assert campaign.run(here()).finished


def test_what_nobody_submitted_is_not_found(tmp_path: Path) -> None:
    """Control, explanation and checkpoints name the simulations that there are."""
    campaign = Campaign("c", root=tmp_path)
    campaign.submit(box_workflow(segments=1), scenario=Scenario("a"))

    with pytest.raises(NotFoundError, match="'z'"):
        campaign.pause("z")
    with pytest.raises(NotFoundError, match="'z'"):
        campaign.checkpoints("z")
    with pytest.raises(NotFoundError, match="'z'"):
        campaign.explain("z")
    with pytest.raises(KeyError):
        campaign.status()["z"]
    with pytest.raises(NotFoundError):
        campaign.results("a", "air")


def test_a_malleable_lease_grows_and_shrinks_at_boundaries(tmp_path: Path) -> None:
    """Free nodes are lent up to max_nodes and taken back for whoever needs them."""
    campaign = Campaign("c", root=tmp_path, policies=policies())
    wf = box_workflow("wide", segments=18, nodes=1, max_nodes=3, work_s=0.02)
    campaign.submit(wf, scenario=Scenario("a"))
    run = campaign.start(here(3))
    until_record(tmp_path, "c", e.SegmentFinished, run=run)
    until(lambda: campaign.status()["a"].nodes == 3, what="a has all nodes")

    narrow = box_workflow("narrow", segments=2, nodes=2)
    campaign.submit(narrow, scenario=Scenario("b"))
    until(lambda: campaign.status()["b"].status == "finished", what="b is finished")

    assert run.wait(timeout_s=240)
    found = records(campaign)
    sizes = [len(r.nodes) for r in kinds(found, c.SetLease) if r.simulation == "a"]
    assert 3 in sizes
    assert 1 in sizes[sizes.index(3) :]
    assert 3 in sizes[len(sizes) - sizes[::-1].index(1) :]
    assert same(ended(campaign, "a"), reference_run("a", segments=18))
    assert same(ended(campaign, "b"), reference_run("b", segments=2))
    assert committed_twice(found) == []


def test_a_simulation_is_submitted_while_the_campaign_runs(tmp_path: Path) -> None:
    """A new simulation joins a running campaign and is run by it."""
    campaign = Campaign("c", root=tmp_path, policies=policies())
    campaign.submit(
        box_workflow("one", segments=30, work_s=0.02), scenario=Scenario("a")
    )
    run = campaign.start(here(2))
    until_record(tmp_path, "c", e.SegmentFinished, run=run)

    campaign.submit(box_workflow("two", segments=1), scenario=Scenario("b"))
    # Known at once to who asks, for verbs too.
    assert campaign.status()["b"].computed == 0
    with pytest.raises(ConflictError, match="runs already"):
        campaign.start(here())
    until(lambda: campaign.status()["b"].status == "finished", what="b is finished")

    campaign.cancel("a")
    assert run.wait(timeout_s=240)


def test_a_second_driver_is_refused(tmp_path: Path) -> None:
    """Two drivers never run one campaign; the first goes on undisturbed."""
    wf = box_workflow(segments=3, work_s=0.05)
    first = Campaign("c", root=tmp_path, policies=policies())
    first.submit(wf, scenario=Scenario("s"))
    run = first.start(here())
    second = Campaign("c", root=tmp_path, policies=policies())
    second.submit(wf, scenario=Scenario("s"))

    with pytest.raises(ConflictError):
        second.start(here())

    assert run.wait(timeout_s=240)
    assert same(ended(first, "s"), reference_run("s", segments=3))


@pytest.mark.parametrize(
    ("setting", "value", "named"),
    [
        ("distributed.scheduler.work-stealing", True, "work-stealing"),
        ("distributed.scheduler.worker-saturation", 1.1, "worker-saturation"),
        ("distributed.scheduler.idle-timeout", "1h", "idle-timeout"),
        ("distributed.scheduler.allowed-failures", 3, "allowed-failures"),
    ],
)
def test_dask_settings_that_the_engine_relies_on_are_checked_at_start(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    setting: str,
    value: object,
    named: str,
) -> None:
    """A Dask scheduler that is set otherwise is refused, each setting by name."""
    monkeypatch.setitem(DASK_SETTINGS, setting, value)
    campaign = Campaign("c", root=tmp_path)
    campaign.submit(box_workflow(segments=1), scenario=Scenario("s"))

    with pytest.raises(InvalidInputError, match=named):
        campaign.run(here())


def test_a_site_that_is_too_small_is_refused_before_anything_starts(
    tmp_path: Path,
) -> None:
    """A gang larger than the site, or memory beyond a node's, is told at once."""
    campaign = Campaign("c", root=tmp_path)
    campaign.submit(box_workflow(segments=1, nodes=3), scenario=Scenario("s"))

    with pytest.raises(InvalidInputError, match="needs 3 nodes"):
        campaign.run(here(2))
    assert campaign.status().simulations == ()


def test_a_simulation_whose_workflow_the_script_left_out_is_refused(
    tmp_path: Path,
) -> None:
    """A campaign cannot go on without the functions of its simulations."""
    campaign = Campaign("c", root=tmp_path)
    campaign.submit(box_workflow(segments=1), scenario=Scenario("s"))
    campaign.pause("s")
    assert campaign.run(here())["s"].status == "paused"
    campaign.resume("s")
    assert campaign.status()["s"].status == "waiting"

    with pytest.raises(InvalidInputError, match="no workflow 'boxes'"):
        Campaign("c", root=tmp_path).run(here())
