"""Chains of edits: each on what the one before it made."""

from __future__ import annotations

from collections.abc import Iterable

import xarray as xr

import climorch as co
from climorch.core.fold import apply
from climorch.core.state import CampaignState
from climorch.intake.planning import make_plan
from climorch.intake.rules import evaluate_rule
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.commands import Record, decode_record, encode_record
from climorch.model.edits import (
    AddSimulation,
    Committed,
    Edit,
    MoveEnd,
    SetPriority,
    SetResources,
)
from climorch.model.resources import Resources
from climorch.model.workflow import Workflow
from tests.unit.intake.ruled import step, workflow, years

EDITS = 1000


def edits_of(committed: Committed) -> Iterable[Edit]:
    """One edit at each commit, of four kinds in turn; a year more in each."""
    k = committed.segments
    match k % 4:
        case 0:
            yield AddSimulation(template="branch", scenario=co.Scenario(f"b{k}"))
        case 1:
            yield SetPriority(priority=k)
        case 2:
            yield SetResources(stage="air", resources=Resources(nodes=1 + k % 3))
        case _:
            yield MoveEnd(stage="air", end=f"{2010 + k}-01-01")


def flow() -> Workflow:
    """Let the rule be asked at each commit."""
    branch = Workflow("branch")
    branch.stage("ice", step, init=xr.Dataset(), span=years(2000, 2001))
    wf = workflow(edits_of, on="commit", most=EDITS)
    wf.templates = (*wf.templates, branch)
    return wf


def commit_of(k: int) -> list[Record]:
    """Return what is journaled as one more year of both stages is committed."""
    rows: list[Record] = [
        e.CheckpointCommitted(
            simulation="s", set="air", boundary=k, attempt=0, seconds=1.0
        )
    ]
    rows += [
        c.SegmentCommitted(simulation="s", stage=stage, segment=k - 1)
        for stage in ("air", "sea")
    ]
    return rows


def test_a_thousand_edits_replay_to_the_same_state() -> None:
    """Each through the bytes of its row; the state is equal in every field."""
    wf = flow()
    workflows = {t.name: t for t in (wf, *wf.templates)}
    lived, rows = CampaignState(), []

    def take(record: Record) -> None:
        rows.append(encode_record(record))
        apply(lived, record, float(len(rows)))

    scenario = co.Scenario("s")
    plan = make_plan(wf, scenario)
    take(e.SimulationSubmitted(simulation="s", scenario=scenario, plan=plan))
    simulation = lived.simulations["s"]
    for k in range(1, EDITS + 1):
        for record in commit_of(k):
            take(record)
        at = simulation.asks(simulation.plan.rules[0])
        assert at == k
        take(command := c.EvaluateRule(simulation="s", rule="r", at=at))
        answer = evaluate_rule(lived, workflows, command)
        assert isinstance(answer, e.RuleEvaluated), answer
        take(answer)

    replayed = CampaignState()
    for number, row in enumerate(rows, 1):
        apply(replayed, decode_record(row), float(number))

    assert replayed == lived
    assert len(simulation.edits) == EDITS
    assert len(lived.simulations) == 1 + EDITS // 4
    assert simulation.plan.stages[0].segments == 10 + EDITS - 1
