"""Stories of checkpoints that are damaged, found late or told again."""

from __future__ import annotations

from climorch.core.progress import Policies
from climorch.model import events as e
from climorch.model.events import Cause
from climorch.model.plan import Coupling, StagePlan
from climorch.policy.checkpointing import EverySegments
from climorch.policy.retention import KeepLast
from tests.unit.core.script import Script, stage, submitted

RARELY = Policies(checkpointing=EverySegments(count=99))


def started(*stages: StagePlan, policies: Policies | None = None) -> Script:
    """Begin a simulation on four nodes that has its states."""
    script = Script(policies)
    script.tell(submitted(*stages))
    script.nodes("k", "l", "m", "n")
    script.restored()
    return script


def restore_failed(
    script: Script, *, damaged: bool, attempt: int | None = None, boundary: int = 0
) -> list[str]:
    """Let a restore fail."""
    s = script.set()
    return script.tell(
        e.RestoreFailed(
            simulation="s",
            set="a",
            attempt=attempt or s.attempt,
            boundary=boundary or s.from_boundary,
            cause=Cause.CORRUPT if damaged else Cause.STORAGE,
            message="no",
            damaged=damaged,
        )
    )


def test_a_damaged_checkpoint_is_not_used_again() -> None:
    """The one before takes its place, and what it covered is committed again."""
    s = started()
    s.finished(0)
    s.committed(1)
    s.finished(1)
    s.committed(2)
    s.failed(2, Cause.MODEL)

    assert restore_failed(s, damaged=True) == [
        "abandon s.a #2",
        "back s.a to 1: 1 segments, 0 s, CORRUPT",
        "attempt s.a #3 from 1",
    ]
    s.restored()
    s.finished(1)
    assert s.committed(2) == ["committed s.a 1"]


def test_rot_that_is_found_early_costs_only_if_a_loss_follows() -> None:
    """The attempt goes on; a restore then takes the one before, not the bad one."""
    s = started(policies=RARELY)
    s.finished(0)
    s.committed(1)
    s.finished(1)
    s.committed(2)
    found = e.CheckpointScrubbed(
        simulation="s", set="a", boundary=2, bad=("x is missing",), damaged=True
    )

    assert s.tell(found) == []
    assert s.set().committed == 1
    assert s.failed(2, Cause.MODEL) == [
        "abandon s.a #1",
        "back s.a to 1: 1 segments, 3 s, MODEL",
        "move s from k: stage a, segment 2 failed on k",
        "lease s: none",
        "lease s: l",
        "attempt s.a #2 from 1",
    ]


def test_rot_that_was_repaired_changes_nothing() -> None:
    """The checkpoint is as good as before."""
    s = started(policies=RARELY)
    s.finished(0)
    s.committed(1)
    s.tell(e.CheckpointScrubbed(simulation="s", set="a", boundary=1, repaired=("x",)))

    assert s.set().committed == 1


def test_a_restore_that_fails_for_another_reason_is_tried_again() -> None:
    """Storage that is away says nothing about the checkpoint."""
    s = started()
    s.finished(0)
    s.committed(1)
    s.failed(1, Cause.MODEL)

    assert restore_failed(s, damaged=False) == [f"abandon s.a #2 until {s.now_s + 1:g}"]
    assert s.tell(after_s=1) == ["attempt s.a #3 from 1"]


def test_damage_that_is_found_late_takes_its_segments_along() -> None:
    """Even where no attempt lives on the checkpoint, they count no more."""
    s = started(policies=RARELY)
    s.tell(e.PauseRequested(simulation="s"))
    s.finished(0)
    s.committed(1)

    assert restore_failed(s, damaged=True, attempt=1, boundary=1) == [
        "back s.a to 0: 1 segments, 0 s, CORRUPT"
    ]
    assert s.set().committed_segments == {"a": 0}


def test_a_checkpoint_that_lost_its_states_breaks_the_attempt() -> None:
    """Where memory is gone there is nothing left to try again with."""
    s = started()
    s.finished(0)

    assert s.not_written(1, Cause.NOT_DURABLE) == [
        f"abandon s.a #1 until {s.now_s + 0.1:g}",
        "back s.a to 0: 1 segments, 11 s, NOT_DURABLE",
    ]


def test_a_checkpoint_that_is_found_late_is_gone_on_from() -> None:
    """What lies below a newer checkpoint is not computed again."""
    s = started(policies=RARELY)
    s.finished(0)
    old = s.commit(1)
    s.failed(1, Cause.MODEL)
    s.restored()

    assert s.tell(old) == [
        "committed s.a 0",
        "abandon s.a #2",
        "back s.a to 1: 0 segments, 1 s, NODE_LOST",
        "publish s.a 1",
        "attempt s.a #3 from 1",
    ]


def test_a_checkpoint_that_exists_is_not_made_again() -> None:
    """An attempt that is about to checkpoint where there is one goes on from it."""
    s = started(stage("a"), stage("b", reads={"a": Coupling.SAME}))
    s.finished(0)
    old = s.commit(1)
    s.failed(0, Cause.MODEL, "b")
    s.restored()
    s.finished(0)

    assert s.set().planned == 1
    assert s.tell(s.finish(0, "b"), old) == [
        "committed s.a 0",
        "committed s.b 0",
        "abandon s.a #2",
        "publish s.a 1",
        "attempt s.a #3 from 1",
    ]


def test_a_checkpoint_that_is_told_again_is_not_there_again() -> None:
    """A repeated fact brings back neither a deleted nor a damaged checkpoint."""
    policies = Policies(checkpointing=EverySegments(), retention=KeepLast(count=1))
    s = started(policies=policies)
    first = s.commit(1)
    for k in range(3):
        s.finished(k)
        s.committed(k + 1)
        s.published(k + 1)
    s.tell(e.CheckpointDeleted(simulation="s", set="a", boundary=1))
    again = s.commit(3)
    s.failed(3, Cause.MODEL)
    restore_failed(s, damaged=True)

    s.tell(first, again)

    assert sorted(s.set().commits) == [2, 3]
    assert not s.set().commits[3].good


def test_a_checkpoint_being_deleted_is_not_fallen_back_to() -> None:
    """What is on its way to the trash is gone, whatever else is damaged."""
    policies = Policies(checkpointing=EverySegments(), retention=KeepLast(count=1))
    s = started(policies=policies)
    for k in range(3):
        s.finished(k)
        s.committed(k + 1)
        s.published(k + 1)
    assert s.set().commits[1].deleting
    s.failed(3, Cause.MODEL)
    restore_failed(s, damaged=True)

    assert restore_failed(s, damaged=True)[1:] == [
        "back s.a to 0: 2 segments, 0 s, CORRUPT",
        "attempt s.a #4 from 0",
    ]


def test_a_phase_whose_start_is_lost_can_still_be_held() -> None:
    """A stage that runs has its inputs: it need not wait for them to be let go."""
    s = Script(RARELY)
    s.tell(submitted(stage("spin", boundaries=(0, 1)), stage("a", after=("spin",))))
    s.nodes("n")
    s.restored("spin")
    s.finished(0, "spin")
    s.committed(1, "spin")
    s.restored()
    damage = e.RestoreFailed(
        simulation="s",
        set="spin",
        attempt=1,
        boundary=1,
        cause=Cause.CORRUPT,
        message="no",
        damaged=True,
    )

    assert s.tell(damage) == [
        "back s.spin to 0: 1 segments, 0 s, CORRUPT",
        "attempt s.spin #2 from 0",
    ]
    assert s.tell(e.StopRequested()) == ["abandon s.spin #2", "plan s.a 1"]
