"""From which checkpoints of other sets a set begins."""

from __future__ import annotations

from climorch.core.fold import apply
from climorch.core.origins import lost_origin, origins
from climorch.core.state import CampaignState
from climorch.model import events as e
from climorch.model.events import SimulationSubmitted
from climorch.model.plan import Branch
from climorch.model.scenario import Scenario
from tests.unit.core.script import Script, plan, stage, submitted


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


def branched() -> Script:
    """A child waits to begin from boundary 2 of its parent, which goes on."""
    script = Script()
    script.tell(submitted(name="p"))
    script.nodes("n", "m")
    script.restored(simulation="p")
    for k in range(2):
        script.finished(k, simulation="p")
    script.committed(2, simulation="p")
    branch = Branch(simulation="p", rule="r", boundaries={"a": 2})
    script.tell(
        SimulationSubmitted(
            simulation="s", scenario=Scenario("s"), plan=plan(), branch=branch
        )
    )
    return script


def test_who_lacks_what_it_was_to_begin_from_is_not_tried_again() -> None:
    """The parent goes on from newer ones and will not compute that one anew."""
    script = branched()
    simulations = script.orchestrator.state.simulations
    assert lost_origin(simulations, simulations["p"]) == ""
    assert lost_origin(simulations, simulations["s"]) == ""
    bad = e.CheckpointScrubbed(
        simulation="p", set="a", boundary=2, bad=("x",), damaged=True
    )
    failed = e.RestoreFailed(
        simulation="s",
        set="a",
        attempt=1,
        boundary=0,
        cause=e.Cause.CORRUPT,
        message="bytes differ",
    )
    told = script.tell(bad, failed)

    assert "failed s: CORRUPT" in told
    gone = "checkpoint 2 of 'p', set 'a'"
    assert lost_origin(simulations, simulations["s"]) == gone
    assert script.simulation().failed == (
        e.Cause.CORRUPT,
        f"{gone}, to start from, is bad: bytes differ",
    )


def test_who_could_not_read_what_is_good_is_tried_again() -> None:
    """What was mended meanwhile, as after any damage."""
    script = branched()
    failed = e.RestoreFailed(
        simulation="s",
        set="a",
        attempt=1,
        boundary=0,
        cause=e.Cause.CORRUPT,
        message="bytes differed",
    )

    assert "attempt s.a #2 from 0" in script.tell(failed)
