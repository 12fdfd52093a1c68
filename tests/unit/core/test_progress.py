"""Stories of a simulation: facts in, decisions out, in order."""

from __future__ import annotations

import math

import pytest

from climorch.core.progress import Policies
from climorch.core.state import Control, RuleFault
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.events import Cause
from climorch.model.plan import Coupling, RulePlan, RuleTime, StagePlan
from climorch.policy.checkpointing import Daly, EverySegments, Pace
from climorch.policy.retention import KeepLast
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


def test_a_simulation_from_its_submission_to_its_end() -> None:
    """A lease, an attempt, segments, checkpoints, results, and the lease is back."""
    s = Script()

    assert s.tell(submitted(stage(boundaries=(0, 1, 2)))) == []
    assert s.nodes("n") == ["lease s: n", "attempt s.a #1 from 0"]
    assert s.restored() == ["segment s.a 0 #1"]
    assert s.finished(0) == [
        "plan s.a 1",
        "checkpoint s.a 1 #1 full",
        "segment s.a 1 #1",
    ]
    assert s.committed(1) == ["committed s.a 0", "publish s.a 1"]
    assert s.published(1) == []
    assert s.finished(1) == ["plan s.a 2", "checkpoint s.a 2 #1"]
    assert s.committed(2) == [
        "committed s.a 1",
        "abandon s.a #1",
        "publish s.a 2",
        "lease s: none",
    ]
    assert not s.orchestrator.over
    assert s.published(2) == []
    assert s.orchestrator.over


def test_one_checkpoint_at_a_time_and_none_is_queued() -> None:
    """What falls due while one is being written is left out, but for the end."""
    s = started()

    assert s.finished(0) == [
        "plan s.a 1",
        "checkpoint s.a 1 #1 full",
        "segment s.a 1 #1",
    ]
    assert s.finished(1) == ["segment s.a 2 #1"]
    assert s.committed(1) == ["committed s.a 0", "publish s.a 1"]
    assert s.finished(2) == ["plan s.a 3", "checkpoint s.a 3 #1", "segment s.a 3 #1"]
    assert s.finished(3) == ["plan s.a 4"]
    assert s.committed(3) == [
        "committed s.a 1",
        "committed s.a 2",
        "checkpoint s.a 4 #1",
    ]


def test_coupled_stages_meet_at_a_planned_boundary() -> None:
    """The boundary is chosen before any stage has passed it; then nobody does."""
    s = started(stage("a"), stage("b", reads={"a": SAME}))

    assert s.finished(0) == ["plan s.a 1", "segment s.b 0 #1"]
    assert s.finished(0, "b") == [
        "checkpoint s.a 1 #1 full",
        "segment s.a 1 #1",
    ]
    # While that one is written the first stage runs ahead.
    assert s.finished(1) == ["segment s.a 2 #1", "segment s.b 1 #1"]
    assert s.committed(1) == ["committed s.a 0", "committed s.b 0", "publish s.a 1"]
    assert s.finished(2) == ["plan s.a 3"]
    assert s.finished(1, "b") == ["segment s.b 2 #1"]


def test_every_so_many_checkpoints_one_is_written_in_full() -> None:
    """The first, the third and so on share no file with those before."""
    policies = Policies(checkpointing=EverySegments(), full_every=2)
    s = started(stage(boundaries=range(6)), policies=policies)
    full = []
    for k in range(5):
        full += [x for x in s.finished(k) if x.startswith("checkpoint")]
        s.committed(k + 1)
        s.published(k + 1)

    assert full == [
        "checkpoint s.a 1 #1 full",
        "checkpoint s.a 2 #1",
        "checkpoint s.a 3 #1 full",
        "checkpoint s.a 4 #1",
        "checkpoint s.a 5 #1 full",
    ]


def test_a_strategy_is_told_the_pace_of_the_set() -> None:
    """Time since the last one, boundaries passed, the way to the next, the cost."""
    asked: list[Pace] = []

    class Recording:
        def due(self, pace: Pace) -> str | None:
            asked.append(pace)
            return "now" if pace.boundaries == 2 else None

    coarse = stage("b", boundaries=(0, 2, 4, 6, 8), reads={"a": SAME})
    fine = stage("a", boundaries=range(9))
    s = started(fine, coarse, policies=Policies(checkpointing=Recording()))
    for k in range(2):
        s.finished(k)
    s.finished(0, "b")
    for k in (2, 3):
        s.finished(k)

    first, second = asked[0], asked[-1]
    assert (first.since_s, first.boundaries, first.cost_s) == (2.0, 1, None)
    # Two fine segments of ten seconds; the coarse one has not been seen.
    assert first.next_s == 20.0
    assert (second.since_s, second.boundaries) == (5.0, 2)
    # Two nodes in five years of a node, and all of them once a year; beside that, a
    # few seconds without a failure.
    assert first.mtbf_s == pytest.approx(157_680_000 / 7, rel=1e-4)
    assert (first.since_model_s, first.model_s, first.calendar) == (0, 2, "noleap")
    assert (second.model_s, second.ends_in_s) == (4, math.inf)


def test_phases_follow_each_other_on_one_lease() -> None:
    """What comes after a stage starts when that is committed to its end."""
    spin = stage("spin", boundaries=(0, 1))
    s = Script()
    s.tell(submitted(spin, stage("a", boundaries=(0, 1), after=("spin",))))
    s.nodes("n")

    assert s.restored("spin") == ["segment s.spin 0 #1"]
    assert s.finished(0, "spin") == ["plan s.spin 1", "checkpoint s.spin 1 #1 full"]
    assert s.committed(1, "spin") == [
        "committed s.spin 0",
        "abandon s.spin #1",
        "publish s.spin 1",
        "attempt s.a #1 from 0",
    ]


def test_the_last_checkpoint_is_tried_until_it_is_written() -> None:
    """Storage that fails costs time and no work, ever longer up to a minute."""
    s = started(stage(boundaries=(0, 1)))
    s.finished(0)
    waits = []
    for _ in range(8):
        s.not_written(1, Cause.STORAGE)
        waits.append(s.wakes_after() or 0.0)
        assert s.tell(after_s=waits[-1]) == ["plan s.a 1", "checkpoint s.a 1 #1 full"]
    # A thousand failures later it still works.
    s.simulation().failures[Cause.STORAGE] = 5000
    s.not_written(1, Cause.STORAGE)

    assert waits == [2, 4, 8, 16, 32, 60, 60, 60]
    assert s.wakes_after() == 60


def test_storage_that_fails_on_the_way_does_not_stop_the_set() -> None:
    """Between its ends a set computes on and is checkpointed later."""
    s = started()
    s.finished(0)

    assert s.not_written(1, Cause.STORAGE) == []
    assert s.finished(1) == [
        "plan s.a 2",
        "checkpoint s.a 2 #1 full",
        "segment s.a 2 #1",
    ]


def test_a_rule_runs_once_when_its_stage_is_committed() -> None:
    """A rule is asked after the last commit and its edits become simulations."""
    s = Script()
    s.tell(submitted(stage(boundaries=(0, 1)), rules=[("r", "a"), ("q", "a")]))
    s.nodes("n")
    s.restored()
    s.finished(0)

    assert s.committed(1) == [
        "committed s.a 0",
        "abandon s.a #1",
        "publish s.a 1",
        "rule s.r",
        "lease s: none",
    ]
    s.published(1)
    child = submitted(name="child")
    answer = e.RuleEvaluated(simulation="s", rule="r", at=1, added=(child,))
    # The second is asked of what the first made of it.
    assert s.tell(answer) == [
        "rule s.q",
        "lease child: n",
        "attempt child.a #1 from 0",
    ]
    # A repeated answer adds nobody a second time.
    assert s.tell(answer) == []
    assert not s.simulation().settled
    s.tell(e.RuleEvaluated(simulation="s", rule="q", at=1))
    assert s.simulation().settled


def test_a_rule_that_fails_is_asked_again_when_the_user_says_so() -> None:
    """Its simulation ends as if it had asked for nothing, with the fault told."""
    s = Script()
    s.tell(submitted(stage(boundaries=(0, 1)), rules=[("r", "a")]))
    s.nodes("n")
    s.restored()
    s.finished(0)
    s.committed(1)
    s.published(1)

    fault = e.RuleFailed(simulation="s", rule="r", at=1, message="no")
    assert s.tell(fault) == []
    assert s.simulation().failed is None
    assert s.simulation().rule_faults == {"r": RuleFault(at=1, message="no")}
    assert s.orchestrator.over
    assert s.tell(RESUME) == ["rule s.r"]
    assert s.simulation().rule_faults == {}
    s.tell(e.RuleEvaluated(simulation="s", rule="r", at=1))
    # Told late, it changes nothing.
    assert s.tell(fault) == []
    assert s.simulation().rule_faults == {}


def test_a_rule_that_fails_pauses_its_simulation_if_it_is_to() -> None:
    """It gives its nodes up at a checkpoint, and goes on when it is resumed."""
    s = Script()
    s.tell(submitted(rules=[RulePlan(name="r", when="a", on=RuleTime.COMMIT)]))
    s.nodes("n")
    s.restored()
    s.finished(0)
    s.committed(1)

    s.tell(e.RuleFailed(simulation="s", rule="r", at=1, message="no", pause=True))
    assert s.simulation().control is Control.PAUSED
    s.finished(1)
    told = s.committed(2)
    # Asked while it is paused: what it answers holds from the resume on.
    assert {"rule s.r", "lease s: none"} <= set(told)
    assert "lease s: n" in s.tell(RESUME)


def test_a_later_phase_waits_for_the_rules_of_the_phase_before_it() -> None:
    """Its end may move by their answer; a fault moves nothing."""
    s = Script()
    later = stage("b", boundaries=(1, 2), after=("a",))
    s.tell(submitted(stage(boundaries=(0, 1)), later, rules=[("r", "a")]))
    s.nodes("n")
    s.restored()
    s.finished(0)

    assert "rule s.r" in s.committed(1)
    s.published(1)
    fault = e.RuleFailed(simulation="s", rule="r", at=1, message="no")
    assert "attempt s.b #1 from 0" in s.tell(fault)


def test_old_checkpoints_are_deleted_once_their_results_are_out() -> None:
    """Retention deletes what is published and no longer needed to fall back."""
    policies = Policies(
        checkpointing=EverySegments(), retention=KeepLast(count=1), full_every=1
    )
    s = started(stage(boundaries=range(6)), policies=policies)
    told = []
    for k in range(4):
        s.finished(k)
        told += [x for x in s.committed(k + 1) if x[:6] in ("delete", "publis")]
        told += s.published(k + 1)

    assert told == [
        "publish s.a 1",
        "publish s.a 2",
        "publish s.a 3",
        "delete s.a 1",
        "publish s.a 4",
        "delete s.a 2",
    ]
    assert not s.orchestrator.over
    s.tell(e.CheckpointDeleted(simulation="s", set="a", boundary=1))
    assert (sorted(s.set().commits), s.set().deleted) == ([2, 3, 4], 1)


def test_results_are_published_in_order_one_at_a_time() -> None:
    """The next part waits until the one before is in."""
    s = started()
    s.finished(0)

    assert s.committed(1) == ["committed s.a 0", "publish s.a 1"]
    s.finished(1)
    assert s.committed(2) == ["committed s.a 1"]
    assert s.published(1) == ["publish s.a 2"]


def test_daly_is_the_default() -> None:
    """The defaults: the interval of Daly, three checkpoints, every eighth in full."""
    policies = Policies()

    assert (policies.checkpointing, policies.retention, policies.full_every) == (
        Daly(),
        KeepLast(count=3),
        8,
    )


def test_the_reason_travels_with_the_checkpoint() -> None:
    """A checkpoint says why it was made."""
    s = started(policies=RARELY)
    s.tell(PAUSE)
    s.finished(0)

    assert [x.why for x in s.outcome.commands if isinstance(x, c.BeginCheckpoint)] == [
        "paused"
    ]
