"""Conditions by which stages end early."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from climorch.errors import InvalidInputError
from climorch.model.ending import (
    Course,
    Equilibrium,
    Until,
    seconds_per_year,
    until_of,
)
from climorch.model.scenario import Scenario


def course(values: list[float], since: float = 0.0, length: float = 1.0) -> Course:
    """Return a course of segments of one length, in years."""
    return Course(
        simulation="s",
        stage="sea",
        scenario=Scenario("s"),
        segments=len(values),
        years=tuple(since + length * (k + 1) for k in range(len(values))),
        since=since,
        metrics={"heat": tuple(values)},
    )


@pytest.mark.parametrize(
    ("values", "holds", "why"),
    [
        ([1.0, 1.5, 2.0, 2.5], False, "|trend| of 'heat' is 0.5 a year"),
        ([2.5, 2.0, 1.5, 1.0], False, "|trend| of 'heat' is 0.5 a year"),
        ([9.0, 1.0, 1.1, 1.2], True, "is 0.1 a year over 3 years, bound 0.1"),
        ([1.0, 1.0], False, "the window of 3 years is not full"),
        ([], False, "0 values of 'heat' in the window"),
        ([1.0, math.nan, 1.0], False, "'heat' is missing in the window"),
        ([math.nan, 1.0, 1.0, 1.0], True, "is 0 a year"),
    ],
)
def test_an_equilibrium_is_a_small_trend_over_a_full_window(
    values: list[float], holds: bool, why: str
) -> None:
    """By least squares; what lies before the window does not count."""
    # 0.1 and its kin are no binary fractions.
    condition = Equilibrium(metric="heat", bound=0.1 + 1e-12, window=3)

    found, told = condition(course(values))

    assert found is holds
    assert why in told


def test_a_trend_is_that_of_the_closed_form() -> None:
    """On noise, as numpy's own fit has it."""
    values = np.random.default_rng(0).normal(size=20)
    slope = abs(np.polyfit(np.arange(20.0), values, 1)[0])
    told = course(values.tolist())

    assert Equilibrium(metric="heat", bound=slope * 1.001, window=20)(told)[0]
    assert not Equilibrium(metric="heat", bound=slope * 0.999, window=20)(told)[0]


def test_a_metric_that_nobody_returned_is_no_equilibrium() -> None:
    """It is missing."""
    condition = Equilibrium(metric="cold", bound=1.0, window=3)

    assert condition(course([1.0, 1.0, 1.0])) == (
        False,
        "'cold' is missing in the window",
    )


def test_two_values_are_too_few() -> None:
    """A line through two points says nothing."""
    condition = Equilibrium(metric="heat", bound=1.0, window=4)

    assert condition(course([1.0, 1.0], length=2.0)) == (
        False,
        "2 values of 'heat' in the window",
    )


@pytest.mark.parametrize(
    "given",
    [
        {"bound": -1.0},
        {"bound": math.nan},
        {"window": 0.0},
        {"window": math.inf},
        {"window": "50"},
        {"bound": True},
    ],
)
def test_what_is_no_equilibrium_is_refused(given: Any) -> None:
    """With the place."""
    told: dict[str, Any] = {"metric": "heat", "bound": 0.1, "window": 3.0}
    with pytest.raises(InvalidInputError, match=rf"Equilibrium\.{next(iter(given))}"):
        Equilibrium(**(told | given))


@pytest.mark.parametrize(
    "given", [{"condition": 3}, {"every": 0}, {"every": 1.5}, {"window": -1.0}]
)
def test_what_cannot_be_asked_is_refused(given: Any) -> None:
    """With the place."""
    told: dict[str, Any] = {"condition": bool}
    with pytest.raises(InvalidInputError, match=rf"Until\.{next(iter(given))}"):
        Until(**(told | given))


def test_a_condition_may_be_said_in_three_ways() -> None:
    """A plain function and an equilibrium are asked after each segment."""
    equilibrium = Equilibrium(metric="heat", bound=0.1, window=7)
    whole = Until(condition=bool, every=2, window=5)

    assert until_of(whole) is whole
    assert until_of(bool) == Until(condition=bool, every=1, window=100.0)
    assert until_of(equilibrium) == Until(condition=equilibrium, every=1, window=7)


def test_a_year_is_as_long_as_its_calendar_says() -> None:
    """On the mean."""
    assert seconds_per_year("360_day") == 31_104_000
    assert seconds_per_year("noleap") == 31_536_000
    assert seconds_per_year("standard") == 31_556_952
