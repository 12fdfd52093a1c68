"""Optional sets that fail for good: who goes on, what is told, how they come back."""

from __future__ import annotations

import math

import pytest

from climorch.core.alarms import troubles
from climorch.core.calm import calm_until_s
from climorch.core.dropping import drops
from climorch.core.estimating import outlay
from climorch.core.explain import explain
from climorch.core.outlook import expected_end_s, rate_sypd
from climorch.core.progress import Policies
from climorch.core.statuses import summarise
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.numerics import Remedy, Retry
from climorch.model.plan import RulePlan, RuleTime
from climorch.policy.checkpointing import EverySegments
from tests.unit.core.script import UNLIMITED, Script, stage, submitted

MODEL, NODE_LOST, STORAGE = e.Cause.MODEL, e.Cause.NODE_LOST, e.Cause.STORAGE
END = (0, 1, 2)


def script(*, rules: tuple[RulePlan, ...] = (), remedy: bool = False) -> Script:
    """A needed stage beside an optional one, after which another one comes."""
    s = Script(
        Policies(
            checkpointing=EverySegments(),
            limits=UNLIMITED,
            remedies={"w": Remedy(change=lambda _: Retry())} if remedy else {},
        )
    )
    s.tell(
        submitted(
            stage("a", boundaries=END),
            stage("x", boundaries=END, optional=True),
            stage("y", boundaries=(2, 3), after=("x",), optional=True),
            rules=rules,
        )
    )
    s.nodes("n0", "n1")
    s.restored("a")
    s.restored("x")
    return s


def fail(s: Script) -> list[str]:
    """Let the optional stage fail until nobody tries it any more."""
    s.failed(0, MODEL, "x")
    s.restored("x")
    return s.failed(0, MODEL, "x")


def finish(s: Script) -> list[str]:
    """Compute the needed stage to its end."""
    told = []
    for k in range(2):
        told = s.finished(k) + s.committed(k + 1) + s.published(k + 1)
    return told


def test_the_rest_goes_on_without_an_optional_stage_that_failed_for_good() -> None:
    """It ends, with what comes after it; the needed stage does not notice."""
    s = script()
    assert fail(s) == [
        "abandon s.x #2",
        "back s.x to 0: 0 segments, 1 s, MODEL",
        "drop s.x: MODEL",
    ]
    assert s.simulation().failed is None
    assert s.set("a").running == {"a": 0}
    assert [n for n, g in s.simulation().sets.items() if drops(s.simulation(), g)] == [
        "x",
        "y",
    ]
    finish(s)
    assert s.simulation().status.value == "finished"
    assert s.simulation().lease == ()
    assert s.orchestrator.over


def test_what_is_optional_and_works_is_computed_with_what_comes_after_it() -> None:
    """A simulation is not over before."""
    s = script()
    finish(s)
    assert s.simulation().status.value == "running"
    for k in range(2):
        s.finished(k, "x")
        s.committed(k + 1, "x")
    assert s.set("y").attempt == 1
    s.restored("y")
    s.finished(0, "y")
    s.committed(1, "y")
    assert s.simulation().complete


def test_what_needs_one_that_failed_for_good_is_no_reason_to_stay() -> None:
    """Complete without the two, once the last needed segment is committed."""
    s = script()
    finish(s)
    assert "drop s.x: MODEL" in fail(s)
    assert s.simulation().complete
    assert s.simulation().lease == ()


def test_what_is_committed_of_it_stays() -> None:
    """And its results are published."""
    s = script()
    s.finished(0, "x")
    told = s.committed(1, "x")
    assert "publish s.x 1" in told
    s.failed(1, MODEL, "x")
    s.restored("x")
    assert "drop s.x: MODEL" in s.failed(1, MODEL, "x")
    assert list(s.set("x").commits) == [1]
    assert s.simulation().committed_segments == {"x": 1}


def test_failures_of_an_optional_stage_are_its_own() -> None:
    """They use up no budget of the others, whose progress does not make up for them."""
    s = script()
    s.failed(0, MODEL, "x")
    assert s.simulation().failures == {}
    s.finished(0)
    s.committed(1)
    s.restored("x")
    assert "drop s.x: MODEL" in s.failed(0, MODEL, "x")
    # The needed stage has its one retry still.
    assert "failed s: MODEL" not in s.failed(1, MODEL)
    s.restored()
    assert "failed s: MODEL" in s.failed(1, MODEL)


def test_progress_of_an_optional_stage_gives_it_a_full_budget_again() -> None:
    """As of any other set."""
    s = script()
    s.failed(0, MODEL, "x")
    s.restored("x")
    s.finished(0, "x")
    s.committed(1, "x")
    assert "drop s.x: MODEL" not in s.failed(1, MODEL, "x")


def test_a_node_that_dies_drops_nothing() -> None:
    """Its budget is another one."""
    s = script()
    s.tell(e.NodeLost(node="n0", reason="died"), e.NodeLost(node="n1", reason="died"))
    assert s.set("x").dropped is None
    assert s.simulation().failed is None


@pytest.mark.parametrize("how", ["again", "resume"])
def test_it_is_tried_again_when_somebody_asks_for_it(how: str) -> None:
    """Run the script again, or resume: also once all else is done."""
    s = script()
    fail(s)
    finish(s)
    assert s.simulation().complete
    if how == "again":
        told = s.restart("n0", "n1")
    else:
        told = s.tell(e.ResumeRequested(simulation="s"))
    assert not s.simulation().complete
    assert "attempt s.x #3 from 0" in told
    assert s.set("x").failures == {}


def test_a_replay_knows_what_was_dropped() -> None:
    """It follows from the journal."""
    s = script()
    fail(s)
    copy = Script(s.policies)
    copy.orchestrator.replay(s.journal)
    assert copy.orchestrator.state == s.orchestrator.state
    assert copy.set("x").dropped == (MODEL, "made to fail")


def test_status_explain_and_alarms_say_what_is_missing_and_why() -> None:
    """While it goes on, and when it is finished."""
    s = script()
    fail(s)
    state = s.orchestrator.state
    lacks = (
        "without x: error in the model: made to fail; "
        "without y: comes after one that failed for good"
    )
    (status,) = summarise(state, s.now_s)
    assert status.status == "running"
    assert status.why == f"its turn; goes on {lacks}"
    assert explain(state, "s", s.now_s).factors["goes on without"] == {
        "x": "error in the model: made to fail",
        "y": "comes after one that failed for good",
    }
    assert [t.text for t in troubles(state, s.now_s)] == [f"goes on {lacks}"]

    finish(s)
    (status,) = summarise(state, s.now_s)
    assert (status.status, status.why) == ("finished", f"finished {lacks}")


def test_nothing_is_said_where_nothing_is_missing() -> None:
    """Neither as a factor nor as a trouble."""
    s = script()
    state = s.orchestrator.state
    assert "goes on without" not in explain(state, "s", s.now_s).factors
    assert troubles(state, s.now_s) == ()


def test_estimates_leave_out_what_is_not_computed_any_more() -> None:
    """Until it ends: the two segments of ten seconds that are needed."""
    s = script()
    fail(s)
    s.finished(0)
    s.committed(1)
    simulation = s.simulation()
    assert expected_end_s(simulation, s.now_s) == s.now_s + 10.0
    assert rate_sypd(simulation) is not None
    left = outlay(
        simulation.plan,
        own=simulation,
        others=(),
        name="s",
        policies=s.policies,
        mtbf_s=math.inf,
    )
    assert left.duration_s.p50 < 20.0


def test_a_set_that_was_dropped_lets_a_twin_go_in_strides() -> None:
    """Nothing is to be decided about it."""
    s = Script()
    s.tell(
        submitted(
            stage("a", boundaries=range(100)), stage("x", boundaries=END, optional=True)
        )
    )
    s.nodes("n0", "n1")
    s.restored("a")
    s.restored("x")
    s.finished(0)
    s.committed(1)
    s.published(1)
    s.failed(0, MODEL, "x")
    assert calm_until_s(s.orchestrator.state, s.simulation()) == -math.inf
    s.restored("x")
    s.failed(0, MODEL, "x")
    assert calm_until_s(s.orchestrator.state, s.simulation()) == math.inf


def test_a_rule_at_the_end_counts_what_is_committed() -> None:
    """It is asked once all that is computed is, and again once more is."""
    rule = RulePlan(name="r", when="a", on=RuleTime.SIMULATION)
    s = script(rules=(rule,))
    fail(s)
    told = finish(s)
    assert "rule s.r" in told
    asked = [r for r, _ in s.journal if isinstance(r, c.EvaluateRule)]
    assert [r.at for r in asked] == [2]


@pytest.mark.parametrize("asked", [False, True])
def test_numbers_that_blow_up_drop_an_optional_stage(asked: bool) -> None:
    """At once without a remedy; with one, when that gives it up."""
    s = script(remedy=asked)
    told = s.failed(0, e.Cause.NUMERICAL, "x")
    assert ("drop s.x: NUMERICAL" in told) is not asked
    if asked:
        s.tell(
            e.RemedyGiven(
                simulation="s", set="x", number=1, retry=False, message="no hope"
            )
        )
    assert s.simulation().failed is None
    assert s.set("x").dropped is not None
    finish(s)
    assert s.simulation().complete


def test_a_remedy_gives_an_optional_stage_another_try() -> None:
    """Its own count of blow-ups begins anew."""
    s = script(remedy=True)
    s.failed(0, e.Cause.NUMERICAL, "x")
    s.tell(e.RemedyGiven(simulation="s", set="x", number=1, retry=True))
    assert s.set("x").dropped is None
    assert s.set("x").failures == {}
    assert s.set("x").attempt == 2


def test_storage_that_fails_an_optional_stage_is_waited_for() -> None:
    """And told as of any other."""
    s = script()
    s.finished(0, "x")
    s.not_written(1, STORAGE, "x")
    assert s.set("x").failures == {STORAGE: 1}
    assert s.simulation().failures == {}
    assert [t.text for t in troubles(s.orchestrator.state, s.now_s)] == [
        "storage failed 1 times since the last checkpoint"
    ]
