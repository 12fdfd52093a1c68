"""A coupled spin-up ends by itself, a rule branches scenarios, one of them blows up."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import dask.array as da
import numpy as np
import numpy.typing as npt
import pytest
import xarray as xr

from climorch import (
    PREVIOUS,
    SAME,
    AddSimulation,
    Advance,
    Campaign,
    Committed,
    Scenario,
    Segment,
    Span,
    Workflow,
)
from climorch.intake.planning import segment_seed
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.commands import Record
from climorch.model.edits import Edit
from climorch.rules import Equilibrium, Partial, SiblingPromise, Until, area_mean
from tests.live.cases import here, kinds, policies, records, same, state_of

Array = npt.NDArray[np.float64]

LAT = np.linspace(-60.0, 60.0, 4)
PAST, BRANCH, END = 2000, 2002, 2010
WILD = {"wild": 1e120, "tame": 1.0, "calm": 0.5}
"""Scenarios, and by which factor heat grows in a year."""

EVERY, WINDOW, BOUND = 2, 3, 0.02


def warmed(own: Array, other: Array, *, seed: int, grow: float, work_s: float) -> Array:
    """Advance a block by a year; elementwise."""
    # Sleeping, since tests must not depend on how fast the machine is.
    time.sleep(work_s)
    with np.errstate(all="ignore"):
        new = own + 0.25 * (other - own) + np.sin(seed % 1000) * 1e-3
        return np.asarray(new * grow)


def step(
    state: xr.Dataset,
    inputs: Mapping[str, xr.Dataset],
    segment: Segment,
    *,
    other: str,
    work_s: float = 0.0,
) -> Advance:
    """Advance a box by a year, beside another one."""
    grow = segment.params.get("grow", 1.0)
    kernel = functools.partial(warmed, seed=segment.seed, grow=grow, work_s=work_s)
    heat = state["heat"].copy(
        data=da.map_blocks(
            kernel,
            state["heat"].data,
            inputs[other]["heat"].data,
            dtype=float,
            meta=np.empty(0),
        )
    )
    output = heat.expand_dims(time=[segment.start]).to_dataset()
    metrics = {} if work_s else {"heat": area_mean(heat)}
    return Advance(state=state.assign(heat=heat), output=output, metrics=metrics)


def first(segment: Segment, inputs: Mapping[str, xr.Dataset], *, of: str) -> xr.Dataset:
    """Begin with the spun-up state of a box, or apart from the other box."""
    if f"spin-{of}" in inputs:
        return inputs[f"spin-{of}"]
    return xr.Dataset({"heat": ("lat", begun(of))}, coords={"lat": LAT})


def begun(box: str) -> Array:
    """Return the first heat of a box."""
    return np.linspace(0.0, 1.0, len(LAT)) + (2.0 if box == "air" else -2.0)


def boxes(
    wf: Workflow,
    start: int,
    end: int,
    prefix: str = "",
    *,
    branched: bool = False,
    work_s: float = 0.0,
    until: Until | None = None,
    after: Iterable[str] = (),
) -> None:
    """Add both boxes for some years."""
    for box, other, coupling in (("air", "sea", PREVIOUS), ("sea", "air", SAME)):
        wf.stage(
            f"{prefix}{box}",
            functools.partial(step, other=f"{prefix}{other}", work_s=work_s),
            init=None if branched else functools.partial(first, of=box),
            span=Span(f"{start}-01-01", f"{end}-01-01", every="1YS", calendar="noleap"),
            chunks={"lat": 2},
            reads={f"{prefix}{other}": coupling},
            after=after,
            begins="dated" if after else None,
            until=until if box == "sea" else None,
            # What blows up is told by its score here, not by a check of its state.
            check_finite=False,
        )


def warmth(results: xr.Dataset, partial: Partial) -> float:
    """Mean of the newest heat, which may have blown up."""
    with np.errstate(all="ignore"):
        return float(results["heat"].isel(time=-1).mean(skipna=False))


def scenarios(committed: Committed) -> Iterable[Edit]:
    """Branch three courses from the end of the past."""
    for name, grow in WILD.items():
        scenario = Scenario(name, params={"grow": grow})
        yield AddSimulation(template="future", scenario=scenario)


def flow() -> Workflow:
    """A spin-up of any length, two years of the past, eight of three futures."""
    future = Workflow("future")
    boxes(future, BRANCH, END, branched=True, work_s=0.4)
    future.score("warmth", stage="sea", function=warmth, threshold=-99.0, every=2)
    wf = Workflow("past", templates=[future])
    ends = Until(
        condition=Equilibrium(metric="heat", bound=BOUND, window=WINDOW),
        every=EVERY,
        window=WINDOW,
    )
    boxes(wf, 1900, 1950, "spin-", until=ends)
    after = ["spin-air", "spin-sea"]
    boxes(wf, PAST, BRANCH, after=after)
    wf.rule("scenarios", when="sea", then=scenarios)
    return wf


class Boxes:
    """Both boxes by plain NumPy."""

    def __init__(self) -> None:
        self.heat = {"air": begun("air"), "sea": begun("sea")}

    def year(
        self, simulation: str, k: int, prefix: str = "", grow: float = 1.0
    ) -> None:
        """Go on for a year: the air first, with the sea before it."""
        for box, other in (("air", "sea"), ("sea", "air")):
            self.heat[box] = warmed(
                self.heat[box],
                self.heat[other],
                seed=segment_seed(simulation, f"{prefix}{box}", k),
                grow=grow,
                work_s=0.0,
            )

    def spin_up(self) -> int:
        """Go on until the trend is small where that is asked; return for how long."""
        means: list[float] = []
        weights = np.cos(np.deg2rad(LAT))
        while True:
            self.year("s", len(means), "spin-")
            means.append(float(np.average(self.heat["sea"], weights=weights)))
            if len(means) % EVERY == 0 and len(means) >= WINDOW:
                slope = np.polyfit(range(WINDOW), means[-WINDOW:], 1)[0]
                if abs(slope) <= BOUND:
                    return len(means)


def by_hand() -> tuple[int, dict[str, dict[str, Array]]]:
    """Return how long the spin-up takes, and with what each scenario ends."""
    past = Boxes()
    spun = past.spin_up()
    for k in range(BRANCH - PAST):
        past.year("s", k)
    found = {}
    for name, grow in WILD.items():
        future = Boxes()
        future.heat = dict(past.heat)
        for k in range(END - BRANCH):
            future.year(name, k, grow=grow)
        found[name] = future.heat
    return spun, found


def years_of(simulation: str, found: list[Record]) -> list[c.StartSegment]:
    """Return which years of a simulation were begun."""
    return [r for r in kinds(found, c.StartSegment) if r.simulation == simulation]


def ends(campaign: Campaign, simulation: str) -> dict[str, Array]:
    """Return the last heat of both boxes."""
    return {box: state_of(campaign, simulation, box) for box in ("air", "sea")}


@pytest.mark.benchmark
@pytest.mark.timeout(300)
def test_a_spin_up_branches_and_nodes_of_what_blows_up_go_to_the_others(
    tmp_path: Path,
) -> None:
    """At the next boundary, with the reason; the others end bitwise as undisturbed."""
    rules = replace(policies(every=1, keep=30), promise=SiblingPromise())
    campaign = Campaign("c", root=tmp_path, policies=rules)
    campaign.submit(flow(), scenario=Scenario("s"))

    assert campaign.run(here(2)).finished

    spun, wanted = by_hand()
    found = records(campaign)
    told = [r for r in kinds(found, e.RuleEvaluated) if r.told]
    assert [(r.rule, r.at) for r in told] == [
        ("until spin-sea", spun),
        ("scenarios", BRANCH - PAST),
    ]
    assert EVERY < spun < 50
    assert [added.simulation for added in told[1].added] == list(WILD)

    # Who blew up is asked to go, once, and begins no year more.
    (pause,) = kinds(found, c.PreemptPlanned)
    assert pause.simulation == "wild"
    assert pause.why.startswith("score warmth is not finite at mark ")
    at = found.index(pause)
    before, after = found[:at], found[at:]
    held = [r for r in kinds(before, c.SetLease) if r.simulation == "wild"][-1].nodes
    gone, taken = kinds(after, c.SetLease)[:2]
    assert (gone.simulation, gone.nodes) == ("wild", ())
    assert (taken.simulation, taken.nodes) == ("calm", held)
    newest = max(r.segment for r in years_of("wild", before))
    here_yet = years_of("wild", after[: after.index(gone)])
    assert all(r.segment <= newest for r in here_yet)
    cuts = kinds(before, e.CheckpointCommitted) + kinds(after, e.CheckpointCommitted)
    assert newest + 1 in [r.boundary for r in cuts if r.simulation == "wild"]
    assert kinds(found, c.RolledBack) == []

    for name in ("tame", "calm"):
        assert same(ends(campaign, name), wanted[name])
    assert not np.isfinite(ends(campaign, "wild")["sea"]).any()
