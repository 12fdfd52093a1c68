"""How later phases begin where the ends before them have moved.

Pure arithmetic on plans: a phase that has begun keeps its dates, the others are cut
anew as the script says of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise

import msgspec
import xarray as xr

from climorch.errors import Fault
from climorch.intake.calendar import boundaries, model_date, model_time, seconds_of
from climorch.intake.planning import in_parts
from climorch.model.plan import SetPlan, SimulationPlan, StagePlan
from climorch.model.stages import DATED, JOINED, SHIFTED, Stage
from climorch.model.workflow import Workflow

__all__ = ["begins_of", "coupled", "followed"]


def begins_of(stage: Stage) -> str:
    """Return where a stage begins if the end that it comes after has moved."""
    return stage.begins or JOINED


def coupled(workflow: Workflow, name: str) -> set[str]:
    """Return the stages of a workflow that are of one set with a stage of it.

    Parameters
    ----------
    workflow : Workflow
        As declared.
    name : str
        Of the stage.
    """
    found, ahead = {name}, [name]
    while ahead:
        of = ahead.pop()
        for stage in workflow.stages:
            others = {of, *stage.reads} if stage.name == of else {stage.name}
            if stage.name == of or of in stage.reads:
                ahead += others - found
                found |= others
    return found


def followed(
    workflow: Workflow,
    plan: SimulationPlan,
    begun: Callable[[str], bool],
    place: str,
    faults: list[Fault],
) -> SimulationPlan:
    """Let all phases that have not begun begin where those before them end.

    Parameters
    ----------
    workflow : Workflow
        Says how each follows.
    plan : SimulationPlan
        With ends that may have moved.
    begun : callable
        Whether a set of that name has begun.
    place : str
        Who asks for it.
    faults : list of Fault
        What is impossible is added.

    Returns
    -------
    SimulationPlan
        With the boundaries of these phases.
    """
    declared = {stage.name: stage for stage in workflow.stages}
    for own in (own for phase in plan.phases for own in phase):
        if not begun(own.name):
            plan = _after(declared, plan, own, place, faults)
    return plan


def _after(
    declared: Mapping[str, Stage],
    plan: SimulationPlan,
    own: SetPlan,
    place: str,
    faults: list[Fault],
) -> SimulationPlan:
    """Cut the stages of one set anew, where what they come after ends elsewhere."""
    stages = {stage.name: stage for stage in plan.stages}
    ways = {begins_of(declared[s.name]) for s in own.stages if s.after}
    if not ways or DATED in ways:
        return plan
    here = f"{place}, stage {own.name!r}"
    ends = {name: stages[name].boundaries[-1] for name in sorted(own.after)}
    start = max(ends.values())
    calendar = own.stages[0].calendar
    if min(ends.values()) != start:
        told = ", ".join(
            f"{name!r} at {model_date(end, calendar)}" for name, end in ends.items()
        )
        faults.append(
            Fault(
                place=here,
                problem=f"the stages that it comes after end apart: {told}",
                remedy="move their ends together, or let it begin as dated",
            )
        )
        return plan
    if all(stage.boundaries[0] == start for stage in own.stages):
        return plan
    shifted = SHIFTED in ways
    cuts = {s.name: _cut(declared[s.name], s, start, shifted) for s in own.stages}
    faults += _faults(own, cuts, start, here)
    return msgspec.structs.replace(
        plan,
        stages=tuple(
            msgspec.structs.replace(s, boundaries=cuts.get(s.name) or s.boundaries)
            for s in plan.stages
        ),
    )


def _cut(
    stage: Stage, plan: StagePlan, start: int, shifted: bool
) -> tuple[int, ...] | None:
    """Return the boundaries of a stage from another start on; None: nothing is left."""
    begin = model_time(start, plan.calendar)
    if shifted:
        count = plan.segments // plan.parts
        dates = xr.date_range(
            begin,
            periods=count + 1,
            freq=stage.span.every,
            calendar=plan.calendar,
            use_cftime=True,
        )
        ends = tuple(sorted({start, *map(seconds_of, dates)}))[: count + 1]
        return in_parts(ends, plan.parts)
    if start >= plan.boundaries[-1]:
        return None
    span = msgspec.structs.replace(
        stage.span,
        start=begin.isoformat(),
        end=model_time(plan.boundaries[-1], plan.calendar).isoformat(),
    )
    return in_parts(boundaries(span), plan.parts)


def _faults(
    own: SetPlan,
    cuts: Mapping[str, tuple[int, ...] | None],
    start: int,
    here: str,
) -> Iterator[Fault]:
    calendar = own.stages[0].calendar
    found = [cut for cut in cuts.values() if cut is not None]
    if len(found) < len(cuts):
        end = model_date(own.commons[-1], calendar)
        yield Fault(
            place=here,
            problem=f"would begin at {model_date(start, calendar)}, and ends at {end}",
            remedy="move its end first, or let it begin as shifted or dated",
        )
    elif len({cut[-1] for cut in found}) > 1 or not _nested(found):
        yield Fault(
            place=here,
            problem="the segments of the stages that it is coupled with do not meet "
            f"from {model_date(start, calendar)} on",
            remedy="let what it comes after end where the longest segments begin",
        )


def _nested(cuts: list[tuple[int, ...]]) -> bool:
    """Whether of each two the boundaries of one are among those of the other."""
    return all(a <= b for a, b in pairwise(sorted(map(set, cuts), key=len)))
