"""Scores: at which marks they are asked for, once, and what becomes of the answers."""

from __future__ import annotations

import pytest

from climorch.core.alarms import troubles
from climorch.core.explain import explain
from climorch.core.progress import Policies
from climorch.core.scoring import Scored, next_mark, published, segments_by
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.numerics import Remedy, Retry
from climorch.model.plan import StagePlan
from climorch.model.scoring import Direction, ScorePlan
from climorch.policy.checkpointing import EverySegments
from tests.unit.core.script import UNLIMITED, Script, stage, submitted

YEAR_S = 365 * 86_400


def scored_plan(*scores: ScorePlan, after: bool = False) -> e.SimulationSubmitted:
    """Two stages that are not coupled, four segments each, with scores."""
    later = stage("b", boundaries=(4, 5, 6), after=("a",)) if after else stage("b")
    return submitted(stage("a"), later, scores=scores)


def score(name: str = "x", stage: str = "a", **more: object) -> ScorePlan:
    """Make a score with a threshold of 1."""
    return ScorePlan(name=name, stage=stage, threshold=1.0, **more)  # type: ignore[arg-type]


def answered(mark: int, value: float = 2.0, name: str = "x") -> e.ScoreEvaluated:
    """Make an answer."""
    return e.ScoreEvaluated(simulation="s", score=name, mark=mark, value=value)


def begun(*scores: ScorePlan, after: bool = False) -> Script:
    """Let a simulation with scores compute."""
    script = Script()
    script.tell(scored_plan(*scores, after=after))
    script.nodes("n1", "n2")
    script.restored("a")
    return script


def on(script: Script, boundary: int, name: str = "a") -> list[str]:
    """Compute, commit and publish up to a boundary; return what was decided last."""
    for segment in range(script.set(name).done[name], boundary):
        script.finished(segment, name)
    script.committed(boundary, name)
    return script.published(boundary, name)


@pytest.mark.parametrize(
    ("every", "after", "expected"),
    [(1, 0, 1), (3, 0, 3), (3, 3, 6), (3, 4, 6), (3, 9, 10), (3, 10, None), (9, 2, 9)],
)
def test_marks_are_every_so_many_segments_and_the_last(
    every: int, after: int, expected: int | None
) -> None:
    """Ten segments; a moved end leaves a mark that is no multiple behind."""
    ten = stage("a", boundaries=tuple(range(11)))

    assert next_mark(score(every=every), ten, after) == expected


def test_marks_of_a_calendar_are_the_first_boundaries_of_their_years() -> None:
    """Half-years from year 1 on, judged as the even years begin, and at the end."""
    ends = tuple(k * YEAR_S // 2 for k in range(8))
    halves = StagePlan(name="a", calendar="noleap", boundaries=ends)

    found, mark = [], next_mark(score(every="2YS"), halves, 0)
    while mark is not None:
        found.append(mark)
        mark = next_mark(score(every="2YS"), halves, mark)
    assert found == [2, 6, 7]


@pytest.mark.parametrize(
    ("model_s", "expected"), [(0, 0), (9, 0), (10, 1), (25, 2), (99, 3)]
)
def test_segments_that_end_by_a_model_time_are_counted(
    model_s: int, expected: int
) -> None:
    """At the end of one it counts."""
    assert segments_by(stage("a", boundaries=(0, 10, 20, 30)), model_s) == expected


def test_a_score_is_asked_at_each_mark_in_order_once_it_is_published() -> None:
    """A commit that passes two marks has both asked, one after the other."""
    script = begun(score())

    assert "score s.x at 1" not in script.committed(1)
    assert on(script, 2)[-1:] == ["score s.x at 1"]
    assert script.tell(answered(1)) == ["score s.x at 2"]
    assert script.tell(answered(2, 0.5)) == []
    assert script.simulation().scores == {
        "x": {1: Scored(value=2.0), 2: Scored(value=0.5)}
    }
    # Told again it changes nothing.
    script.tell(answered(2, 9.0))
    assert script.simulation().scores["x"][2] == Scored(value=0.5)


def test_a_score_waits_for_the_stages_that_it_needs() -> None:
    """Until these are published up to the same model time."""
    script = begun(score(needs=("b",), every=2))
    script.restored("b")

    assert on(script, 2) == []
    assert on(script, 1, "b") == []
    assert on(script, 2, "b") == ["score s.x at 2"]


def test_a_need_that_begins_later_has_nothing_to_wait_for() -> None:
    """Its segments end after the mark."""
    script = begun(score(needs=("b",), every=2), after=True)

    assert "score s.x at 2" in on(script, 2)


def test_a_question_is_asked_again_by_the_next_driver() -> None:
    """What was answered is not."""
    script = begun(score())
    on(script, 1)
    script.tell(answered(1))
    on(script, 2)

    assert "score s.x at 2" in script.restart("n1", "n2")
    assert script.simulation().scores == {"x": {1: Scored(value=2.0)}}


def test_a_score_that_failed_is_told_and_the_campaign_goes_on() -> None:
    """It is an alarm and in `explain`; the next mark is asked all the same."""
    script = begun(score())
    on(script, 1)
    script.tell(
        e.ScoreFailed(simulation="s", score="x", mark=1, message="ValueError: no")
    )
    state = script.orchestrator.state

    told = [t.text for t in troubles(state, script.now_s) if t.kind == "score"]
    assert told == ["score x failed at mark 1: ValueError: no"]
    factors = explain(state, "s", script.now_s).factors["score x"]
    assert (factors["faults"], factors["mark"]) == ({1: "ValueError: no"}, 1)
    assert "value" not in factors
    assert on(script, 2)[-1:] == ["score s.x at 2"]
    script.tell(answered(2))
    assert not [t for t in troubles(state, script.now_s) if t.kind == "score"]
    factors = explain(state, "s", script.now_s).factors["score x"]
    assert factors["faults"] == {1: "ValueError: no"}
    assert (factors["value"], factors["better than the threshold by"]) == (2.0, 1.0)


def test_running_the_script_again_tries_what_failed_last() -> None:
    """From the first mark after the newest that is good."""
    script = begun(score())
    on(script, 3)
    script.tell(e.ScoreFailed(simulation="s", score="x", mark=1, message="no"))
    script.tell(answered(2))
    script.tell(e.ScoreFailed(simulation="s", score="x", mark=3, message="no"))

    assert "score s.x at 3" in script.restart("n1", "n2")
    assert sorted(script.simulation().scores["x"]) == [1, 2]


def test_scores_of_what_is_lost_are_asked_for_again() -> None:
    """A checkpoint that is damaged takes the scores beyond the one before along."""
    script = begun(score())
    on(script, 1)
    script.tell(answered(1))
    on(script, 2)
    script.tell(answered(2))
    script.tell(e.CheckpointScrubbed(simulation="s", set="a", boundary=2, damaged=True))
    script.failed(2, e.Cause.NODE_LOST)

    assert sorted(script.simulation().scores["x"]) == [1]


def test_an_answer_to_what_was_given_up_is_not_kept() -> None:
    """It judged results that are gone."""
    script = begun(score())
    on(script, 1)
    script.tell(e.CheckpointScrubbed(simulation="s", set="a", boundary=1, damaged=True))
    script.tell(answered(1))

    assert script.simulation().scores == {}
    assert script.simulation().scores_asked == {}


def test_answers_of_nobody_change_nothing() -> None:
    """Of a simulation, or of a score, that is not there."""
    script = begun(score())
    script.tell(e.ScoreEvaluated(simulation="other", score="x", mark=1, value=1.0))
    script.tell(c.EvaluateScore(simulation="s", score="y", mark=1))  # type: ignore[arg-type]
    script.tell(answered(1, name="y"))

    assert script.simulation().scores == {}


def test_a_simulation_is_settled_once_its_last_mark_is_scored() -> None:
    """A campaign does not end before."""
    script = begun(score(stage="b", every=3))
    script.restored("b")
    on(script, 4)
    on(script, 4, "b")
    script.tell(answered(3))

    assert script.simulation().complete
    assert not script.simulation().settled
    assert not script.orchestrator.over
    script.tell(answered(4))
    assert script.simulation().settled
    assert script.orchestrator.over


@pytest.mark.parametrize(
    ("direction", "expected"), [(Direction.MAX, 0.5), (Direction.MIN, -0.5)]
)
def test_a_margin_is_how_much_better_than_the_threshold(
    direction: Direction, expected: float
) -> None:
    """In the direction of the score; NaN where there is no threshold."""
    assert score(direction=direction).margin(1.5) == expected
    assert str(ScorePlan(name="x", stage="a").margin(1.5)) == "nan"


def test_what_is_given_up_is_not_scored() -> None:
    """While its checkpoint still goes, results show a course that is over."""
    remedies = {"w": Remedy(change=lambda _: Retry())}
    script = Script(
        Policies(checkpointing=EverySegments(), limits=UNLIMITED, remedies=remedies)
    )
    script.tell(submitted(scores=[score()]))
    script.nodes("n")
    script.restored()
    for k in (1, 2):
        script.finished(k - 1)
        script.committed(k)
    script.published(2)
    script.failed(2, e.Cause.NUMERICAL)
    script.tell(e.RemedyGiven(simulation="s", set="a", number=1, retry=True, back=2))
    script.tell(answered(1))

    assert script.set().commits[2].deleting
    assert published(script.simulation(), "a") == 1
    assert script.simulation().scores_asked == {}
