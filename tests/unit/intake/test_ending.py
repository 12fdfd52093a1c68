"""Stages that end early by a condition on what is committed."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr

import climorch as co
from climorch.core.explain import explain
from climorch.core.fold import apply
from climorch.core.state import CampaignState
from climorch.intake.calendar import model_date
from climorch.intake.planning import make_plan
from climorch.intake.rules import evaluate_rule
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.ending import Course, Equilibrium, Until
from climorch.model.workflow import Workflow
from tests.unit.intake.ruled import step, years

Told = e.RuleEvaluated | e.RuleFailed


def flow(until: Any, begins: str = "joined", **more: Any) -> Workflow:
    """Ten years of air and sea, which read each other, then ten of ice."""
    wf = Workflow("w")
    span = years(2000, 2010)
    wf.stage(
        "air", step, init=xr.Dataset(), span=span, reads={"sea": co.SAME}, until=until
    )
    wf.stage("sea", step, init=xr.Dataset(), span=span, **more)
    wf.stage(
        "ice",
        step,
        init=xr.Dataset(),
        span=years(2010, 2020),
        after=["sea"],
        begins=begins,
    )
    return wf


def world(wf: Workflow) -> CampaignState:
    """Fold a simulation that has begun."""
    state = CampaignState()
    plan = make_plan(wf, co.Scenario("s"))
    fact = e.SimulationSubmitted(simulation="s", scenario=co.Scenario("s"), plan=plan)
    apply(state, fact, 0.0)
    return state


def commit(state: CampaignState, upto: int, heat: Callable[[int], float]) -> None:
    """Let segments be committed that returned this heat."""
    simulation = state.simulations["s"]
    s = simulation.sets["air"]
    for k in range(s.committed, upto):
        simulation.recent.setdefault("air", {})[k] = {"heat": heat(k)}
    fact = e.CheckpointCommitted(
        simulation="s", set="air", boundary=upto, attempt=1, seconds=1.0
    )
    apply(state, fact, 0.0)


def ask(state: CampaignState, wf: Workflow) -> Told | None:
    """Ask the condition if it is due, as a driver does."""
    simulation = state.simulations["s"]
    (rule,) = simulation.plan.rules
    at = simulation.asks(rule)
    if at is None:
        return None
    command = c.EvaluateRule(simulation="s", rule=rule.name, at=at)
    apply(state, command, 0.0)
    found = evaluate_rule(state, {"w": wf}, command)
    apply(state, found, 1.0)
    return found


def ends(state: CampaignState) -> dict[str, tuple[str, str]]:
    """Return the years in which stages begin and end."""
    return {
        stage.name: (
            model_date(stage.boundaries[0], stage.calendar)[:4],
            model_date(stage.boundaries[-1], stage.calendar)[:4],
        )
        for stage in state.simulations["s"].plan.stages
    }


def at_least(count: int, course: Course) -> bool:
    """Whether so many segments are committed."""
    return course.segments >= count


@pytest.mark.parametrize(
    ("begins", "ice"),
    [
        ("joined", ("2004", "2020")),
        ("shifted", ("2004", "2014")),
        ("dated", ("2010", "2020")),
    ],
)
def test_the_whole_set_ends_where_the_condition_first_holds(
    begins: str, ice: tuple[str, str]
) -> None:
    """Later phases begin there, as they are declared to."""
    wf = flow(functools.partial(at_least, 4), begins)
    state = world(wf)
    for boundary in (1, 2, 3, 4):
        commit(state, boundary, float)
        found = ask(state, wf)
        assert isinstance(found, e.RuleEvaluated)
        assert (found.changed is not None) == (boundary == 4)

    simulation = state.simulations["s"]
    assert ends(state) == {"air": ("2000", "2004"), "sea": ("2000", "2004"), "ice": ice}
    assert simulation.sets["air"].complete
    assert simulation.ended("air")
    assert not simulation.complete
    told = explain(state, "s", 1.0).factors["edits by rules"]
    assert told == (
        "until air at 4: end 'air' at 2004-01-01T00:00:00: its condition holds",
    )
    # Its end is told, and not asked about again.
    assert ask(state, wf) is None


def test_a_condition_that_never_holds_leaves_the_span_as_it_is() -> None:
    """Its end is the latest, where nobody asks."""
    wf = flow(lambda course: False)
    state = world(wf)
    for boundary in range(1, 10):
        commit(state, boundary, float)
        assert ask(state, wf) is not None
    commit(state, 10, float)

    assert ask(state, wf) is None
    assert ends(state)["air"] == ("2000", "2010")


def test_a_condition_is_asked_every_so_many_segments() -> None:
    """And where the checkpoint went bad since, not about the same again."""
    wf = flow(Until(condition=lambda course: False, every=3))
    state = world(wf)
    asked = []
    for boundary in range(1, 11):
        commit(state, boundary, float)
        if ask(state, wf) is not None:
            asked.append(boundary)
    assert asked == [3, 6, 9]
    assert state.simulations["s"].plan.checks == {"air": (3, 6, 9)}

    s = state.simulations["s"].sets["air"]
    for boundary in (7, 8, 9, 10):
        s.commits[boundary].good = False
    assert s.committed == 6
    assert ask(state, wf) is None


def test_a_condition_is_told_a_window_of_what_is_committed() -> None:
    """In model years since the stage began; what no checkpoint needs is not kept."""
    seen: list[Course] = []

    def look(course: Course) -> bool:
        seen.append(course)
        course.scenario.params["x"] = 1
        return False

    wf = flow(Until(condition=look, window=3))
    state = world(wf)
    for boundary in range(1, 6):
        commit(state, boundary, float)
        ask(state, wf)

    assert [course.segments for course in seen] == [1, 2, 3, 4, 5]
    assert seen[0].years == (1.0,)
    assert seen[-1].years == (3.0, 4.0, 5.0)
    assert seen[-1].since == 2.0
    assert seen[-1].metrics == {"heat": (2.0, 3.0, 4.0)}
    # As long as the set may go back to the first checkpoint, and be asked from there.
    assert [k for k, _ in state.simulations["s"].courses["air"]] == [0, 1, 2, 3, 4]
    for boundary in range(1, 5):
        gone = e.CheckpointDeleted(simulation="s", set="air", boundary=boundary)
        apply(state, gone, 0.0)
    commit(state, 6, float)
    assert [k for k, _ in state.simulations["s"].courses["air"]] == [2, 3, 4, 5]
    assert state.simulations["s"].scenario.params == {}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (3, "returned int, expected True or False"),
        (None, "returned NoneType"),
        (("yes", "why"), "returned str"),
    ],
)
def test_an_answer_that_is_no_truth_is_a_fault_and_the_stage_goes_on(
    answer: Any, said: str
) -> None:
    """To the end of its span; it is asked again at the next place."""
    wf = flow(lambda course: answer)
    state = world(wf)
    commit(state, 1, float)
    found = ask(state, wf)

    assert isinstance(found, e.RuleFailed)
    assert said in found.message
    assert ends(state)["air"] == ("2000", "2010")
    assert ask(state, wf) is None
    commit(state, 2, float)
    assert ask(state, wf) is not None


def test_a_truth_of_numpy_is_one() -> None:
    """And a pair tells why."""
    wf = flow(lambda course: (np.bool_(True), "warm"))
    state = world(wf)
    commit(state, 1, float)
    found = ask(state, wf)

    assert isinstance(found, e.RuleEvaluated)
    assert found.told == ("end 'air' at 2001-01-01T00:00:00: warm",)


def test_a_course_replays_to_the_same_state() -> None:
    """With an equilibrium that is reached on the way."""
    wf = flow(Equilibrium(metric="heat", bound=0.1, window=3))
    state = world(wf)
    boundary = 0
    while not state.simulations["s"].sets["air"].complete:
        boundary += 1
        commit(state, boundary, lambda k: 2.0**-k)
        ask(state, wf)

    # Of 1/2, 1/4, 1/8 the line falls by 3/16 a year; of 1/4, 1/8, 1/16 by 3/32.
    assert boundary == 5
    (told,) = state.simulations["s"].edits[-1].told
    assert told.endswith("|trend| of 'heat' is 0.0938 a year over 3 years, bound 0.1")
