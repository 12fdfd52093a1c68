"""Stories of pauses, stops and cancellations."""

from __future__ import annotations

from climorch.core.progress import Policies
from climorch.model import events as e
from climorch.model.events import Cause
from climorch.model.plan import Coupling, StagePlan
from climorch.policy.checkpointing import EverySegments
from tests.unit.core.script import Script, stage, submitted

SAME = Coupling.SAME
RARELY = Policies(checkpointing=EverySegments(count=99))
PAUSE = e.PauseRequested(simulation="s")
RESUME = e.ResumeRequested(simulation="s")


def started(*stages: StagePlan, policies: Policies | None = None) -> Script:
    """Begin a simulation that has its nodes and its states."""
    script = Script(policies)
    script.tell(submitted(*stages))
    script.nodes("n", "m")
    script.restored()
    return script


def test_a_pause_checkpoints_at_the_next_boundary_and_gives_the_nodes_back() -> None:
    """Nothing is lost by a pause, and the next attempt goes on from there."""
    s = started(policies=RARELY)

    assert s.tell(PAUSE) == ["plan s.a 1"]
    assert s.finished(0) == ["checkpoint s.a 1 #1"]
    assert s.committed(1) == [
        "committed s.a 0",
        "publish s.a 1",
        "abandon s.a #1",
        "lease s: none",
    ]
    assert s.orchestrator.over
    assert s.tell(RESUME) == ["lease s: n", "attempt s.a #2 from 1"]


def test_a_pause_waits_for_the_stage_that_is_ahead() -> None:
    """Where a stage is beyond the next boundary, all meet at the one after."""
    s = started(stage("a"), stage("b", reads={"a": SAME}), policies=RARELY)
    s.finished(0)
    s.finished(1)

    assert s.tell(PAUSE) == ["plan s.a 2"]
    assert s.finished(0, "b") == ["segment s.b 1 #1"]
    assert s.finished(1, "b") == ["checkpoint s.a 2 #1"]
    assert s.committed(2)[-2:] == ["abandon s.a #1", "lease s: none"]


def test_a_pause_waits_no_further_than_the_end() -> None:
    """The last boundary cannot be passed, however far a stage is."""
    s = started(
        stage("a", boundaries=(0, 1)),
        stage("b", boundaries=(0, 1), reads={"a": SAME}),
        policies=RARELY,
    )
    s.finished(0)

    assert s.set().planned == 1
    assert s.tell(PAUSE) == []


def test_a_pause_at_a_boundary_checkpoints_there() -> None:
    """A set whose stages all stand at a boundary is cut there."""
    s = started(policies=RARELY)

    assert s.tell(s.finish(0), PAUSE) == ["plan s.a 1", "checkpoint s.a 1 #1"]


def test_a_pause_before_the_first_segment_gives_the_nodes_back_at_once() -> None:
    """What has computed nothing since its checkpoint has nothing to save."""
    s = Script()
    s.tell(submitted())
    s.nodes("n")

    assert s.tell(PAUSE) == ["abandon s.a #1", "lease s: none"]
    assert s.tell(RESUME) == ["lease s: n", "attempt s.a #2 from 0"]
    assert s.tell(PAUSE, RESUME) == []


def test_a_pause_right_after_a_restore_gives_the_nodes_back_at_once() -> None:
    """A set that stands at its checkpoint needs no other one."""
    s = Script()
    s.tell(submitted())
    s.nodes("n")
    fact = e.SetRestored(simulation="s", set="a", attempt=1, boundary=0, rung="init")

    assert s.tell(fact, PAUSE) == ["abandon s.a #1", "lease s: none"]


def test_a_pause_while_a_checkpoint_is_written_waits_for_it() -> None:
    """Two checkpoints of a set are never written side by side."""
    s = started()
    s.finished(0)

    assert s.tell(PAUSE) == ["plan s.a 2"]
    assert s.finished(1) == []
    assert s.committed(1) == ["committed s.a 0", "publish s.a 1", "checkpoint s.a 2 #1"]
    assert s.committed(2) == ["committed s.a 1", "abandon s.a #1", "lease s: none"]


def test_a_pause_goes_through_a_storage_that_fails() -> None:
    """A checkpoint that storage refused is tried again before the nodes go."""
    s = started(policies=RARELY)
    s.tell(PAUSE)
    s.finished(0)

    assert s.not_written(1, Cause.STORAGE) == []
    assert s.wakes_after() == 2
    assert s.tell(after_s=1) == []
    assert s.tell(after_s=1) == ["plan s.a 1", "checkpoint s.a 1 #1"]


def test_a_stop_is_a_pause_of_all() -> None:
    """Everything is checkpointed and given back; nothing new is started."""
    s = Script(RARELY)
    s.tell(submitted(), submitted(name="x"), submitted(name="y"))
    s.nodes("n", "m")
    s.restored()

    assert s.tell(e.StopRequested()) == [
        "plan s.a 1",
        "abandon x.a #1",
        "lease x: none",
    ]
    assert s.finished(0) == ["checkpoint s.a 1 #1"]
    assert not s.orchestrator.over
    assert s.committed(1)[-2:] == ["abandon s.a #1", "lease s: none"]
    assert s.orchestrator.over


def test_a_stop_in_a_later_phase_holds_that_phase() -> None:
    """A stop does not wait for what is committed already."""
    s = Script(RARELY)
    s.tell(submitted(stage("spin", boundaries=(0, 1)), stage("a", after=("spin",))))
    s.nodes("n")
    s.restored("spin")
    s.finished(0, "spin")
    s.committed(1, "spin")
    s.restored()

    assert s.tell(e.StopRequested()) == ["plan s.a 1"]


def test_a_cancelled_simulation_lets_go_at_once() -> None:
    """What is committed stays; what was computed since is lost and told."""
    s = started(policies=RARELY)
    s.finished(0)

    assert s.tell(e.CancelRequested(simulation="s")) == [
        "abandon s.a #1",
        "back s.a to 0: 1 segments, 11 s, NODE_LOST",
        "lease s: none",
    ]
    assert s.orchestrator.over
    assert s.tell(RESUME) == []


def test_a_cancelled_simulation_that_waits_holds_nothing() -> None:
    """There is nothing to let go of before a lease."""
    s = Script()
    s.tell(submitted())

    assert s.tell(e.CancelRequested(simulation="s")) == []
