"""Rules: ask the user's function once, check and plan what it wants."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from climorch.core.state import CampaignState, SetState, SimulationState
from climorch.errors import Fault, InvalidInputError
from climorch.intake.calendar import model_date
from climorch.intake.editing import changed_by, new_priority
from climorch.intake.planning import make_plan, provenance
from climorch.model.commands import EvaluateRule
from climorch.model.edits import AddSimulation, Committed, Edit, told
from climorch.model.events import RuleEvaluated, RuleFailed, SimulationSubmitted
from climorch.model.plan import Branch, Provenance, SimulationPlan
from climorch.model.scenario import DEFAULT_PROJECT
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
        branch = Branch(
            simulation=parent.name,
            rule=rule.name,
            boundaries=_boundaries(parent, plan),
            generation=_generation(parent, rule.name),
        )
        wrong = [
            *_start_faults(parent, plan, place),
            *_name_faults(state, name, branch, seen, place),
            *_project_faults(state, edit.scenario.project, place),
        ]
        if branch.generation > rule.most:
            wrong.append(
                Fault(
                    place=place,
                    problem=f"would be generation {branch.generation} by this rule",
                    remedy="let the rule end, or raise its most=",
                )
            )
        faults += wrong
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
    if faults:
        raise InvalidInputError("the rule asks for something impossible", faults=faults)
    yield from found


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
        if stage.initial:
            continue
        here = f"{place}, stage {stage.name!r}"
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


def _kept(s: SetState, boundary: int) -> bool:
    commit = s.commits.get(boundary)
    return commit is not None and commit.good and not commit.deleting


def _dates(s: SetState, calendar: str) -> list[str]:
    commons = s.plan.commons
    return [model_date(commons[b], calendar) for b in s.commits if _kept(s, b)]


def _name_faults(
    state: CampaignState, name: str, branch: Branch, seen: set[str], place: str
) -> Iterator[Fault]:
    known = state.simulations.get(name)
    # Asked again after a crash, a rule names what it has named before.
    if name in seen or (known is not None and known.branch != branch):
        yield Fault(
            place=place,
            problem="a simulation of this name exists",
            remedy="give it a name of its own",
        )


def _project_faults(state: CampaignState, project: str, place: str) -> Iterator[Fault]:
    if project not in state.projects and project != DEFAULT_PROJECT:
        yield Fault(
            place=place,
            problem=f"project {project!r} is not declared",
            remedy="declare it when making the Campaign",
        )
