"""A campaign with rules as a user's script, armed with the fault of its environment.

Its only argument is JSON: ``root``. A rule branches and extends, another one raises; a
score judges each year.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping

import xarray as xr

from climorch import AddSimulation, Campaign, LocalSite, Scenario, Segment, Span
from climorch.model.edits import Committed, Edit
from climorch.model.workflow import Workflow
from climorch.rules import AddStage, MoveEnd, Partial, SetPriority
from climorch.testing.injector import arm
from climorch.testing.models import box_workflow
from tests.live.cases import continued, policies

SEGMENTS, MORE = 2, 1
"""Of the simulation that is submitted, and of what its rule makes of it."""


def steer(committed: Committed) -> Iterable[Edit]:
    """Another course from the end, a year and a stage more, another priority."""
    if committed.segments == SEGMENTS:
        yield AddSimulation(template="future", scenario=Scenario("s-future"))
        yield SetPriority(priority=7)
        yield MoveEnd(stage="sea", end=f"{2000 + SEGMENTS + MORE}-01-01")
        # From its new end on, to its own: two years.
        yield AddStage(stage="late")


def faulty(committed: Committed) -> Iterable[Edit]:
    """Raise, always."""
    raise KeyError(committed.stage)


def warmth(results: xr.Dataset, partial: Partial) -> float:
    """Mean of the newest heat."""
    return float(results["heat"].isel(time=-1).mean())


def from_sea(segment: Segment, inputs: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """Begin with the last heat of the sea."""
    return xr.Dataset({"heat": inputs["sea"]["heat"]})


def doubled(
    state: xr.Dataset, inputs: Mapping[str, xr.Dataset], segment: Segment
) -> xr.Dataset:
    """Double the heat."""
    return state.assign(heat=state["heat"] * 2)


def flow() -> Workflow:
    """Two years of two boxes, with the rules."""
    future = continued("future", year=2000 + SEGMENTS, segments=MORE)
    wf = box_workflow(segments=SEGMENTS, work_s=0.02, templates=(future,))
    wf.stage(
        "late",
        doubled,
        init=from_sea,
        after=["sea"],
        on_demand=True,
        span=Span("2002-01-01", "2005-01-01", every="1YS", calendar="noleap"),
        chunks={"lat": 4},
    )
    wf.rule("steer", when="sea", then=steer)
    wf.rule("bad", when="air", then=faulty)
    wf.score("warmth", stage="sea", function=warmth)
    return wf


def campaign_of(root: str) -> Campaign:
    """Return the campaign with its simulation submitted."""
    campaign = Campaign("c", root=root, policies=policies(every=1))
    campaign.submit(flow(), scenario=Scenario("s"))
    return campaign


def main() -> None:
    """Run it, or go on."""
    given = json.loads(sys.argv[1])
    arm()
    site = LocalSite(nodes=2, in_process=True)
    status = campaign_of(given["root"]).run(site)
    raise SystemExit(0 if status.finished else 3)


if __name__ == "__main__":
    main()
