"""How long what took, by the records of a journal."""

from __future__ import annotations

from typing import Any

import pytest

from climorch.forecast.timings import (
    LeaseSpan,
    SimulationTimes,
    Slowness,
    StageTimes,
    Tried,
    Width,
)
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.codec import LZ4, Codec, CodecTrial
from climorch.model.plan import Coupling
from climorch.model.scenario import Scenario
from climorch.model.usage import Usage
from tests.unit.core.script import plan, submitted
from tests.unit.forecast.journal import BEGIN_S, Journal
from tests.unit.twin.stage import stage


def found(journal: Journal, after_s: float) -> SimulationTimes:
    """Return the times of the simulation, counted until then."""
    journal.keeper.tick(BEGIN_S + after_s)
    journal.timekeeper.close(BEGIN_S + after_s)
    return journal.timekeeper.times.of["s"]


def running() -> Journal:
    """Make a journal of a simulation on one node, ready at second 2."""
    journal = Journal()
    journal.lease(0, "n1")
    journal.attempt(0)
    return journal


def test_a_stage_has_the_sum_of_its_segments() -> None:
    """Seconds, node-seconds, model time, stalls, what was in vain, and widths."""
    journal = running()
    journal.start(2, 0)
    journal.finish(12, 0, seconds=9.0, nodes=1, stall_s=1.0)
    journal.start(15, 1)
    journal.finish(35, 1, seconds=20.0, nodes=2, vain_s=6.0)

    a = found(journal, 40).stages["a"]
    assert (a.segments, a.seconds, a.node_s, a.model_s) == (2, 29.0, 49.0, 2)
    assert (a.stall_s, a.vain_s, a.wait_s) == (1.0, 6.0, 3.0)
    assert a.widths == {1: Width(1, 9.0), 2: Width(1, 14.0)}
    assert [w.mean_s for w in a.widths.values()] == [9.0, 14.0]
    assert (a.measured, a.usage) == (0, Usage())


def test_usage_adds_up_and_memory_is_the_most() -> None:
    """Of segments that were measured; they are counted."""
    stage_times = StageTimes()
    one = Usage(
        task_s=1.0,
        transfer_s=2.0,
        io_s=3.0,
        cpu_s=4.0,
        memory_bytes=50,
        output_bytes=6,
    )
    stage_times.add(one)
    stage_times.add(Usage(task_s=1.0, memory_bytes=40, output_bytes=6))

    assert stage_times.measured == 2
    assert stage_times.usage == Usage(
        task_s=2.0,
        transfer_s=2.0,
        io_s=3.0,
        cpu_s=4.0,
        memory_bytes=50,
        output_bytes=12,
    )


def test_coupled_stages_wait_for_each_other() -> None:
    """Of two side by side the shorter waits, and its half of the lease is not used."""
    journal = Journal(
        stage("a", reads={"b": Coupling.PREVIOUS}),
        stage("b", reads={"a": Coupling.PREVIOUS}),
    )
    journal.lease(0, "n1", "n2")
    journal.attempt(0)
    journal.start(2, 0)
    journal.start(2, 0, stage="b")
    journal.finish(8, 0, seconds=6.0, nodes=2)
    journal.finish(12, 0, stage="b", seconds=10.0, nodes=2)
    journal.start(12, 1)

    times = found(journal, 14)
    assert times.stages["a"].wait_s == 4.0
    assert times.stages["b"].wait_s == 0.0
    s = times.sets["a"]
    # Ten seconds of both nodes, then two of them: a takes six and two of one.
    assert (s.run_s, s.whole_node_s, s.busy_node_s) == (12.0, 24.0, 6 + 10 + 2.0)


def test_stages_that_take_turns_use_all_of_their_lease() -> None:
    """They have asked for the larger of them only."""
    journal = Journal(
        stage("a", reads={"b": Coupling.SAME}),
        stage("b", reads={"a": Coupling.PREVIOUS}),
    )
    journal.lease(0, "n1")
    journal.attempt(0)
    journal.start(2, 0, stage="b")
    journal.finish(12, 0, stage="b")
    journal.start(12, 0)
    journal.finish(17, 0)

    s = found(journal, 20).sets["a"]
    assert (s.run_s, s.whole_node_s, s.busy_node_s) == (15.0, 15.0, 15.0)


def test_what_is_about_another_attempt_counts_nothing() -> None:
    """Nor does what nobody submitted, or nobody started."""
    journal = running()
    journal.start(2, 0)
    journal.finish(12, 0, attempt=2)
    journal.finish(12, 1, stage="z")
    journal.abandon(15)
    journal.finish(16, 0)
    journal.start(16, 0)
    journal.tell(
        17,
        c.AbandonAttempt(simulation="s", set="a", attempt=7),
        e.SegmentFinished(simulation="x", stage="a", segment=0, attempt=1, seconds=1.0),
        e.CheckpointCommitted(
            simulation="x", set="a", boundary=1, attempt=1, seconds=1.0
        ),
        e.SetRestored(simulation="x", set="a", attempt=1, boundary=0, rung="init"),
        e.PauseRequested(simulation="x"),
        e.ResumeRequested(simulation="x"),
    )

    times = found(journal, 20)
    assert times.stages["a"].segments == 0
    assert times.sets["a"].run_s == 13.0
    assert times.sets["a"].checkpoints == 0


def test_a_simulation_queues_while_it_wants_nodes_and_has_none() -> None:
    """Not while it is paused, has failed or is over."""
    journal = Journal()
    journal.lease(10, "n1")
    journal.lease(30)
    pause = e.PauseRequested(simulation="s")
    wish = e.WishTaken(id="1", by="me", given_s=0.0, wish=pause)
    journal.tell(35, wish)
    journal.tell(50, e.ResumeRequested(simulation="s"))
    failed = c.SimulationFailed(simulation="s", cause=e.Cause.MODEL, message="")
    journal.tell(60, failed)

    times = found(journal, 99)
    assert (times.queue_s, times.held_s) == (10 + 5 + 10.0, 20.0)


def test_nobody_queues_for_what_is_complete() -> None:
    """From its last commit on it wants no nodes."""
    journal = Journal(stage(segments=1))
    journal.lease(0, "n1")
    journal.attempt(0)
    journal.start(2, 0)
    journal.finish(12, 0)
    journal.commit(13, 0)
    journal.lease(15)

    times = found(journal, 99)
    assert (times.queue_s, times.held_s) == (0.0, 15.0)


def test_no_clock_goes_on_while_no_driver_runs() -> None:
    """What a driver left ends with its last row, whether it stopped or died."""
    journal = running()
    journal.start(2, 0)
    journal.timekeeper.tick(BEGIN_S + 10)
    journal.keeper.tick(BEGIN_S + 10)
    journal.tell(50, e.DriverStarted(epoch=2, host="h", pid=2))
    journal.tell(60, e.DriverStopped(reason=""))
    journal.tell(90, e.DriverStarted(epoch=3, host="h", pid=3))

    times = found(journal, 95)
    assert (times.held_s, times.queue_s) == (10.0, 10 + 5.0)
    assert times.sets["a"].run_s == 8.0


def test_restores_and_losses_are_counted() -> None:
    """First states from inits are no restore; nothing lost is no loss."""
    journal = running()
    journal.abandon(20, back=0)
    journal.tell(
        20,
        c.StartAttempt(simulation="s", set="a", attempt=2, boundary=1),
        e.SetRestored(
            simulation="s",
            set="a",
            attempt=2,
            boundary=1,
            rung="checkpoint",
            bytes_read=8,
            seconds=3.0,
        ),
        c.RolledBack(
            simulation="s",
            set="a",
            attempt=2,
            boundary=1,
            segments=0,
            lost_s=0.0,
            cause=e.Cause.MODEL,
        ),
    )

    s = found(journal, 25).sets["a"]
    assert (s.restores, s.restore_s, s.bytes_read) == (1, 3.0, 8)
    assert (s.losses, s.lost_s) == (1, 1.0)


def test_checkpoints_that_are_written_side_by_side_are_told_apart() -> None:
    """One alone, then one beside that of another set; one that failed is none."""
    journal = Journal(stage("a"), stage("b"))
    journal.lease(0, "n1", "n2")
    journal.attempt(0)
    begin: dict[str, Any] = {"simulation": "s", "attempt": 1}
    journal.tell(3, c.BeginCheckpoint(set="a", boundary=1, **begin))
    journal.checkpoint(5, 1, seconds=2.0, cost_s=0.5, bytes_state=100, bytes_written=60)
    journal.tell(6, c.BeginCheckpoint(set="a", boundary=2, **begin))
    journal.tell(7, c.BeginCheckpoint(set="b", boundary=2, **begin))
    journal.checkpoint(12, 2, seconds=6.0, cost_s=0.5, bytes_state=110, bytes_linked=20)
    journal.tell(
        13,
        e.CheckpointFailed(
            set="b", boundary=2, cause=e.Cause.STORAGE, message="", **begin
        ),
    )
    # Told twice, or found after a restart: nobody saw it begin.
    journal.checkpoint(14, 3, seconds=9.0)

    s = found(journal, 20).sets["a"]
    assert (s.checkpoints, s.writing_s, s.cost_s) == (3, 17.0, 1.0)
    assert (s.alone, s.crowded) == (Width(1, 2.0), Width(1, 6.0))
    assert (s.bytes_written, s.bytes_linked) == (60, 20)
    assert found(journal, 20).sets["b"].crowded == Width()


def test_what_codecs_made_of_variables_is_added_up() -> None:
    """By variable and codec; the newest says how large it is and what is used."""
    journal = running()
    for boundary, used in ((1, LZ4), (2, Codec("zstd", 1))):
        trials = tuple(
            CodecTrial(
                stage="a",
                variable="x",
                codec=codec,
                used=codec == used,
                whole_bytes=100 * boundary,
                raw_bytes=10,
                stored_bytes=5,
                cpu_s=0.5,
            )
            for codec in (Codec("none"), LZ4, Codec("zstd", 1))
        )
        journal.checkpoint(5 * boundary, boundary, tried=trials)

    stored = found(journal, 20).sets["a"].stored
    assert list(stored) == [("a", "x")]
    x = stored["a", "x"]
    assert (x.codec, x.whole_bytes) == (Codec("zstd", 1), 200)
    assert x.tried == dict.fromkeys(
        (Codec("none"), LZ4, Codec("zstd", 1)), Tried(2, 20, 10, 1.0)
    )


@pytest.mark.parametrize(
    ("paces", "nodes"),
    [
        ({}, {}),
        ({"n1": 5.0}, {}),
        ({"n1": 0.0, "n2": 0.0}, {"n1": Slowness(1), "n2": Slowness(1)}),
        # Of ten seconds of three nodes, half was for the slowest.
        (
            {"n1": 2.0, "n2": 4.0, "n3": 1.0},
            {"n1": Slowness(1), "n2": Slowness(1, 1, 15.0), "n3": Slowness(1)},
        ),
    ],
)
def test_the_slowest_node_holds_up_the_others(
    paces: dict[str, float], nodes: dict[str, Slowness]
) -> None:
    """By what it takes longer than the next one."""
    journal = running()
    journal.start(2, 0)
    journal.finish(12, 0, seconds=10.0, paces=paces)

    assert journal.timekeeper.times.nodes == nodes


def test_simulations_that_rules_add_and_stages_that_edits_add_are_there() -> None:
    """With their own times, from the moment on at which they are submitted."""
    journal = Journal()
    added = submitted(name="t")
    journal.tell(5, e.RuleEvaluated(simulation="s", rule="r", at=1, added=(added,)))
    journal.tell(6, added)
    change = e.SimulationChanged(
        simulation="s",
        scenario=Scenario("s", project="q"),
        plan=plan(stage(segments=9), stage("b", nodes=2)),
    )
    journal.tell(7, change)
    journal.lease(8, "n1")

    times = journal.timekeeper.times
    assert times.of["t"].submitted_s == BEGIN_S + 5
    assert list(times.of["s"].stages) == list(times.of["s"].sets) == ["a", "b"]
    assert times.of["s"].project == "q"
    assert times.of["s"].sets["a"].plan.stages[0].segments == 9


def test_a_lease_that_changes_is_counted_before_and_after() -> None:
    """A set on a wider lease has its share of it."""
    journal = Journal(stage("a", most=2))
    journal.lease(0, "n1")
    journal.attempt(0)
    journal.start(2, 0)
    journal.lease(6, "n1", "n2")

    s = found(journal, 10).sets["a"]
    assert (s.run_s, s.whole_node_s, s.busy_node_s) == (8.0, 4 + 8.0, 4 + 8.0)


def test_leases_are_remembered_from_change_to_change() -> None:
    """A node that is lost ends a span; an unchanged one goes on."""
    journal = Journal()
    journal.lease(0, "n1", "n2")
    journal.lease(4, "n2", "n1")
    journal.tell(6, e.NodeLost(node="n2"))
    journal.tell(7, e.NodeLost(node="elsewhere"))
    journal.lease(9)

    times = found(journal, 20)
    assert times.spans == [
        LeaseSpan(2, BEGIN_S, BEGIN_S + 6),
        LeaseSpan(1, BEGIN_S + 6, BEGIN_S + 9),
    ]
    assert journal.timekeeper.times.memory == {"n1": 2**30, "n2": 2**30}


def test_a_segment_beyond_an_end_that_moved_back_took_its_time() -> None:
    """It is no model time of the plan any more."""
    journal = running()
    journal.start(2, 0)
    journal.finish(6, 0, seconds=4.0)
    journal.start(6, 1)
    shorter = e.SimulationChanged(
        simulation="s", scenario=Scenario("s"), plan=plan(stage(segments=1))
    )
    journal.tell(8, shorter)
    journal.finish(9, 1, seconds=3.0)

    a = found(journal, 10).stages["a"]
    assert (a.segments, a.seconds, a.model_s) == (2, 7.0, 1)
