"""What becomes of node-seconds, record by record; two nodes are up all the time."""

from __future__ import annotations

from typing import Any

import pytest

from climorch.forecast.work import DRIVER_ENDED
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.plan import Coupling
from tests.unit.forecast.journal import Journal
from tests.unit.twin.stage import stage


def begun() -> Journal:
    """Lease a node at 0 s, restore until 2 s, compute the first segment until 12 s."""
    journal = Journal()
    journal.lease(0, "n1")
    journal.attempt(0)
    journal.start(2, 0)
    journal.finish(12, 0)
    return journal


def test_what_is_finished_is_pending_until_it_is_committed() -> None:
    """Two seconds of restore, ten of a segment; the second node is free."""
    journal = begun()

    assert journal.parts(12) == {"RESTORE": 2, "PENDING": 10, "FREE": 12}
    journal.commit(12, 0)
    assert journal.parts(12) == {"RESTORE": 2, "USEFUL": 10, "FREE": 12}


def test_what_runs_is_pending() -> None:
    """Three seconds of a second segment that has not ended."""
    journal = begun()
    journal.commit(12, 0)
    journal.start(12, 1)

    assert journal.parts(15)["PENDING"] == 3


def test_a_stall_that_is_told_is_kept_apart() -> None:
    """Four of ten seconds were for a checkpoint."""
    journal = begun()
    journal.start(12, 1)
    journal.finish(22, 1, stall_s=4.0)
    journal.commit(22, 0, 1)

    assert journal.parts(22) == {"RESTORE": 2, "USEFUL": 16, "STALL": 4, "FREE": 22}


def test_what_a_checkpoint_cost_is_taken_from_the_segments_after_it() -> None:
    """Where segments do not tell it: 12 s of a cost, 10 of the next one, 2 then."""
    journal = begun()
    journal.start(12, 1)
    journal.checkpoint(13, 1, cost_s=12.0)
    journal.commit(13, 0)
    journal.finish(22, 1)
    journal.start(22, 2)
    journal.finish(32, 2)
    journal.commit(32, 1, 2)

    assert journal.parts(32) == {"RESTORE": 2, "USEFUL": 18, "STALL": 12, "FREE": 32}


def test_a_segment_that_goes_on_after_a_loss_was_in_part_in_vain() -> None:
    """5 s on two nodes undone, then 3 s of eight on one node are done again."""
    journal = Journal(stage(nodes=2))
    journal.lease(0, "n1", "n2")
    journal.attempt(0)
    journal.start(2, 0)
    journal.tell(7, e.NodeLost(node="n2"))
    journal.finish(15, 0, seconds=13.0, vain_s=8.0)
    journal.commit(15, 0)

    # One of the two nodes that it asks for is gone: it has half of what is left.
    assert journal.parts(15) == {"RESTORE": 4, "LOST": 13, "USEFUL": 5}
    (loss,) = journal.ledger(15).losses
    assert loss.cause == "node lost"
    assert loss.node_s == pytest.approx(13.0)


def test_what_an_attempt_had_computed_is_lost_with_its_cause() -> None:
    """A finished segment and what ran; once each, and the setback is counted."""
    journal = begun()
    journal.start(12, 1)
    journal.abandon(17, back=0)

    ledger = journal.ledger(17)
    assert journal.parts(17) == {"RESTORE": 2, "LOST": 15, "FREE": 17}
    assert sum(x.node_s for x in ledger.losses) == 15
    assert {x.cause for x in ledger.losses} == {"error in the model"}
    assert [(x.cause, x.count) for x in ledger.setbacks] == [("error in the model", 1)]


def test_without_a_decision_the_newest_failure_is_the_cause() -> None:
    """What ran when an attempt was abandoned is booked when the next one starts."""
    journal = begun()
    journal.start(12, 1)
    journal.tell(
        15,
        e.SegmentFailed(
            simulation="s",
            stage="a",
            segment=1,
            attempt=1,
            cause=e.Cause.HANG,
            message="m",
        ),
    )
    journal.abandon(15)
    assert journal.parts(15)["PENDING"] == 13
    journal.attempt(15, 2)

    assert [(x.cause, x.node_s) for x in journal.ledger(17).losses] == [("hang", 3.0)]


def test_what_is_covered_after_all_is_useful() -> None:
    """A checkpoint that is found after a fall back takes its segments along."""
    journal = begun()
    journal.abandon(12, back=0)
    assert journal.parts(12)["LOST"] == 10
    journal.checkpoint(12, 1)
    journal.commit(12, 0)

    assert journal.parts(12) == {"RESTORE": 2, "USEFUL": 10, "FREE": 12}


def test_only_what_lies_beyond_the_boundary_is_lost() -> None:
    """Segments that the checkpoint covers wait for being committed."""
    journal = begun()
    journal.start(12, 1)
    journal.finish(20, 1)
    journal.abandon(20, back=1)

    assert journal.parts(20) == {"RESTORE": 2, "PENDING": 10, "LOST": 8, "FREE": 20}


def test_a_segment_that_was_committed_before_is_recomputed() -> None:
    """A damaged checkpoint: the first time stays useful, the second one is apart."""
    journal = begun()
    journal.commit(12, 0)
    journal.abandon(12, back=0, cause=e.Cause.CORRUPT)
    journal.attempt(12, 2)
    journal.start(14, 0, attempt=2)
    journal.finish(20, 0, attempt=2)
    journal.commit(20, 0)

    assert journal.parts(20) == {
        "RESTORE": 4,
        "USEFUL": 10,
        "RECOMPUTED": 6,
        "FREE": 20,
    }
    assert sum(x.segments for x in journal.ledger(20).entries) == 1


def test_a_lease_that_only_writes_drains() -> None:
    """From the end of its segment to the end of its checkpoint, or its failure."""
    journal = begun()
    own: dict[str, Any] = {"simulation": "s", "set": "a", "boundary": 1, "attempt": 1}
    journal.tell(13, c.BeginCheckpoint(**own))
    failed = e.CheckpointFailed(**own, cause=e.Cause.STORAGE, message="m")
    journal.tell(17, failed)
    journal.tell(18, c.BeginCheckpoint(**own))
    journal.checkpoint(20, 1)

    found = journal.parts(21)
    assert (found["DRAIN"], found["IDLE"]) == (6, 3)


def test_a_restore_that_fails_is_one_until_its_attempt_ends() -> None:
    """Six seconds of restore, then idle."""
    journal = Journal()
    journal.lease(0, "n1")
    own: dict[str, Any] = {"simulation": "s", "set": "a", "attempt": 1, "boundary": 0}
    journal.tell(0, c.StartAttempt(**own))
    journal.tell(6, e.RestoreFailed(**own, cause=e.Cause.STORAGE, message="m"))
    journal.abandon(6)

    assert journal.parts(8) == {"RESTORE": 6, "IDLE": 2, "FREE": 8}


def test_a_salvage_ends_what_runs_and_writes() -> None:
    """Held copies are written out: a drain, until that is done or fails."""
    journal = begun()
    journal.start(12, 1)
    own: dict[str, Any] = {"simulation": "s", "set": "a", "boundary": 1, "attempt": 1}
    journal.tell(14, c.SalvageCopy(**own, until_s=0.0))
    journal.tell(19, e.SalvageFailed(**own, message="m"))
    journal.tell(19, e.SalvageFailed(**own, message="m"))
    journal.abandon(20, back=0)

    assert journal.parts(20) == {
        "RESTORE": 2,
        "LOST": 12,
        "DRAIN": 5,
        "IDLE": 1,
        "FREE": 20,
    }


def test_coupled_stages_share_their_lease_by_what_they_ask_for() -> None:
    """One of two stages waits: its half of the lease is idle."""
    a = stage("a", reads={"b": Coupling.PREVIOUS})
    b = stage("b", reads={"a": Coupling.PREVIOUS})
    journal = Journal(a, b)
    journal.lease(0, "n1", "n2")
    journal.attempt(0)
    journal.start(2, 0)
    journal.start(2, 0, stage="b")
    journal.finish(8, 0)
    journal.finish(12, 0, stage="b")
    journal.commit(12, 0)
    journal.commit(12, 0, stage="b")

    assert journal.parts(12) == {"RESTORE": 4, "USEFUL": 16, "IDLE": 4}
    entries = [x for x in journal.ledger(12).entries if x.simulation]
    assert {x.stage: x.held_node_s for x in entries} == {"": 8, "a": 6, "b": 10}


def test_facts_about_an_attempt_that_is_over_change_nothing() -> None:
    """Late, doubled and foreign facts are not counted."""
    journal = begun()
    before = journal.parts(12)
    journal.finish(12, 0)
    journal.finish(12, 1)
    journal.finish(12, 0, attempt=9)
    journal.start(12, 1, attempt=9)
    old: dict[str, Any] = {"simulation": "s", "set": "a", "attempt": 9, "boundary": 0}
    journal.tell(12, e.SetRestored(**old, rung="init"))
    journal.tell(12, e.RestoreFailed(**old, cause=e.Cause.MODEL, message="m"))
    journal.tell(12, c.BeginCheckpoint(**old), c.SalvageCopy(**old, until_s=0.0))
    journal.tell(12, e.SalvageFailed(**old, message="m"))
    journal.abandon(12, attempt=9)
    stranger = e.SetRestored(
        simulation="t", set="a", attempt=1, boundary=0, rung="init"
    )
    journal.tell(12, stranger)

    assert journal.parts(12) == before


def test_what_runs_when_a_driver_dies_is_lost_up_to_its_last_row() -> None:
    """Nobody knows about the minute before the next driver; the gap is told."""
    journal = begun()
    journal.start(12, 1)
    journal.tell(16, e.StopRequested())
    journal.tell(76, e.DriverStarted(epoch=2, host="h", pid=2))
    rolled: dict[str, Any] = {
        "simulation": "s",
        "set": "a",
        "attempt": 1,
        "boundary": 0,
    }
    journal.tell(
        76, c.RolledBack(**rolled, segments=1, lost_s=1.0, cause=e.Cause.NODE_LOST)
    )

    ledger = journal.ledger(80)
    assert journal.parts(80) == {"RESTORE": 2, "LOST": 14, "FREE": 16}
    assert {x.cause for x in ledger.losses} == {DRIVER_ENDED}
    assert [(gap.until_s - gap.since_s, gap.nodes) for gap in ledger.gaps] == [(60, 1)]


def test_a_driver_that_left_by_itself_leaves_no_gap() -> None:
    """It held nothing any more."""
    journal = begun()
    journal.lease(12)
    journal.tell(13, e.DriverStopped(reason="stop"))
    journal.tell(73, e.DriverStarted(epoch=2, host="h", pid=2))

    assert journal.ledger(80).gaps == ()
    assert journal.parts(80)["FREE"] == 14
