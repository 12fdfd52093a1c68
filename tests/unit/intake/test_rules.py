"""Rules: what they are told, what their edits make, what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest
import xarray as xr

import climorch as co
from climorch.core.fold import apply
from climorch.core.state import CampaignState, SimulationState
from climorch.intake.planning import make_plan
from climorch.intake.rules import evaluate_rule
from climorch.model import commands as c
from climorch.model import events as e
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

Then = Callable[[Committed], Iterable[Edit]]


def step(
    state: xr.Dataset, inputs: Mapping[str, xr.Dataset], segment: co.Segment
) -> xr.Dataset:
    """Change nothing."""
    return state


def years(start: int, end: int) -> co.Span:
    """Return a span of one segment a year."""
    return co.Span(f"{start}-01-01", f"{end}-01-01", every="1YS", calendar="noleap")


def workflow(then: Then, **more: Any) -> Workflow:
    """Ten years of coupled air and sea, then five of ice; templates of a future."""
    future = Workflow("future")
    future.stage("air", step, init=None, span=years(2010, 2012))
    past = Workflow("past")
    past.stage("air", step, init=None, span=years(2004, 2006))
    wf = Workflow("w", templates=[future, past])
    wf.stage(
        "air", step, init=xr.Dataset(), span=years(2000, 2010), reads={"sea": co.SAME}
    )
    wf.stage("sea", step, init=xr.Dataset(), span=years(2000, 2010))
    wf.stage("ice", step, init=xr.Dataset(), span=years(2010, 2015), after=("sea",))
    wf.rule("r", when="air", then=then, **more)
    return wf


def world(wf: Workflow, committed: Iterable[int] = (10,)) -> CampaignState:
    """Fold a simulation of a workflow whose air and sea are committed so far."""
    state = CampaignState()
    scenario = co.Scenario("s", priority=3)
    plan = make_plan(wf, scenario)
    apply(
        state,
        e.SimulationSubmitted(simulation="s", scenario=scenario, plan=plan),
        0.0,
    )
    for boundary in committed:
        commit(state, boundary)
    return state


def commit(state: CampaignState, boundary: int, name: str = "air") -> None:
    """Let a checkpoint be there."""
    fact = e.CheckpointCommitted(
        simulation="s", set=name, boundary=boundary, attempt=0, seconds=1.0
    )
    apply(state, fact, 0.0)
    s = state.simulations["s"].sets[name]
    for stage, count in s.plan.segments_at[boundary].items():
        for k in range(s.committed_segments.get(stage, 0), count):
            row = c.SegmentCommitted(simulation="s", stage=stage, segment=k)
            apply(state, row, 0.0)


def ask(state: CampaignState, wf: Workflow) -> e.RuleEvaluated | e.RuleFailed:
    """Ask the rule, as a driver does."""
    at = state.simulations["s"].asks(state.simulations["s"].plan.rules[0])
    assert at is not None
    command = c.EvaluateRule(simulation="s", rule="r", at=at)
    apply(state, command, 0.0)
    return evaluate_rule(state, {t.name: t for t in (wf, *wf.templates)}, command)


def answered(*edits: Edit, committed: Iterable[int] = (10,)) -> e.RuleEvaluated:
    """Return the answer of a rule that asks for some edits."""
    wf = workflow(lambda _: list(edits))
    found = ask(world(wf, committed), wf)
    assert isinstance(found, e.RuleEvaluated), found
    return found


def refused(*edits: Any, committed: Iterable[int] = (10,)) -> str:
    """Return what is said of edits that are impossible."""
    wf = workflow(lambda _: list(edits))
    found = ask(world(wf, committed), wf)
    assert isinstance(found, e.RuleFailed), found
    return found.message


def ends(change: e.SimulationChanged | None) -> dict[str, int]:
    """Return how many segments each stage has after a change."""
    assert change is not None
    return {stage.name: stage.segments for stage in change.plan.stages}


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


def test_an_end_moves_with_all_that_are_coupled() -> None:
    """Later or earlier; and the plan of the script is remembered."""
    later = answered(MoveEnd(stage="air", end="2012-01-01"))
    assert ends(later.changed) == {"air": 12, "sea": 12, "ice": 5}
    assert later.changed is not None
    assert later.changed.declared is not None
    assert [s.segments for s in later.changed.declared.stages] == [10, 10, 5]
    assert later.told == ("end 'air' at 2012-01-01",)

    wf = workflow(lambda _: [MoveEnd(stage="sea", end="2006-01-01")], on="commit")
    earlier = ask(world(wf, (4,)), wf)
    assert isinstance(earlier, e.RuleEvaluated)
    assert ends(earlier.changed) == {"air": 6, "sea": 6, "ice": 5}


def test_an_end_before_what_is_committed_is_refused() -> None:
    """Nothing that is committed is taken back."""
    message = refused(MoveEnd(stage="air", end="2006-01-01"))

    assert "10 segments are committed, its new end leaves 6" in message


def test_an_end_from_which_a_phase_began_stays() -> None:
    """What started from its last state would be another thing."""
    wf = workflow(lambda _: [MoveEnd(stage="air", end="2012-01-01")])
    state = world(wf)
    commit(state, 2, "ice")

    found = ask(state, wf)

    assert isinstance(found, e.RuleFailed)
    assert "'ice' has begun from its old end" in found.message


def test_finishing_ends_at_the_next_boundary() -> None:
    """What computes is finished; phases that have not begun are left out."""
    wf = workflow(lambda _: [Finish()], on="commit")
    state = world(wf, (4,))
    s = state.simulations["s"].sets["air"]
    s.done.update(air=5, sea=5)
    s.running["air"] = 5

    found = ask(state, wf)
    assert isinstance(found, e.RuleEvaluated)
    apply(state, found, 0.0)

    assert ends(found.changed) == {"air": 6, "sea": 6, "ice": 0}
    assert not state.simulations["s"].complete
    commit(state, 6)
    assert state.simulations["s"].complete


def test_priority_and_resources() -> None:
    """The last word counts; the scenario of the script stays as it is."""
    found = answered(
        SetPriority(priority=5),
        SetPriority(priority=7),
        SetResources(stage="air", resources=co.Resources(nodes=3)),
    )

    assert found.priority == 7
    assert found.changed is not None
    assert found.changed.scenario.priority == 3
    assert [s.resources.nodes for s in found.changed.plan.stages] == [3, 1, 1]
    assert found.told[:2] == ("priority 5", "priority 7")


def test_what_changes_nothing_is_no_change() -> None:
    """Asking for what is."""
    found = answered(MoveEnd(stage="air", end="2010-01-01"))

    assert (found.changed, found.priority) == (None, None)


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
    assert state.simulations["s"].failed == (
        e.Cause.MODEL,
        "rule 'r': KeyError: 'heat'",
    )


def extending(committed: Committed) -> list[Edit]:
    """Ask for one more year, always."""
    end = int(committed.end[:4]) + 1
    return [MoveEnd(stage="air", end=f"{end}-01-01")]


def grow(state: CampaignState, wf: Workflow, times: int) -> list[Any]:
    """Let a rule extend its stage so many times; return what was journaled."""
    journal: list[Any] = []
    for _ in range(times):
        found = ask(state, wf)
        journal.append(found)
        apply(state, found, 0.0)
        if isinstance(found, e.RuleFailed):
            break
        last = state.simulations["s"].sets["air"].plan.last
        commit(state, last)
    return journal


def fingerprint(simulation: SimulationState) -> tuple[Any, ...]:
    """What must be the same after a replay."""
    return simulation.plan, simulation.edits, simulation.rules_done


def test_a_thousand_edits_replay_to_the_same() -> None:
    """A chain in which each edit rests on the one before."""
    wf = workflow(extending)
    state = world(wf)
    journal = grow(state, wf, 1000)

    again = world(wf)
    for found in journal:
        apply(again, found, 0.0)
        # Told twice, it holds once.
        apply(again, found, 0.0)
        commit(again, again.simulations["s"].sets["air"].plan.last)

    assert state.simulations["s"].plan.stages[0].segments == 1010
    assert fingerprint(again.simulations["s"]) == fingerprint(state.simulations["s"])


def test_a_loop_ends_at_its_limit() -> None:
    """Three times, then it is refused."""
    wf = workflow(extending, most=3)
    journal = grow(world(wf), wf, 5)

    assert len(journal) == 4
    assert "has asked for something 3 times of 's'" in journal[-1].message


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


@pytest.mark.parametrize(
    ("start", "old", "end", "every"),
    [
        ("2000-01-01", "2003-01-01", "2007-06-01", "1YS"),
        ("2000-05-01", "2002-11-01", "2005-01-01", "6MS"),
        ("2000-01-01", "2001-01-01", "2002-01-01", "1YS"),
        ("2000-01-01", "2009-01-01", "2004-01-01", "6MS"),
        ("2000-01-01", "2000-07-20", "2001-02-04", "100D"),
    ],
)
def test_a_moved_end_cuts_as_a_new_span_would(
    start: str, old: str, end: str, every: str
) -> None:
    """Whatever was known of the old one."""
    spans = [co.Span(start, x, every=every, calendar="noleap") for x in (old, end)]
    flows = [Workflow("w"), Workflow("w")]
    for wf, span in zip(flows, spans, strict=True):
        wf.stage("air", step, init=xr.Dataset(), span=span)
        wf.rule(
            "r", when="air", then=lambda _: [MoveEnd(stage="air", end=end)], on="commit"
        )

    found = ask(world(flows[0], (1,)), flows[0])

    assert isinstance(found, e.RuleEvaluated), found
    assert found.changed is not None
    expected = make_plan(flows[1], co.Scenario("s")).stages[0].boundaries
    assert found.changed.plan.stages[0].boundaries == expected


def test_a_segment_that_was_shorter_does_not_grow() -> None:
    """It may be computing: its end cannot move under it."""
    wf = Workflow("w")
    span = co.Span("2000-01-01", "2003-08-01", every="1YS", calendar="noleap")
    wf.stage("air", step, init=xr.Dataset(), span=span)
    wf.rule(
        "r",
        when="air",
        then=lambda _: [MoveEnd(stage="air", end="2005-01-01")],
        on="commit",
    )

    found = ask(world(wf, (1,)), wf)

    assert isinstance(found, e.RuleFailed)
    assert "its start or its segments changed" in found.message
