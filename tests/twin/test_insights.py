"""Each kind of finding: where it is true, where it must be silent, what it gains.

The gain is checked by playing the same campaign with the change that is suggested.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from climorch.core.progress import Policies
from climorch.forecast.insights.finding import Gain, Kind
from climorch.model.causes import Cause
from climorch.model.plan import Coupling
from climorch.policy.checkpointing import EverySegments, EveryWall
from climorch.policy.recovery import DEFAULT_BUDGETS, Budget, RecoveryPolicy
from climorch.twin.costs import Amdahl, Overheads, Work
from climorch.twin.hazards import Failures
from climorch.twin.loads import Load, Loads
from climorch.twin.storage import Storage
from tests.twin.insightful import HOUR_S, Outcome, linear, played
from tests.unit.core.script import UNLIMITED, submitted
from tests.unit.twin.stage import FREE, Play, stage

SIDE_BY_SIDE = {
    "air": {"sea": Coupling.PREVIOUS},
    "sea": {"air": Coupling.PREVIOUS},
}
IN_TURN = {"air": {"sea": Coupling.PREVIOUS}, "sea": {"air": Coupling.SAME}}


def coupled(
    air: int, sea: int, *, reads: dict[str, dict[str, Coupling]] = SIDE_BY_SIDE
) -> Outcome:
    """Play two coupled stages on so many nodes each; air is eight times as dear."""
    play = Play(nodes=8, cost=linear(air=2400.0, sea=300.0))
    play.submit(
        stage("air", segments=60, nodes=air, reads=reads["air"]),
        stage("sea", segments=60, nodes=sea, reads=reads["sea"]),
    )
    return played(play)


def test_stages_out_of_balance_are_found_with_the_split_that_balances_them() -> None:
    """4 and 4 nodes take 600 s for a segment; 7 and 1 take 343 s."""
    before = coupled(4, 4)

    finding = before.one(Kind.BALANCE)
    assert finding.settings == {"air.nodes": 7.0, "sea.nodes": 1.0}
    assert finding.of is Gain.TIME
    assert finding.gain == pytest.approx(1 - 2400 / 7 / 600)
    # Of 600 s on 8 nodes, sea leaves its 4 after 75 s.
    assert finding.evidence["coupling_cost"] == pytest.approx(525 * 4 / (600 * 8))
    after = coupled(7, 1)
    gained = 1 - after.span_s / before.span_s
    assert gained == pytest.approx(finding.gain, abs=0.01)


def test_balanced_stages_and_those_in_turn_are_left_alone() -> None:
    """Where nothing can be moved, nothing is found."""
    assert coupled(7, 1).found.of(Kind.BALANCE) == ()
    assert coupled(4, 4, reads=IN_TURN).found.of(Kind.BALANCE) == ()


def scaled(most: int, *, serial: float) -> Outcome:
    """Play a stage that may have up to so many nodes, at first two of them."""

    def cost(work: Work, nodes: float) -> float:
        return 600.0 * (serial + (1 - serial) * 2 / nodes)

    play = Play(nodes=8, cost=cost)
    play.submit(stage(segments=100, nodes=2, most=most))
    # Of another workflow, which takes six nodes for a while.
    other = submitted(stage(segments=20, nodes=6), name="other")
    plan = msgspec.structs.replace(other.plan, workflow="other")
    play.twin.post(msgspec.structs.replace(other, plan=plan))
    return played(play)


def test_scaling_past_efficiency_is_found_with_the_width_that_is_used_well() -> None:
    """Half of the work is serial: four times the nodes give 40 % per node."""
    before = scaled(8, serial=0.5)

    finding = before.one(Kind.SCALING)
    assert finding.settings == {"max_nodes": 2.0}
    assert finding.evidence["efficiency_on_8"] == pytest.approx(0.4, abs=0.01)
    after = scaled(2, serial=0.5)
    saved = 1 - _segments_node_s(after) / _segments_node_s(before)
    assert saved == pytest.approx(finding.gain, abs=0.02)


def test_what_scales_well_is_left_alone() -> None:
    """With two percent serial eight nodes are used well."""
    assert scaled(8, serial=0.02).found.of(Kind.SCALING) == ()


def _segments_node_s(outcome: Outcome) -> float:
    return outcome.times.of["s"].stages["a"].node_s


def checkpointed(
    strategy: Any, *, stall_s: float, failures: Failures | None = None, seed: int = 1
) -> Outcome:
    """Play a stage of segments of a minute, with a strategy and nothing above it."""
    play = Play(
        nodes=1,
        seed=seed,
        cost=Amdahl(seconds=60.0),
        overheads=Overheads(
            checkpoint_s=0.0,
            stall_s=stall_s,
            restore_s=30.0,
            init_s=0.0,
            restart_s=0.0,
            publish_s=0.0,
            delete_s=0.0,
        ),
        policies=Policies(checkpointing=strategy, limits=UNLIMITED),
        failures=failures,
        detect_s=0.0,
    )
    play.submit(stage(segments=6000))
    return played(play)


FAILING = Failures(mtbf_s=4 * HOUR_S, repair_median_s=1.0, repair_sigma=0.0)


def test_checkpoints_that_are_too_often_are_found_with_their_interval() -> None:
    """Ten seconds for each minute of computing, on a node that fails every 4 hours."""
    before = checkpointed(EverySegments(), stall_s=10.0, failures=FAILING)

    finding = before.one(Kind.CHECKPOINTS)
    assert "too often" in finding.message
    # Daly for 10 s and about 4 h.
    assert 450 < finding.settings["interval_s"] < 620
    after = checkpointed(
        EveryWall(seconds=finding.settings["interval_s"]),
        stall_s=10.0,
        failures=FAILING,
    )
    gained = 1 - after.span_s / before.span_s
    assert gained == pytest.approx(finding.gain, abs=0.02)
    assert after.found.of(Kind.CHECKPOINTS) == ()


def test_checkpoints_that_are_too_seldom_are_found_with_their_interval() -> None:
    """Every four hours, on a node that fails every four hours."""
    before = checkpointed(EverySegments(count=240), stall_s=10.0, failures=FAILING)

    finding = before.one(Kind.CHECKPOINTS)
    assert "too seldom" in finding.message
    after = checkpointed(
        EveryWall(seconds=finding.settings["interval_s"]),
        stall_s=10.0,
        failures=FAILING,
    )
    gained = 1 - after.span_s / before.span_s
    assert gained == pytest.approx(finding.gain, abs=0.08)


def test_checkpoints_that_cost_next_to_nothing_are_left_alone() -> None:
    """A tenth of a second each minute."""
    outcome = checkpointed(EverySegments(), stall_s=0.1, failures=FAILING)
    assert outcome.found.of(Kind.CHECKPOINTS) == ()


def loaded(*given: Load) -> Outcome:
    """Play two simulations on two nodes each, where some are slow."""
    play = Play(
        nodes=4,
        cost=Amdahl(seconds=600.0),
        loads=Loads(given=given, pace_cv=0.0),
        policies=Policies(checkpointing=EverySegments(count=1000)),
        overheads=FREE,
    )
    play.submit(stage(segments=200, nodes=2))
    play.submit(stage(segments=200, nodes=2), name="t")
    return played(play)


def test_a_straggler_is_found_with_what_others_waited_for_it() -> None:
    """One node of four takes half as long again, all the time."""
    before = loaded(Load(start_s=0.0, stop_s=1e9, slow=1.5, nodes=("node-1",)))

    finding = before.one(Kind.STRAGGLER)
    assert finding.about == "node 'node-1'"
    after = loaded()
    saved = 1 - after.held_node_s / before.held_node_s
    assert saved == pytest.approx(finding.gain, abs=0.02)


def test_nodes_that_are_equal_are_no_stragglers() -> None:
    """Nor is one that was slow for an hour."""
    assert loaded().found.of(Kind.STRAGGLER) == ()
    hour = Load(start_s=0.0, stop_s=HOUR_S, slow=1.5, nodes=("node-1",))
    assert loaded(hour).found.of(Kind.STRAGGLER) == ()


def crowd(nodes: int, simulations: int = 8) -> Outcome:
    """Play some simulations of one node each on so many nodes."""
    play = Play(nodes=nodes, cost=Amdahl(seconds=600.0))
    for number in range(simulations):
        play.submit(stage(segments=100), name=f"s{number}")
    return played(play)


def test_a_campaign_that_waits_for_nodes_is_found_with_how_many_it_needs() -> None:
    """Eight simulations on two nodes, of which eight would make one round."""
    before = crowd(2)

    finding = before.one(Kind.QUEUE)
    assert finding.settings == {"nodes": 8.0}
    after = crowd(8)
    gained = 1 - after.span_s / before.span_s
    assert gained == pytest.approx(finding.gain, abs=0.02)
    assert after.found.of(Kind.QUEUE) == after.found.of(Kind.COMPUTE) == ()


def test_nodes_that_wait_for_simulations_are_found_with_how_many_will_do() -> None:
    """Three simulations on eight nodes."""
    before = crowd(8, simulations=3)

    finding = before.one(Kind.COMPUTE)
    assert finding.settings == {"nodes": 3.0}
    after = crowd(3, simulations=3)
    saved = 1 - after.node_s / before.node_s
    assert saved == pytest.approx(finding.gain, abs=0.02)
    assert after.span_s == pytest.approx(before.span_s)


def stored(streams: float) -> Outcome:
    """Play simulations that take turns, on storage that bears so many at once."""
    play = Play(
        nodes=8,
        cost=Amdahl(seconds=300.0),
        noise_cv=0.1,
        storage=Storage(streams=streams),
        overheads=Overheads(checkpoint_s=100.0, restore_s=100.0, stall_s=1.0),
        failures=Failures(mtbf_s=3 * HOUR_S, repair_median_s=60.0),
        every=2,
    )
    for number in range(8):
        play.submit(stage(segments=200), name=f"s{number}")
    return played(play)


def test_checkpoints_that_wait_for_each_other_are_found() -> None:
    """Storage that bears one at a time, asked by eight simulations."""
    before = stored(1.0)

    finding = before.one(Kind.STORAGE)
    assert finding.evidence["crowded_s"] > 1.5 * finding.evidence["alone_s"]
    after = stored(1e9)
    saved = 1 - after.held_node_s / before.held_node_s
    assert saved == pytest.approx(finding.gain, abs=0.05)
    assert after.found.of(Kind.STORAGE) == ()


GIB = 2**30


def remembering(asked: int, takes: int, *, until_s: float | None = None) -> Outcome:
    """Play four simulations on two large nodes and two small ones."""
    small = {"node-2": "16 GiB", "node-3": "16 GiB"}
    budgets = {**DEFAULT_BUDGETS, Cause.MEMORY: Budget(retries=10**6)}
    play = Play(
        nodes=4,
        memory="64 GiB",
        other_memory=small,
        cost=Amdahl(seconds=600.0),
        takes_bytes=takes * GIB,
        policies=Policies(
            checkpointing=EverySegments(),
            recovery=RecoveryPolicy(budgets=budgets),
        ),
    )
    for number in range(4):
        play.submit(stage(segments=50, memory=asked * GIB), name=f"s{number}")
    return played(play, until_s=until_s)


def test_memory_that_is_over_asked_is_found_with_the_nodes_that_would_do() -> None:
    """48 GiB are asked for, 8 are used: all four nodes would do instead of two."""
    before = remembering(48, 8)

    finding = before.one(Kind.MEMORY_OVER)
    assert (finding.gain, finding.of) == (1.0, Gain.NODES)
    assert finding.settings == {"memory_bytes": 10.0 * GIB}
    after = remembering(10, 8)
    # Twice the nodes, half of the time.
    assert after.span_s == pytest.approx(before.span_s / 2, rel=0.02)
    assert after.found.of(Kind.MEMORY_OVER) == ()


def test_memory_that_is_under_asked_is_found_with_what_was_lost() -> None:
    """32 GiB are used, of which the small nodes have half."""
    # On small nodes two of them would fail for ever.
    before = remembering(8, 32, until_s=8 * HOUR_S)

    finding = before.one(Kind.MEMORY_UNDER)
    assert finding.settings == {"memory_bytes": 40.0 * GIB}
    after = remembering(40, 32, until_s=8 * HOUR_S)
    # Of the same work: what leases took for an hour that counted.
    before_s, after_s = (x.held_node_s / x.useful_node_s for x in (before, after))
    assert 1 - after_s / before_s == pytest.approx(finding.gain, abs=0.05)
    assert after.found.of(Kind.MEMORY_UNDER) == ()


def test_memory_that_is_asked_for_as_it_is_used_is_left_alone() -> None:
    """Nor is anything found where every node would do anyway."""
    for asked, takes in ((12, 8), (0, 8)):
        found = remembering(asked, takes).found
        assert found.of(Kind.MEMORY_OVER) == found.of(Kind.MEMORY_UNDER) == ()
