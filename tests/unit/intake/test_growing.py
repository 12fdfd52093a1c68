"""Stages that rules add, and phases that follow ends which moved."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
import xarray as xr

import climorch as co
from climorch.core.explain import explain
from climorch.core.fold import apply
from climorch.core.state import CampaignState
from climorch.errors import ConflictError
from climorch.intake.calendar import model_date
from climorch.intake.planning import make_plan
from climorch.intake.resubmitting import resubmitted
from climorch.intake.submissions import Submissions
from climorch.model import events as e
from climorch.model.edits import AddStage, Edit, Finish, MoveEnd
from climorch.model.plan import StagePlan
from climorch.model.workflow import Workflow
from tests.unit.intake.ruled import ask, commit, step, years

STATE = xr.Dataset()


def flow(*edits: Edit, begins: str | None = None, **more: Any) -> Workflow:
    """Four years of sea, then four of ice; on demand more of each kind."""
    wf = Workflow("w")
    wf.stage("sea", step, init=STATE, span=years(2000, 2004))
    wf.stage("land", step, init=STATE, span=years(2000, 2004))
    wf.stage(
        "ice", step, init=STATE, span=years(2004, 2008), after=["sea"], begins=begins
    )
    wf.stage(
        "late",
        step,
        init=STATE,
        span=years(2004, 2010),
        after=["sea", "land"],
        on_demand=True,
    )
    wf.stage(
        "last", step, init=STATE, span=years(2010, 2011), after=["late"], on_demand=True
    )
    for name, other in (("air", "wave"), ("wave", "air")):
        coupling = co.SAME if name == "air" else co.PREVIOUS
        wf.stage(
            name,
            step,
            init=STATE,
            span=years(2000, 2002),
            reads={other: coupling},
            on_demand=True,
        )
    wf.rule("r", when="sea", then=lambda _: list(edits), on="commit", **more)
    wf.rule("q", when="late", then=lambda _: [])
    return wf


def world(wf: Workflow, committed: int = 2) -> CampaignState:
    """Fold the simulation, its sea committed so far."""
    state = CampaignState()
    scenario = co.Scenario("s")
    submitted = e.SimulationSubmitted(
        simulation="s", scenario=scenario, plan=make_plan(wf, scenario)
    )
    apply(state, submitted, 0.0)
    commit(state, committed, "sea")
    return state


def answered(state: CampaignState, wf: Workflow) -> e.RuleEvaluated:
    """Return the answer of the rule, which is folded."""
    found = ask(state, wf)
    assert isinstance(found, e.RuleEvaluated), found
    apply(state, found, 1.0)
    return found


def refused(*edits: Any, **more: Any) -> str:
    """Return what is said of edits that are impossible."""
    wf = flow(*edits, **more)
    found = ask(world(wf), wf)
    assert isinstance(found, e.RuleFailed), found
    return found.message


def dates(stages: Iterable[StagePlan]) -> dict[str, tuple[str, str, int]]:
    """Return the first and the last date of stages, and their segments."""
    return {
        stage.name: (
            model_date(stage.boundaries[0], stage.calendar)[:4],
            model_date(stage.boundaries[-1], stage.calendar)[:4],
            stage.segments,
        )
        for stage in stages
    }


def test_a_stage_that_is_added_is_a_set_of_its_own_from_then_on() -> None:
    """Plan, prerequisites, state, and what is told of it."""
    wf = flow(AddStage(stage="late"), AddStage(stage="last"))
    state = world(wf)
    simulation = state.simulations["s"]
    assert list(simulation.sets) == ["sea", "land", "ice"]

    answer = answered(state, wf)

    assert answer.told == ("add stage 'late'", "add stage 'last'")
    assert list(simulation.sets) == ["sea", "land", "ice", "late", "last"]
    assert simulation.sets["late"].done == {"late": 0}
    assert simulation.plan.prerequisites["late"] == ("land", "sea")
    assert simulation.plan.prerequisites["last"] == ("late",)
    assert dates(simulation.plan.stages)["late"] == ("2004", "2010", 6)
    assert not simulation.sets["late"].complete
    assert simulation.declared == make_plan(wf, co.Scenario("s"))
    told = explain(state, "s", 1.0).factors["edits by rules"]
    assert told == ("r at 2: add stage 'late', add stage 'last'",)
    # The same fact told twice changes nothing.
    before = simulation.sets["late"]
    apply(state, answer, 2.0)
    assert simulation.sets["late"] is before


def test_stages_that_are_coupled_are_added_together() -> None:
    """They are one set, whichever of them was named."""
    wf = flow(AddStage(stage="wave"))
    state = world(wf)

    answered(state, wf)

    simulation = state.simulations["s"]
    assert simulation.plan.set_of["air"] == simulation.plan.set_of["wave"] == "air"
    assert simulation.sets["air"].done == {"air": 0, "wave": 0}


def test_an_added_stage_begins_where_the_end_before_it_was_moved_to() -> None:
    """Within one answer the order counts: a moved end is followed."""
    wf = flow(
        MoveEnd(stage="sea", end="2006-01-01"),
        MoveEnd(stage="land", end="2006-01-01"),
        AddStage(stage="late"),
        MoveEnd(stage="late", end="2012-01-01"),
    )
    state = world(wf)

    answered(state, wf)

    assert dates(state.simulations["s"].plan.stages) == {
        "sea": ("2000", "2006", 6),
        "land": ("2000", "2006", 6),
        "ice": ("2006", "2008", 2),
        "late": ("2006", "2012", 6),
    }


@pytest.mark.parametrize(
    ("begins", "end", "expected"),
    [
        (None, "2006-01-01", ("2006", "2008", 2)),
        ("joined", "2003-01-01", ("2003", "2008", 5)),
        ("shifted", "2006-01-01", ("2006", "2010", 4)),
        ("shifted", "2003-01-01", ("2003", "2007", 4)),
        ("dated", "2006-01-01", ("2004", "2008", 4)),
        ("joined", "2004-01-01", ("2004", "2008", 4)),
    ],
)
def test_a_later_phase_follows_as_it_is_declared(
    begins: str | None, end: str, expected: tuple[str, str, int]
) -> None:
    """Joined to its own end, shifted with as many segments, or dated."""
    wf = flow(MoveEnd(stage="sea", end=end), begins=begins)
    state = world(wf)

    answered(state, wf)

    assert dates(state.simulations["s"].plan.stages)["ice"] == expected


@pytest.mark.parametrize(
    ("edits", "said"),
    [
        ([AddStage(stage="none")], "is no stage on demand of its workflow; name one of "
         "air, last, late, wave"),
        ([AddStage(stage="sea")], "stage 'sea': is no stage on demand"),
        ([AddStage(stage="late"), AddStage(stage="late")], "is part of the simulation "
         "already"),
        ([AddStage(stage="last")], "comes after 'late', of which the simulation has "
         "none"),
        (
            [MoveEnd(stage="sea", end="2006-01-01"), AddStage(stage="late")],
            "the stages that it comes after end apart: 'land' at 2004-01-01, 'sea' at "
            "2006-01-01",
        ),
        (
            [MoveEnd(stage="sea", end="2009-01-01")],
            "stage 'ice': would begin at 2009-01-01, and ends at 2008-01-01",
        ),
        ([MoveEnd(stage="sea", end="2001-01-01")], "2 segments are committed"),
    ],
)  # fmt: skip
def test_what_cannot_be_added_or_followed_is_said(edits: list[Edit], said: str) -> None:
    """The plan stays as it was, the fault names the stages."""
    assert said in refused(*edits)


def test_a_simulation_may_be_finished_by_the_answer_that_adds() -> None:
    """What was added and has not begun is left out again."""
    wf = flow(AddStage(stage="late"), Finish())
    state = world(wf)

    answered(state, wf)

    assert state.simulations["s"].complete


def test_what_was_added_stays_when_the_script_is_run_again() -> None:
    """Unless the script has it no more: then it is another simulation."""
    wf = flow(AddStage(stage="late"))
    state = world(wf)
    answered(state, wf)
    known = state.simulations["s"]
    again = Submissions(())
    submitted = again.add(wf, scenario=co.Scenario("s"), state=state)
    assert resubmitted(known, submitted) is None

    other = co.Scenario("s", priority=4)
    change = resubmitted(known, again.add(wf, scenario=other, state=state))
    assert change is not None
    assert [s.name for s in change.plan.stages] == ["sea", "land", "ice", "late"]

    wf = flow()
    wf.stages = [stage for stage in wf.stages if stage.name != "late"]
    wf.stages = [stage for stage in wf.stages if stage.name != "last"]
    wf.rules = wf.rules[:1]
    with pytest.raises(ConflictError, match="'late': a rule has added it"):
        Submissions(()).add(wf, scenario=co.Scenario("s"), state=state)


def test_a_rule_on_a_stage_that_nobody_has_added_is_not_asked() -> None:
    """Once it is there and committed, it is."""
    wf = flow(AddStage(stage="late"))
    state = world(wf)
    simulation = state.simulations["s"]
    late = simulation.plan.rules[1]
    assert simulation.asks(late) is None

    answered(state, wf)
    assert simulation.asks(late) is None
    commit(state, 6, "late")
    assert simulation.asks(late) == 6
