"""Stories of a node that fails at what another one then does, for one simulation."""

from __future__ import annotations

import pytest

from climorch.core.explain import explain
from climorch.core.fold import apply
from climorch.core.progress import Policies
from climorch.core.state import CampaignState
from climorch.model import events as e
from climorch.model.events import Cause
from climorch.policy.checkpointing import EverySegments
from climorch.policy.outdoing import Outdone
from climorch.policy.quarantine import Quarantine
from climorch.policy.recovery import Budget, RecoveryPolicy
from tests.unit.core.script import UNLIMITED, Script, stage, submitted

QUARANTINED = (
    "3 times in a row a segment of s failed there and was then computed elsewhere, in "
    "7 days"
)


def begun(*nodes: str, segments: int = 40, **quarantine: int) -> Script:
    """Let one simulation of one node compute on the first of some; retries at once."""
    budgets = dict.fromkeys(Cause, Budget(retries=100, longest_delay_s=0.0))
    script = Script(
        Policies(
            checkpointing=EverySegments(),
            limits=UNLIMITED,
            recovery=RecoveryPolicy(
                budgets=budgets, quarantine=Quarantine(**quarantine)
            ),
        )
    )
    script.tell(submitted(stage(boundaries=tuple(range(segments + 1)))))
    script.nodes(*nodes)
    script.restored()
    return script


def lease(s: Script) -> tuple[str, ...]:
    """Return the nodes of the simulation."""
    return s.simulation().lease


def state_of(s: Script) -> CampaignState:
    """Return what is known."""
    return s.orchestrator.state


def fails(s: Script, at: int, cause: Cause = Cause.MODEL) -> list[str]:
    """Let a segment fail on the node that it is on."""
    (node,) = lease(s)
    if cause is Cause.NODE_LOST:
        told = s.tell(e.NodeLost(node=node), after_s=200.0)
        return told + s.tell(e.NodeJoined(node=node, cores=4), after_s=200.0)
    return s.tell(
        e.SegmentFailed(
            simulation="s",
            stage="a",
            segment=at,
            attempt=s.set().attempt,
            cause=cause,
            message="made to fail",
            node=node if cause is Cause.HANG else "",
        ),
        after_s=200.0,
    )


def does(s: Script, at: int) -> list[str]:
    """Let a segment be computed and committed."""
    told = s.finished(at)
    return told + s.committed(at + 1)


def leaves_for(s: Script, node: str, at: int) -> None:
    """Let the simulation go to a node with its next boundary."""
    others = [n for n in state_of(s).nodes if n != node]
    s.tell(*(e.DrainRequested(node=other) for other in others))
    does(s, at)
    assert lease(s) == (node,)
    s.tell(*(e.UndrainRequested(node=other) for other in others))
    s.restored()


def outdone(s: Script, at: int, cause: Cause = Cause.MODEL) -> list[str]:
    """Let a segment fail on the first node, and be computed on the second."""
    assert lease(s) == ("n0",)
    told = fails(s, at, cause)
    assert lease(s) == ("n1",)
    s.restored()
    return told + does(s, at)


@pytest.mark.parametrize("cause", [Cause.MODEL, Cause.HANG, Cause.NODE_LOST])
def test_a_node_that_only_one_simulation_gets_is_set_apart(cause: Cause) -> None:
    """The third time that what failed there is computed elsewhere."""
    s = begun("n0", "n1", hangs=99)
    for turn in range(2):
        assert "quarantine n0" not in outdone(s, 2 * turn, cause)
        leaves_for(s, "n0", 2 * turn + 1)
    state = state_of(s)
    assert [one.simulation for one in state.outdone["n0"]] == ["s", "s"]
    told = explain(state, "s", s.now_s).factors
    assert told["segments that failed there and not elsewhere"] == {"n0": 2}

    assert "quarantine n0" in outdone(s, 4, cause)
    assert state.quarantined == {"n0": QUARANTINED}
    assert "n0" in state.draining
    s.tell(e.UndrainRequested(node="n0"))
    assert (state.quarantined, state.outdone) == ({}, {})


def test_it_stays_where_there_is_no_other_node() -> None:
    """Nothing shows that it is the node."""
    s = begun("n0")
    for _ in range(9):
        fails(s, 0)
        assert lease(s) == ("n0",)
        s.restored()
    assert state_of(s).outdone == {}
    assert state_of(s).quarantined == {}


def test_a_simulation_that_fails_everywhere_condemns_no_node() -> None:
    """It is tried elsewhere each time, and fails at the same segment."""
    s = begun("n0", "n1", "n2")
    been = set()
    for _ in range(9):
        been.add(lease(s))
        fails(s, 0)
        s.restored()
    assert len(been) > 1
    assert state_of(s).outdone == {}
    assert state_of(s).quarantined == {}


def test_what_a_node_computes_speaks_for_it() -> None:
    """Its failures were luck, however many there are."""
    s = begun("n0", "n1")
    for turn in range(4):
        outdone(s, 3 * turn)
        leaves_for(s, "n0", 3 * turn + 1)
        assert len(state_of(s).outdone["n0"]) == 1
        does(s, 3 * turn + 2)
        assert state_of(s).outdone == {}


def test_a_witness_that_fails_elsewhere_too_is_none() -> None:
    """What it said of the first node is forgotten."""
    s = begun("n0", "n1", "n2")
    outdone(s, 0)
    assert set(state_of(s).outdone) == {"n0"}
    fails(s, 1)
    assert state_of(s).outdone == {}


def test_of_a_lease_of_two_only_what_is_left_is_in_doubt() -> None:
    """An error does not say on which of them it was."""
    s = begun("n0", "n1", "n2", "n3")
    s.simulation().lease = ("n0", "n1")
    s.failed(0, Cause.MODEL)
    assert s.set().doubts["a", 0].nodes == ("n0", "n1")
    # It went on where it was: nobody knows which of them to leave.
    assert set(lease(s)) >= {"n0", "n1"}


def test_nodes_that_go_together_are_not_in_doubt() -> None:
    """The first of an outage did not go by itself either."""
    s = begun("n0", "n1", "n2")
    s.tell(e.NodeLost(node="n0"), after_s=200.0)
    s.restored()
    s.finished(0)
    assert set(state_of(s).outdone) == {"n0"}
    s.tell(e.NodeLost(node="n2"), after_s=1.0)
    assert state_of(s).outdone == {}


def test_another_plan_and_another_driver_end_doubts() -> None:
    """What is computed from then on may be another thing."""
    s = begun("n0", "n1")
    fails(s, 0)
    scenario, plan = s.simulation().scenario, s.simulation().plan
    s.tell(e.SimulationChanged(simulation="s", scenario=scenario, plan=plan))
    assert s.set().doubts == {}
    s.restored()
    fails(s, 0)
    s.restart("n0", "n1")
    assert s.set().doubts == {}


def test_who_is_given_up_is_no_witness_when_it_is_tried_again() -> None:
    """As for its mishaps."""
    s = begun("n0", "n1")
    outdone(s, 0)
    state = state_of(s)
    state.outdone["n0"] += (Outdone(at_s=5.0, simulation="other"),)
    s.simulation().failed = (Cause.MODEL, "for good")
    apply(state, e.DriverStarted(epoch=2, host="h", pid=1), s.now_s)
    assert state.outdone == {"n0": (Outdone(at_s=5.0, simulation="other"),)}


def test_replay_knows_what_was_lived() -> None:
    """All of it follows from the journal."""
    s = begun("n0", "n1")
    outdone(s, 0)
    leaves_for(s, "n0", 1)
    fails(s, 2)
    again = CampaignState()
    for record, now_s in s.journal:
        apply(again, record, now_s)
    assert again.outdone == state_of(s).outdone
    assert again.simulations["s"].sets["a"].doubts == s.set().doubts
    assert again == state_of(s)
