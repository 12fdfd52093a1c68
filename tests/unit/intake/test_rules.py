"""Rules: what they are told, what they add, what is refused."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest
import xarray as xr

import climorch as co
from climorch.core.alarms import troubles
from climorch.core.explain import explain
from climorch.core.fold import apply
from climorch.intake.rules import evaluate_rule
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.commands import EvaluateRule
from climorch.model.edits import (
    AddSimulation,
    Committed,
    Edit,
    Finish,
    MoveEnd,
    SetPriority,
    SetResources,
)
from climorch.model.plan import Branch
from climorch.model.workflow import Workflow
from tests.unit.intake.ruled import (
    answered,
    ask,
    commit,
    refused,
    step,
    workflow,
    world,
    years,
)


def test_a_rule_is_told_what_is_committed() -> None:
    """Date, segments, and the metrics of the last segment that is committed."""
    seen: list[Committed] = []

    def look(committed: Committed) -> list[Edit]:
        seen.append(committed)
        return []

    wf = workflow(look, on="commit")
    state = world(wf, ())
    place: Any = {"simulation": "s", "set": "air", "attempt": 1, "boundary": 0}
    apply(state, c.StartAttempt(**place), 0.0)
    apply(state, e.SetRestored(**place, rung="init"), 0.0)
    for k in range(5):
        start = c.StartSegment(simulation="s", stage="air", segment=k, attempt=1)
        apply(state, start, 0.0)
        fact = e.SegmentFinished(
            simulation="s",
            stage="air",
            segment=k,
            attempt=1,
            seconds=1.0,
            metrics={"heat": float(k)},
        )
        apply(state, fact, 0.0)
    commit(state, 4)

    found = ask(state, wf)

    assert found == e.RuleEvaluated(simulation="s", rule="r", at=4)
    (told,) = seen
    assert (told.simulation, told.stage, told.segments) == ("s", "air", 4)
    assert (told.end, told.complete) == ("2004-01-01", False)
    assert told.metrics == {"heat": 3.0}
    assert told.scenario.name == "s"
    # The segment that is not committed waits for its turn.
    assert state.simulations["s"].recent == {"air": {4: {"heat": 4.0}}}


def test_a_new_simulation_starts_from_the_end() -> None:
    """Its branch names the checkpoint of each set of the parent."""
    scenario = co.Scenario("child")
    found = answered(AddSimulation(template="future", scenario=scenario))

    (added,) = found.added
    assert added.branch == Branch(
        simulation="s", rule="r", boundaries={"air": 10}, generation=1
    )
    assert found.told == ("add 'child' from template 'future'",)


def test_a_new_simulation_may_start_from_an_earlier_checkpoint() -> None:
    """From the one at its start, which is kept from then on."""
    wf = workflow(
        lambda _: [AddSimulation(template="past", scenario=co.Scenario("child"))]
    )
    state = world(wf, (4, 7, 10))

    found = ask(state, wf)
    assert isinstance(found, e.RuleEvaluated)
    apply(state, found, 0.0)

    branch = state.simulations["child"].branch
    assert branch is not None
    assert branch.boundaries == {"air": 4}
    assert state.simulations["s"].sets["air"].pins == {4}
    assert state.simulations["child"].failed is None


def test_a_checkpoint_that_went_meanwhile_fails_the_child_only() -> None:
    """Between the answer and its row in the journal a deletion may come."""
    wf = workflow(
        lambda _: [AddSimulation(template="past", scenario=co.Scenario("child"))]
    )
    state = world(wf, (4, 10))
    found = ask(state, wf)
    apply(state, c.DeleteCheckpoint(simulation="s", set="air", boundary=4), 0.0)

    apply(state, found, 0.0)

    assert state.simulations["child"].failed == (
        e.Cause.MODEL,
        "the checkpoint of 's' to start from is gone",
    )
    assert state.simulations["s"].failed is None


def test_without_a_checkpoint_there_is_no_branch() -> None:
    """It is said which ones there are."""
    edit = AddSimulation(template="past", scenario=co.Scenario("child"))

    message = refused(edit, committed=(7, 10))

    assert "no checkpoint of 's' at 2004-01-01 is kept" in message
    assert "start at one of 2007-01-01, 2010-01-01, or pin it in time" in message


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (MoveEnd(stage="moon", end="2012-01-01"), "there is no such stage"),
        (MoveEnd(stage="air", end="soon"), "use ISO dates"),
        (SetResources(stage="moon", resources=co.Resources()), "no such stage"),
        (SetResources(stage="air", resources=3), "got int"),  # type: ignore[arg-type]
        (SetPriority(priority="high"), "expected a whole number"),  # type: ignore[arg-type]
        (SetPriority(priority=True), "expected a whole number"),
        (
            AddSimulation(template="none", scenario=co.Scenario("x")),
            "template 'none' is not one of its workflow's",
        ),
        (
            AddSimulation(template="future", scenario=co.Scenario("s")),
            "a simulation of this name exists",
        ),
        (
            AddSimulation(template="future", scenario=co.Scenario("x", project="p")),
            "project 'p' is not declared",
        ),
        ("junk", "returned str in its list"),
    ],
)
def test_what_is_impossible_is_said(edit: Any, said: str) -> None:
    """Each with its place."""
    message = refused(edit)

    assert said in message
    assert "rule 'r'" in message


def test_all_faults_are_told_together() -> None:
    """Two new simulations of one name, and one of a template that is not there."""
    message = refused(
        AddSimulation(template="future", scenario=co.Scenario("x")),
        AddSimulation(template="future", scenario=co.Scenario("x")),
        AddSimulation(template="none", scenario=co.Scenario("y")),
    )

    assert "'x': a simulation of this name exists" in message
    assert "template 'none'" in message


@pytest.mark.parametrize("answer", [3, "text", Finish()])
def test_an_answer_that_is_no_list(answer: Any) -> None:
    """It is said what is expected."""
    wf = workflow(lambda _: answer)

    found = ask(world(wf), wf)

    assert isinstance(found, e.RuleFailed)
    assert "expected a list of edits" in found.message


def test_no_answer_is_nothing() -> None:
    """A rule without a return statement asks for nothing."""
    wf = workflow(lambda _: None)  # type: ignore[arg-type, return-value]

    assert ask(world(wf), wf) == e.RuleEvaluated(simulation="s", rule="r", at=10)


def test_a_rule_that_raises_is_told() -> None:
    """With the name of its error."""

    def bad(committed: Committed) -> list[Edit]:
        raise KeyError("heat")

    wf = workflow(bad)
    state = world(wf)
    found = ask(state, wf)
    apply(state, found, 0.0)

    assert isinstance(found, e.RuleFailed)
    simulation = state.simulations["s"]
    assert simulation.failed is None
    assert simulation.rule_faults["r"].message == "KeyError: 'heat'"
    told = explain(state, "s", 0.0)
    assert told.factors["faults of rules"] == "rule 'r' at 10: KeyError: 'heat'"
    assert [(t.kind, t.text) for t in troubles(state, 0.0)] == [
        ("rule", "rule 'r' at 10: KeyError: 'heat'")
    ]


def test_a_rule_that_exits_ends_no_driver() -> None:
    """It is a fault as any other."""

    def bad(committed: Committed) -> list[Edit]:
        raise SystemExit(3)

    wf = workflow(bad, on_fault="pause")
    found = ask(world(wf), wf)

    assert isinstance(found, e.RuleFailed)
    assert (found.message, found.pause) == ("SystemExit: 3", True)


def test_a_generator_that_does_not_end_is_cut_off() -> None:
    """It is said how much of it was looked at."""
    wf = workflow(lambda _: itertools.repeat(SetPriority(priority=1)))
    found = ask(world(wf), wf)

    assert isinstance(found, e.RuleFailed)
    assert "returned more than 100,000 edits" in found.message


def test_ten_thousand_faults_are_told_shortly() -> None:
    """The first of them, and how many there are."""
    edits = [
        AddSimulation(template="none", scenario=co.Scenario(f"m{i}"))
        for i in range(10_000)
    ]
    lines = refused(*edits).splitlines()

    assert len(lines) == 21
    assert "'m0'" in lines[1]
    assert lines[-1] == "  and 9,981 more lines"


def test_more_than_a_row_of_the_journal_may_hold_is_a_fault() -> None:
    """And not the end of the driver."""
    text = "x" * 2**20
    edits = [
        AddSimulation(
            template="future", scenario=co.Scenario(f"m{i}", params={"x": text})
        )
        for i in range(33)
    ]

    assert "at most 67,108,864 are journaled" in refused(*edits)


def test_a_rule_that_changes_what_it_is_told_changes_nothing() -> None:
    """Its parameters and metrics are copies."""

    def bad(committed: Committed) -> list[Edit]:
        committed.metrics["heat"] = 0.0
        committed.scenario.params["x"] = 0.0
        return []

    wf = workflow(bad)
    state = world(wf)
    state.simulations["s"].metrics["air"] = {"heat": 1.0}
    ask(state, wf)

    assert state.simulations["s"].metrics == {"air": {"heat": 1.0}}
    assert state.simulations["s"].scenario.params == {}


def test_a_rule_that_the_script_has_no_more_is_a_fault() -> None:
    """So is a workflow that it has no more."""
    wf = workflow(lambda _: [])
    state = world(wf)
    command = EvaluateRule(simulation="s", rule="gone", at=10)
    for workflows in ({"w": wf}, {}):
        found = evaluate_rule(state, workflows, command)
        assert isinstance(found, e.RuleFailed)
        assert found.message == "the script has no such rule in 'w'"


def test_two_rules_that_add_one_name_at_once() -> None:
    """The first to be journaled counts, the other is a fault."""
    wf = workflow(
        lambda _: [AddSimulation(template="future", scenario=co.Scenario("x"))]
    )
    state = world(wf)
    other = ask(state, wf)
    assert isinstance(other, e.RuleEvaluated)
    mine = msgspec.structs.replace(
        other, added=tuple(msgspec.structs.replace(a, branch=None) for a in other.added)
    )
    apply(state, mine, 0.0)
    simulation = state.simulations["s"]
    simulation.rules_done.clear()
    apply(state, other, 0.0)

    assert state.simulations["x"].branch is None
    assert "these names exist: 'x'" in simulation.rule_faults["r"].message


def test_generations_end_at_their_limit() -> None:
    """A simulation whose rule adds another one whose rule ..."""
    branch = Branch(simulation="p", rule="r", generation=1000)
    wf = workflow(
        lambda _: [AddSimulation(template="future", scenario=co.Scenario("x"))]
    )
    state = world(wf)
    state.simulations["s"].branch = branch

    found = ask(state, wf)

    assert isinstance(found, e.RuleFailed)
    assert "would be generation 1001 by this rule" in found.message


def test_ten_thousand_nodes_of_one_rule() -> None:
    """A hundred simulations of a hundred segments; their plans are equal but names."""
    scenarios = [co.Scenario(f"m{i}") for i in range(100)]
    big = Workflow("big")
    big.stage("air", step, init=xr.Dataset(), span=years(2010, 2110))
    wf = workflow(
        lambda _: [AddSimulation(template="big", scenario=s) for s in scenarios]
    )
    wf.templates = (*wf.templates, big)
    state = world(wf)

    found = ask(state, wf)

    assert isinstance(found, e.RuleEvaluated)
    assert sum(a.plan.stages[0].segments for a in found.added) == 10_000
    assert found.told[-1] == "and 80 more"


def transforming(start: int, committed: tuple[int, ...]) -> e.RuleEvaluated | str:
    """Branch into a template whose one stage is made from the parent's states."""
    wf = workflow(lambda _: [AddSimulation(template="new", scenario=co.Scenario("n"))])
    new = Workflow("new")
    span = years(start, start + 2)
    new.stage("fine", step, span=span, transform=lambda states, _: states["air"])
    wf.templates = (*wf.templates, new)
    found = ask(world(wf, committed), wf)
    return found if isinstance(found, e.RuleEvaluated) else found.message


def test_a_branch_may_be_made_into_another_grid() -> None:
    """Its stages have names of their own; what they are made from is pinned."""
    found = transforming(2004, (4, 10))
    assert isinstance(found, e.RuleEvaluated)
    (added,) = found.added
    assert added.branch is not None
    assert added.branch.boundaries == {"air": 4}
    assert added.plan.stages[0].transforms
    assert not added.plan.stages[0].initial


def test_a_branch_is_made_from_states_of_its_own_date() -> None:
    """Not from those of the end, should there be no others."""
    message = transforming(2004, (10,))
    assert (
        "rule 'r', simulation 'n', stage 'fine', transform: no checkpoint of 's' at "
        "2004-01-01 is kept; start where the parent has one, or pin it in time"
    ) in str(message)
