"""What comes of work when nodes die beneath it, as on a real cluster."""

from __future__ import annotations

import dataclasses

from climorch.core.orchestrator import Outcome
from climorch.model import events as e
from climorch.twin.hazards import Absence
from tests.unit.twin.stage import FREE, OVERHEADS, Play, stage

WORK = (
    "attempt",
    "SetRestored",
    "SegmentFinished",
    "CheckpointCommitted",
    "CheckpointFailed",
    "NodeLost",
    "abandon",
    "back",
)


def lost(*nodes: str, at_s: float, until_s: float = 1e6) -> Absence:
    """Take nodes away at a time."""
    return Absence(start_s=at_s, stop_s=until_s, nodes=nodes)


def test_what_was_computed_on_a_dead_node_is_never_answered() -> None:
    """Half of the lease dies at 15 s, noticed at 17 s: back to the checkpoint."""
    play = Play(nodes=3, absences=(lost("node-0", at_s=15.0),), detect_s=2.0, every=1)
    play.submit(stage(segments=2, nodes=2))

    play.run()

    assert play.told(*WORK) == [
        "0 attempt s.a #1 from 0",
        "0 SetRestored s",
        "10 SegmentFinished s.a 0",
        "10 CheckpointCommitted s",
        "17 NodeLost node-0",
        "17 abandon s.a #1",
        "17 back s.a to 1: 0 segments, 7 s, NODE_LOST",
        "17 attempt s.a #2 from 1",
        "17 SetRestored s",
        "27 SegmentFinished s.a 1",
        "27 CheckpointCommitted s",
        "27 abandon s.a #2",
    ]
    account = play.twin.ledger.accounts["s"]
    assert account.worst_loss_s == 7.0
    assert account.interruptions == [(17.0, "nodes lost")]
    # Five seconds of two nodes, two seconds of the one that was left.
    assert play.parts() == {"USEFUL": 40.0, "LOST": 12.0, "FREE": 17.0}


def test_what_a_loss_leaves_of_a_lease_goes_because_of_the_loss() -> None:
    """One of two nodes is lost and there is no third one: the cause is the loss."""
    play = Play(nodes=2, absences=(lost("node-0", at_s=15.0, until_s=50.0),))
    play.submit(stage(segments=2, nodes=2))

    play.run()

    account = play.twin.ledger.accounts["s"]
    assert account.interruptions == [(16.0, "nodes lost")]
    assert account.waits == [34.0]


def test_a_small_loss_is_healed_on_what_is_left() -> None:
    """One of five dies at 15 s: all since the last cut is computed again."""
    play = Play(nodes=5, absences=(lost("node-4", at_s=15.0),), detect_s=1.0, every=3)
    play.submit(stage(segments=3, nodes=5))

    play.run()

    # 12.5 s for a segment on four of five nodes, and for the one before it again.
    assert play.told(*WORK) == [
        "0 attempt s.a #1 from 0",
        "0 SetRestored s",
        "10 SegmentFinished s.a 0",
        "16 NodeLost node-4",
        "41 SegmentFinished s.a 1",
        "53.5 SegmentFinished s.a 2",
        "53.5 CheckpointCommitted s",
        "53.5 abandon s.a #1",
    ]
    told = [fact.seconds for _, fact in play.facts(e.SegmentFinished)]
    assert told == [10.0, 31.0, 12.5]
    assert play.parts() == {"USEFUL": 150.0, "LOST": 79.0}
    # Six seconds until it was noticed, and the segment before.
    assert play.twin.ledger.accounts["s"].worst_loss_s == 18.5


def test_a_checkpoint_dies_with_its_writers() -> None:
    """Its states were in their memory only: the attempt breaks, however small."""
    play = Play(
        nodes=5,
        overheads=OVERHEADS,
        absences=(lost("node-4", at_s=14.5),),
        detect_s=1.0,
    )
    play.submit(stage(segments=1, nodes=4, most=5))

    play.run(20.0)

    # Restored at 3 s, computed in 8 s on five nodes, cut at 11 s, written by 14 s.
    assert play.told(*WORK)[:4] == [
        "0 attempt s.a #1 from 0",
        "3 SetRestored s",
        "11 SegmentFinished s.a 0",
        "14 CheckpointCommitted s",
    ]

    play = Play(
        nodes=5,
        overheads=OVERHEADS,
        absences=(lost("node-4", at_s=13.0),),
        detect_s=1.0,
    )
    play.submit(stage(segments=1, nodes=4, most=5))

    play.run()

    assert play.told(*WORK) == [
        "0 attempt s.a #1 from 0",
        "3 SetRestored s",
        "11 SegmentFinished s.a 0",
        "14 NodeLost node-4",
        "14 CheckpointFailed s",
        "14 abandon s.a #1 until 14.1",
        "14 back s.a to 0: 1 segments, 8 s, NOT_DURABLE",
        "14.1 attempt s.a #2 from 0",
        "17.1 SetRestored s",
        "27.1 SegmentFinished s.a 0",
        "30.1 CheckpointCommitted s",
        "30.1 abandon s.a #2",
    ]


def test_a_small_loss_while_states_are_brought_begins_that_anew() -> None:
    """They are read from the disk again; nothing is abandoned."""
    play = Play(
        nodes=5,
        overheads=OVERHEADS,
        absences=(lost("node-4", at_s=2.0),),
        detect_s=1.0,
    )
    play.submit(stage(segments=1, nodes=5))

    play.run(30.0)

    assert play.told(*WORK)[:3] == [
        "0 attempt s.a #1 from 0",
        "3 NodeLost node-4",
        "6 SetRestored s",
    ]
    assert play.told("abandon") == ["21.5 abandon s.a #1"]


def test_nothing_goes_on_until_every_death_is_noticed() -> None:
    """A second node dies before the first one is missed."""
    play = Play(
        nodes=9,
        absences=(lost("node-7", at_s=5.0), lost("node-8", at_s=6.0)),
        detect_s=2.0,
    )
    play.submit(stage(segments=1, nodes=9))

    play.run(60.0)

    # Ten seconds on nine nodes are 90 / 7 on seven, from 8 s on.
    assert play.told("NodeLost") == ["7 NodeLost node-7", "8 NodeLost node-8"]
    (at_s, _), *_ = play.facts(e.SegmentFinished)
    assert round(at_s, 6) == round(8.0 + 90 / 7, 6)


def test_a_lease_given_on_a_node_that_is_dead_waits_for_the_notice() -> None:
    """Nobody knows yet; the attempt that begins there comes to nothing."""
    play = Play(
        nodes=2, absences=(lost("node-0", at_s=9.0, until_s=30.0),), detect_s=4.0
    )
    play.submit(stage(segments=1), after_s=10.0)

    play.run()

    assert play.told("lease", *WORK) == [
        "10 lease s: node-0",
        "10 attempt s.a #1 from 0",
        "13 NodeLost node-0",
        "13 abandon s.a #1",
        "13 lease s: none",
        "13 lease s: node-1",
        "13 attempt s.a #2 from 0",
        "13 SetRestored s",
        "23 SegmentFinished s.a 0",
        "23 CheckpointCommitted s",
        "23 abandon s.a #2",
        "23 lease s: none",
    ]


def test_a_lease_that_grows_by_a_dead_node_is_not_disturbed() -> None:
    """The node counts as nothing; its loss is found with the others'."""
    play = Play(nodes=6, absences=(lost("node-5", at_s=9.0),), detect_s=6.0)
    play.submit(stage(segments=1), name="first")
    play.submit(stage(segments=2, nodes=4, most=5), name="s")

    play.run()

    # The first one's node is lent to it at 10 s, the dead one never works.
    facts = [(t, f.nodes) for t, f in play.facts(e.SegmentFinished)]
    assert play.twin.ended
    assert all(nodes <= 5 for _, nodes in facts)


def test_what_is_announced_costs_no_work() -> None:
    """The lease leaves the node at a boundary before it goes, checkpointed."""
    away = Absence(start_s=125.0, stop_s=300.0, nodes=("node-0",), notice_s=100.0)
    plays = [
        Play(nodes=2, every=9, overheads=OVERHEADS, absences=(absence,))
        for absence in (away, dataclasses.replace(away, notice_s=None))
    ]
    for play in plays:
        play.submit(stage(segments=18))
        play.run()

    announced, sudden = (play.twin.ledger.accounts["s"] for play in plays)
    assert announced.lost_s == 0.0
    assert sudden.lost_s > 0.0
    (declared, _), *_ = plays[0].facts(e.WindowDeclared)
    assert declared == 25.0
    assert plays[1].facts(e.WindowDeclared) == []


def struck_between(every: int) -> Play:
    """Let a node die after a segment was told and before its commands come."""
    play = Play(nodes=5, every=every, detect_s=1.0)
    play.submit(stage(segments=3, nodes=5))

    def strike(outcome: Outcome, now_s: float) -> None:
        if now_s == 10.0 and "node-4" in play.twin.world.cluster.up:
            play.twin.world.cluster.take(["node-4"], "died")

    play.watchers.append(strike)
    play.run(100.0)
    return play


def test_a_segment_that_begins_on_a_dead_node_waits_for_the_notice() -> None:
    """It begins at 11 s, after the segment before it, which takes 12.5 s on four."""
    play = struck_between(every=3)

    assert play.told("NodeLost", "SegmentFinished") == [
        "10 SegmentFinished s.a 0",
        "11 NodeLost node-4",
        "36 SegmentFinished s.a 1",
        "48.5 SegmentFinished s.a 2",
    ]


def test_a_checkpoint_that_begins_on_a_dead_node_fails() -> None:
    """What it was to write is gone with the node."""
    play = struck_between(every=1)

    assert play.told("CheckpointFailed", "back") == [
        "11 CheckpointFailed s",
        "11 back s.a to 0: 1 segments, 11 s, NOT_DURABLE",
    ]


def test_free_overheads_are_free() -> None:
    """What tests call free takes no second."""
    numbers = {name: getattr(FREE, name) for name in FREE.__slots__}
    assert numbers.pop("tried") == ()
    assert set(numbers.values()) == {0.0}
