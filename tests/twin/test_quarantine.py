"""Bad nodes, poison tasks and hangs are told apart, and the others go on."""

from __future__ import annotations

from collections.abc import Callable

from climorch.core.orchestrator import Outcome
from climorch.core.progress import Policies
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.windows import Window
from climorch.policy.checkpointing import EverySegments
from climorch.policy.quarantine import Quarantine
from climorch.policy.recovery import RecoveryPolicy
from climorch.twin.costs import Amdahl
from tests.unit.twin.stage import Play, stage

HOUR_S = 3600.0


def lease_of(play: Play, simulation: str) -> tuple[str, ...]:
    """Return the nodes that a simulation holds."""
    return play.twin.orchestrator.state.simulations[simulation].lease


def started(outcome: Outcome, simulation: str) -> list[c.StartSegment]:
    """Return the segments of a simulation that are started."""
    return [
        command
        for command in outcome.commands
        if isinstance(command, c.StartSegment) and command.simulation == simulation
    ]


def test_a_poison_task_ends_its_simulation_and_no_node() -> None:
    """It kills a node with each try; ten others have computed for a day meanwhile."""
    play = Play(nodes=24, cost=Amdahl(seconds=HOUR_S))
    for i in range(10):
        play.submit(stage(segments=60), name=f"good{i}")
    play.submit(stage(segments=60), name="poison", after_s=24 * HOUR_S)

    def kill(outcome: Outcome, now_s: float) -> None:
        for command in started(outcome, "poison"):
            if command.segment == 2:
                (node,) = lease_of(play, "poison")
                play.twin.post(
                    e.NodeLost(node=node, reason="killed"), after_s=now_s + 300.0
                )

    play.watchers.append(kill)
    play.run(100 * HOUR_S)

    state = play.twin.orchestrator.state
    cause, why = state.simulations["poison"].failed or (None, "")
    assert cause is e.Cause.POISON
    assert why.startswith(
        "quarantined, poison: 3 losses on 3 nodes without a checkpoint between"
    )
    assert state.quarantined == {}
    assert all(state.simulations[f"good{i}"].complete for i in range(10))


def test_a_bad_node_is_set_apart_and_no_simulation() -> None:
    """Whoever gets node-0 loses it within minutes; soon nobody gets it any more."""
    play = Play(nodes=12, cost=Amdahl(seconds=HOUR_S))
    for i in range(12):
        play.submit(stage(segments=40), name=f"s{i}")
    struck: set[tuple[str, int]] = set()

    def strike(outcome: Outcome, now_s: float) -> None:
        for simulation in play.twin.orchestrator.state.simulations.values():
            key = (simulation.name, simulation.sets["a"].attempt)
            if "node-0" in simulation.lease and key not in struck:
                struck.add(key)
                play.twin.post(
                    e.NodeLost(node="node-0", reason="machine check"),
                    after_s=now_s + 300.0,
                )
                play.twin.post(
                    e.NodeJoined(node="node-0", cores=1), after_s=now_s + 420.0
                )

    play.watchers.append(strike)
    play.run(400 * HOUR_S)

    state = play.twin.orchestrator.state
    assert list(state.quarantined) == ["node-0"]
    assert "mishaps of" in state.quarantined["node-0"]
    assert "node-0" in state.draining
    assert all(s.complete for s in state.simulations.values())
    found = [(t, r) for t, r in play.records if isinstance(r, c.NodeQuarantined)]
    after_s = found[0][0]
    leases = [
        r for t, r in play.records if isinstance(r, c.SetLease) and t > after_s + 1.0
    ]
    assert not any("node-0" in lease.nodes for lease in leases)


def hang_at(play: Play, simulation: str, hangs: Callable[[int], bool]) -> None:
    """Let segments of a simulation hang for a minute until somebody notices."""

    def hang(outcome: Outcome, now_s: float) -> None:
        for command in started(outcome, simulation):
            if hangs(command.segment):
                stuck = e.SegmentFailed(
                    simulation=simulation,
                    stage="a",
                    segment=command.segment,
                    attempt=command.attempt,
                    cause=e.Cause.HANG,
                    message="stuck",
                    node=lease_of(play, simulation)[0],
                )
                play.twin.post(stuck, after_s=now_s + 60.0)

    play.watchers.append(hang)


def test_a_simulation_that_hangs_at_one_segment_is_quarantined() -> None:
    """Three retries, then it is given up; the others finish."""
    play = Play(nodes=4, cost=Amdahl(seconds=600.0))
    play.submit(stage(segments=50), name="bad")
    play.submit(stage(segments=50), name="good")
    hang_at(play, "bad", lambda segment: segment == 1)

    play.run()

    bad, good = (play.twin.orchestrator.state.simulations[n] for n in ("bad", "good"))
    assert bad.failed == (e.Cause.HANG, "quarantined after 4 hangs in a row: stuck")
    assert bad.sets["a"].committed == 1
    assert good.complete
    assert play.twin.orchestrator.state.quarantined == {}


def test_one_that_hangs_again_and_again_is_quarantined_too() -> None:
    """It makes progress between its hangs; after six within a day it is given up."""
    play = Play(nodes=4, cost=Amdahl(seconds=600.0))
    play.submit(stage(segments=90), name="bad")
    play.submit(stage(segments=50), name="good")
    hung: set[int] = set()

    def now_and_then(segment: int) -> bool:
        if segment % 3 != 1 or segment in hung:
            return False
        hung.add(segment)
        return True

    hang_at(play, "bad", now_and_then)

    play.run()

    bad, good = (play.twin.orchestrator.state.simulations[n] for n in ("bad", "good"))
    assert bad.failed == (e.Cause.HANG, "quarantined: 6 hangs within 24 h")
    assert bad.sets["a"].committed == 16
    assert good.complete


def nightly(rules: Quarantine) -> Play:
    """Let one simulation have a node of its own, and for some nights only a bad one.

    Its own is serviced then. On the other one all goes wrong within minutes, so the
    segment that it came with is computed where it was before, the next morning.
    """
    recovery = RecoveryPolicy(quarantine=rules)
    policies = Policies(checkpointing=EverySegments(), recovery=recovery)
    play = Play(nodes=2, cost=Amdahl(seconds=HOUR_S), policies=policies)
    play.submit(stage(segments=200), name="s")
    for night in range(1, 9):
        start_s = 24 * HOUR_S * night
        window = Window(
            name=f"night-{night}",
            nodes=("node-0",),
            start_s=start_s,
            stop_s=start_s + 3 * HOUR_S,
        )
        play.twin.post(e.WindowDeclared(window=window), after_s=0.0)
    struck: set[int] = set()

    def strike(outcome: Outcome, now_s: float) -> None:
        simulation = play.twin.orchestrator.state.simulations.get("s")
        if simulation is None or "node-1" not in simulation.lease:
            return
        for command in started(outcome, "s"):
            if command.attempt not in struck:
                struck.add(command.attempt)
                lost = e.NodeLost(node="node-1", reason="machine check")
                play.twin.post(lost, after_s=now_s + 300.0)
                back = e.NodeJoined(node="node-1", cores=1)
                play.twin.post(back, after_s=now_s + 420.0)

    play.watchers.append(strike)
    play.run(400 * HOUR_S)
    return play


def lost(play: Play) -> list[float]:
    """Return when the bad node took what was computed there."""
    return [t for t, fact in play.facts(e.NodeLost) if fact.node == "node-1"]


def test_a_bad_node_that_only_one_simulation_gets_is_set_apart() -> None:
    """It began there, and came back in two nights; in the others it waits."""
    play = nightly(Quarantine())

    state = play.twin.orchestrator.state
    assert state.quarantined == {
        "node-1": "3 times in a row a segment of s failed there and was then computed "
        "elsewhere, in 7 days"
    }
    assert state.simulations["s"].complete
    (at_s,) = [t for t, r in play.records if isinstance(r, c.NodeQuarantined)]
    assert 51 * HOUR_S < at_s < 53 * HOUR_S
    assert all(t < at_s for t in lost(play))


def test_without_that_it_would_be_given_back_each_night() -> None:
    """So that the test above says something."""
    play = nightly(Quarantine(outdone_after=10**6))

    state = play.twin.orchestrator.state
    assert state.quarantined == {}
    assert state.simulations["s"].complete
    assert len(lost(play)) > 3 * len(lost(nightly(Quarantine())))
