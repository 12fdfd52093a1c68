"""Where a set waits until it is said whether it ends there."""

from __future__ import annotations

import msgspec

from climorch.core.gating import gate_of
from climorch.core.progress import Policies
from climorch.model import events as e
from climorch.model.events import Cause
from climorch.model.numerics import Remedy, Retry
from climorch.model.plan import Coupling, RulePlan, RuleTime, SimulationPlan
from climorch.policy.checkpointing import EverySegments
from climorch.policy.retention import KeepLast
from tests.unit.core.script import Script, stage, submitted

RARELY = Policies(checkpointing=EverySegments(count=99))
ENDS = RulePlan(name="until a", when="a", on=RuleTime.UNTIL, every=2)


def begun(segments: int = 6, rule: RulePlan = ENDS) -> Script:
    """Begin a stage that may end early, then another."""
    s = Script(RARELY)
    ends = range(segments + 1)
    later = stage("b", boundaries=(segments, segments + 1), after=("a",))
    s.tell(submitted(stage(boundaries=ends), later, rules=[rule]))
    s.nodes("n")
    s.restored()
    return s


def answer(at: int, *, end: int | None = None) -> e.RuleEvaluated:
    """Answer a condition; where it holds the stage ends there."""
    if end is None:
        return e.RuleEvaluated(simulation="s", rule="until a", at=at)
    plan = SimulationPlan(
        workflow="w",
        stages=(
            stage(boundaries=range(end + 1)),
            stage("b", boundaries=(end, end + 1), after=("a",)),
        ),
        rules=(ENDS,),
    )
    scenario = submitted().scenario
    changed = e.SimulationChanged(simulation="s", scenario=scenario, plan=plan)
    return msgspec.structs.replace(answer(at), changed=changed, told=("end",))


def test_a_set_is_checkpointed_where_it_may_end_and_waits_for_the_answer() -> None:
    """Whatever the strategy says; beyond, it goes on to the next such place."""
    s = begun()
    s.finished(0)

    assert s.finished(1) == ["plan s.a 2", "checkpoint s.a 2 #1 full"]
    assert s.committed(2) == [
        "committed s.a 0",
        "committed s.a 1",
        "publish s.a 2",
        "rule s.until a",
    ]
    assert gate_of(s.simulation(), s.simulation().sets["a"]) == 2
    assert s.tell(answer(2)) == ["segment s.a 2 #1"]
    assert gate_of(s.simulation(), s.simulation().sets["a"]) == 4
    s.finished(2)
    assert s.finished(3) == ["plan s.a 4", "checkpoint s.a 4 #1"]


def test_where_the_condition_holds_the_next_phase_begins() -> None:
    """Nothing was computed beyond it, so nothing is lost."""
    s = begun()
    s.finished(0)
    s.finished(1)
    s.committed(2)

    told = s.tell(answer(2, end=2))

    assert told[0] == "abandon s.a #1"
    assert "attempt s.b #1 from 0" in told
    assert s.simulation().sets["a"].complete
    assert s.simulation().lost_s == 0.0


def test_a_checkpoint_that_fails_there_is_tried_again() -> None:
    """It computes no segment meanwhile: its end shall not depend on the storage."""
    s = begun()
    s.finished(0)
    s.finished(1)

    assert s.not_written(2, Cause.STORAGE) == []
    assert s.tell(after_s=s.wakes_after() or 0.0) == [
        "plan s.a 2",
        "checkpoint s.a 2 #1 full",
    ]


def test_a_fault_counts_as_an_answer_until_the_driver_starts_anew() -> None:
    """The set goes on; a later driver does not stop it short of what it has."""
    s = begun()
    s.finished(0)
    s.finished(1)
    s.committed(2)

    fault = e.RuleFailed(simulation="s", rule="until a", at=2, message="no")
    assert s.tell(fault) == ["segment s.a 2 #1"]


def test_stages_of_a_set_ask_where_their_segments_end_together() -> None:
    """A finer stage is asked at the first common boundary from there on."""
    fine = stage("f", boundaries=range(13), reads={"a": Coupling.PREVIOUS})
    coarse = stage("a", boundaries=range(0, 13, 3))
    rule = RulePlan(name="until f", when="f", on=RuleTime.UNTIL, every=4)
    plan = SimulationPlan(workflow="w", stages=(coarse, fine), rules=(rule,))

    # At 4 and 8 of the finer; the end, 12, is not asked about.
    assert plan.checks == {"a": (2, 3)}
    assert SimulationPlan(workflow="w", stages=(coarse, fine)).checks == {}


def test_a_stage_that_has_passed_a_gate_does_not_wait_there_again() -> None:
    """Its checkpoint went bad since: stages that stand apart would wait for ever."""
    rule = RulePlan(name="until a", when="a", on=RuleTime.UNTIL, every=2)
    s = Script(RARELY)
    ends = range(7)
    s.tell(
        submitted(
            stage("a", boundaries=ends, reads={"b": Coupling.PREVIOUS}),
            stage("b", boundaries=ends),
            rules=[rule],
        )
    )
    s.nodes("n", "m")
    s.restored()
    for segment in (0, 1):
        s.finished(segment)
        s.finished(segment, "b")
    s.committed(2)
    s.tell(answer(2))
    s.finished(2)
    # One stage is beyond, the other one still stands before segment 2.
    bad = e.CheckpointScrubbed(
        simulation="s", set="a", boundary=2, bad=("x",), damaged=True
    )
    s.tell(bad)

    assert s.set().committed == 0
    assert gate_of(s.simulation(), s.set()) == 4
    assert s.finished(2, "b") == ["segment s.a 3 #1", "segment s.b 3 #1"]
    s.finished(3)
    assert [x for x in s.finished(3, "b") if "checkpoint" in x] == [
        "checkpoint s.a 4 #1"
    ]


def test_conditions_are_asked_anew_of_a_new_course() -> None:
    """Beyond where it begins; what they said before it holds."""
    rule = RulePlan(name="until a", when="a", on=RuleTime.UNTIL)
    s = Script(Policies(remedies={"w": Remedy(change=lambda _: Retry())}))
    s.tell(submitted(rules=[rule]))
    s.nodes("n")
    s.restored()
    for k in range(3):
        s.finished(k)
        s.committed(k + 1)
        s.published(k + 1)
        s.tell(e.RuleEvaluated(simulation="s", rule="until a", at=k + 1))
    s.failed(3, Cause.NUMERICAL)
    assert s.simulation().rules_done == {"until a": 3}

    told = s.tell(e.RemedyGiven(simulation="s", set="a", number=1, retry=True, back=2))
    # Not of what is still there of the former one.
    assert [x for x in told if x.startswith("rule")] == []
    assert s.set().blown.target == 2
    assert s.simulation().rules_done == {"until a": 2}
    s.tell(e.CheckpointDeleted(simulation="s", set="a", boundary=3))
    s.restored()
    s.finished(2)
    assert "rule s.until a" in s.committed(3)


def test_a_course_reaches_back_from_the_oldest_checkpoint() -> None:
    """To which a set may have to go back, and be asked from there on again."""
    rule = RulePlan(name="until a", when="a", on=RuleTime.UNTIL, window_s=2.0)
    s = Script(Policies(retention=KeepLast(count=2)))
    s.tell(submitted(stage(boundaries=range(8)), rules=[rule]))
    s.nodes("n")
    s.restored()
    for k in range(5):
        s.tell(msgspec.structs.replace(s.finish(k), metrics={"x": float(k)}))
        s.committed(k + 1)
        s.published(k + 1)
        s.tell(e.RuleEvaluated(simulation="s", rule="until a", at=k + 1))
        for gone in [b for b, c in s.set().commits.items() if c.deleting]:
            s.tell(e.CheckpointDeleted(simulation="s", set="a", boundary=gone))

    # The newest was committed while 3 and 4 were there: from two segments before 3 on.
    assert list(s.set().commits) == [4, 5]
    assert [k for k, _ in s.simulation().courses["a"]] == [1, 2, 3, 4]
