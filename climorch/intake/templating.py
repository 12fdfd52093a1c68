"""Which templates can never begin, whatever a rule answers and when.

What depends on the course is told when a rule asks: checkpoints that were deleted, ends
that moved. Looks at plans only.
"""

from __future__ import annotations

from collections.abc import Iterator

from climorch.errors import Fault
from climorch.intake.calendar import model_date, same_calendar
from climorch.intake.planning import make_plan
from climorch.model.plan import SetPlan, SimulationPlan, StagePlan
from climorch.model.scenario import Scenario
from climorch.model.stages import DATED
from climorch.model.workflow import Workflow

__all__ = ["template_faults"]

# Parameters change nothing of when and from what a stage begins.
_ANYBODY = Scenario("anybody")


def template_faults(workflow: Workflow) -> Iterator[Fault]:
    """Say which templates cannot start from a simulation of their workflow.

    Parameters
    ----------
    workflow : Workflow
        Without faults; its templates may have templates, too.

    Yields
    ------
    Fault
        One for each stage that lacks a state to start from.
    """
    if not workflow.templates:
        return
    parent = make_plan(workflow, _ANYBODY, whole=True)
    moved = {s.name for s in workflow.stages if s.after and s.begins != DATED}
    for template in workflow.templates:
        for stage in make_plan(template, _ANYBODY, whole=True).stages:
            # Others of its template give it a state.
            if not stage.initial and not (stage.transforms and stage.after):
                place = f"workflow {workflow.name!r}, template {template.name!r}, "
                yield from _faults(parent, stage, f"{place}stage {stage.name!r}", moved)
        yield from template_faults(template)


def _faults(
    parent: SimulationPlan, stage: StagePlan, here: str, moved: set[str]
) -> Iterator[Fault]:
    sets = [s for phase in parent.phases for s in phase]
    if not stage.transforms:
        own = parent.set_of.get(stage.name)
        if own is None:
            yield Fault(
                place=here,
                problem="has no init and the workflow has no stage of that name",
                remedy="give it an init, or a name of the workflow's stages",
            )
            return
        sets = [s for s in sets if s.name == own]
        theirs = next(s.calendar for s in parent.stages if s.name == stage.name)
        if not same_calendar(theirs, stage.calendar):
            yield Fault(
                place=here,
                problem=f"its calendar {stage.calendar!r} is not that of the workflow, "
                f"{theirs!r}",
                remedy="let its span have the same calendar",
            )
            return
    start = stage.boundaries[0]
    if not any(_may_have(s, start, moved) for s in sets):
        yield Fault(
            place=here,
            problem=f"begins at {model_date(start, stage.calendar)}, where there is no "
            f"checkpoint to start from: boundaries are {_dates(sets, stage.calendar)}",
            remedy="let its span start at a boundary of the workflow, after its first",
        )


def _may_have(s: SetPlan, start: int, moved: set[str]) -> bool:
    """Whether a set may ever be committed at a model time."""
    if moved & {stage.name for stage in s.stages}:
        # It begins where another one ends, which may be at any date.
        return True
    # Nothing is committed at the first; behind the last, an edit may move the end.
    return start in s.commons[1:] or start > s.commons[-1]


def _dates(sets: list[SetPlan], calendar: str) -> str:
    """Name the first boundaries at which a child may begin, and the last one."""
    times = sorted({time for s in sets for time in s.commons[1:]})
    shown = times if len(times) < 5 else times[:3]
    more = [] if shown is times else ["...", model_date(times[-1], calendar)]
    return ", ".join([*(model_date(time, calendar) for time in shown), *more])
