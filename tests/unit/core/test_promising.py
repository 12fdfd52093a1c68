"""Promise in the core: judged, journaled once, followed by the nodes, explained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from climorch.core.explain import explain
from climorch.core.orchestrator import Orchestrator
from climorch.core.progress import Policies
from climorch.core.prospecting import failing, judged_by, prospects_of
from climorch.errors import InvalidInputError
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.scenario import Scenario
from climorch.model.scoring import ScorePlan
from climorch.policy.checkpointing import EverySegments
from climorch.policy.promise import SiblingPromise
from climorch.policy.prospects import (
    Correlation,
    Promise,
    PromiseRule,
    Prospect,
    Ranking,
    Skill,
)
from climorch.policy.simple_promise import FixedPriorities, SubmissionOrder
from tests.unit.core.script import UNLIMITED, Script, stage, submitted

SCORES = (ScorePlan(name="x", stage="a", threshold=1.0),)


@dataclass(frozen=True, slots=True, kw_only=True)
class ByName:
    """A user's rule: by name, last first; who is named ``low`` gives way."""

    low: str = ""

    def rank(self, prospects: Sequence[Prospect], *, now_s: float) -> Ranking:
        """Order by name, backwards."""
        opened = [p for p in prospects if p.open]
        found = sorted(opened, key=lambda p: p.simulation, reverse=True)
        return Ranking(
            order=tuple(
                Promise(simulation=p.simulation, worth=1.0, reason="promise")
                for p in found
            ),
            pauses={
                p.simulation: "it is low"
                for p in found
                if p.simulation == self.low and p.holding
            },
            correlations=(Correlation(mark=1, rank=float("nan"), samples=3),),
        )


def script(rule: PromiseRule | None) -> Script:
    """Make an orchestrator with a rule of promise."""
    return Script(
        Policies(checkpointing=EverySegments(), limits=UNLIMITED, promise=rule)
    )


def begun(rule: PromiseRule | None, *names: str, nodes: int = 1) -> Script:
    """Submit simulations of one node, then let nodes join."""
    made = script(rule)
    for name in names:
        made.tell(submitted(stage("a"), name=name, scores=SCORES))
    made.nodes(*(f"n{i}" for i in range(nodes)))
    return made


def holders(made: Script) -> list[str]:
    """Who holds nodes."""
    return [s.name for s in made.orchestrator.state.simulations.values() if s.lease]


def test_without_a_rule_nothing_is_judged() -> None:
    """In order of submission, and no record more."""
    made = begun(None, "s1", "s2")

    assert holders(made) == ["s1"]
    assert not [r for r, _ in made.journal if isinstance(r, c.PromiseRanked)]


def test_nodes_go_to_whoever_stands_first() -> None:
    """The decision is journaled before the lease; only when something changes."""
    made = begun(ByName(), "s1", "s2", "s3")

    assert holders(made) == ["s3"]
    told = [r for r, _ in made.journal if isinstance(r, c.PromiseRanked)]
    assert [r.order for r in told] == [(0,), (1, 0), (2, 1, 0)]
    assert set(told[-1].promises) == {"s3"}
    assert told[-1].correlations[0].rank is None
    made.restored("a", "s3")
    assert not any(w.startswith("promise") for w in made.finished(0, "a", "s3"))


def test_who_gives_way_is_checkpointed_and_waits() -> None:
    """At its next boundary, with its reason; it goes on from there when asked again."""
    made = begun(ByName(low="s1"), "s1")
    made.restored("a", "s1")
    made.finished(0, "a", "s1")
    made.committed(1, "a", "s1")

    told = made.tell(submitted(stage("a"), name="s2", scores=SCORES))

    assert "promise default: 1,0, s1 gives way" in told
    assert "preempt s1: it is low" in told
    made.finished(1, "a", "s1")
    told = made.committed(2, "a", "s1")
    assert "lease s2: n0" in told
    assert made.simulation("s1").lease_why == "it is low"
    assert made.simulation("s1").sets["a"].committed == 2
    # Nobody else wants it: it goes on and nobody sends it away.
    told = made.tell(e.CancelRequested(simulation="s2"))
    assert "lease s1: n0" in told
    assert made.simulation("s1").preempted is None


def test_who_was_started_is_let_finish() -> None:
    """Whoever stands before it waits."""
    made = begun(ByName(), "s1")
    made.restored("a", "s1")
    made.finished(0, "a", "s1")
    made.committed(1, "a", "s1")
    made.tell(submitted(stage("a"), name="s2", scores=SCORES))

    for segment in (1, 2):
        made.finished(segment, "a", "s1")
        made.committed(segment + 1, "a", "s1")
    # For longer than any turn.
    made.at(made.now_s + 10 * 86_400.0)
    assert holders(made) == ["s1"]


def test_promise_stands_below_priority() -> None:
    """What a user says outright counts more."""
    made = script(ByName())
    made.tell(submitted(stage("a"), name="s1", priority=1, scores=SCORES))
    made.tell(submitted(stage("a"), name="s2", scores=SCORES))
    made.nodes("n0")

    assert holders(made) == ["s1"]


def test_a_restart_keeps_what_was_decided() -> None:
    """Replay decides nothing, and gives the same state."""
    made = begun(ByName(low="s1"), "s1", "s2")
    replayed = Orchestrator(Policies())
    replayed.replay(made.journal)

    assert replayed.state == made.orchestrator.state
    assert made.restart("n0").count("promise default: 1,0") == 0
    assert holders(made) == ["s2"]


def test_another_rule_or_none_takes_over_when_the_script_is_run_again() -> None:
    """What the former one decided is gone."""
    made = begun(ByName(), "s1", "s2")
    made.policies = Policies(
        checkpointing=EverySegments(), limits=UNLIMITED, promise=SubmissionOrder()
    )
    assert "promise default: 0,1" in made.restart("n0")
    made.policies = Policies(checkpointing=EverySegments(), limits=UNLIMITED)
    assert "promise default: off" in made.restart("n0")
    assert made.simulation("s1").standing is None
    assert made.orchestrator.state.promises == {}


class Broken:
    """A rule that fails in many ways."""

    def __init__(self, answer: object) -> None:
        self.answer = answer

    def rank(self, prospects: Sequence[Prospect], *, now_s: float) -> Ranking:
        """Raise, or return anything."""
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer  # type: ignore[return-value]


ONE = Promise(simulation="s1", worth=1.0, reason="order")
TWO = Promise(simulation="s2", worth=1.0, reason="order")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (ZeroDivisionError("no"), "ZeroDivisionError: no"),
        (None, "returned NoneType"),
        (Ranking(order=(ONE,)), "expected each open one once"),
        (Ranking(order=(ONE, ONE, TWO)), "expected each open one once"),
        (Ranking(order=(TWO, ONE), pauses={"s3": "x"}), "which hold no nodes"),
    ],
)
def test_a_rule_that_fails_leaves_the_order_of_submission(
    answer: object, told: str
) -> None:
    """The campaign goes on, and `explain` says why."""
    made = begun(Broken(answer), "s1", "s2")

    assert holders(made) == ["s1"]
    state = made.orchestrator.state
    assert told in state.promises["default"].fault
    factors = explain(state, "s1", made.now_s, made.policies).factors["promise"]
    assert told in factors["fault"]


def test_explain_tells_the_chain_from_score_to_nodes() -> None:
    """Score, belief, promise, place and nodes, with numbers."""
    made = begun(SiblingPromise(floor=0.0), "s1", "s2", nodes=1)
    made.restored("a", "s1")
    for segment in range(4):
        made.finished(segment, "a", "s1")
        made.committed(segment + 1, "a", "s1")
        made.published(segment + 1, "a", "s1")
        made.tell(
            e.ScoreEvaluated(simulation="s1", score="x", mark=segment + 1, value=3.0)
        )
    state = made.orchestrator.state
    factors = explain(state, "s2", made.now_s, made.policies).factors

    assert factors["score x"]["threshold"] == 1.0
    told = factors["promise"]
    assert (told["place"], told["of"], told["because of"]) == (1, 1, "promise")
    # One good one seen: (1 + 1) / (1 + 2).
    assert told["chance to be good enough"] == pytest.approx(2 / 3, abs=1e-5)
    assert (told["finished simulations known"], told["nodes"]) == (1, 1)
    assert told["worth per node-hour"] == pytest.approx(2 / 3 / 4, abs=1e-5)
    assert "promise" in str(explain(state, "s2", made.now_s, made.policies))
    # Whoever is done has no place.
    assert "place" not in explain(state, "s1", made.now_s).factors["promise"]


def test_a_prospect_is_what_is_known_of_a_simulation() -> None:
    """Its scenario, what it has cost, what is left, and what its score said."""
    made = script(None)
    deadline = datetime(2027, 1, 1, tzinfo=UTC)
    made.tell(
        submitted(
            stage("a"),
            scores=SCORES,
            priority=3,
            value=2.0,
            group="g",
            mandatory=True,
            deadline=deadline,
        )
    )
    made.nodes("n0")
    made.restored()
    made.finished(0)
    made.committed(1)
    made.published(1)
    made.tell(e.ScoreEvaluated(simulation="s", score="x", mark=1, value=1.5, sd=0.25))
    (found,) = prospects_of(made.orchestrator.state, "default")

    assert found == Prospect(
        simulation="s",
        serial=0,
        priority=3,
        value=2.0,
        group="g",
        mandatory=True,
        deadline_s=deadline.timestamp(),
        left_s=30.0,
        planned_node_s=4 * 3600.0,
        left_node_s=3 * 3600.0,
        spent_node_s=5.0,
        skills=(Skill(mark=1, margin=0.5, sd=0.25),),
        holding=True,
    )


def done(made: Script, *answers: e.Fact) -> Prospect:
    """Compute everything, then tell facts; return what is known."""
    made.tell(submitted(stage("a", boundaries=(0, 1, 2)), scores=SCORES))
    made.nodes("n0")
    made.restored()
    for segment in (0, 1):
        made.finished(segment)
        made.committed(segment + 1)
        made.published(segment + 1)
    for answer in answers:
        made.tell(answer)
    (found,) = prospects_of(made.orchestrator.state, "default")
    return found


def scored(mark: int, value: float) -> e.ScoreEvaluated:
    """Make an answer."""
    return e.ScoreEvaluated(simulation="s", score="x", mark=mark, value=value)


def unscored(mark: int, *, not_finite: bool) -> e.ScoreFailed:
    """Make a failure."""
    return e.ScoreFailed(
        simulation="s", score="x", mark=mark, message="no", not_finite=not_finite
    )


def test_a_partial_score_is_never_taken_for_the_final_one() -> None:
    """Of who is complete nothing counts before its last mark was scored."""
    early = done(script(None), scored(1, 5.0))
    assert (early.finished, early.skills) == (True, ())
    late = done(script(None), scored(1, 5.0), scored(2, 0.0))
    assert [skill.margin for skill in late.skills] == [4.0, -1.0]
    # A mistake in the score says nothing of the simulation; a NaN does.
    wrong = done(script(None), scored(1, 5.0), unscored(2, not_finite=False))
    assert (wrong.finished, wrong.failed, wrong.skills) == (True, False, ())
    blown = done(script(None), scored(1, 5.0), unscored(2, not_finite=True))
    assert (blown.finished, blown.failed, blown.open) == (False, True, False)


def test_signs_of_failing_are_blow_ups_and_scores_that_are_not_finite() -> None:
    """With the reason; a score that raised is none."""
    made = begun(None, "s")
    made.restored()
    made.finished(0)
    made.committed(1)
    made.published(1)
    made.tell(unscored(1, not_finite=False))
    assert failing(made.simulation()) == ""
    made.finished(1)
    made.committed(2)
    made.published(2)
    made.tell(unscored(2, not_finite=True))
    assert failing(made.simulation()) == "score x is not finite at mark 2"
    made.tell(
        c.AskRemedy(simulation="s", set="a", number=1, message="NaN", reached=3)  # type: ignore[arg-type]
    )
    assert failing(made.simulation()) == "the numbers of set a blew up 1 times"


def test_who_is_paused_by_a_user_has_no_place() -> None:
    """Nodes are of no use to it: nobody gives way to it."""
    made = begun(FixedPriorities(), "s1", "s2")
    told = made.tell(e.PauseRequested(simulation="s2"))

    assert "promise default: 0" in told
    assert made.simulation("s2").standing is None
    assert "promise default: 0,1" in made.tell(e.ResumeRequested(simulation="s2"))


def test_the_first_score_with_a_threshold_is_the_one_that_counts() -> None:
    """None has one: nothing is judged by scores."""
    made = script(None)
    told = ScorePlan(name="told", stage="a")
    made.tell(submitted(stage("a"), scores=(told, *SCORES)))
    made.tell(submitted(stage("a"), name="t", scores=(told,)))

    assert judged_by(made.simulation("s")) == SCORES[0]
    assert judged_by(made.simulation("t")) is None


def test_a_simulation_that_changes_projects_loses_its_place() -> None:
    """And is judged among those of the other one."""
    made = begun(SubmissionOrder(), "s1", "s2")
    simulation = made.simulation("s1")
    told = made.tell(
        e.SimulationChanged(
            simulation="s1",
            scenario=Scenario("s1", project="q"),
            plan=simulation.plan,
        )
    )

    assert "promise q: 0" in told


@pytest.mark.parametrize(
    "wrong",
    [
        {"value": 0.0},
        {"value": float("inf")},
        {"group": 3},
        {"deadline": datetime(2027, 1, 1)},  # noqa: DTZ001
        {"deadline": "2027-01-01"},
    ],
)
def test_what_a_scenario_cannot_be_worth_is_refused(wrong: dict[str, object]) -> None:
    """With what was expected."""
    with pytest.raises(InvalidInputError, match="scenario"):
        Scenario("s", **wrong)  # type: ignore[arg-type]
