"""Stories of what goes wrong: losses, damage, retries."""

from __future__ import annotations

import pytest

from climorch.core.progress import Policies
from climorch.model import events as e
from climorch.model.events import Cause
from climorch.model.plan import StagePlan
from climorch.policy.checkpointing import EverySegments
from tests.unit.core.script import Script, plan, stage, submitted

RARELY = Policies(checkpointing=EverySegments(count=99))


def started(*stages: StagePlan, policies: Policies | None = None) -> Script:
    """Begin a simulation on four nodes that has its states."""
    script = Script(policies)
    script.tell(submitted(*stages))
    script.nodes("k", "l", "m", "n")
    script.restored()
    return script


def lost(*nodes: str) -> tuple[e.NodeLost, ...]:
    """Make facts of nodes that are gone."""
    return tuple(e.NodeLost(node=node) for node in nodes)


def test_a_segment_that_fails_is_tried_again_from_the_newest_checkpoint() -> None:
    """The attempt is abandoned, the loss told, the next one started elsewhere."""
    s = started(policies=RARELY)
    s.finished(0)

    assert s.failed(1, Cause.MODEL) == [
        "abandon s.a #1",
        "back s.a to 0: 1 segments, 11 s, MODEL",
        "move s from k: stage a, segment 1 failed on k",
        "lease s: none",
        "lease s: l",
        "attempt s.a #2 from 0",
    ]


def test_what_fails_is_tried_again_where_it_is_if_no_other_node_is_free() -> None:
    """To wait for one would cost more than the try."""
    s = Script(RARELY)
    s.tell(submitted())
    s.nodes("k")
    s.restored()

    assert s.failed(0, Cause.MODEL) == [
        "abandon s.a #1",
        "back s.a to 0: 0 segments, 1 s, MODEL",
        "attempt s.a #2 from 0",
    ]


def test_a_retry_waits_as_long_as_its_cause_demands() -> None:
    """Memory is waited for five seconds, then ten; then the budget is used up."""
    s = started()

    assert s.failed(0, Cause.MEMORY) == [
        f"abandon s.a #1 until {s.now_s + 5:g}",
        "back s.a to 0: 0 segments, 1 s, MEMORY",
    ]
    assert s.wakes_after() == 5
    assert s.tell(after_s=4) == []
    assert s.tell(after_s=1) == ["attempt s.a #2 from 0"]
    s.restored()
    assert s.failed(0, Cause.MEMORY)[0] == f"abandon s.a #2 until {s.now_s + 10:g}"
    assert s.tell(after_s=10) == ["attempt s.a #3 from 0"]
    s.restored()
    assert s.failed(0, Cause.MEMORY)[2:] == ["failed s: MEMORY", "lease s: none"]
    assert s.wakes_after() is None
    assert s.orchestrator.over


def test_a_commit_gives_the_budgets_back() -> None:
    """Failures are counted since the last progress."""
    s = started()
    s.failed(0, Cause.MODEL)
    s.restored()
    s.finished(0)
    s.committed(1)

    assert s.failed(1, Cause.MODEL)[-1] == "attempt s.a #3 from 1"


def test_a_user_or_a_new_driver_tries_a_failed_simulation_again() -> None:
    """Resuming clears the failure and its count."""
    s = started()
    assert s.failed(0, Cause.NUMERICAL) == [
        "abandon s.a #1",
        "back s.a to 0: 0 segments, 1 s, NUMERICAL",
        "failed s: NUMERICAL",
        "lease s: none",
    ]
    assert s.tell(e.ResumeRequested(simulation="s")) == [
        "lease s: k",
        "attempt s.a #2 from 0",
    ]
    s.restored()
    s.failed(0, Cause.NUMERICAL)
    s.tell(e.DriverStarted(epoch=2, host="h", pid=1))

    assert s.nodes("n") == ["lease s: n", "attempt s.a #3 from 0"]


def test_when_one_set_fails_for_good_the_others_let_go() -> None:
    """A failed simulation holds nothing, whatever its other sets did."""
    s = started(stage("a"), stage("b"), policies=RARELY)
    s.restored("b")
    s.finished(0, "b")

    assert s.failed(0, Cause.NUMERICAL) == [
        "abandon s.a #1",
        "back s.a to 0: 0 segments, 3 s, NUMERICAL",
        "failed s: NUMERICAL",
        "abandon s.b #1",
        "back s.b to 0: 1 segments, 11 s, NODE_LOST",
        "lease s: none",
    ]


def test_two_sets_that_fail_at_once_fail_a_simulation_once() -> None:
    """The first cause is kept."""
    s = started(stage("a"), stage("b"))
    s.restored("b")
    facts = [
        e.SegmentFailed(
            simulation="s",
            stage=name,
            segment=0,
            attempt=1,
            cause=Cause.NUMERICAL,
            message=name,
        )
        for name in "ab"
    ]

    assert s.tell(*facts) == [
        "abandon s.a #1",
        "back s.a to 0: 0 segments, 2 s, NUMERICAL",
        "failed s: NUMERICAL",
        "abandon s.b #1",
        "back s.b to 0: 0 segments, 1 s, NUMERICAL",
        "lease s: none",
    ]
    assert s.simulation().failed == (Cause.NUMERICAL, "a")


def test_what_arrives_from_an_attempt_that_is_over_changes_nothing() -> None:
    """Late and repeated facts are journaled and have no effect."""
    s = started()
    late = s.finish(0)
    s.failed(0, Cause.MODEL)
    s.restored()

    assert s.tell(late) == []
    assert s.set().done == {"a": 0}
    assert s.finished(0)[0] == "plan s.a 1"
    assert s.finished(0) == []


def test_a_small_loss_is_left_to_dask_and_topped_up() -> None:
    """Below a quarter of the lease the attempt goes on."""
    s = Script()
    s.tell(submitted(stage(nodes=5)))
    s.nodes(*"abcdef")
    s.restored()

    assert s.tell(*lost("c")) == ["lease s: a,b,d,e,f"]
    assert s.tell(*lost("d")) == []
    assert s.simulation().lease == ("a", "b", "e", "f")
    assert s.nodes("g") == ["lease s: a,b,e,f,g"]
    assert s.finished(0)[0] == "plan s.a 1"


def test_a_large_loss_makes_the_attempt_start_anew() -> None:
    """From a quarter on everything since the newest checkpoint is computed again."""
    s = Script(RARELY)
    s.tell(submitted(stage(nodes=4)))
    s.nodes(*"abcdef")
    s.restored()
    s.finished(0)

    assert s.tell(*lost("b")) == [
        "abandon s.a #1",
        "back s.a to 0: 1 segments, 11 s, NODE_LOST",
        "lease s: a,c,d",
        "lease s: none",
        "lease s: a,c,d,e",
        "attempt s.a #2 from 0",
    ]


def test_nobody_sits_on_a_part_of_what_the_other_needs() -> None:
    """Two gangs that each lost a node do not wait for each other forever."""
    s = Script(RARELY)
    s.tell(submitted(stage(nodes=2), name="x"), submitted(stage(nodes=2), name="y"))
    s.nodes(*"abcd")

    assert s.tell(*lost("a", "c")) == [
        "abandon x.a #1",
        "lease x: b",
        "lease x: none",
        "abandon y.a #1",
        "lease y: d",
        "lease y: none",
        "lease x: b,d",
        "attempt x.a #2 from 0",
    ]


def test_a_node_that_comes_back_has_lost_what_it_held() -> None:
    """Joining while it is thought to be up counts as a loss."""
    s = started(policies=RARELY)

    assert s.nodes("k") == [
        "abandon s.a #1",
        "back s.a to 0: 0 segments, 1 s, NODE_LOST",
        "lease s: none",
        "lease s: l",
        "attempt s.a #2 from 0",
    ]
    assert s.orchestrator.state.losses.events == 1


def test_a_loss_that_concerns_nobody_changes_nothing() -> None:
    """A free node may go, a node that is not known too."""
    s = started()

    assert s.tell(*lost("n", "n", "unheard")) == []
    assert s.orchestrator.state.losses.events == 0


def test_a_driver_that_died_is_followed_by_one_that_goes_on() -> None:
    """Nothing of the old driver runs; attempts begin anew on new nodes."""
    s = started(policies=RARELY)
    s.finished(0)

    assert s.tell(e.DriverStarted(epoch=2, host="h", pid=1)) == [
        "abandon s.a #1",
        "back s.a to 0: 1 segments, 10 s, NODE_LOST",
    ]
    assert s.orchestrator.state.epoch == 2
    assert s.nodes("n") == ["lease s: n", "attempt s.a #2 from 0"]


def test_what_a_dead_driver_had_committed_is_found() -> None:
    """A checkpoint whose fact was lost with the driver counts."""
    s = started(policies=RARELY)
    s.finished(0)
    old = s.commit(1)

    assert s.tell(e.DriverStarted(epoch=2, host="h", pid=1), old) == [
        "committed s.a 0",
        "abandon s.a #1",
        "publish s.a 1",
    ]


def test_hours_after_a_driver_died_are_not_charged() -> None:
    """Nobody knows that nodes were held after the last record."""
    s = started()
    s.tell(e.DriverStarted(epoch=2, host="h", pid=1), after_s=10_000)

    # One node from the second second to the third.
    assert s.simulation().node_s == 1.0
    assert s.orchestrator.state.node_s == 4.0


def test_an_end_that_is_moved_before_what_is_computed() -> None:
    """The attempt is abandoned, and the new end is where it goes on to."""
    s = started(policies=RARELY)
    s.finished(0)
    s.finished(1)
    shorter = e.SimulationChanged(
        simulation="s",
        scenario=s.simulation().scenario,
        plan=plan(stage(boundaries=(0, 1))),
    )

    assert s.tell(shorter) == [
        "abandon s.a #1",
        "back s.a to 0: 2 segments, 21 s, NODE_LOST",
        "attempt s.a #2 from 0",
    ]


def test_a_checkpoint_beyond_an_end_that_was_moved_is_not_counted() -> None:
    """What is being written when the end moves is of no use."""
    s = started()
    s.finished(0)
    s.committed(1)
    s.finished(1)
    late = s.commit(2)
    shorter = e.SimulationChanged(
        simulation="s",
        scenario=s.simulation().scenario,
        plan=plan(stage(boundaries=(0, 1))),
    )

    assert s.tell(shorter, late) == [
        "abandon s.a #1",
        "back s.a to 1: 1 segments, 11 s, NODE_LOST",
        "lease s: none",
    ]
    assert sorted(s.set().commits) == [1]


def test_a_later_end_makes_a_finished_simulation_go_on() -> None:
    """A simulation that is extended starts again from its old end."""
    s = started(stage(boundaries=(0, 1)))
    s.finished(0)
    s.committed(1)
    longer = e.SimulationChanged(
        simulation="s", scenario=s.simulation().scenario, plan=plan(stage())
    )

    assert s.tell(longer) == ["lease s: k", "attempt s.a #2 from 1"]


def test_a_change_that_touches_nothing_that_runs_goes_unnoticed() -> None:
    """A later end while it computes changes nothing at once."""
    s = started()
    longer = e.SimulationChanged(
        simulation="s",
        scenario=s.simulation().scenario,
        plan=plan(stage(boundaries=range(9))),
    )

    assert s.tell(longer) == []


@pytest.mark.parametrize("cause", list(Cause))
def test_every_cause_is_settled(cause: Cause) -> None:
    """Whatever a segment fails of, the attempt ends and no lease stays behind."""
    s = started()

    assert s.failed(0, cause)[0].startswith("abandon s.a #1")
