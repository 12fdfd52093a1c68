"""Stories of copies in partners' memory that are written before their nodes go."""

from __future__ import annotations

from climorch.model import events as e
from climorch.model.commands import BeginCheckpoint
from climorch.model.events import Cause
from climorch.model.windows import Window
from tests.unit.core.copy_script import copying, held, started, with_copy
from tests.unit.core.script import Script, stage


def closing(s: Script, in_s: float, **more: object) -> list[str]:
    """Let all nodes be serviced from so many seconds on."""
    start_s = s.now_s + in_s
    window = Window(name="w", start_s=start_s, stop_s=start_s + 100, **more)  # type: ignore[arg-type]  # whatever a window takes
    return s.tell(e.WindowDeclared(window=window), after_s=0)


def overrunning(in_s: float = 300.0, **more: object) -> Script:
    """Let a segment run into a window, with a copy of the boundary before it."""
    s = with_copy(2)
    closing(s, in_s, **more)
    return s


def test_a_copy_is_written_beside_a_segment_that_does_not_end_before_a_window() -> None:
    """At twice the time that a checkpoint takes; the segment goes on."""
    s = overrunning()
    wakes_s = s.wakes_after()

    # Before one was written 30 s are assumed, up to 60 in 19 of 20 cases.
    assert wakes_s is not None
    assert 100 < wakes_s < 290
    assert s.tell(after_s=wakes_s - 1) == []
    told = s.tell(after_s=1)
    assert told[0] == "checkpoint s.a 2 #1"
    assert s.set().running == {"a": 2}
    assert s.set().checkpoint == 2
    assert s.committed(2) == ["committed s.a 0", "committed s.a 1", "publish s.a 2"]
    assert s.set().held.boundary is None


def test_the_command_says_that_partners_hold_the_states() -> None:
    """The set has passed that boundary: what it holds now is something else."""
    s = overrunning()
    outcome = s.orchestrator.handle([], s.now_s + (s.wakes_after() or 0))

    (command,) = (x for x in outcome.commands if isinstance(x, BeginCheckpoint))
    assert command.held
    assert command.why == "its nodes go soon: what partners hold is written"
    # The next one is counted from when the copy was made.
    assert s.set().since_s == s.set().held.begun_s


def test_a_boundary_that_is_planned_stays_planned() -> None:
    """The last one before the window is checkpointed too, if it is reached in time."""
    s = overrunning()
    assert s.tell(e.DrainRequested(node="k")) == ["plan s.a 3"]
    assert s.tell(after_s=s.wakes_after() or 0) == ["checkpoint s.a 2 #1"]
    s.committed(2)

    assert s.set().planned == 3
    assert s.finished(2) == ["checkpoint s.a 3 #1"]


def test_what_was_not_written_is_tried_again() -> None:
    """A storage that fails is asked again, until the nodes go."""
    s = overrunning()
    s.tell(after_s=s.wakes_after() or 0)

    s.not_written(2, Cause.STORAGE)

    assert s.wakes_after() == 2
    assert s.tell(after_s=2) == ["checkpoint s.a 2 #1"]


def test_once_the_nodes_went_nothing_is_written() -> None:
    """The attempt ends with the nodes; what was written in time counts."""
    s = overrunning()
    s.tell(after_s=s.wakes_after() or 0)
    s.committed(2)

    told = s.at(s.orchestrator.state.windows["w"].start_s)

    assert "abandon s.a #1" in told
    assert s.set().committed == 2


def test_a_soft_window_waits_for_the_boundary() -> None:
    """So nothing is written before."""
    s = overrunning(hard=False)

    assert s.tell(after_s=299) == []
    assert not [line for line in s.tell(after_s=2) if line.startswith("checkpoint")]


def test_a_set_that_stands_at_a_boundary_is_checkpointed_there() -> None:
    """The ordinary way: its copy is not written as well."""
    s = overrunning()
    s.tell(e.DrainRequested(node="k"))

    assert s.finished(2) == ["checkpoint s.a 3 #1"]
    assert s.tell(after_s=290) == []


def test_without_a_newer_copy_there_is_nothing_to_write() -> None:
    """What the disk has already is not written again."""
    s = started(stage(nodes=4), policies=copying())
    closing(s, 300.0)
    s.tell(after_s=200)

    assert s.set().checkpoint is None
    s = with_copy(2)
    s.finished(2)
    s.tell(held(s, 3))
    s.committed(3)
    closing(s, 300.0)
    s.tell(after_s=250)
    assert s.set().checkpoint != 3
