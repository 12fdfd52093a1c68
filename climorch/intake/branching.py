"""From where a simulation that a rule adds begins, and why it may not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from climorch.core.state import CampaignState, SetState, SimulationState
from climorch.errors import Fault
from climorch.intake.calendar import model_date
from climorch.model.plan import Branch, SimulationPlan, StagePlan
from climorch.model.scenario import DEFAULT_PROJECT, Scenario
from climorch.model.workflow import Rule

__all__ = ["branch_faults", "branch_of"]


def branch_of(parent: SimulationState, rule: Rule, child: SimulationPlan) -> Branch:
    """Return where a child of a simulation begins.

    Parameters
    ----------
    parent : SimulationState
        The one that the rule looked at.
    rule : Rule
        Who asks for the child.
    child : SimulationPlan
        Its plan.
    """
    return Branch(
        simulation=parent.name,
        rule=rule.name,
        boundaries=_boundaries(parent, child),
        generation=_generation(parent, rule.name),
    )


def branch_faults(
    state: CampaignState,
    scenario: Scenario,
    child: SimulationPlan,
    branch: Branch,
    rule: Rule,
    others: Iterable[str],
) -> Iterator[Fault]:
    """Say why a child of a simulation cannot be.

    Parameters
    ----------
    state : CampaignState
        Only read.
    scenario, child, branch
        The child's.
    rule : Rule
        Who asks for it.
    others : iterable of str
        Names that the rule gave to others already.

    Yields
    ------
    Fault
        For its states, its name, its project, and for too many generations.
    """
    name = scenario.name
    place = f"rule {rule.name!r}, simulation {name!r}"
    yield from _start_faults(state.simulations[branch.simulation], child, place)
    known = state.simulations.get(name)
    # Asked again after a crash, a rule names what it has named before.
    if name in others or (known is not None and known.branch != branch):
        yield Fault(
            place=place,
            problem="a simulation of this name exists",
            remedy="give it a name of its own",
        )
    project = scenario.project
    if project not in state.projects and project != DEFAULT_PROJECT:
        yield Fault(
            place=place,
            problem=f"project {project!r} is not declared",
            remedy="declare it when making the Campaign",
        )
    if branch.generation > rule.most:
        yield Fault(
            place=place,
            problem=f"would be generation {branch.generation} by this rule",
            remedy="let the rule end, or raise its most=",
        )


def _generation(parent: SimulationState, rule: str) -> int:
    branch = parent.branch
    known = branch.generation if branch is not None and branch.rule == rule else 0
    return known + 1


def _start(plan: SimulationPlan) -> dict[str, int]:
    """Return the model time at which each stage of a plan begins."""
    return {stage.name: stage.boundaries[0] for stage in plan.stages}


def _boundaries(parent: SimulationState, child: SimulationPlan) -> dict[str, int]:
    """Choose the checkpoint of each of the parent's sets from which a child starts.

    That at the model time at which the child's stages of the same names begin; of
    a set without such stages, that of the child's first stage, or the last. A set
    that has none of these is left out.
    """
    starts = _start(child)
    first = min(starts.values())
    found = {}
    for s in parent.sets.values():
        start = next((starts[t.name] for t in s.plan.stages if t.name in starts), first)
        commons = s.plan.commons
        boundary = commons.index(start) if start in commons else s.plan.last
        if _kept(s, boundary):
            found[s.name] = boundary
    return found


def _start_faults(
    parent: SimulationState, child: SimulationPlan, place: str
) -> Iterator[Fault]:
    """Say why a plan cannot start from states of another.

    Yields
    ------
    Fault
        For stages without a first state, for dates that do not meet, and for
        checkpoints that are not there.
    """
    for stage in child.stages:
        if stage.initial or (stage.transforms and stage.after):
            continue
        here = f"{place}, stage {stage.name!r}"
        if stage.transforms:
            yield from _transform_faults(parent, stage, here)
            continue
        name = parent.plan.set_of.get(stage.name)
        if name is None:
            yield Fault(
                place=here,
                problem="has no init and the parent has no stage of that name",
                remedy="give it an init, or a name of the parent's stages",
            )
            continue
        s = parent.sets[name]
        start = stage.boundaries[0]
        if s.plan.stage(stage.name).calendar != stage.calendar:
            yield Fault(
                place=here,
                problem=f"its calendar {stage.calendar!r} is not the parent's",
                remedy="let its span have the parent's calendar",
            )
        elif start not in s.plan.commons or not _kept(s, s.plan.commons.index(start)):
            at = model_date(start, stage.calendar)
            yield Fault(
                place=here,
                problem=f"no checkpoint of {parent.name!r} at {at} is kept",
                remedy=f"start at one of {', '.join(_dates(s, stage.calendar))}, "
                "or pin it in time",
            )


def _transform_faults(
    parent: SimulationState, stage: StagePlan, here: str
) -> Iterator[Fault]:
    """Say why no state of a parent can be made into the first one of a stage."""
    start = stage.boundaries[0]
    if not any(
        start in s.plan.commons and _kept(s, s.plan.commons.index(start))
        for s in parent.sets.values()
    ):
        at = model_date(start, stage.calendar)
        yield Fault(
            place=f"{here}, transform",
            problem=f"no checkpoint of {parent.name!r} at {at} is kept",
            remedy="start where the parent has one, or pin it in time",
        )


def _kept(s: SetState, boundary: int) -> bool:
    commit = s.commits.get(boundary)
    return commit is not None and commit.good and not commit.deleting


def _dates(s: SetState, calendar: str) -> list[str]:
    commons = s.plan.commons
    return [model_date(commons[b], calendar) for b in s.commits if _kept(s, b)]
