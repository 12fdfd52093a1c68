"""How long stages need that wait for each other."""

from __future__ import annotations

import numpy as np
import pytest

from climorch.core.rhythm import Draws, steady_s, way_s
from climorch.model.plan import Coupling, SetPlan, StagePlan
from tests.unit.core.script import plan, stage

SAME, PREVIOUS = Coupling.SAME, Coupling.PREVIOUS


def way(s: SetPlan, boundary: int = 0, **takes_s: float) -> float:
    """Play through the way to the next common boundary once."""
    found = way_s(s, boundary, lambda name: np.array([takes_s[name]]))
    assert found.shape == (1,)
    return float(found[0])


def coupled(*stages: StagePlan) -> SetPlan:
    """Make the one set of some stages."""
    (s,) = plan(*stages).sets
    return s


@pytest.mark.parametrize(
    ("reads_a", "reads_b", "way_is_s", "steady_is_s"),
    [
        ({"b": PREVIOUS}, {"a": SAME}, 40.0, 40.0),
        ({"b": PREVIOUS}, {"a": PREVIOUS}, 30.0, 30.0),
        # The follower begins late; in the long run that is hidden.
        ({}, {"a": SAME}, 40.0, 30.0),
    ],
)
def test_from_a_stand_the_way_is_no_shorter_than_in_the_long_run(
    reads_a: dict[str, Coupling],
    reads_b: dict[str, Coupling],
    way_is_s: float,
    steady_is_s: float,
) -> None:
    """In turn: the sum; side by side: the longer; one behind the other: both."""
    s = coupled(stage("b", reads=reads_b), stage("a", reads=reads_a))

    assert way(s, a=10.0, b=30.0) == way_is_s
    assert steady_s(s, {"a": 10.0, "b": 30.0}) == pytest.approx(steady_is_s)


def test_a_stage_alone_takes_its_segment() -> None:
    """Without others there is nothing to wait for."""
    s = coupled(stage("a"))

    assert (way(s, a=10.0), steady_s(s, {"a": 10.0})) == (10.0, 10.0)


def test_finer_segments_are_passed_one_by_one() -> None:
    """A coarse reader begins after the last of the finer ones, not the first."""
    s = coupled(
        stage("a", boundaries=range(9), reads={"b": PREVIOUS}),
        stage("b", boundaries=range(0, 9, 4), reads={"a": SAME}),
    )

    assert [way(s, k, a=10.0, b=5.0) for k in (0, 1)] == [45.0, 45.0]


def test_a_finer_stage_goes_on_while_the_coarser_computes() -> None:
    """It reads what ended before, so both run side by side."""
    s = coupled(
        stage("a", boundaries=range(9), reads={"b": PREVIOUS}),
        stage("b", boundaries=range(0, 9, 2), reads={"a": PREVIOUS}),
    )

    assert way(s, 1, a=10.0, b=15.0) == 20.0


def test_every_draw_is_a_course_of_its_own() -> None:
    """The longest of two is taken draw by draw, not of their means."""
    s = coupled(stage("a", reads={"b": PREVIOUS}), stage("b", reads={"a": PREVIOUS}))
    takes: dict[str, Draws] = {
        "a": np.array([1.0, 5.0, 2.0]),
        "b": np.array([4.0, 3.0, 2.0]),
    }

    assert way_s(s, 0, takes.__getitem__).tolist() == [4.0, 5.0, 2.0]
