"""A virtual campaign of some months, and the journal that it wrote."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache

import xarray as xr

from climorch.core.progress import Policies
from climorch.forecast.activities import Activity
from climorch.forecast.past import Past, at_months
from climorch.model import events as e
from climorch.model.commands import Record
from climorch.model.resources import Resources
from climorch.model.scenario import Project, Scenario
from climorch.model.span import Span
from climorch.model.workflow import Workflow
from climorch.policy.checkpointing import EverySegments
from climorch.twin.asking import Asked
from climorch.twin.costs import Amdahl
from climorch.twin.hazards import Failures
from tests.unit.twin.stage import OVERHEADS, Play

__all__ = ["ASKED", "BEGIN", "DAY_S", "POLICIES", "activity", "pasts", "told"]

DAY_S = 86_400.0
BEGIN = datetime(2027, 1, 1, tzinfo=UTC)
POLICIES = Policies(checkpointing=EverySegments(count=1))
ASKED = Asked(campaign="c", facts=(), policies=POLICIES, workflows={})
SEGMENT_S = 12 * 3600.0


def activity(
    name: str,
    *,
    segments: int = 200,
    nodes: int = 2,
    project: str = "p",
    start: datetime = BEGIN,
    punctual: bool = False,
    guess_s: float | None = SEGMENT_S,
) -> Activity:
    """Plan a scenario of so many segments, half a day each."""
    made = Workflow("w")
    made.stage(
        "a",
        lambda *_: xr.Dataset(),
        init=lambda *_: xr.Dataset(),
        span=Span("2001", f"{2001 + segments}", every="1YS"),
        resources=Resources(nodes=nodes, segment_s=guess_s),
    )
    return Activity(
        workflow=made,
        scenario=Scenario(name, project=project),
        start=start,
        punctual=punctual,
    )


@cache
def told() -> tuple[tuple[Record, float], ...]:
    """Let three simulations run for five months on six nodes that fail.

    Two of them last 100 days, one of another project 200.
    """
    play = Play(
        nodes=6,
        begin_s=BEGIN.timestamp(),
        cost=Amdahl(seconds=SEGMENT_S),
        noise_cv=0.2,
        overheads=OVERHEADS,
        policies=POLICIES,
        failures=Failures(mtbf_s=60 * DAY_S, repair_median_s=3600.0),
    )
    play.twin.post(e.CampaignOpened(campaign="c", version="0"))
    for name in "pq":
        play.twin.post(e.ProjectDeclared(project=Project(name)))
    for planned in (
        activity("one"),
        activity("two"),
        activity("three", segments=400, project="q"),
    ):
        fact = e.SimulationSubmitted(
            simulation=planned.name, scenario=planned.scenario, plan=planned.plan
        )
        play.twin.post(fact)
    play.run(151 * DAY_S + 1.0)
    return tuple((record, now_s) for now_s, record in play.records)


@cache
def pasts() -> tuple[Past, ...]:
    """Return what was known at the begin of each month from February on."""
    return tuple(at_months(told()))
