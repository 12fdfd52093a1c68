"""Rules: ask the user's function once, check and plan what it wants."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from climorch.core.state import CampaignState, SimulationState
from climorch.errors import Fault, InvalidInputError
from climorch.intake.planning import make_plan, provenance
from climorch.model.commands import EvaluateRule
from climorch.model.edits import AddSimulation, Committed
from climorch.model.events import RuleEvaluated, RuleFailed, SimulationSubmitted
from climorch.model.plan import Branch, SimulationPlan
from climorch.model.scenario import DEFAULT_PROJECT
from climorch.model.workflow import Workflow

__all__ = ["branch_faults", "evaluate_rule"]


def evaluate_rule(
    state: CampaignState, workflows: Mapping[str, Workflow], command: EvaluateRule
) -> RuleEvaluated | RuleFailed:
    """Ask a rule for its edits.

    Parameters
    ----------
    state : CampaignState
        Only read.
    workflows : mapping of str to Workflow
        Where the function binds.
    command : EvaluateRule
        Which rule of which simulation.

    Returns
    -------
    RuleEvaluated or RuleFailed
        With the edits as plans, or with everything that is wrong with them.
    """
    simulation = state.simulations[command.simulation]
    workflow = workflows[simulation.plan.workflow]
    when, then = next((w, t) for n, w, t in workflow.rules if n == command.rule)
    committed = Committed(
        simulation=simulation.name,
        stage=when,
        scenario=simulation.scenario,
        segments=simulation.sets[simulation.plan.set_of[when]]
        .plan.stage(when)
        .segments,
        metrics=simulation.metrics.get(when, {}),
    )
    try:
        edits = list(then(committed))
        added = [
            _planned(state, simulation, workflow, command.rule, edit) for edit in edits
        ]
    # Whatever a user's function raises is told, and stops only its simulation.
    except Exception as error:
        return RuleFailed(
            simulation=simulation.name,
            rule=command.rule,
            message=f"{type(error).__name__}: {error}",
        )
    return RuleEvaluated(
        simulation=simulation.name, rule=command.rule, added=tuple(added)
    )


def _planned(
    state: CampaignState,
    parent: SimulationState,
    workflow: Workflow,
    rule: str,
    edit: object,
) -> SimulationSubmitted:
    if not isinstance(edit, AddSimulation):
        raise InvalidInputError(
            f"rule {rule!r} returned {type(edit).__name__}, expected AddSimulation"
        )
    template = next((t for t in workflow.templates if t.name == edit.template), None)
    place = f"rule {rule!r}, simulation {edit.scenario.name!r}"
    if template is None:
        raise InvalidInputError(
            f"{place}: template {edit.template!r} is none of the workflow's "
            f"{[t.name for t in workflow.templates]}"
        )
    plan = make_plan(template, edit.scenario)
    branch = Branch(simulation=parent.name, rule=rule)
    faults = list(branch_faults(parent.plan, plan, place=place))
    known = state.simulations.get(edit.scenario.name)
    if known is not None and known.branch != branch:
        faults.append(
            Fault(
                place=place,
                problem="a simulation of this name exists",
                remedy="give it a name of its own",
            )
        )
    project = edit.scenario.project
    if project not in state.projects and project != DEFAULT_PROJECT:
        faults.append(
            Fault(
                place=place,
                problem=f"project {project!r} is not declared",
                remedy="declare it when making the Campaign",
            )
        )
    if faults:
        raise InvalidInputError("the rule asks for something impossible", faults=faults)
    return SimulationSubmitted(
        simulation=edit.scenario.name,
        scenario=edit.scenario,
        plan=plan,
        provenance=provenance(template),
        branch=branch,
    )


def branch_faults(
    parent: SimulationPlan, child: SimulationPlan, *, place: str
) -> Iterator[Fault]:
    """Say why a plan cannot start from the last states of another.

    Yields
    ------
    Fault
        For stages without a first state, and for dates that do not meet.
    """
    ends = {s.name: (s.boundaries[-1], s.calendar) for s in parent.stages}
    for stage in child.stages:
        if stage.initial:
            continue
        if stage.name not in ends:
            yield Fault(
                place=f"{place}, stage {stage.name!r}",
                problem="has no init and the parent has no stage of that name",
                remedy="give it an init, or a name of the parent's stages",
            )
        elif ends[stage.name] != (stage.boundaries[0], stage.calendar):
            yield Fault(
                place=f"{place}, stage {stage.name!r}",
                problem="does not start where the parent's ends",
                remedy="let its span start at the parent's end, in its calendar",
            )
