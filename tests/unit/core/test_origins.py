"""From which checkpoints of other sets a set begins."""

from __future__ import annotations

from climorch.core.fold import apply
from climorch.core.origins import origins
from climorch.core.state import CampaignState
from climorch.model.events import SimulationSubmitted
from climorch.model.plan import Branch
from climorch.model.scenario import Scenario
from tests.unit.core.script import plan, stage, submitted


def test_a_set_begins_from_its_parent_and_from_the_phases_before() -> None:
    """The parent's sets as far as the branch names them, then own ends."""
    state = CampaignState()
    apply(state, submitted(stage("a"), stage("x"), name="p"), 0.0)
    own = plan(stage("a"), stage("b", after=("a",)))
    child = SimulationSubmitted(
        simulation="s",
        scenario=Scenario("s"),
        plan=own,
        branch=Branch(simulation="p", rule="r", boundaries={"a": 2}),
    )
    apply(state, child, 0.0)
    simulations = state.simulations
    last = own.sets[0].last

    assert list(origins(simulations, "s", own.sets[0])) == [("p", "a", "a", 2)]
    assert list(origins(simulations, "s", own.sets[1])) == [
        ("p", "a", "a", 2),
        ("s", "a", "a", last),
    ]
    parents = simulations["p"].plan.sets
    assert list(origins(simulations, "p", parents[0])) == []
