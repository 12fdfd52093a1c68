"""Rules: ask the user's function once, check and plan what it wants."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from climorch.core.state import CampaignState, SimulationState
from climorch.errors import Fault, InvalidInputError
from climorch.intake.branching import branch_faults, branch_of
from climorch.intake.calendar import model_date
from climorch.intake.editing import IMPOSSIBLE, changed_by, new_priority
from climorch.intake.planning import make_plan, provenance, require_no
from climorch.model.commands import EvaluateRule
from climorch.model.edits import AddSimulation, Committed, Edit, told
from climorch.model.events import RuleEvaluated, RuleFailed, SimulationSubmitted
from climorch.model.plan import Provenance
from climorch.model.workflow import Rule, Workflow

__all__ = ["evaluate_rule"]


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
    try:
        workflow = workflows[simulation.plan.workflow]
        rule = next(r for r in workflow.rules if r.name == command.rule)
        edits = _edits(rule.then(_committed(simulation, rule)), rule, simulation)
        changed = changed_by(simulation, workflow, rule.name, edits)
        priority = new_priority(edits, rule.name)
        added = tuple(_added(state, simulation, workflow, rule, edits))
    # Whatever a user's function raises is told, and stops only its simulation.
    except Exception as error:
        return RuleFailed(
            simulation=simulation.name,
            rule=command.rule,
            at=command.at,
            message=f"{type(error).__name__}: {error}",
        )
    return RuleEvaluated(
        simulation=simulation.name,
        rule=command.rule,
        at=command.at,
        added=added,
        changed=changed,
        priority=priority,
        told=told(edits),
    )


def _committed(simulation: SimulationState, rule: Rule) -> Committed:
    s = simulation.sets[simulation.plan.set_of[rule.when]]
    stage = s.plan.stage(rule.when)
    count = s.plan.segments_at[s.committed][rule.when]
    return Committed(
        simulation=simulation.name,
        stage=rule.when,
        scenario=simulation.scenario,
        segments=count,
        end=model_date(stage.boundaries[count], stage.calendar),
        complete=s.complete,
        metrics=simulation.metrics.get(rule.when, {}),
    )


def _edits(answer: object, rule: Rule, simulation: SimulationState) -> list[Edit]:
    """Take what a rule returned; refuse what is no edit, or one too many."""
    if answer is None:
        return []
    if isinstance(answer, str | bytes | Edit) or not hasattr(answer, "__iter__"):
        raise InvalidInputError(
            f"rule {rule.name!r} returned {type(answer).__name__}, expected a list of "
            "edits; an empty one for nothing"
        )
    edits = list(answer)
    for edit in edits:
        if not isinstance(edit, Edit):
            raise InvalidInputError(
                f"rule {rule.name!r} returned {type(edit).__name__} in its list, "
                "expected edits such as AddSimulation"
            )
    times = sum(edited.rule == rule.name for edited in simulation.edits)
    if edits and times >= rule.most:
        raise InvalidInputError(
            f"rule {rule.name!r} has asked for something {times} times of "
            f"{simulation.name!r}; let it end, or raise most="
        )
    return edits


def _added(
    state: CampaignState,
    parent: SimulationState,
    workflow: Workflow,
    rule: Rule,
    edits: list[Edit],
) -> Iterator[SimulationSubmitted]:
    """Yield the simulations that a rule adds, or raise all that is wrong with them."""
    faults: list[Fault] = []
    seen: set[str] = set()
    found = []
    # Of one template all have the same code.
    sources: dict[str, dict[str, Provenance]] = {}
    for edit in edits:
        if not isinstance(edit, AddSimulation):
            continue
        name = edit.scenario.name
        place = f"rule {rule.name!r}, simulation {name!r}"
        template = next(
            (t for t in workflow.templates if t.name == edit.template), None
        )
        if template is None:
            names = [t.name for t in workflow.templates]
            faults.append(
                Fault(
                    place=place,
                    problem=f"template {edit.template!r} is not one of its workflow's",
                    remedy=f"name one of {names}",
                )
            )
            continue
        plan = make_plan(template, edit.scenario)
        branch = branch_of(parent, rule, plan)
        faults += branch_faults(state, edit.scenario, plan, branch, rule, seen)
        seen.add(name)
        if template.name not in sources:
            sources[template.name] = provenance(template)
        found.append(
            SimulationSubmitted(
                simulation=name,
                scenario=edit.scenario,
                plan=plan,
                provenance=sources[template.name],
                branch=branch,
            )
        )
    require_no(faults, IMPOSSIBLE)
    yield from found
