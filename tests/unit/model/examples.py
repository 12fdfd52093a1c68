"""An example of every kind of record."""

from __future__ import annotations

from typing import Any, get_args

import msgspec

from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.plan import Branch, RulePlan, SimulationPlan, StagePlan
from climorch.model.scenario import Project, Scenario
from climorch.model.windows import Window

__all__ = ["KINDS", "example"]

PLAN = SimulationPlan(
    workflow="w",
    stages=(StagePlan(name="a", calendar="noleap", boundaries=(0, 1)),),
    rules=(RulePlan(name="r", when="a"),),
    params={"co2": 560.0},
)
SUBMITTED = e.SimulationSubmitted(
    simulation="child",
    scenario=Scenario("child"),
    plan=PLAN,
    branch=Branch(simulation="m01", rule="r"),
)
VALUES: dict[str, Any] = {
    "system": "Slurm",
    "number": 1,
    "reached": 3,
    "retry": True,
    "added": (SUBMITTED,),
    "attempt": 2,
    "boundary": 3,
    "bytes": 1024,
    "by": "ada@h (9)",
    "campaign": "c",
    "cause": e.Cause.NOT_DURABLE,
    "cores": 4,
    "epoch": 1,
    "folder": "1850-01-01-3",
    "from_boundary": 2,
    "given_s": 1.7e9,
    "half_life_s": 3600.0,
    "host": "h",
    "id": "00000000000000000001-0123456789ab",
    "leave": ("n0",),
    "lost_s": 1.5,
    "message": "m",
    "name": "w",
    "node": "n0",
    "nodes": 2,
    "pid": 9,
    "plan": PLAN,
    "priority": -1,
    "project": Project("p"),
    "reason": "r",
    "rule": "r",
    "rung": "init",
    "score": "x",
    "mark": 4,
    "value": 0.5,
    "running": {"a": 1.5},
    "scenario": Scenario("s", params={"a": [1, None]}),
    "seconds": 0.25,
    "segment": 5,
    "segments": 6,
    "set": "a",
    "slow": 2.5,
    "simulation": "s",
    "since_s": 1.25,
    "stage": "a",
    "until_s": 3600.0,
    "url": "file:///tape/c/3.zip",
    "version": "1",
    "why": "w",
    "xxh3": "0f",
    "window": Window(name="w", start_s=100.0, stop_s=200.0, nodes=("n0",)),
    "wish": e.PriorityRequested(simulation="s", priority=3),
}
KINDS: tuple[type[msgspec.Struct], ...] = get_args(c.Record)


def example(kind: type[msgspec.Struct]) -> Any:
    """Make a record with what its kind requires."""
    values = {
        field.name: VALUES[field.name]
        for field in msgspec.structs.fields(kind)
        if field.required
    }
    if kind in (c.SetLease, c.WindowPlaced):
        values["nodes"] = ("n0", "n1")
    if kind is c.PromiseRanked:
        values["project"] = "p"
    if kind is e.SetAdvanced:
        values["seconds"] = {"a": (0.5, 0.25)}
    return kind(**values)
