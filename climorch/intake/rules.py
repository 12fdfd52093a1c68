"""Rules: ask the user's function once, check and plan what it wants.

In three steps, since only the second may take long: the question is taken from the
state, the function is called, and what it asks for is worked out on the state as it
is then. Whatever goes wrong in any of them is a fact.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

import msgspec

from climorch.core.ports import MAX_PAYLOAD_BYTES
from climorch.core.state import CampaignState, SimulationState
from climorch.errors import Fault, InvalidInputError
from climorch.intake.branching import branch_faults, branch_of
from climorch.intake.calendar import model_date
from climorch.intake.editing import IMPOSSIBLE, changed_by, new_priority
from climorch.intake.ending import condition_of
from climorch.intake.planning import make_plan, provenance, require_no
from climorch.model.commands import EvaluateRule, encode_record
from climorch.model.edits import AddSimulation, Committed, Edit, told
from climorch.model.events import RuleEvaluated, RuleFailed, SimulationSubmitted
from climorch.model.plan import Provenance, SimulationPlan
from climorch.model.workflow import PAUSE, Rule, Workflow

__all__ = [
    "MOST_EDITS",
    "Question",
    "edits_in",
    "edits_of",
    "evaluate_rule",
    "failed",
    "question_of",
    "worked_out",
]

MOST_EDITS = 100_000
"""Most edits of one answer: a generator that does not end shall not fill the memory."""


# Of what is told of a fault.
MOST_LINES = 20
MOST_CHARACTERS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a rule is asked.

    Attributes
    ----------
    command : EvaluateRule
        Who asks.
    workflow : Workflow
        Of the rule.
    rule : Rule
        Its function and terms.
    committed : Committed
        What it is told; its own, whatever it does with it.
    """

    command: EvaluateRule
    workflow: Workflow
    rule: Rule
    committed: Committed


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
    question = question_of(state, workflows, command)
    if isinstance(question, RuleFailed):
        return question
    try:
        edits = edits_of(question.rule, question.committed)
    # Whatever a user's function raises is told; an exit of its own ends no driver.
    except (Exception, SystemExit) as error:
        return failed(question, f"{type(error).__name__}: {error}")
    return worked_out(state, question, edits)


def question_of(
    state: CampaignState, workflows: Mapping[str, Workflow], command: EvaluateRule
) -> Question | RuleFailed:
    """Take from the state what a rule is asked.

    Parameters
    ----------
    state, workflows, command
        As for `evaluate_rule`.

    Returns
    -------
    Question or RuleFailed
        The latter where the script has no such rule any more.
    """
    simulation = state.simulations[command.simulation]
    workflow = workflows.get(simulation.plan.workflow)
    rules = workflow.rules if workflow is not None else []
    rule = next((r for r in rules if r.name == command.rule), None)
    if workflow is not None and rule is None:
        rule = condition_of(simulation, workflow, command.rule)
    if workflow is None or rule is None:
        return RuleFailed(
            simulation=simulation.name,
            rule=command.rule,
            at=command.at,
            message=f"the script has no such rule in {simulation.plan.workflow!r}",
        )
    return Question(
        command=command,
        workflow=workflow,
        rule=rule,
        committed=copy.deepcopy(_committed(simulation, rule)),
    )


def edits_of(rule: Rule, committed: Committed) -> list[Edit]:
    """Call the user's function; it may block, and raise anything.

    Parameters
    ----------
    rule : Rule
        Which is asked.
    committed : Committed
        What it is told.

    Raises
    ------
    InvalidInputError
        If it returned something that is no list of edits.
    """
    return edits_in(rule.then(committed), rule)


def edits_in(answer: object, rule: Rule) -> list[Edit]:
    """Take what a rule returned; refuse what is no edit.

    Parameters
    ----------
    answer : object
        What it returned; if it is a generator, it is run.
    rule : Rule
        Which.

    Raises
    ------
    InvalidInputError
        If it is no list of edits.
    """
    if answer is None:
        return []
    if isinstance(answer, str | bytes | Edit) or not hasattr(answer, "__iter__"):
        raise InvalidInputError(
            f"rule {rule.name!r} returned {type(answer).__name__}, expected a list of "
            "edits; an empty one for nothing"
        )
    edits = list(islice(answer, MOST_EDITS + 1))
    if len(edits) > MOST_EDITS:
        raise InvalidInputError(
            f"rule {rule.name!r} returned more than {MOST_EDITS:,} edits; does its "
            "generator end?"
        )
    for edit in edits:
        if not isinstance(edit, Edit):
            raise InvalidInputError(
                f"rule {rule.name!r} returned {type(edit).__name__} in its list, "
                "expected edits such as AddSimulation"
            )
    return edits


def worked_out(
    state: CampaignState, question: Question, edits: list[Edit]
) -> RuleEvaluated | RuleFailed:
    """Check and plan what a rule asks for.

    Parameters
    ----------
    state : CampaignState
        As it is now; only read.
    question : Question
        What it was asked.
    edits : list of Edit
        Its answer.

    Returns
    -------
    RuleEvaluated or RuleFailed
        With the edits as plans, or with everything that is wrong with them.
    """
    command, rule, workflow = question.command, question.rule, question.workflow
    simulation = state.simulations[command.simulation]
    try:
        _refuse_too_many(edits, rule, simulation)
        changed = changed_by(simulation, workflow, rule.name, edits)
        priority = new_priority(edits, rule.name)
        found = RuleEvaluated(
            simulation=simulation.name,
            rule=command.rule,
            at=command.at,
            added=tuple(_added(state, simulation, workflow, rule, edits)),
            changed=changed,
            priority=priority,
            told=told(edits),
        )
        _refuse_too_large(found)
    # Users without a type checker may put anything into an edit.
    except Exception as error:
        return failed(question, f"{type(error).__name__}: {error}")
    return found


def _refuse_too_large(answer: RuleEvaluated) -> None:
    """Refuse what the journal would: it all holds by one row, or not at all."""
    size_bytes = len(encode_record(answer))
    if size_bytes > MAX_PAYLOAD_BYTES:
        raise InvalidInputError(
            f"what it asks for takes {size_bytes:,} bytes, at most "
            f"{MAX_PAYLOAD_BYTES:,} are journaled; ask for less at once, or "
            "keep params small"
        )


def failed(question: Question, message: str) -> RuleFailed:
    """Return the fact that a rule has no answer that could hold.

    Parameters
    ----------
    question : Question
        What it was asked.
    message : str
        What is wrong, of any length.
    """
    command = question.command
    return RuleFailed(
        simulation=command.simulation,
        rule=command.rule,
        at=command.at,
        message=_shortened(message),
        pause=question.rule.on_fault == PAUSE,
    )


def _shortened(text: str) -> str:
    """Keep the beginning of what is wrong: a row and an alarm tell it."""
    lines = text[:MOST_CHARACTERS].splitlines()
    more = text.count("\n") + 1 - MOST_LINES
    if more > 0:
        lines[MOST_LINES:] = [f"  and {more:,} more lines"]
    return "\n".join(lines)


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


def _refuse_too_many(
    edits: list[Edit], rule: Rule, simulation: SimulationState
) -> None:
    times = sum(edited.rule == rule.name for edited in simulation.edits)
    if edits and times >= rule.most:
        raise InvalidInputError(
            f"rule {rule.name!r} has asked for something {times} times of "
            f"{simulation.name!r}; let it end, or raise most="
        )


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
    # Of one template all have the same boundaries, and the same code.
    plans: dict[str, SimulationPlan] = {}
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
        if template.name not in plans:
            plans[template.name] = make_plan(template, edit.scenario)
        plan = msgspec.structs.replace(
            plans[template.name], params=edit.scenario.params
        )
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
