"""Checkpoints inside a segment: nodes die in the middle of one."""

from __future__ import annotations

import functools
import time
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import Any

import cftime
import numpy as np
import numpy.typing as npt
import pytest
import xarray as xr

from climorch import Advance, Campaign, Isolated, LocalSite, Policies, Scenario, Span
from climorch.intake.planning import segment_seed
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.advance import Segment
from climorch.model.workflow import Workflow
from climorch.policy.checkpointing import EverySegments, EveryWall
from climorch.policy.limits import Limits
from climorch.testing.faults import committed_twice, kill_node, until_record
from tests.live.cases import here, kinds, records

Array = npt.NDArray[np.float64]
SEGMENTS, PARTS, X = 2, 5, 8
INF = float("inf")


def mix(heat: Array, *, seed: int, part: int, work_s: float = 0.0) -> Array:
    """Advance a block by a part; no two parts do the same."""
    time.sleep(work_s)
    return np.sin(heat * 12.9898 + seed % 1000 + part) + 0.5 * heat


def lazily(heat: Any, **told: Any) -> Any:
    """Advance a field block by block."""
    return heat.map_blocks(mix, dtype=float, **told)


def step(
    state: xr.Dataset,
    inputs: Any,
    segment: Segment,
    *,
    advance: Any = lazily,
    work_s: float = 0.2,
) -> Generator[Any, None, Any]:
    """Yield the state after each part but the last one."""
    for part in range(segment.part, segment.parts):
        told = {"seed": segment.seed, "part": part, "work_s": work_s}
        heat = advance(state["heat"].data, **told)
        state = state.assign(heat=("x", heat))
        if part < segment.parts - 1:
            yield state
    date = cftime.datetime(segment.start.year, 1, 1, calendar="noleap")
    output = xr.Dataset({"heat": (("time", "x"), heat[None])}, {"time": [date]})
    return Advance(state=state, output=output)


def init(segment: Segment, inputs: Any) -> xr.Dataset:
    """Begin with as many values as blocks, all different."""
    return xr.Dataset({"heat": ("x", np.linspace(0.0, 1.0, X))})


def workflow(function: Any = step) -> Workflow:
    """Make a workflow of two segments of five parts."""
    wf = Workflow("w")
    span = Span(
        "2000-01-01", f"{2000 + SEGMENTS}-01-01", every="1YS", calendar="noleap"
    )
    wf.stage("a", function, init=init, span=span, chunks={"x": 2}, parts=PARTS)
    return wf


def reference() -> Array:
    """Compute the same with plain NumPy."""
    heat = np.linspace(0.0, 1.0, X)
    for k in range(SEGMENTS):
        for part in range(PARTS):
            heat = mix(heat, seed=segment_seed("s", "a", k), part=part)
    return heat


def check(campaign: Campaign) -> list[Any]:
    """Bitwise equal, each segment committed and published once."""
    found = records(campaign)
    assert committed_twice(found) == []
    counts = Counter(x.segment for x in kinds(found, c.SegmentCommitted))
    assert counts == Counter(range(SEGMENTS * PARTS))
    newest = campaign.checkpoints("s")[0]
    heat = xr.open_zarr(newest / "state.zarr" / "a")["heat"].to_numpy()
    assert np.array_equal(heat, reference())
    published = campaign.results("s", "a")
    years = [date.year for date in published["time"].to_numpy()]
    assert years == [2000 + k for k in range(SEGMENTS)]
    assert np.array_equal(published["heat"].to_numpy()[-1], reference())
    return found


@pytest.mark.live
def test_a_node_killed_in_mid_segment_costs_what_follows_the_newest_part(
    tmp_path: Path,
) -> None:
    """The next attempt begins inside of the segment, and ends with the same bits."""
    site = LocalSite(nodes=2)
    policies = Policies(
        checkpointing=EveryWall(seconds=0.01), limits=Limits(most_overhead=INF)
    )
    campaign = Campaign("c", root=tmp_path, policies=policies)
    campaign.submit(workflow(), scenario=Scenario("s"))
    run = campaign.start(site)
    until_record(
        tmp_path, "c", e.CheckpointCommitted, where=lambda f: f.boundary >= 2, run=run
    )
    held = kinds(records(campaign), c.SetLease)[0].nodes
    kill_node(site, held[0])

    assert run.wait(timeout_s=240)
    found = check(campaign)
    first, second = kinds(found, c.StartAttempt)
    assert first.boundary == 0
    assert second.boundary >= 2
    done = [x.boundary for x in kinds(found, e.CheckpointCommitted)]
    assert set(done) - {PARTS, 2 * PARTS}


@pytest.mark.live
@pytest.mark.parametrize(
    "function",
    [
        functools.partial(step, work_s=0.0),
        Isolated(functools.partial(step, advance=mix, work_s=0.0)),
    ],
    ids=["graph", "isolated"],
)
def test_the_exposure_cap_has_checkpoints_taken_inside_of_segments(
    tmp_path: Path, function: Any
) -> None:
    """Where the strategy wants none but at the end of the run."""
    policies = Policies(
        checkpointing=EverySegments(count=99),
        limits=Limits(most_overhead=INF, most_exposure_s=1e-6),
    )
    campaign = Campaign("c", root=tmp_path, policies=policies)
    campaign.submit(workflow(function), scenario=Scenario("s"))

    assert campaign.run(here(1)).finished

    found = check(campaign)
    planned = kinds(found, c.CheckpointPlanned)
    inside = [x for x in planned if x.boundary % PARTS]
    assert inside
    assert {x.binds for x in inside} == {"exposure"}
