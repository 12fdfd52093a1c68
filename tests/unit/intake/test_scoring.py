"""Scores as users write them, and what their answers mean."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import xarray as xr

from climorch import Scenario, Span
from climorch.errors import InvalidInputError
from climorch.intake.check import workflow_faults
from climorch.intake.planning import make_plan, provenance
from climorch.intake.scoring import Answer, NotFiniteError, answer_of, asked_of
from climorch.model.judging import Judged, Partial
from climorch.model.scoring import Direction, ScorePlan
from climorch.model.workflow import Workflow
from climorch.testing.models import box_workflow


def mean(results: xr.Dataset, partial: Partial) -> float:
    """A score."""
    return float(results["x"].mean()) + partial.segments


def faults(**how: Any) -> list[str]:
    """What is wrong with a score, place and problem."""
    wf = box_workflow(segments=2)
    given: dict[str, Any] = {"stage": "sea", "function": mean} | how
    wf.score("skill", **given)
    return [f"{f.place}: {f.problem}" for f in workflow_faults(wf)]


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({}, []),
        ({"every": "5YS", "threshold": 1, "direction": "min", "needs": ["air"]}, []),
        ({"stage": "ice"}, ["stage: stage 'ice' does not exist"]),
        ({"needs": ["ice"]}, ["needs: stage 'ice' does not exist"]),
        ({"function": 3}, ["function: int cannot be called"]),
        ({"direction": "up"}, ["direction: got 'up'"]),
        (
            {"threshold": float("nan")},
            ["threshold: got nan, expected a finite number or None"],
        ),
        (
            {"threshold": "1"},
            ["threshold: got '1', expected a finite number or None"],
        ),
        ({"every": 0}, ["every: got 0, expected a whole number >= 1"]),
        ({"every": True}, ["every: got True, expected a whole number >= 1"]),
        ({"every": "5y"}, ["every: got '5y'"]),
        ({"limit_s": 0}, ["limit_s: got 0, expected seconds > 0"]),
    ],
)
def test_what_is_wrong_with_a_score_is_told(
    how: dict[str, Any], expected: list[str]
) -> None:
    """Each with its place."""
    place = "workflow 'boxes', score 'skill', "

    assert faults(**how) == [place + each for each in expected]


def test_a_score_that_cannot_be_sent_or_has_no_name_of_its_own_is_told() -> None:
    """As rules and steps are."""
    wf = box_workflow(segments=2)
    lock = threading.Lock()
    wf.score("skill", stage="sea", function=lambda r, p: float(lock.locked()))
    wf.score("skill", stage="sea", function=mean)
    told = [str(f) for f in workflow_faults(wf)]

    assert any("cannot be sent to other processes" in each for each in told)
    assert any("score 'skill': is declared 2 times" in each for each in told)


def test_a_score_is_planned_without_its_function() -> None:
    """Segments are counted in parts; where the function comes from is kept apart."""
    wf = Workflow("w")
    wf.stage(
        "a",
        lambda state, inputs, segment: state,
        init=xr.Dataset({"x": ("i", [1.0])}),
        span=Span("2000-01-01", "2003-01-01", every="1YS", calendar="noleap"),
        parts=4,
    )
    wf.score("skill", stage="a", function=mean, threshold=1, direction="min", every=2)
    wf.score("other", stage="a", function=mean, every="1YS")

    assert make_plan(wf, Scenario("s")).scores == (
        ScorePlan(
            name="skill", stage="a", every=8, threshold=1.0, direction=Direction.MIN
        ),
        ScorePlan(name="other", stage="a", every="1YS"),
    )
    assert provenance(wf)["skill.score"].qualname.endswith("test_scoring.mean")
    assert wf.describe()["scores"] == ["skill", "other"]


@pytest.mark.parametrize(
    ("returned", "expected"),
    [
        (2, Answer(value=2.0)),
        (np.float32(0.5), Answer(value=0.5)),
        (xr.DataArray(1.5), Answer(value=1.5)),
        ((1.0, 0.25), Answer(value=1.0, sd=0.25)),
        # Mean 3, standard deviation 2, standard error 2 / sqrt(4).
        (
            xr.DataArray([1.0, 3.0, 3.0, 5.0], dims="member"),
            Answer(value=3.0, sd=(8 / 3) ** 0.5 / 2, samples=4),
        ),
        (np.array([1.0]), Answer(value=1.0)),
        (
            Judged(value=1, sd=2, samples=3, metrics={"bias": 4, "lost": np.nan}),
            Answer(value=1.0, sd=2.0, samples=3, metrics={"bias": 4.0}),
        ),
    ],
)
def test_answers_are_numbers_pairs_members_or_judged(
    returned: object, expected: Answer
) -> None:
    """Of members the mean and its standard error; metrics that are unknown go."""
    assert answer_of(returned) == expected


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        (float("nan"), "the score is nan"),
        (np.inf, "the score is inf"),
        (xr.DataArray([1.0, np.nan], dims="i"), "1 of 2 values are not finite"),
    ],
)
def test_an_answer_that_is_not_finite_is_told_apart(
    returned: object, told: str
) -> None:
    """It is a sign that the simulation went wrong, not the score."""
    with pytest.raises(NotFiniteError, match=told):
        answer_of(returned)


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        (None, "returned NoneType"),
        ("good", "returned str"),
        ((1.0, 2.0, 3.0), "returned tuple"),
        ((1.0, -1.0), "uncertainty of a score is -1.0"),
        ((1.0, float("nan")), "uncertainty of a score is nan"),
    ],
)
def test_what_is_no_answer_is_refused(returned: object, told: str) -> None:
    """With what was expected."""
    with pytest.raises(InvalidInputError, match=told):
        answer_of(returned)


def test_a_function_is_told_how_far_the_results_go() -> None:
    """With the other stages that it needs beside them."""
    seen: list[Partial] = []

    def judge(results: xr.Dataset, partial: Partial) -> float:
        seen.append(partial)
        return float(results["x"])

    told = {
        "simulation": "s",
        "params": {"k": 1},
        "segments": 3,
        "end": 86_400,
        "calendar": "noleap",
        "complete": False,
    }
    sea, air = xr.Dataset({"x": 2.0}), xr.Dataset({"x": 1.0})

    assert asked_of(judge, "sea", told, {"sea": sea, "air": air}) == Answer(value=2.0)
    (partial,) = seen
    assert (partial.stage, partial.segments) == ("sea", 3)
    assert partial.end.isoformat() == "0001-01-02T00:00:00"
    assert partial.needs == {"air": air}
    nothing = {"sea": xr.Dataset({"x": np.nan})}
    assert asked_of(judge, "sea", told, nothing) == "the score is nan"
