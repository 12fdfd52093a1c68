"""A condition by which a stage ends early, as a rule that moves its end."""

from __future__ import annotations

import copy
import functools
import math
from typing import Any

from climorch.core.state import SimulationState
from climorch.errors import InvalidInputError
from climorch.intake.calendar import model_time
from climorch.model.edits import Committed, Edit, MoveEnd
from climorch.model.ending import Condition, Course, seconds_per_year, until_of
from climorch.model.plan import RulePlan, RuleTime
from climorch.model.stages import Stage
from climorch.model.workflow import Rule, Workflow

__all__ = ["UNTIL", "condition_of", "end_rules"]

UNTIL = "until "
"""With which the name of such a rule begins; a space, so that no other's does."""


def end_rules(workflow: Workflow) -> list[RulePlan]:
    """Return the rules by which stages of a workflow end early.

    Parameters
    ----------
    workflow : Workflow
        As declared.
    """
    found = []
    for stage in workflow.stages:
        if stage.until is None:
            continue
        until = until_of(stage.until)
        rule = RulePlan(
            name=f"{UNTIL}{stage.name}",
            when=stage.name,
            on=RuleTime.UNTIL,
            every=until.every * stage.parts,
            window_s=until.window * seconds_per_year(stage.span.calendar),
        )
        found.append(rule)
    return found


def condition_of(
    simulation: SimulationState, workflow: Workflow, name: str
) -> Rule | None:
    """Return the rule of that name, if a stage ends by it.

    Parameters
    ----------
    simulation : SimulationState
        What is committed is taken from it.
    workflow : Workflow
        Of it.
    name : str
        Of the rule.
    """
    found = (s for s in workflow.stages if name == f"{UNTIL}{s.name}")
    stage: Stage | None = next(found, None)
    if stage is None or stage.until is None:
        return None
    condition = until_of(stage.until).condition
    own = simulation.sets[simulation.plan.set_of[stage.name]]
    plan = own.plan.stage(stage.name)
    count = own.plan.segments_at[own.committed][stage.name]
    end = model_time(plan.boundaries[count], plan.calendar).isoformat()
    window_s = next(r.window_s for r in simulation.plan.rules if r.name == name)
    course = _course(simulation, stage.name, count, window_s)
    then = functools.partial(_ends, condition, course, stage.name, end)
    return Rule(name=name, when=stage.name, then=then, on=RuleTime.UNTIL.value)


def _ends(
    condition: Condition, course: Course, stage: str, end: str, _: Committed
) -> list[Edit]:
    """Ask the condition; where it holds, the end is here."""
    # Users without a type checker may return anything.
    answer: Any = condition(course)
    pair = isinstance(answer, tuple) and len(answer) == 2
    holds, why = answer if pair else (answer, "")
    # Of numpy's kind it is as good.
    if type(holds).__name__ not in ("bool", "bool_"):
        raise InvalidInputError(
            f"the condition of stage {stage!r} returned {type(holds).__name__}, "
            "expected True or False, or a pair of that and why"
        )
    if not holds:
        return []
    return [MoveEnd(stage=stage, end=end, why=str(why) or "its condition holds")]


def _course(
    simulation: SimulationState, stage: str, count: int, window_s: float
) -> Course:
    plan = simulation.sets[simulation.plan.set_of[stage]].plan.stage(stage)
    year_s, first = seconds_per_year(plan.calendar), plan.boundaries[0]
    since = plan.boundaries[count] - window_s
    # More is kept: it may have to go on from an older checkpoint.
    found = [
        (k, m)
        for k, m in simulation.courses.get(stage, ())
        if k < count and plan.boundaries[k + 1] > since
    ]
    names = sorted({name for _, metrics in found for name in metrics})
    return Course(
        simulation=simulation.name,
        stage=stage,
        scenario=copy.deepcopy(simulation.scenario),
        segments=count,
        years=tuple((plan.boundaries[k + 1] - first) / year_s for k, _ in found),
        since=(plan.boundaries[found[0][0]] - first) / year_s if found else 0.0,
        metrics={
            name: tuple(metrics.get(name, math.nan) for _, metrics in found)
            for name in names
        },
    )
