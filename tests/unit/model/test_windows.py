"""What a window is, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest

from climorch.errors import InvalidInputError
from climorch.model.windows import MOST_WINDOW_S, Window


def window(**more: Any) -> Window:
    """Make a window from 100 to 200 s."""
    return Window(**{"name": "w", "start_s": 100.0, "stop_s": 200.0, **more})


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"name": "a b"}, "Window.name"),
        ({"start_s": math.nan}, "from nan to 200.0 is no span of time"),
        ({"stop_s": math.inf}, "from 100.0 to inf is no span of time"),
        ({"stop_s": 100.0}, "it stops before it starts"),
        ({"stop_s": 101.0 + MOST_WINDOW_S}, "it takes 366 days"),
        ({"count": -1}, "got -1, expected >= 0"),
        ({"count": 1, "nodes": ("n",)}, "nodes are named and counted"),
        ({"nodes": ("n", "m", "n")}, "a node is named twice"),
    ],
)
def test_a_window_that_cannot_be_kept_is_refused(
    more: dict[str, Any], problem: str
) -> None:
    """With what is wrong, and where."""
    with pytest.raises(InvalidInputError, match="this window cannot be kept") as told:
        window(**more)

    assert problem in str(told.value)


def test_all_faults_of_a_window_are_told_at_once() -> None:
    """A user corrects them in one go."""
    with pytest.raises(InvalidInputError) as told:
        window(stop_s=0.0, count=-1, nodes=("n", "n"), name="")

    # A negative count is one, too: nodes are named as well.
    assert len(told.value.faults) == 5


@pytest.mark.parametrize(
    ("more", "placed", "covered"),
    [
        ({}, True, "nm"),
        ({"nodes": ("n",)}, True, "n"),
        ({"count": 1}, False, ""),
    ],
)
def test_which_nodes_are_meant(
    more: dict[str, Any], placed: bool, covered: str
) -> None:
    """Named ones, all of the site, or none until they are chosen."""
    found = window(**more)

    assert found.placed is placed
    assert "".join(n for n in "nm" if found.covers(n)) == covered


def test_the_longest_window_is_a_year_and_a_day() -> None:
    """What is longer is a node to be drained."""
    assert window(stop_s=100.0 + MOST_WINDOW_S).stop_s == 31_622_500.0
