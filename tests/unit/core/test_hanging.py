"""What is kept of a hang, where it is told, and where the next try goes."""

from __future__ import annotations

from climorch.core.alarms import troubles
from climorch.core.explain import explain
from climorch.core.fold import apply
from climorch.model import events as e
from climorch.model.commands import MovePlanned
from climorch.model.plan import Coupling
from tests.unit.core.script import Script, stage, submitted
from tests.unit.core.test_mishaps import NODES, script

STACK = 'n0, tasks, waits:\nFile "/home/u/a.py", line 7 in f'


def hang(s: Script, node: str, name: str = "s0", *, stage: str = "a") -> list[str]:
    """Let the present segment of a simulation hang on a node."""
    return s.tell(
        e.SegmentFailed(
            simulation=name,
            stage=stage,
            segment=0,
            attempt=s.set(simulation=name).attempt,
            cause=e.Cause.HANG,
            message="stuck; stands at a.py:7 in f",
            node=node,
            stack=STACK,
        ),
        after_s=100.0,
    )


def alarms(s: Script) -> dict[str, str]:
    """What needs a person, by kind."""
    return {t.kind: t.text for t in troubles(s.orchestrator.state, s.now_s)}


def moves(s: Script) -> list[tuple[str, ...]]:
    """Nodes that were left."""
    moved = s.simulation("s0").moved
    return [] if moved is None else [moved.leave]


def test_a_hang_is_explained_with_its_call_stacks() -> None:
    """And told as an alarm, until a checkpoint is committed."""
    s = script()
    (node,) = s.simulation("s0").lease
    assert not [
        n for n in explain(s.orchestrator.state, "s0", s.now_s).factors if "hang" in n
    ]
    hang(s, node)

    state = s.orchestrator.state
    assert explain(state, "s0", s.now_s).factors["newest hang of a"] == {
        "stage": "a",
        "segment": 0,
        "attempt": 1,
        "node": node,
        "found at": s.now_s,
        "found": "stuck; stands at a.py:7 in f",
        "computing beside it": (),
        "call stacks": STACK,
    }
    assert alarms(s) == {
        "hang": "hung once since the last checkpoint: stuck; stands at a.py:7 in f"
    }
    s.restored(simulation="s0")
    hang(s, "")
    assert alarms(s)["hang"].startswith("hung 2 times since the last checkpoint: ")
    s.simulation("s0").failures.clear()
    assert alarms(s) == {}


def test_the_next_try_goes_to_another_node_that_is_free() -> None:
    """Its own is left; the decision is journaled once."""
    s = script()
    (node,) = s.simulation("s0").lease
    hang(s, node)
    (other,) = s.simulation("s0").lease
    assert other != node
    assert moves(s) == [(node,)]
    assert s.simulation("s0").lease_why == f"stage a, segment 0 hung on {node}"


def test_where_no_other_node_is_free_it_stays() -> None:
    """Giving its node up would gain nothing."""
    s = script(simulations=len(NODES))
    (node,) = s.simulation("s0").lease
    hang(s, node)
    assert s.simulation("s0").lease == (node,)
    assert moves(s) == []


def test_nobody_who_was_cancelled_or_does_not_know_where_it_hung_moves() -> None:
    """There is no next try, or no node to leave."""
    s = script()
    hang(s, "")
    assert moves(s) == []
    s = script()
    (node,) = s.simulation("s0").lease
    s.tell(e.CancelRequested(simulation="s0"))
    hang(s, node)
    assert moves(s) == []


def test_a_move_that_is_under_way_is_not_planned_again() -> None:
    """It leaves that node anyhow."""
    s = script()
    (node,) = s.simulation("s0").lease
    move = MovePlanned(simulation="s0", leave=(node,), why="slow")
    apply(s.orchestrator.state, move, s.now_s)
    hang(s, node)
    assert s.simulation("s0").lease_why == "slow"


def test_stages_that_compute_beside_one_that_hangs_are_named() -> None:
    """They may wait for each other; one that is found later changes nothing."""
    s = script(simulations=0)
    s.tell(
        submitted(
            stage("a", reads={"b": Coupling.PREVIOUS}),
            stage("b", reads={"a": Coupling.PREVIOUS}),
            name="s0",
        )
    )
    s.restored(simulation="s0")
    attempt = s.set(simulation="s0").attempt
    hang(s, "n0", stage="b")
    found = s.set(simulation="s0").hang
    assert found is not None
    assert (found.stage, found.beside, found.attempt) == ("b", ("a",), attempt)
    hang(s, "n1", stage="a")
