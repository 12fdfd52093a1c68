"""What rules made of a simulation stays when its script is run again."""

from __future__ import annotations

import msgspec

import climorch as co
from climorch.core.fold import apply
from climorch.core.state import CampaignState
from climorch.intake.resubmitting import resubmitted
from climorch.model import events as e
from climorch.model.plan import SimulationPlan, StagePlan
from climorch.model.resources import Resources


def plan(last: int, nodes: int = 1) -> SimulationPlan:
    """Make a plan of one stage with so many segments."""
    stage = StagePlan(
        name="a",
        calendar="noleap",
        boundaries=tuple(range(last + 1)),
        resources=Resources(nodes=nodes),
    )
    return SimulationPlan(workflow="w", stages=(stage,))


def submitted(what: SimulationPlan, priority: int = 0) -> e.SimulationSubmitted:
    """Submit it."""
    scenario = co.Scenario("s", priority=priority)
    return e.SimulationSubmitted(simulation="s", scenario=scenario, plan=what)


def extended() -> CampaignState:
    """Three segments, which a rule made five."""
    state = CampaignState()
    first = submitted(plan(3))
    apply(state, first, 0.0)
    change = e.SimulationChanged(
        simulation="s", scenario=first.scenario, plan=plan(5), declared=plan(3)
    )
    fact = e.RuleEvaluated(simulation="s", rule="r", at=3, changed=change, priority=9)
    apply(state, fact, 0.0)
    return state


def test_the_same_script_changes_nothing() -> None:
    """Neither the longer plan nor the priority is taken back."""
    state = extended()

    assert resubmitted(state.simulations["s"], submitted(plan(3))) is None
    assert state.simulations["s"].priority == 9


def test_something_new_leaves_what_rules_did() -> None:
    """More nodes and a priority: the end stays where the rule put it."""
    state = extended()
    change = resubmitted(state.simulations["s"], submitted(plan(3, nodes=2), 4))

    assert change is not None
    assert change.plan == plan(5, nodes=2)
    assert change.declared == plan(3, nodes=2)
    apply(state, change, 0.0)
    assert state.simulations["s"].priority == 4
    assert resubmitted(state.simulations["s"], submitted(plan(3, nodes=2), 4)) is None


def test_a_new_end_of_the_script_counts() -> None:
    """Where the script says something else than before, that is meant."""
    state = extended()

    change = resubmitted(state.simulations["s"], submitted(plan(8)))

    assert change is not None
    assert (change.plan, change.declared) == (plan(8), None)


def test_other_stages_are_taken_as_they_are() -> None:
    """They are refused elsewhere."""
    other = plan(3)
    two = msgspec.structs.replace(
        other,
        stages=(*other.stages, msgspec.structs.replace(other.stages[0], name="b")),
    )

    change = resubmitted(extended().simulations["s"], submitted(two))

    assert change is not None
    assert change.plan == two
