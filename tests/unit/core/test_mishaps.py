"""What is counted when nodes go, and who is set apart for it."""

from __future__ import annotations

import msgspec

from climorch.core.alarms import troubles
from climorch.core.explain import explain
from climorch.core.progress import Policies
from climorch.model import events as e
from climorch.model.protection import Protection
from climorch.policy.checkpointing import EverySegments
from climorch.policy.quarantine import Quarantine
from climorch.policy.recovery import Budget, RecoveryPolicy
from tests.unit.core.script import UNLIMITED, Script, stage, submitted

NODES = ("n0", "n1", "n2", "n3", "n4")


def script(*, simulations: int = 1, quarantine: Quarantine | None = None) -> Script:
    """Let simulations of one node run on five; retries are at once."""
    budgets = dict.fromkeys(e.Cause, Budget(retries=100, longest_delay_s=0.0))
    budgets[e.Cause.HANG] = Budget(retries=3, longest_delay_s=0.0)
    s = Script(
        Policies(
            checkpointing=EverySegments(),
            limits=UNLIMITED,
            recovery=RecoveryPolicy(
                budgets=budgets, quarantine=quarantine or Quarantine()
            ),
        )
    )
    s.tell(*(submitted(name=f"s{i}") for i in range(simulations)))
    s.nodes(*NODES)
    return s


def lose(s: Script, node: str, after_s: float = 100.0) -> list[str]:
    """Let a node go by itself, and come back a minute and a half later."""
    told = s.tell(e.NodeLost(node=node), after_s=after_s)
    return told + s.tell(e.NodeJoined(node=node, cores=4), after_s=90.0)


def node_of(s: Script, name: str = "s0") -> str:
    """Return the node that a simulation holds."""
    (node,) = s.simulation(name).lease
    return node


def hang(s: Script, node: str = "", name: str = "s0") -> list[str]:
    """Let the present segment of a simulation hang."""
    return s.tell(
        e.SegmentFailed(
            simulation=name,
            stage="a",
            segment=0,
            attempt=s.set(simulation=name).attempt,
            cause=e.Cause.HANG,
            message="stuck",
            node=node,
        ),
        after_s=100.0,
    )


def test_a_loss_is_a_mishap_of_whoever_held_the_node() -> None:
    """A free node that goes tells nothing of leases and of no simulation."""
    s = script()
    held, free = node_of(s), NODES[-1]
    lose(s, held)
    lose(s, free)

    state = s.orchestrator.state
    assert [(m.node, m.simulation, m.hang) for m in state.mishaps] == [
        (held, "s0", False)
    ]
    assert state.losses.alone == 1


def test_an_outage_is_nobodys_mishap() -> None:
    """Two nodes within a minute went together: the first one did not go alone."""
    s = script(simulations=3)
    s.tell(e.NodeLost(node=node_of(s, "s0")))
    assert len(s.orchestrator.state.mishaps) == 1
    s.tell(e.NodeLost(node=node_of(s, "s1")))

    state = s.orchestrator.state
    assert state.mishaps == ()
    assert (state.losses.alone, state.losses.together) == (0, {0.4: 1})


def test_a_process_that_was_killed_because_it_hung_is_no_loss() -> None:
    """The segment hung; that its node was restarted says nothing of nodes."""
    s = script()
    node = node_of(s)
    hang(s, node)
    s.tell(e.NodeLost(node=node, reason="stuck"))

    state = s.orchestrator.state
    assert [(m.node, m.hang) for m in state.mishaps] == [(node, True)]
    assert state.losses.events == 0


def test_a_driver_that_died_with_leases_is_an_event() -> None:
    """It took everything with it; one that left, or had given nothing out, did not."""
    s = script()
    s.restart(*NODES)
    assert s.orchestrator.state.losses.together == {1.0: 1}
    s.tell(e.DriverStopped(reason="stop"))
    s.restart(*NODES)
    assert s.orchestrator.state.losses.together == {1.0: 1}


def test_hangs_in_a_row_end_a_simulation() -> None:
    """The fourth without a checkpoint between; the message says what it is."""
    s = script()
    for _ in range(3):
        assert "failed s0: HANG" not in hang(s)
        s.restored(simulation="s0")

    assert "failed s0: HANG" in hang(s)
    assert s.simulation("s0").failed == (
        e.Cause.HANG,
        "quarantined after 4 hangs in a row: stuck",
    )
    assert s.tell(e.ResumeRequested(simulation="s0")) != []
    assert s.orchestrator.state.mishaps == ()


def test_poison_ends_a_simulation_and_spares_the_nodes() -> None:
    """Others have computed for weeks and lost nothing; under this one three go."""
    s = script(simulations=2)
    s.tell(after_s=20 * 86_400.0)
    s.tell(submitted(name="bad"))
    told: list[str] = []
    for _ in range(3):
        told += lose(s, node_of(s, "bad"))

    assert "failed bad: POISON" in told
    state = s.orchestrator.state
    cause, why = s.simulation("bad").failed or (None, "")
    assert cause is e.Cause.POISON
    assert why.startswith("quarantined, poison: 3 losses on")
    assert (state.mishaps, state.quarantined) == ((), {})
    assert s.simulation("s0").failed is None


def wear_out(s: Script, node: str) -> list[str]:
    """Let a node go three times, under three simulations that get it in turn."""
    told = lose(s, node)
    for before, name in (("s0", "x"), ("x", "y")):
        s.tell(e.CancelRequested(simulation=before))
        s.tell(submitted(name=name))
        assert s.simulation(name).lease == (node,)
        told += lose(s, node)
    return told


def test_a_bad_node_is_drained_until_somebody_undrains_it() -> None:
    """Three mishaps of different simulations; an alarm and `explain` name it."""
    s = script(simulations=5)
    node = node_of(s)

    assert f"quarantine {node}" in wear_out(s, node)

    state = s.orchestrator.state
    assert node in state.draining
    assert s.simulation("y").lease == ()
    (trouble,) = [t for t in troubles(state, s.now_s) if t.kind == "node"]
    assert trouble.subject == node
    assert trouble.text == (
        f"node {node} is in quarantine until it is undrained: "
        "3 mishaps of 3 simulations (s0, x, y) in 7 days"
    )
    assert explain(state, "s1", s.now_s).factors["nodes in quarantine"] == dict(
        state.quarantined
    )
    s.tell(e.UndrainRequested(node=node))
    assert (state.quarantined, state.draining, state.mishaps) == ({}, set(), ())
    assert s.simulation("y").lease == (node,)


def test_no_node_goes_that_a_gang_needs() -> None:
    """A simulation that needs all nodes keeps the bad one in service."""
    s = script(simulations=5)
    s.tell(submitted(stage(nodes=5), name="wide", priority=-1))

    assert not any(t.startswith("quarantine") for t in wear_out(s, node_of(s)))


def test_whoever_holds_a_node_that_is_set_apart_asks_for_another_at_once() -> None:
    """Though it is another's coming that makes a node dispensable, in a timed lease."""
    s = script(simulations=5)
    wide = submitted(stage(nodes=5), name="wide", priority=-1)
    s.tell(wide)
    node = node_of(s)
    assert not any(t.startswith("quarantine") for t in wear_out(s, node))
    (kept,) = [n for n in s.orchestrator.state.simulations.values() if node in n.lease]
    scenario = msgspec.structs.replace(kept.scenario, protection=Protection(level=1))
    s.tell(e.SimulationChanged(simulation=kept.name, scenario=scenario, plan=kept.plan))

    told = s.tell(e.NodeJoined(node="n9", cores=4, deadline_s=s.now_s + 1e6))

    assert f"quarantine {node}" in told
    assert s.simulation(kept.name).lease != (node,)


def test_hangs_with_progress_between_end_a_simulation_too() -> None:
    """Two within a day are too many here, though a checkpoint lies between them."""
    s = script(quarantine=Quarantine(hangs=2))
    hang(s)
    s.restored(simulation="s0")
    s.finished(0, simulation="s0")
    s.committed(1, simulation="s0")
    stuck = e.SegmentFailed(
        simulation="s0",
        stage="a",
        segment=1,
        attempt=s.set(simulation="s0").attempt,
        cause=e.Cause.HANG,
        message="stuck",
    )

    assert "failed s0: HANG" in s.tell(stuck)
    assert s.simulation("s0").failed == (
        e.Cause.HANG,
        "quarantined: 2 hangs within 24 h",
    )
