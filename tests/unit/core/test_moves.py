"""Stories of leases that move though nobody takes their nodes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from climorch.core.explain import explain
from climorch.core.fold import apply
from climorch.core.leasing import leased
from climorch.core.progress import Policies
from climorch.core.shunning import next_trial_s
from climorch.core.state import CampaignState
from climorch.core.statuses import nodes_of
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.plan import StagePlan
from climorch.model.protection import Protection
from climorch.model.scenario import Scenario
from climorch.model.windows import Window
from climorch.policy.checkpointing import EverySegments
from climorch.policy.claims import Allocation, Move
from climorch.policy.moving import Moving
from tests.unit.core.script import Script, stage, submitted

RULES = Moving(slow_factor=2.0, strikes=2, slow_min_s=10.0, rest_s=50.0)
LONG = tuple(range(21))


def begun(
    *names: str, nodes: int = 2, moving: Moving = RULES, every: int = 99
) -> Script:
    """Begin a simulation on the first of some nodes."""
    rules = Policies(checkpointing=EverySegments(count=every), moving=moving)
    script = Script(rules)
    script.tell(submitted(stage(nodes=nodes, boundaries=LONG)))
    script.nodes(*names)
    script.restored()
    return script


def paced(script: Script, segment: int, simulation: str = "s", **paces: float) -> Any:
    """Finish a segment for which nodes took so long; say what was decided."""
    fact = msgspec.structs.replace(
        script.finish(segment, simulation=simulation), paces=paces
    )
    return script.tell(fact)


def quick(script: Script, *segments: int) -> None:
    """Finish segments for which each node of the lease took ten seconds."""
    for segment in segments:
        paced(script, segment, "s", **dict.fromkeys(script.simulation().lease, 10.0))


def replayed(script: Script) -> CampaignState:
    """Fold the journal anew."""
    state = CampaignState()
    for record, now_s in script.journal:
        apply(state, record, now_s)
    return state


def test_a_lease_leaves_a_slow_node_at_its_next_boundary() -> None:
    """After a checkpoint, for a free one; the slow one is shunned."""
    s = begun("a", "b", "x")
    quick(s, 0, 1, 2)

    assert paced(s, 3, a=10.0, b=30.0) == ["segment s.a 4 #1"]
    told = paced(s, 4, a=10.0, b=30.0)
    assert told == [
        "shun b: 2.9 x2",
        "segment s.a 5 #1",
        "move s from b: leaves b: b is 2.9 times slower than expected",
        "plan s.a 6",
    ]
    assert s.finished(5) == ["checkpoint s.a 6 #1"]
    assert s.committed(6)[-4:] == [
        "abandon s.a #1",
        "lease s: a",
        "lease s: a,x",
        "attempt s.a #2 from 6",
    ]
    told_of = explain(s.orchestrator.state, "s", s.now_s)
    assert told_of.status.why == "leaves b: b is 2.9 times slower than expected"
    assert told_of.factors["last move"] == {
        "leave": ("b",),
        "seek": ("x",),
        "why": "leaves b: b is 2.9 times slower than expected",
        "at_s": 8.0,
        "over": True,
    }
    a, b, x = nodes_of(s.orchestrator.state, s.now_s)
    assert (a.slow, x.slow) == (None, None)
    assert b.slow == pytest.approx(2.9, abs=0.05)
    assert replayed(s) == s.orchestrator.state


def test_without_the_rule_it_stays() -> None:
    """However slow a node is."""
    s = begun("a", "b", "x", moving=Moving(slow_factor=math.inf))
    quick(s, 0, 1, 2)
    for segment in range(3, 12):
        assert paced(s, segment, a=10.0, b=900.0) == [f"segment s.a {segment + 1} #1"]
    assert s.simulation().lease == ("a", "b")


def test_with_no_other_node_it_stays_and_says_so() -> None:
    """And trusts the node again once that keeps pace."""
    s = begun("a", "b")
    quick(s, 0, 1, 2)
    paced(s, 3, a=10.0, b=30.0)

    assert paced(s, 4, a=10.0, b=30.0) == ["shun b: 2.9 x2", "segment s.a 5 #1"]
    told = explain(s.orchestrator.state, "s", s.now_s)
    assert told.status.why == (
        "its turn; b is 2.9 times slower than expected; it stays until others are free"
    )
    assert told.factors["slow nodes"]["b"]["times slower"] == pytest.approx(
        2.9, abs=0.05
    )
    paced(s, 5, a=10.0, b=10.0)
    assert paced(s, 6, a=10.0, b=10.0)[0] == "trust b: it keeps pace again"
    assert explain(s.orchestrator.state, "s", s.now_s).status.why == "its turn"


def test_it_moves_once_a_node_joins() -> None:
    """A slow node is left as soon as there is another."""
    s = begun("a", "b")
    quick(s, 0, 1, 2)
    paced(s, 3, a=10.0, b=30.0)
    paced(s, 4, a=10.0, b=30.0)
    assert s.nodes("x")[0].startswith("move s from b: ")


def test_a_single_node_is_compared_with_its_stage() -> None:
    """It gives its only node up and goes on where it moved, in the same turn."""
    s = begun("a", "x", nodes=1)
    quick(s, 0, 1, 2)
    paced(s, 3, a=40.0)
    assert paced(s, 4, a=40.0)[2].startswith("move s from a: leaves a: a is 3.8")
    s.finished(5)
    assert s.committed(6)[-4:] == [
        "abandon s.a #1",
        "lease s: none",
        "lease s: x",
        "attempt s.a #2 from 6",
    ]
    assert s.simulation().interruptions == 0
    assert s.simulation().turn_s == 2.0


def test_it_does_not_lose_its_place_to_one_that_waits() -> None:
    """A gang of higher priority could use both nodes, but not between two leases."""
    s = begun("a", "x", nodes=1)
    s.tell(submitted(stage(nodes=2, boundaries=LONG), name="gang"))
    quick(s, 0, 1, 2)
    paced(s, 3, a=40.0)
    paced(s, 4, a=40.0)
    s.finished(5)
    assert s.committed(6)[-2:] == ["lease s: x", "attempt s.a #2 from 6"]


def test_a_node_is_cleared_where_another_one_takes_as_long() -> None:
    """The model got slower, not the node: what was known of it holds no more."""
    s = begun("a", "x", nodes=1)
    quick(s, 0, 1, 2)
    paced(s, 3, a=40.0)
    paced(s, 4, a=40.0)
    s.finished(5)
    s.committed(6)
    s.restored()

    assert paced(s, 6, x=40.0) == ["segment s.a 7 #2"]
    assert paced(s, 7, x=40.0)[0] == "trust a: x takes as long for s"
    for segment in range(8, 14):
        assert paced(s, segment, x=40.0) == [f"segment s.a {segment + 1} #2"]
    assert s.simulation().lease == ("x",)
    assert replayed(s) == s.orchestrator.state


def test_a_slow_node_is_tried_again_after_a_time() -> None:
    """Nobody computes on it meanwhile, so nothing else could tell."""
    s = begun("a", "b", "x")
    quick(s, 0, 1, 2)
    paced(s, 3, a=10.0, b=30.0)
    paced(s, 4, a=10.0, b=30.0)
    shunned = s.orchestrator.state.paces.shunned["b"]
    assert shunned.until_s == shunned.since_s + RULES.forgive_s
    assert next_trial_s(s.orchestrator.state) == shunned.until_s
    assert s.outcome.wake_at_s == shunned.until_s
    # As long as somebody holds it, its segments tell.
    assert s.at(shunned.until_s) == []
    assert math.isinf(s.outcome.wake_at_s or math.inf)
    s.finished(5)
    assert "lease s: a,x" in s.committed(6)
    assert s.tell() == ["trust b: it was slow long ago: it is tried again"]


def test_what_is_known_of_a_node_goes_with_it() -> None:
    """It may come back another; one that is gone is not shunned late."""
    s = begun("a", "b")
    quick(s, 0, 1, 2)
    paced(s, 3, a=10.0, b=30.0)
    paced(s, 4, a=10.0, b=30.0)
    s.tell(e.NodeLost(node="b"))
    paces = s.orchestrator.state.paces
    assert (paces.shunned, paces.times, "b" in paces.samples) == ({}, {}, False)
    late = c.NodeShunned(node="b", slow=2.0, segments=2, simulation="s", until_s=9.0)
    apply(s.orchestrator.state, late, s.now_s)
    assert paces.shunned == {}


def test_what_was_known_of_a_simulation_goes_when_it_is_complete() -> None:
    """Memory is for those that run."""
    s = begun("a", nodes=1)
    quick(s, *range(20))
    assert s.orchestrator.state.paces.places.keys() == {"s"}
    s.committed(20)
    assert s.orchestrator.state.paces.places == {}


def test_a_move_ends_where_the_other_node_is_lost() -> None:
    """It stays where it is and moves no more before it has rested."""
    s = begun("a", "b", "x")
    quick(s, 0, 1, 2)
    paced(s, 3, a=10.0, b=30.0)
    paced(s, 4, a=10.0, b=30.0)

    assert s.tell(e.NodeLost(node="x")) == [
        "move s from none: there are no other nodes for it any more"
    ]
    assert s.nodes("x") == []
    assert s.wakes_after() == 49.0
    told = s.at(s.now_s + 49.0)
    assert told[0].startswith("move s from b: ")


def test_the_end_of_a_driver_ends_a_move() -> None:
    """The next one begins with what it finds."""
    s = begun("a", "b", "x")
    quick(s, 0, 1, 2)
    paced(s, 3, a=10.0, b=30.0)
    paced(s, 4, a=10.0, b=30.0)
    assert "lease s: a,b" in s.restart("a", "b", "x")
    moved = s.simulation().moved
    assert moved is not None
    assert moved.over


def test_who_is_paused_in_a_move_waits_like_others_afterwards() -> None:
    """The move is over: it has no place before those that wait."""
    s = begun("a", "x", nodes=1)
    quick(s, 0, 1, 2)
    paced(s, 3, a=40.0)
    paced(s, 4, a=40.0)
    s.tell(e.PauseRequested(simulation="s"))
    s.finished(5)
    assert s.committed(6)[-1] == "lease s: none"
    moved = s.simulation().moved
    assert moved is not None
    assert moved.over


def waiting_gang(memory: int) -> StagePlan:
    """Make a stage of two large nodes."""
    return stage(nodes=2, boundaries=LONG, memory=memory)


@pytest.mark.parametrize("most", [0, 4])
def test_somebody_makes_room_for_one_that_fits_only_there(most: int) -> None:
    """It goes where the other one does not fit; without the rule both would wait."""
    s = Script(
        Policies(
            checkpointing=EverySegments(count=99), moving=Moving(most=most, rest_s=50)
        )
    )
    s.nodes("l", "m", memory=8)
    s.tell(submitted(stage(nodes=1, boundaries=LONG), priority=1))
    s.restored()
    s.nodes("k", memory=2)
    told = s.tell(submitted(waiting_gang(8), name="gang"))
    if not most:
        assert told == []
        return
    assert told == [
        "move s from l: makes room for gang, which fits only there",
        "plan s.a 1",
    ]
    s.finished(0)
    assert s.committed(1)[-5:] == [
        "lease s: none",
        "lease s: k",
        "lease gang: l,m",
        "attempt s.a #2 from 1",
        "attempt gang.a #1 from 0",
    ]


def protected(early: float) -> Iterator[Any]:
    """Tell of a protected simulation on a node that will be serviced."""
    s = Script(
        Policies(
            checkpointing=EverySegments(count=99), moving=Moving(early=early, rest_s=1)
        )
    )
    s.nodes("a")
    s.tell(
        e.SimulationSubmitted(
            simulation="s",
            scenario=Scenario("s", protection=Protection(level=1)),
            plan=submitted(stage(boundaries=LONG)).plan,
        )
    )
    s.restored()
    s.nodes("x")
    for segment in range(4):
        s.at(s.now_s + 10.0, s.finish(segment))
    window = Window(name="w", start_s=s.now_s + 1000.0, stop_s=9e4, nodes=("a",))
    yield s.tell(e.WindowDeclared(window=window))
    yield s.wakes_after()
    told = s.at(s.now_s + (s.wakes_after() or 0.0))
    yield told, window.start_s - s.now_s


def test_a_protected_simulation_leaves_early() -> None:
    """Several ways to a checkpoint before a window, while others are free."""
    at_once, wakes_s, (told, left_s) = protected(early=4.0)
    assert at_once == []
    assert 600.0 < wakes_s < 700.0
    assert told == [
        "move s from a: leaves a early: gone in 0.1 h",
        "plan s.a 5",
    ]
    assert 300.0 < left_s < 400.0


def test_without_the_rule_it_leaves_at_the_last_boundary_that_fits() -> None:
    """Nothing wakes it before the window itself."""
    at_once, wakes_s, _ = protected(early=0.0)
    assert (at_once, wakes_s) == ([], 999.0)


def test_decisions_become_records_in_an_order() -> None:
    """Leases first, then what is asked for, then moves."""
    s = begun("a", "b", "x")
    decided = Allocation(
        shrink={"s": 1},
        preempt={"s": "why"},
        moves={"s": Move(leave=("a",), seek=("x",), why="w")},
    )
    assert [type(r).__name__ for r in leased(s.orchestrator.state, decided)] == [
        "ShrinkPlanned",
        "PreemptPlanned",
        "MovePlanned",
    ]
