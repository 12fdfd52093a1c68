"""Live models and isolated steps in campaigns, next to a function."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from climorch import Campaign, LocalSite, Scenario
from climorch.engine import nursery
from climorch.model import events as e
from climorch.model.events import Cause
from climorch.testing.awkward import awkward_init, awkward_workflow, expected, notes
from climorch.testing.faults import committed_twice, kill_node, until, until_record
from tests.live.cases import here, kinds, policies, records
from tests.unit.engine.model_cases import gone, segment

# Neither is a multiple of the models' hidden cycle.
SEGMENTS = 5
STOP_AT = 2


@pytest.fixture(scope="module", autouse=True)
def kept_nursery() -> Iterator[None]:
    """One nursery for the nodes in this process: importing takes seconds."""
    keeper = object()
    nursery.join(keeper)
    yield
    nursery.leave(keeper)


def submitted(
    root: Path,
    *,
    segments: int = SEGMENTS,
    timeout_s: float | None = None,
    **params: Any,
) -> tuple[Campaign, dict[str, Any]]:
    """A campaign of all kinds of steps, and the params of its simulation."""
    campaign = Campaign("c", root=root, policies=policies())
    params = {"notes": str(root / "notes"), **params}
    wf = awkward_workflow(segments, timeout_s=timeout_s)
    campaign.submit(wf, scenario=Scenario("s", params=params))
    return campaign, params


def noted(params: dict[str, Any], word: str) -> list[list[str]]:
    """What the models noted about something, in words."""
    return [line.split() for line in notes(params) if line.split()[0] == word]


def pids(params: dict[str, Any]) -> list[int]:
    """Process ids of all models, and of the helpers that they started."""
    found = [*noted(params, "build"), *noted(params, "ice")]
    return [int(pid) for words in found for pid in words[-2:]]


def check(campaign: Campaign, params: dict[str, Any]) -> None:
    """Bitwise what NumPy computes, committed once, no process left."""
    tree = campaign.checkpoints("s")[0] / "state.zarr"
    first = awkward_init(segment(0), {})
    for stage, heat in expected("s", SEGMENTS).items():
        state = xr.open_zarr(tree / stage).load()
        assert state["heat"].to_numpy().tobytes() == heat.tobytes(), stage
        assert int(state["clock"]) == SEGMENTS
        hits = {"air": 0, "sea": SEGMENTS, "ice": -SEGMENTS}[stage]
        assert (state["hits"] == hits).all()
        same = ["corners", "wet", "names", "scale", "label", "row", "depth"]
        for name in same:
            xr.testing.assert_identical(state[name], first[name])
            assert state[name].dtype.kind == first[name].dtype.kind
        assert state["clock"].attrs == first["clock"].attrs
    found = records(campaign)
    assert committed_twice(found) == []
    until(lambda: all(map(gone, pids(params))), what="every process is gone")


def test_all_kinds_of_steps_are_one_set_that_goes_on_where_it_stopped(
    tmp_path: Path,
) -> None:
    """Stopped at no multiple of their cycle, run again: bitwise equal."""
    campaign, params = submitted(tmp_path)
    run = campaign.start(here(2))
    until_record(
        tmp_path,
        "c",
        e.SegmentFinished,
        where=lambda fact: (fact.stage, fact.segment) == ("ice", STOP_AT - 1),
        run=run,
        timeout_s=240,
    )
    run.stop()
    stopped = int(campaign.status()["s"].committed)
    assert stopped > 0

    again, _ = submitted(tmp_path)
    assert again.run(here(2)).finished

    check(again, params)
    # Once for each run, however many segments there were.
    loads = [int(clock) for _, clock in noted(params, "load")]
    assert len(loads) == len(noted(params, "build")) == 2
    assert loads[0] == 0
    assert 0 < loads[1] < SEGMENTS
    assert len({words[2] for words in noted(params, "ice")}) >= SEGMENTS
    usages = [f.usage for f in kinds(records(again), e.SegmentFinished)]
    assert all(usage is not None for usage in usages)
    # Models in processes of their own; functions share this one, which tells nothing.
    told = again.performance().sel(simulation="s")
    assert (told["cpu_s"].sel(stage=["sea", "ice"]) > 0).all()
    assert (told["memory_bytes"].sel(stage=["sea", "ice"]) > 10**7).all()
    assert float(told["output_bytes"].sel(stage="sea")) > 0
    metrics = [f.metrics for f in kinds(records(again), e.SegmentFinished)]
    assert {"k": 1.0} in metrics
    years = again.results("s", "sea")["time"].to_numpy()
    assert [date.year for date in years] == list(range(2000, 2000 + SEGMENTS))
    last = again.results("s", "sea")["heat"][-1].to_numpy()
    assert np.array_equal(last, expected("s", SEGMENTS)["sea"])


@pytest.mark.parametrize(
    ("habit", "cause", "message"),
    [
        pytest.param(
            "hang_at", Cause.HANG, "no answer within", marks=pytest.mark.benchmark
        ),
        ("exit_at", Cause.MODEL, "SystemExit: 3"),
    ],
)
def test_a_model_that_fails_is_killed_and_tried_again(
    tmp_path: Path, habit: str, cause: Cause, message: str
) -> None:
    """Its failure draws on the budget of its cause; the retry ends the same."""
    timeout_s = 3.0 if habit == "hang_at" else None
    campaign, params = submitted(tmp_path, timeout_s=timeout_s, **{habit: STOP_AT})

    assert campaign.run(here(2)).finished

    check(campaign, params)
    failed = kinds(records(campaign), e.SegmentFailed)
    assert cause in [fact.cause for fact in failed]
    assert any(message in fact.message for fact in failed)
    assert len(noted(params, "build")) >= 2


def test_a_model_ends_when_its_simulation_does_not_need_it_any_more(
    tmp_path: Path,
) -> None:
    """One simulation ends, its model too, while another goes on."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    campaign, params = submitted(tmp_path)
    waits = {
        "notes": str(tmp_path / "waits"),
        "gate": str(gate),
        "hold_at": SEGMENTS - 1,
    }
    wf = awkward_workflow(SEGMENTS, name="other")
    campaign.submit(wf, scenario=Scenario("t", params=waits))
    run = campaign.start(here(4))

    def ended() -> bool:
        return bool(noted(waits, "hold_at")) and campaign.status()["s"].status == (
            "finished"
        )

    until(ended, what="one has ended, one waits", timeout_s=240)
    until(lambda: all(map(gone, pids(params))), what="the models of one are gone")
    (held,) = {int(words[1]) for words in noted(waits, "build")}
    assert not gone(held)
    gate.write_bytes(b"!")
    assert run.wait(timeout_s=240)
    check(campaign, params)


# Each node imports everything anew, which takes long on a crowded machine.
@pytest.mark.timeout(300)
@pytest.mark.live
def test_a_node_killed_while_its_model_holds_the_lock_costs_no_bit(
    tmp_path: Path,
) -> None:
    """The node's heart beats on meanwhile; killed, it takes all its processes along."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    site = LocalSite(nodes=2)
    campaign, params = submitted(tmp_path, gate=str(gate), hold_at=STOP_AT)
    run = campaign.start(site)
    until(lambda: noted(params, "hold_at"), what="the lock is held", timeout_s=240)
    # Opening it says that the model reads from it, inside of C.
    held = os.open(gate, os.O_WRONLY)
    failures = kinds(records(campaign), e.SegmentFailed)
    scheduler = site.scheduler
    assert scheduler is not None
    for node in ("node000", "node001"):
        for _ in range(2):
            seen = {str(w.name): w.last_seen for w in scheduler.workers.values()}
            until(
                lambda node=node, seen=seen: any(  # type: ignore[misc]
                    str(w.name) == node and w.last_seen > seen[node]
                    for w in list(scheduler.workers.values())
                ),
                what="a heartbeat",
            )
    mine = pids(params)
    holder = [int(pid) for pid in noted(params, "build")[-1][1:]]
    assert not any(map(gone, holder))

    node = _node_of(site, holder[0])
    killed = kill_node(site, node)

    until(lambda: gone(killed) and all(map(gone, holder)), what="all are gone")
    os.close(held)
    assert run.wait(timeout_s=240)
    check(campaign, params)
    assert failures == []
    assert all(map(gone, mine))
    assert len(noted(params, "build")) >= 2


def _node_of(site: LocalSite, pid: int) -> str:
    """Name the node that a process descends from."""
    nodes = {site.pid(name): name for name in ("node000", "node001")}
    while pid not in nodes:
        stat = Path(f"/proc/{pid}/stat").read_text()
        pid = int(stat.rpartition(")")[2].split()[1])
    return nodes[pid]
