"""Stories of nodes that are drained, and of wishes that are told twice."""

from __future__ import annotations

from climorch.core.explain import explain
from climorch.core.orchestrator import Orchestrator
from climorch.core.progress import Policies
from climorch.model import events as e
from climorch.model.plan import StagePlan
from climorch.policy.checkpointing import EverySegments
from tests.unit.core.script import Script, stage, submitted

RARELY = Policies(checkpointing=EverySegments(count=99))
DRAIN = e.DrainRequested(node="n")
UNDRAIN = e.UndrainRequested(node="n")


def started(*stages: StagePlan, nodes: tuple[str, ...] = ("n",)) -> Script:
    """Begin a simulation that has its nodes and its states."""
    script = Script(RARELY)
    script.tell(submitted(*stages))
    script.nodes(*nodes)
    script.restored()
    return script


def test_a_drained_node_is_given_back_after_a_checkpoint() -> None:
    """Who holds it goes to its next boundary, checkpoints and moves elsewhere."""
    s = started()
    s.nodes("m")

    assert s.tell(DRAIN) == ["plan s.a 1"]
    assert s.simulation().lease == ("n",)
    assert explain(s.orchestrator.state, "s", s.now_s).status.why == (
        "a node of its lease is drained"
    )
    assert s.finished(0) == ["checkpoint s.a 1 #1"]
    assert s.committed(1) == [
        "committed s.a 0",
        "publish s.a 1",
        "abandon s.a #1",
        "lease s: none",
        "lease s: m",
        "attempt s.a #2 from 1",
    ]


def test_a_drained_node_is_leased_to_nobody_until_it_is_undrained() -> None:
    """It stays up and unused, and is taken at once when it may be."""
    s = Script(RARELY)
    s.nodes("n")
    s.tell(DRAIN)

    assert s.tell(submitted()) == []
    assert explain(s.orchestrator.state, "s", s.now_s).status.why == (
        "needs 1 node; none such is up; drained: n"
    )
    assert "n" in s.orchestrator.state.nodes
    assert s.tell(UNDRAIN) == ["lease s: n", "attempt s.a #1 from 0"]


def test_a_node_is_not_lent_while_it_is_drained() -> None:
    """A lease that could grow leaves it alone, and grows once it may."""
    s = started(stage(nodes=1, most=2))

    s.tell(e.DrainRequested(node="m"))
    assert s.nodes("m") == []
    assert s.tell(e.UndrainRequested(node="m")) == ["lease s: n,m"]


def test_a_drained_node_that_comes_back_stays_drained() -> None:
    """Neither its death nor that of the driver ends a drain."""
    s = Script(RARELY)
    s.nodes("n")
    s.tell(DRAIN)
    s.tell(submitted())

    assert s.tell(e.NodeLost(node="n")) == []
    assert s.nodes("n") == []
    s.tell(e.DriverStarted(epoch=2, host="h", pid=1))
    assert s.nodes("n") == []
    assert s.nodes("m") == ["lease s: m", "attempt s.a #1 from 0"]


def test_a_large_lease_keeps_the_nodes_that_stay() -> None:
    """What is not drained is topped up from what is free."""
    s = started(stage(nodes=2), nodes=("m", "n"))
    s.nodes("x")

    s.tell(DRAIN)
    s.finished(0)
    assert s.committed(1)[-4:] == [
        "abandon s.a #1",
        "lease s: m",
        "lease s: m,x",
        "attempt s.a #2 from 1",
    ]


def test_a_lease_that_is_too_small_without_the_node_is_given_back() -> None:
    """It waits for enough nodes and sits on none meanwhile."""
    s = started(stage(nodes=2), nodes=("m", "n"))

    s.tell(DRAIN)
    s.finished(0)
    assert s.committed(1)[-3:] == ["abandon s.a #1", "lease s: m", "lease s: none"]
    assert s.tell(UNDRAIN) == ["lease s: m,n", "attempt s.a #2 from 1"]


def test_a_lent_node_is_drained_without_a_move() -> None:
    """With enough nodes left the simulation goes on where it is."""
    s = started(stage(nodes=1, most=2), nodes=("m", "n"))
    assert s.simulation().lease == ("m", "n")

    s.tell(DRAIN)
    s.finished(0)
    assert s.committed(1)[-3:] == [
        "abandon s.a #1",
        "lease s: m",
        "attempt s.a #2 from 1",
    ]


def test_what_a_moving_simulation_will_need_is_not_given_to_others() -> None:
    """One that comes later does not overtake it while it checkpoints."""
    s = started()
    s.tell(DRAIN)

    assert s.tell(submitted(name="late")) == []
    assert s.nodes("m") == []
    s.finished(0)
    assert s.committed(1)[-2:] == ["lease s: m", "attempt s.a #2 from 1"]


def test_a_drain_that_is_taken_back_in_time_moves_nobody() -> None:
    """The simulation goes on; only its planned checkpoint is made."""
    s = started()
    s.tell(DRAIN)

    assert s.tell(UNDRAIN) == []
    assert s.finished(0) == ["checkpoint s.a 1 #1 full", "segment s.a 1 #1"]
    assert s.committed(1) == ["committed s.a 0", "publish s.a 1"]


def test_a_drain_and_nodes_asked_back_are_one_checkpoint() -> None:
    """Both go back together, and the one that waits gets what is not drained."""
    s = started(stage(nodes=1, most=3), nodes=("m", "n", "x"))
    assert s.tell(submitted(stage(nodes=1), name="t")) == [
        "shrink s to 2",
        "plan s.a 1",
    ]

    assert s.tell(DRAIN) == []
    s.finished(0)
    told = s.committed(1)
    assert told[2:4] == ["abandon s.a #1", "lease s: m,x"]
    assert "lease s: m" in told
    assert "lease t: x" in told


def wish(what: e.Wish, number: int = 1) -> e.WishTaken:
    """Give a wish as it comes from the inbox."""
    return e.WishTaken(
        id=f"{number:020d}-000000000000", by="me", given_s=1.0, wish=what
    )


def test_a_wish_from_the_inbox_is_what_it_asks_for() -> None:
    """Wrapped or not, a pause is a pause."""
    s = started()

    assert s.tell(wish(e.PauseRequested(simulation="s"))) == ["plan s.a 1"]


def test_a_wish_that_is_told_again_changes_nothing() -> None:
    """Neither at once nor after what was wanted since, nor on replay."""
    s = started()
    pause = wish(e.PauseRequested(simulation="s"))
    facts = (pause, wish(e.ResumeRequested(simulation="s"), 2), pause)

    assert s.tell(*facts, pause) == []
    assert s.simulation().control.value == "run"
    again = Orchestrator(RARELY)
    again.replay([(fact, 1.0) for fact in (submitted(), *facts)])
    assert again.state.simulations["s"].control.value == "run"
    assert len(again.state.wishes) == 2


def test_a_wish_that_cannot_be_honoured_is_harmless() -> None:
    """Unknown simulations and nodes change nothing that is there."""
    s = started()

    assert s.tell(wish(e.CancelRequested(simulation="nobody"))) == []
    assert s.tell(wish(e.DrainRequested(node="nowhere"), 2)) == []
    assert s.simulation().lease == ("n",)
