"""A simulation with a rule, part of which is committed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import xarray as xr

import climorch as co
from climorch.core.fold import apply
from climorch.core.state import CampaignState
from climorch.intake.planning import make_plan
from climorch.intake.rules import evaluate_rule
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.edits import (
    Committed,
    Edit,
)
from climorch.model.workflow import Workflow

Then = Callable[[Committed], Iterable[Edit]]


def step(
    state: xr.Dataset, inputs: Mapping[str, xr.Dataset], segment: co.Segment
) -> xr.Dataset:
    """Change nothing."""
    return state


def years(start: int, end: int) -> co.Span:
    """Return a span of one segment a year."""
    return co.Span(f"{start}-01-01", f"{end}-01-01", every="1YS", calendar="noleap")


def workflow(then: Then, **more: Any) -> Workflow:
    """Ten years of coupled air and sea, then five of ice; templates of a future."""
    future = Workflow("future")
    future.stage("air", step, init=None, span=years(2010, 2012))
    past = Workflow("past")
    past.stage("air", step, init=None, span=years(2004, 2006))
    wf = Workflow("w", templates=[future, past])
    wf.stage(
        "air", step, init=xr.Dataset(), span=years(2000, 2010), reads={"sea": co.SAME}
    )
    wf.stage("sea", step, init=xr.Dataset(), span=years(2000, 2010))
    wf.stage(
        "ice",
        step,
        init=xr.Dataset(),
        span=years(2010, 2015),
        after=("sea",),
        begins="dated",
    )
    wf.rule("r", when="air", then=then, **more)
    return wf


def world(wf: Workflow, committed: Iterable[int] = (10,)) -> CampaignState:
    """Fold a simulation of a workflow whose air and sea are committed so far."""
    state = CampaignState()
    scenario = co.Scenario("s", priority=3)
    plan = make_plan(wf, scenario)
    apply(
        state,
        e.SimulationSubmitted(simulation="s", scenario=scenario, plan=plan),
        0.0,
    )
    for boundary in committed:
        commit(state, boundary)
    return state


def commit(state: CampaignState, boundary: int, name: str = "air") -> None:
    """Let a checkpoint be there."""
    fact = e.CheckpointCommitted(
        simulation="s", set=name, boundary=boundary, attempt=0, seconds=1.0
    )
    apply(state, fact, 0.0)
    s = state.simulations["s"].sets[name]
    for stage, count in s.plan.segments_at[boundary].items():
        for k in range(s.committed_segments.get(stage, 0), count):
            row = c.SegmentCommitted(simulation="s", stage=stage, segment=k)
            apply(state, row, 0.0)


def ask(state: CampaignState, wf: Workflow) -> e.RuleEvaluated | e.RuleFailed:
    """Ask the rule, as a driver does."""
    at = state.simulations["s"].asks(state.simulations["s"].plan.rules[0])
    assert at is not None
    command = c.EvaluateRule(simulation="s", rule="r", at=at)
    apply(state, command, 0.0)
    return evaluate_rule(state, {t.name: t for t in (wf, *wf.templates)}, command)


def answered(*edits: Edit, committed: Iterable[int] = (10,)) -> e.RuleEvaluated:
    """Return the answer of a rule that asks for some edits."""
    wf = workflow(lambda _: list(edits))
    found = ask(world(wf, committed), wf)
    assert isinstance(found, e.RuleEvaluated), found
    return found


def refused(*edits: Any, committed: Iterable[int] = (10,)) -> str:
    """Return what is said of edits that are impossible."""
    wf = workflow(lambda _: list(edits))
    found = ask(world(wf, committed), wf)
    assert isinstance(found, e.RuleFailed), found
    return found.message


def ends(change: e.SimulationChanged | None) -> dict[str, int]:
    """Return how many segments each stage has after a change."""
    assert change is not None
    return {stage.name: stage.segments for stage in change.plan.stages}
