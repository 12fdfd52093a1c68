"""Scores of all simulations beside each other: equal to what was told, by hand."""

from __future__ import annotations

import math

import cftime
import numpy as np
import pytest

from climorch.core.scoring import Scored
from climorch.core.state import CampaignState, SimulationState
from climorch.engine.comparing import compared
from climorch.errors import InvalidInputError, NotFoundError
from climorch.model.plan import StagePlan
from climorch.model.scenario import Scenario
from climorch.model.scoring import ScorePlan
from tests.unit.core.script import plan

YEAR_S = 365 * 86_400
SCORES = (
    ScorePlan(name="rmse", stage="a", threshold=1.0),
    ScorePlan(name="bias", stage="a"),
    ScorePlan(name="other", stage="b"),
)


def member(
    name: str,
    serial: int,
    scores: dict[str, dict[int, Scored]],
    *,
    start: int = 0,
    calendar: str = "noleap",
) -> SimulationState:
    """A simulation of yearly segments with these scores."""
    years = tuple((start + k) * YEAR_S for k in range(5))
    stages = [
        StagePlan(name=stage, calendar=calendar, boundaries=years) for stage in "ab"
    ]
    return SimulationState(
        name=name,
        serial=serial,
        scenario=Scenario(name),
        plan=plan(*stages, scores=SCORES),
        branch=None,
        sets={},
        scores=scores,
    )


def campaign(*members: SimulationState) -> CampaignState:
    """Of these."""
    state = CampaignState()
    state.simulations |= {m.name: m for m in members}
    return state


def test_scores_lie_beside_each_other_at_equal_model_time() -> None:
    """Marks are counted from where a simulation begins; who is not as far is NaN, and
    so is what failed."""
    first = member(
        "m1",
        0,
        {
            "rmse": {
                1: Scored(value=0.5, sd=0.1, samples=4, metrics={"n": 7.0}),
                2: Scored(value=0.75),
                4: Scored(value=None, fault="no"),
            },
            "bias": {2: Scored(value=-0.25)},
            "other": {3: Scored(value=9.0)},
        },
    )
    # It begins a year later: its first mark is the second one of the other.
    second = member(
        "m2", 1, {"rmse": {1: Scored(value=2.0), 2: Scored(value=1.5)}}, start=1
    )
    third = member("m3", 2, {})

    found = compared(campaign(first, second, third), "a")

    assert found["value"].dims == ("scenario", "metric", "model_time")
    assert found["scenario"].to_numpy().tolist() == ["m1", "m2", "m3"]
    assert found["metric"].to_numpy().tolist() == ["rmse", "rmse.n", "bias"]
    assert found["model_time"].to_numpy().tolist() == [
        cftime.DatetimeNoLeap(year, 1, 1) for year in (2, 3, 4)
    ]
    nan = math.nan
    np.testing.assert_array_equal(
        found["value"],
        [
            [[0.5, 0.75, nan], [7.0, nan, nan], [nan, -0.25, nan]],
            [[nan, 2.0, 1.5], [nan, nan, nan], [nan, nan, nan]],
            [[nan, nan, nan], [nan, nan, nan], [nan, nan, nan]],
        ],
    )
    told = found.sel(scenario="m1", metric="rmse").isel(model_time=0)
    assert (float(told["sd"]), float(told["samples"])) == (0.1, 4.0)
    np.testing.assert_array_equal(found["threshold"], [1.0, nan, nan])
    assert found.attrs == {"stage": "a"}


def test_before_any_score_came_there_is_no_model_time() -> None:
    """All scenarios are there all the same."""
    found = compared(campaign(member("m1", 0, {})), "a")

    assert dict(found.sizes) == {"scenario": 1, "metric": 2, "model_time": 0}


def test_a_stage_without_scores_is_told() -> None:
    """With how to declare one."""
    with pytest.raises(NotFoundError, match=r"Workflow\.score"):
        compared(campaign(member("m1", 0, {})), "c")


def test_calendars_are_not_mixed() -> None:
    """Their dates cannot be put in order."""
    known = {"rmse": {1: Scored(value=1.0)}}
    state = campaign(member("m1", 0, known), member("m2", 1, known, calendar="360_day"))

    with pytest.raises(InvalidInputError, match="360_day, noleap"):
        compared(state, "a")
