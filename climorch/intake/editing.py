"""What becomes of a simulation by the edits that a rule asks of it.

Each edit is checked as `submit` checks, on what the edits before it made. Ignores
new simulations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from climorch.core.state import Phase, SetState, SimulationState
from climorch.errors import Fault, InvalidInputError
from climorch.intake.calendar import boundaries, model_time, span_faults
from climorch.intake.following import coupled, followed
from climorch.intake.planning import (
    change_faults,
    in_parts,
    of_a_part,
    plan_of,
    require_no,
)
from climorch.model.declared import SimulationChanged
from climorch.model.edits import (
    AddStage,
    Edit,
    Finish,
    MoveEnd,
    SetPriority,
    SetResources,
)
from climorch.model.plan import SetPlan, SimulationPlan, StagePlan
from climorch.model.resources import Resources
from climorch.model.span import Span
from climorch.model.workflow import Workflow

__all__ = ["IMPOSSIBLE", "changed_by", "new_priority"]

IMPOSSIBLE = "the rule asks for something impossible"


def changed_by(
    simulation: SimulationState, workflow: Workflow, rule: str, edits: Iterable[Edit]
) -> SimulationChanged | None:
    """Work out what edits make of a simulation.

    Parameters
    ----------
    simulation : SimulationState
        The one that the rule looked at; only read.
    workflow : Workflow
        Its own, whose spans say how segments go on.
    rule : str
        Who asks.
    edits : iterable of Edit
        In order.

    Returns
    -------
    SimulationChanged or None
        None where they change nothing.

    Raises
    ------
    InvalidInputError
        With every fault.
    """
    place = f"rule {rule!r}, simulation {simulation.name!r}"
    before = now = simulation.plan
    faults: list[Fault] = []
    for edit in edits:
        match edit:
            case AddStage():
                after = _grown(simulation, workflow, now, edit, place, faults)
            case MoveEnd():
                after = _moved(simulation, workflow, now, edit, place, faults)
            case Finish():
                after = _cut(now, dict(_cuts(simulation, now)))
            case SetResources():
                after = _resourced(now, edit, place, faults)
            case _:
                continue
        now = after
    require_no(faults, IMPOSSIBLE)
    if now == before:
        return None
    moved = {s.name for s in before.sets if not _begun(simulation.sets[s.name])}
    known = _having(now, now.stages[: len(before.stages)])
    changed = list(
        change_faults(before, known, simulation.committed_segments, free=moved)
    )
    require_no(changed, IMPOSSIBLE)
    return SimulationChanged(
        simulation=simulation.name,
        scenario=simulation.scenario,
        plan=now,
        declared=simulation.declared or before,
    )


def new_priority(edits: Iterable[Edit], rule: str) -> int | None:
    """Return the priority that the last of some edits asks for; None: none does.

    Raises
    ------
    InvalidInputError
        If it is no whole number.
    """
    found: object = None
    for edit in edits:
        if isinstance(edit, SetPriority):
            found = edit.priority
    if found is None or (isinstance(found, int) and not isinstance(found, bool)):
        return found
    fault = Fault(
        place=f"rule {rule!r}, priority",
        problem=f"got {found!r}, expected a whole number",
        remedy="higher goes first",
    )
    raise InvalidInputError(IMPOSSIBLE, faults=[fault])


def _cut(plan: SimulationPlan, cuts: Mapping[str, tuple[int, ...]]) -> SimulationPlan:
    """Give stages other boundaries."""
    return _having(
        plan,
        (
            msgspec.structs.replace(s, boundaries=cuts.get(s.name, s.boundaries))
            for s in plan.stages
        ),
    )


def _having(plan: SimulationPlan, stages: Iterable[StagePlan]) -> SimulationPlan:
    """Give a plan other stages."""
    return msgspec.structs.replace(plan, stages=tuple(stages))


def _moved(
    simulation: SimulationState,
    workflow: Workflow,
    now: SimulationPlan,
    edit: MoveEnd,
    place: str,
    faults: list[Fault],
) -> SimulationPlan:
    here = f"{place}, end of {edit.stage!r}"
    name = now.set_of.get(edit.stage)
    if name is None:
        faults.append(_no_stage(here, now))
        return now
    own = next(s for s in now.sets if s.name == name)
    cuts: dict[str, tuple[int, ...]] = {}
    for stage in own.stages:
        span = _span(workflow, stage.name, edit.end)
        cut = _recut(stage, span)
        if cut is None:
            faults += span_faults(span, place=here)
            return now
        cuts[stage.name] = cut
    if all(cuts[s.name] == s.boundaries for s in own.stages):
        return now
    faults += _begun_after(simulation, own, here)
    moved = _cut(now, cuts)
    return followed(workflow, moved, _begun_in(simulation), place, faults)


def _grown(
    simulation: SimulationState,
    workflow: Workflow,
    now: SimulationPlan,
    edit: AddStage,
    place: str,
    faults: list[Fault],
) -> SimulationPlan:
    """Add a stage, last in order; others of its set must be added with it."""
    here = f"{place}, stage {edit.stage!r}"
    known = {stage.name: stage for stage in workflow.stages if stage.on_demand}
    stage = known.get(edit.stage)
    if stage is None:
        faults.append(
            Fault(
                place=here,
                problem="is no stage on demand of its workflow",
                remedy=f"name one of {', '.join(sorted(known)) or 'none'}; declare it "
                "with on_demand=True",
            )
        )
        return now
    if edit.stage in now.set_of:
        faults.append(
            Fault(
                place=here,
                problem="is part of the simulation already",
                remedy="add it once; MoveEnd lets it go on",
            )
        )
        return now
    missing = [name for name in stage.after if name not in now.set_of]
    if missing:
        faults.append(
            Fault(
                place=here,
                problem=f"comes after {', '.join(map(repr, missing))}, of which the "
                "simulation has none",
                remedy="add these before it",
            )
        )
        return now
    # Coupled ones are one set: added together, in order of declaration.
    names = [s.name for s in workflow.stages if s.name in coupled(workflow, edit.stage)]
    stages = (*now.stages, *(plan_of(known[name]) for name in names))
    return followed(
        workflow, _having(now, stages), _begun_in(simulation), place, faults
    )


def _begun_in(simulation: SimulationState) -> Callable[[str], bool]:
    """Return what says whether a set of a simulation has begun."""

    def begun(name: str) -> bool:
        s = simulation.sets.get(name)
        return s is not None and _begun(s)

    return begun


def _span(workflow: Workflow, stage: str, end: str) -> Span:
    """Return the span of a stage, with another end."""
    span = next(s.span for s in workflow.stages if s.name == stage)
    return msgspec.structs.replace(span, end=end)


def _recut(stage: StagePlan, span: Span) -> tuple[int, ...] | None:
    """Cut a span whose end moved, or not at all where it has faults.

    What is known of a long one is not cut again.
    """
    known, parts = stage.boundaries, stage.parts
    if stage.segments > parts:
        # The last segment may be a shorter one that grows.
        *whole, begin = known[:-parts]
        start = model_time(begin, stage.calendar).isoformat()
        rest = msgspec.structs.replace(span, start=start)
        if not span_faults(rest, place=""):
            return (*whole, *in_parts(boundaries(rest), parts))
    if span_faults(span, place=""):
        return None
    return in_parts(boundaries(span), parts)


def _begun_after(
    simulation: SimulationState, own: SetPlan, here: str
) -> Iterator[Fault]:
    """Say which later phases have begun from the end that is to move."""
    for other, before in simulation.plan.prerequisites.items():
        if own.name in before and _begun(simulation.sets[other]):
            yield Fault(
                place=here,
                problem=f"{other!r} has begun from its old end",
                remedy="move the end before, or branch another simulation",
            )


def _begun(s: SetState) -> bool:
    return s.phase is not Phase.IDLE or s.committed > 0


def _cuts(
    simulation: SimulationState, plan: SimulationPlan
) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the boundaries of each stage up to where nothing is under way."""
    for own in plan.sets:
        s = simulation.sets.get(own.name)
        if s is None:
            # Added by an edit before this one.
            for stage in own.stages:
                yield stage.name, stage.boundaries[:1]
            continue
        last = min(s.committed, own.last)
        while last < own.last and (s.passed(last) or _within(own, last)):
            last += 1
        for stage in own.stages:
            count = own.segments_at[last][stage.name]
            yield stage.name, stage.boundaries[: count + 1]


def _resourced(
    now: SimulationPlan, edit: SetResources, place: str, faults: list[Fault]
) -> SimulationPlan:
    here = f"{place}, resources of {edit.stage!r}"
    resources: object = edit.resources
    if edit.stage not in now.set_of:
        faults.append(_no_stage(here, now))
        return now
    if not isinstance(resources, Resources):
        faults.append(
            Fault(
                place=here,
                problem=f"got {type(resources).__name__}",
                remedy="give a Resources",
            )
        )
        return now
    return _having(
        now,
        (
            msgspec.structs.replace(s, resources=of_a_part(resources, s.parts))
            if s.name == edit.stage
            else s
            for s in now.stages
        ),
    )


def _within(own: SetPlan, boundary: int) -> bool:
    """Whether some stage is within a segment at a boundary, between two parts."""
    counts = own.segments_at[boundary]
    return any(counts[stage.name] % stage.parts for stage in own.stages)


def _no_stage(here: str, plan: SimulationPlan) -> Fault:
    return Fault(
        place=here,
        problem="there is no such stage",
        remedy=f"name one of {', '.join(sorted(plan.set_of))}",
    )
