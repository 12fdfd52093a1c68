"""Plans: what is refused, what comes when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
import xarray as xr

from climorch.errors import InvalidInputError
from climorch.forecast.activities import (
    Activity,
    Slippage,
    arrivals,
    plan_faults,
    slippage,
)
from climorch.model.resources import Resources
from climorch.model.scenario import Scenario
from climorch.model.span import Span
from climorch.model.workflow import Workflow

DAY_S = 86_400.0
START = datetime(2027, 3, 1, tzinfo=UTC)


def workflow(nodes: int = 2) -> Workflow:
    """Make a workflow of three segments on some nodes."""
    made = Workflow("w")
    made.stage(
        "a",
        lambda *_: xr.Dataset(),
        init=lambda *_: xr.Dataset(),
        span=Span("2000-01-01", "2003-01-01", every="1YS"),
        resources=Resources(nodes=nodes, segment_s=3600.0),
    )
    return made


def activity(name: str = "x", **more: Any) -> Activity:
    """Plan a scenario for March."""
    project = more.pop("project", "default")
    nodes = more.pop("nodes", 2)
    given: dict[str, Any] = {"start": START} | more
    return Activity(
        workflow=workflow(nodes), scenario=Scenario(name, project=project), **given
    )


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ({"start": datetime(2027, 3, 1)}, "start"),  # noqa: DTZ001
        ({"start": "2027-03-01"}, "start"),
        ({"probability": 0.0}, "probability"),
        ({"probability": 1.1}, "probability"),
        ({"probability": float("nan")}, "probability"),
    ],
)
def test_an_activity_that_cannot_be_is_refused(
    more: dict[str, Any], place: str
) -> None:
    """No time zone, no date, chances that are none."""
    with pytest.raises(InvalidInputError) as caught:
        activity(**more)
    assert [fault.place for fault in caught.value.faults] == [f"activity 'x', {place}"]


def test_time_zones_are_heeded() -> None:
    """Nine o'clock in Tokyo is midnight in UTC."""
    tokyo = timezone(timedelta(hours=9))

    found = activity(start=datetime(2027, 3, 1, 9, tzinfo=tokyo))

    assert found.start_s == START.timestamp()
    assert found.name == "x"
    assert found.plan.nodes == 2


def test_all_faults_of_a_plan_are_told_at_once() -> None:
    """A name that is twice there, a gang that is too large, nobody's project."""
    plan = (activity(), activity(), activity("y", nodes=9), activity("z", project="q"))

    found = list(plan_faults(plan, most_nodes=4, projects=["default", "p"]))

    assert [(f.place, f.problem) for f in found] == [
        ("activity 'x'", "is planned 2 times"),
        ("activity 'y', nodes", "needs 9 nodes at once, there are 4"),
        ("activity 'z', project", "'q' is not declared"),
    ]
    assert list(plan_faults(plan[1:3], most_nodes=None, projects=["default"])) == []


def test_slippage_is_learned_from_those_that_came() -> None:
    """Beside what is assumed: a week, as if one had been seen."""
    plan = [activity(name) for name in ("x", "y", "z")]
    start_s = START.timestamp()

    found = slippage(plan, {"x": start_s + 20 * DAY_S, "y": start_s + 30 * DAY_S})

    assert found.seen == 2
    assert found.days == pytest.approx((7 + 20 + 30) / 3)
    # 14 days assumed, and 7.07 days seen once.
    assert found.spread_s == pytest.approx(((14**2 + 50) / 2) ** 0.5 * DAY_S)
    assert slippage(plan, {}) == Slippage()


def drawn(*plan: Activity, now_s: float, **more: Any) -> list[float]:
    """Return the days after which the one activity comes, over many worlds."""
    given: dict[str, Any] = {"submitted": ()} | more
    return [
        a.after_s / DAY_S
        for seed in range(200)
        for a in arrivals(
            plan,
            Slippage(seen=4, mean_s=10 * DAY_S, spread_s=5 * DAY_S),
            now_s=now_s,
            seed=seed,
            **given,
        )
    ]


def test_activities_come_as_late_as_others_came() -> None:
    """Ten days late in the mean; the same world the same day."""
    found = drawn(activity(), now_s=START.timestamp() - 60 * DAY_S)

    assert len(found) == 200
    assert float(np.mean(found)) == pytest.approx(70.0, abs=1.5)
    assert float(np.std(found)) == pytest.approx(5.0 * 1.2**0.5, rel=0.15)
    assert found == drawn(activity(), now_s=START.timestamp() - 60 * DAY_S)


def test_one_that_may_not_come_comes_that_often() -> None:
    """In three of ten worlds."""
    found = drawn(activity(probability=0.3), now_s=START.timestamp() - 60 * DAY_S)

    assert 40 <= len(found) <= 80


def test_one_that_is_overdue_comes_from_now_on() -> None:
    """Never in the past; one that is punctual at once."""
    now_s = START.timestamp() + 100 * DAY_S

    assert min(drawn(activity(), now_s=now_s)) >= 0.0
    assert set(drawn(activity(punctual=True), now_s=now_s)) == {0.0}


def test_one_that_is_punctual_comes_on_its_day() -> None:
    """However late others were."""
    now_s = START.timestamp() - 30 * DAY_S

    assert set(drawn(activity(punctual=True), now_s=now_s)) == {30.0}


def test_one_that_came_does_not_come_again() -> None:
    """It is in the campaign already."""
    assert drawn(activity(), now_s=0.0, submitted=["x"]) == []


def test_arrivals_are_submissions_by_time() -> None:
    """With plan and scenario."""
    plan = (
        activity("later", start=START + timedelta(days=300), punctual=True),
        activity("sooner", punctual=True),
    )

    found = arrivals(plan, Slippage(), submitted=(), now_s=START.timestamp(), seed=0)

    assert [a.fact.simulation for a in found] == ["sooner", "later"]
    assert [a.after_s for a in found] == [0.0, 300 * DAY_S]
    assert found[0].fact.plan.stages[0].segments == 3
