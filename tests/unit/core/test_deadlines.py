"""Stories of nodes whose end is learned, or moves, while they are in use."""

from __future__ import annotations

from climorch.core.progress import Policies
from climorch.model import events as e
from climorch.model.causes import Cause
from climorch.policy.checkpointing import EverySegments
from tests.unit.core.script import Script, stage, submitted

RARELY = Policies(checkpointing=EverySegments(count=99))


def begun() -> Script:
    """Begin a simulation on a node of which no end is known: one segment done."""
    script = Script(RARELY)
    script.tell(submitted(stage(boundaries=tuple(range(20))), name="s"))
    script.nodes("n")
    script.restored(simulation="s")
    script.finished(0, simulation="s")
    return script


def test_a_node_whose_end_becomes_known_is_left_before_it() -> None:
    """As if it had joined with that deadline; its loss is expected then."""
    s = begun()
    told = s.tell(e.NodeDeadline(node="n", deadline_s=60.0, reason="walltime"))

    assert told == ["plan s.a 2"]
    assert s.finished(1) == ["checkpoint s.a 2 #1"]
    assert s.at(50.0, s.commit(2))[-1] == "lease s: none"
    assert s.at(60.0) == []
    assert s.tell(e.NodeLost(node="n")) == []
    assert s.orchestrator.state.losses.events == 0


def test_an_end_that_moves_away_lets_go_on() -> None:
    """A job that was given more time serves on."""
    s = begun()
    s.tell(e.NodeDeadline(node="n", deadline_s=60.0))
    s.tell(e.NodeDeadline(node="n", deadline_s=6000.0))

    # What was planned is done; the nodes stay.
    assert s.finished(1)[-1] == "segment s.a 2 #1"
    assert s.orchestrator.state.deadlines == 1
    s.tell(e.NodeDeadline(node="n", deadline_s=None))
    assert s.orchestrator.state.deadlines == 0
    assert not s.orchestrator.state.timed


def test_a_node_that_goes_at_once_is_lost_with_what_runs_there() -> None:
    """Nothing is started there again, though it still answers."""
    s = begun()
    now_s = s.now_s
    told = s.tell(e.NodeDeadline(node="n", deadline_s=now_s, reason="preempted"))

    assert told[-1] == "lease s: none"
    assert s.nodes("m")[0] == "lease s: m"


def recalled(script: Script) -> list[str]:
    """Let the batch system take the node back, in thirty seconds at most."""
    end_s = script.now_s + 30.0
    return script.tell(
        e.NodeDeadline(node="n", deadline_s=end_s, reason="SIGTERM", recalled=True)
    )


def test_a_node_that_is_taken_back_is_left_at_the_next_boundary() -> None:
    """The segment under way is let end, though many more would fit."""
    s = begun()
    assert recalled(s) == ["plan s.a 2"]
    assert s.finished(1) == ["checkpoint s.a 2 #1"]
    assert s.tell(s.commit(2))[-1] == "lease s: none"
    # Nobody else is given it, and its loss is expected.
    assert s.tell(submitted(stage(), name="t")) == []
    assert s.tell(e.NodeLost(node="n")) == []
    assert s.orchestrator.state.losses.events == 0
    assert s.nodes("m")[0] == "lease s: m"


def test_nothing_is_begun_anew_on_a_node_that_is_taken_back() -> None:
    """What ran there was killed with its job: it waits for another one."""
    s = begun()
    recalled(s)
    told = s.failed(1, cause=Cause.NODE_LOST)

    assert told[-1] == "lease s: none"
    assert not any(line.startswith("attempt") for line in told)
    assert s.at(s.now_s + 20.0) == []


def test_a_node_that_was_given_its_time_back_serves_on() -> None:
    """Who warned of its end changed its mind."""
    s = begun()
    recalled(s)
    s.tell(e.NodeDeadline(node="n", deadline_s=6000.0, reason="its job ends"))
    assert s.finished(1)[-1] == "segment s.a 2 #1"


def test_the_end_of_a_node_that_is_not_there_changes_nothing() -> None:
    """It may have gone while the batch system was asked."""
    s = begun()

    assert s.tell(e.NodeDeadline(node="x", deadline_s=60.0)) == []
    assert s.orchestrator.state.deadlines == 0
