"""Hangs of every kind: found in time, their call stack kept, and nothing is lost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dask.array as da
import pytest
import xarray as xr

from climorch import Campaign, Isolated, LocalSite, Scenario, Segment, Watch
from climorch.engine import nursery
from climorch.engine.session import read_records
from climorch.model import events as e
from climorch.model.commands import SetLease
from climorch.model.events import Cause
from climorch.model.plan import Coupling
from climorch.model.workflow import Workflow
from climorch.testing.faults import committed_twice
from climorch.testing.misdeeds import Misdeed, misbehaving, strikes
from climorch.testing.models import box_workflow, reference_run
from tests.live.cases import column, ended, here, kinds, policies, records, same
from tests.live.test_watchdog import gone, nothing_left_behind

BUDGET_S = 3.0
HANGS = {
    "sleeping hang": "_sleeps",
    "GIL hang": "_holds_the_lock",
    "C hang": "_computes_in_c",
}


@pytest.fixture(scope="module", autouse=True)
def kept_nursery() -> Iterator[None]:
    """One nursery for the nodes in this process: importing takes seconds."""
    keeper = object()
    nursery.join(keeper)
    yield
    nursery.leave(keeper)


def named(kind: str) -> str:
    """Name of the simulation that hangs in some way."""
    return kind.replace(" ", "-")


def hung(campaign: Campaign, simulation: str) -> list[tuple[e.SegmentFailed, float]]:
    """Hangs of a simulation, each with the time at which it was journaled."""
    return [
        (record, now_s)
        for record, now_s in read_records(campaign.root, campaign.name)
        if isinstance(record, e.SegmentFailed)
        and (record.simulation, record.cause) == (simulation, Cause.HANG)
    ]


@pytest.mark.live
def test_hangs_are_found_within_twice_their_budget_and_their_stacks_are_kept(
    tmp_path: Path,
) -> None:
    """In sleep, in C with and without the interpreter's lock: all bitwise in the end.

    Silence alone condemns nobody here: a frozen node has a minute.
    """
    watch = Watch(frozen_s=60.0, limits_s={"sea": BUDGET_S, "air": BUDGET_S})
    campaign = Campaign("c", root=tmp_path, policies=policies(watch=watch))
    for kind in HANGS:
        wf = box_workflow(named(kind), segments=4)
        wf = misbehaving(wf, Misdeed(kind=kind), tmp_path / kind)
        campaign.submit(wf, scenario=Scenario(named(kind)))
    with nothing_left_behind():
        assert campaign.run(LocalSite(nodes=3)).finished

    for kind, function in HANGS.items():
        name = named(kind)
        assert strikes(tmp_path / kind) == 1
        ((fact, found_s),) = hung(campaign, name)
        pid, begun_s = (tmp_path / kind / "strike-sea-0").read_text().split()
        assert found_s - float(begun_s) <= 2 * BUDGET_S, kind
        assert (fact.stage, fact.segment) == ("sea", 2)
        assert f"in {function}" in fact.stack.splitlines()[1]
        assert f"in {function}" in fact.message
        assert gone(int(pid))
        reasons = [x.reason for x in kinds(records(campaign), e.NodeLost)]
        assert fact.message in reasons
        assert len(reasons) == len(HANGS)
        explained = campaign.explain(name).factors["newest hang of air"]
        assert explained["call stacks"] == fact.stack
        assert explained["node"] == fact.node
        assert same(ended(campaign, name), reference_run(name, segments=4))
    assert committed_twice(records(campaign)) == []


def waits(state: xr.Dataset, inputs: Any, segment: Segment, *, stage: str) -> Any:
    """Wait for the other stage before it is told anything, once."""
    folder = Path(segment.params["folder"])
    other = {"air": "sea", "sea": "air"}[stage]
    mark = folder / f"model-{stage}"
    if segment.index == 1 and not mark.exists():
        mark.touch()
        while not (folder / f"halo-of-{other}").exists():
            time.sleep(0.01)
    return state.assign(heat=state["heat"] + 1.0)


def air(state: xr.Dataset, inputs: Any, segment: Segment) -> Any:
    """Wait for the sea."""
    return waits(state, inputs, segment, stage="air")


def sea(state: xr.Dataset, inputs: Any, segment: Segment) -> Any:
    """Wait for the air."""
    return waits(state, inputs, segment, stage="sea")


def two_models() -> Workflow:
    """Two models that run side by side."""
    wf = Workflow("models")
    box = column(air, segments=3).stages[0]
    for name, step, other in (("air", air, "sea"), ("sea", sea, "air")):
        reads = {other: Coupling.PREVIOUS}
        wf.stages.append(replace(box, name=name, step=Isolated(step), reads=reads))
    return wf


def test_models_that_wait_for_each_other_are_told_with_both_stacks(
    tmp_path: Path,
) -> None:
    """Killed, not their nodes; the next try goes to a node that is free.

    One has a longer budget, lest both be killed at the same moment.
    """
    watch = Watch(limits_s={"sea": 20 * BUDGET_S, "air": BUDGET_S})
    campaign = Campaign("c", root=tmp_path, policies=policies(watch=watch))
    scenario = Scenario("models", params={"folder": str(tmp_path)})
    campaign.submit(two_models(), scenario=scenario)
    assert campaign.run(here(3)).finished

    # The other one may be found before all of it is killed.
    fact, found_s = hung(campaign, "models")[0]
    begun_s = max((tmp_path / f"model-{s}").stat().st_mtime for s in ("air", "sea"))
    assert found_s - begun_s <= 2 * BUDGET_S
    told = f"{fact.stack}\n"
    assert ["in air\n" in told, "in sea\n" in told] == [True, True], told
    assert told.count("in waits\n") == 2
    explained = campaign.explain("models").factors["newest hang of air"]
    assert {explained["stage"], *explained["computing beside it"]} == {"air", "sea"}
    assert kinds(records(campaign), e.NodeLost) == []
    leases = [x.nodes for x in kinds(records(campaign), SetLease) if "hung on" in x.why]
    assert fact.node
    assert all(fact.node not in nodes for nodes in leases)
    assert [len(nodes) for nodes in leases] == [1, 2]


@pytest.mark.live
@pytest.mark.benchmark
def test_tasks_that_wait_for_each_other_are_told_with_both_stacks(
    tmp_path: Path,
) -> None:
    """As models; their nodes are restarted."""
    watch = Watch(limits_s={"sea": BUDGET_S, "air": BUDGET_S})
    campaign = Campaign("c", root=tmp_path, policies=policies(watch=watch))
    boxes = box_workflow("tasks", segments=4)
    reads = {"air": Coupling.PREVIOUS}
    boxes.stages[1] = replace(boxes.stages[1], reads=reads)
    wf = misbehaving(boxes, Misdeed(kind="coupled deadlock"), tmp_path / "strikes")
    campaign.submit(wf, scenario=Scenario("tasks"))
    with nothing_left_behind():
        assert campaign.run(LocalSite(nodes=2)).finished

    ((fact, _),) = hung(campaign, "tasks")
    assert fact.stack.count("in _waits_for_the_other") == 2


def hangs_once(values: Any, folder: str) -> Any:
    """Wait for ever, the first time that a node gets here."""
    mark = Path(folder) / "begun"
    if not mark.exists():
        mark.touch()
        time.sleep(3600)
    return values


@pytest.mark.live
def test_an_init_that_hangs_is_found_and_tried_again(tmp_path: Path) -> None:
    """Its node is killed, with the line where it stood; nothing waits for ever."""
    campaign = Campaign(
        "c", root=tmp_path, policies=policies(watch=Watch(begin_s=BUDGET_S))
    )
    wf = box_workflow("s", segments=2)
    box = wf.stages[0]

    def late(segment: Segment, inputs: Any) -> Any:
        made: Any = box.init(segment, inputs)  # type: ignore[operator,misc]
        heat = da.asarray(made["heat"].data)
        # Told what comes of it, Dask does not try it beforehand.
        heat = heat.map_blocks(hangs_once, str(tmp_path), meta=heat._meta)
        return made.assign(heat=(("lat", "lon"), heat))

    wf.stages[0] = replace(box, init=late)
    campaign.submit(wf, scenario=Scenario("s"))
    with nothing_left_behind():
        assert campaign.run(LocalSite(nodes=1)).finished

    ((fact, _),) = hung(campaign, "s")
    assert fact.stage == box.name
    assert "hangs_once" in fact.message
    assert same(ended(campaign, "s"), reference_run("s", segments=2))
