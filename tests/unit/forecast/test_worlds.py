"""From what is known to worlds that may come."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import xarray as xr

from climorch.core.lifecycle import Control
from climorch.errors import InvalidInputError
from climorch.forecast.activities import Slippage
from climorch.forecast.entries import Entry, Loss
from climorch.forecast.parts import Part
from climorch.forecast.unfolded import edges_of
from climorch.forecast.worlds import Left, Prospect, left_of, prospect, quickly
from climorch.model import events as e
from climorch.model.edits import Committed
from climorch.model.scenario import Project
from climorch.model.workflow import Workflow
from tests.unit.twin.months import DAY_S, activity, pasts

HOUR_S = 3600.0
MARCH = pasts()[1]


def known(**more: Any) -> Prospect:
    """Learn from the past of March, for two months."""
    given: dict[str, Any] = {
        "plan": (),
        "workflows": {},
        "ledger": MARCH.ledger,
        "seen": MARCH.seen,
        "slips": Slippage(),
        "nodes": 6,
        "edges_s": edges_of(MARCH.as_of_s, 2),
    } | more
    left = given.pop("left", left_of(MARCH.state, ()))
    return prospect(given.pop("state", MARCH.state), left, **given)


def submission(name: str, **more: Any) -> e.SimulationSubmitted:
    """Submit what is planned."""
    planned = activity(name, **more)
    return e.SimulationSubmitted(
        simulation=name, scenario=planned.scenario, plan=planned.plan
    )


def test_what_is_left_is_what_goes_on_and_what_is_new() -> None:
    """Not what is paused; a change counts as it says now."""
    state = dataclasses.replace(MARCH.state)
    paused = dataclasses.replace(state.simulations["two"], control=Control.PAUSED)
    state.simulations = {**state.simulations, "two": paused}
    longer = submission("one", segments=900)
    change = e.SimulationChanged(
        simulation="one", scenario=longer.scenario, plan=longer.plan
    )

    found = left_of(state, [submission("new", project="q"), change])

    assert [(x.name, x.project, x.own is None) for x in found] == [
        ("one", "p", False),
        ("three", "q", False),
        ("new", "q", True),
    ]
    assert found[0].plan.stages[0].segments == 900


def test_activities_that_came_are_not_planned_any_more() -> None:
    """Needed are the configurations of those that are to come, too."""
    found = known(plan=(activity("one"), activity("later")))

    assert [a.name for a in found.planned] == ["later"]
    assert found.needed == (("w", "a"),)


def test_a_stage_that_nobody_knows_is_named() -> None:
    """Unless the user says what it costs."""
    unknown = activity("x", guess_s=None)
    seen = dataclasses.replace(MARCH.seen, pieces=())
    left = (Left(name="x", project="p", plan=unknown.plan),)
    with pytest.raises(InvalidInputError, match="how long") as caught:
        known(seen=seen, left=left)
    assert [f.place for f in caught.value.faults] == ["workflow 'w', stage 'a'"]

    assert known(seen=seen, left=left, given=[("w", "a")]).costing.centre == {}


def test_costs_of_what_rules_may_add_are_needed() -> None:
    """A template without a guess is named; each workflow is looked at once."""

    def then(_: Committed) -> list[Any]:
        return []

    ruled = Workflow("w", templates=[Workflow("child")])
    span = activity("x").workflow.stages[0].span
    (child,) = ruled.templates
    child.stage("b", lambda *_: xr.Dataset(), init=lambda *_: xr.Dataset(), span=span)
    ruled.stage("a", lambda *_: xr.Dataset(), init=lambda *_: xr.Dataset(), span=span)
    ruled.rule("branch", when="a", then=then)
    planned = dataclasses.replace(activity("x"), workflow=ruled)
    left = (Left(name="x", project="p", plan=planned.plan),) * 2

    with pytest.raises(InvalidInputError) as caught:
        known(left=left, workflows={"w": ruled, "child": child})
    assert [f.place for f in caught.value.faults] == ["workflow 'child', stage 'b'"]


def test_odd_faults_make_segments_dearer_and_everything_the_quick_sum() -> None:
    """What the twin plays itself is not counted twice."""
    node_s = [0.0] * len(Part)
    node_s[Part.USEFUL], node_s[Part.LOST] = 1000.0, 300.0
    node_s[Part.RECOMPUTED], node_s[Part.RESTORE] = 50.0, 150.0
    ledger = dataclasses.replace(
        MARCH.ledger,
        entries=(
            Entry(since_s=0.0, until_s=1.0, simulation="s", node_s=tuple(node_s)),
        ),
        losses=(
            Loss(
                since_s=0.0,
                project="p",
                simulation="s",
                stage="a",
                cause="hang",
                node_s=100.0,
            ),
            Loss(
                since_s=0.0,
                project="p",
                simulation="s",
                stage="a",
                cause="node lost",
                node_s=200.0,
            ),
        ),
    )

    found = known(ledger=ledger)

    assert found.retry == pytest.approx(1.15)
    assert found.overhead == pytest.approx(1.5)
    plain = dataclasses.replace(found, retry=1.0)
    ratio = (
        found.world(3).costs.seconds["w", "a"] / plain.world(3).costs.seconds["w", "a"]
    )
    assert ratio == pytest.approx(1.15)


def test_queues_are_waited_for_within_their_bounds() -> None:
    """Spread evenly over the worlds."""
    found = known(wait_s=(100.0, 200.0))
    waits = sorted(found.world(seed).wait_s for seed in range(8))

    assert 100.0 <= waits[0] < 120.0
    assert 180.0 < waits[-1] <= 200.0
    assert known().world(0).wait_s == 0.0


def test_the_quick_sum_holds_what_is_left() -> None:
    """Two of 83 half-days each on two nodes, and one that goes on all the time."""
    found = [quickly(known(), seed) for seed in range(40)]

    p, q = (sorted(sum(c.node_s[name]) / DAY_S for c in found)[20] for name in "pq")
    # 200 half-days, of which 59 days are over: 41 days on two nodes, twice.
    assert p == pytest.approx(2 * 2 * 41, rel=0.1)
    assert q == pytest.approx(2 * 61, rel=0.01)
    assert {"one", "two"} <= found[0].ended_s.keys()
    assert quickly(known(), 3) == quickly(known(), 3)


def test_planned_activities_come_in_the_quick_sum() -> None:
    """When they come, with their priority and project."""
    later = activity("later", nodes=1, segments=20)
    found = quickly(known(plan=(later,)), 0)

    assert found.projects["later"] == "p"
    assert found.begun_s["later"] > MARCH.as_of_s
    assert "later" in found.ended_s


def test_budgets_end_the_quick_sum() -> None:
    """What was used so far counts."""
    state = dataclasses.replace(MARCH.state)
    used_h = state.usage_at(MARCH.as_of_s)["q"].node_s / HOUR_S
    rich = Project("q", budget_node_hours=used_h + 48.0)
    poor = Project("new", budget_node_hours=1.0)
    state.projects = {**state.projects, "q": rich, "new": poor}

    found = quickly(known(state=state), 0)

    assert sum(found.node_s["q"]) / HOUR_S == pytest.approx(48.0)
