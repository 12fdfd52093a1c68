"""Searches for what is enough."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from climorch.errors import InvalidInputError
from climorch.forecast.capacity import LatestStart, NodesNeeded, Tried, least, most

BY = datetime(2027, 3, 1, tzinfo=UTC)


def from_on(number: int, asked: list[int] | None = None) -> Callable[[int], float]:
    """Return a chance that is there from a number on, and notes what is asked."""

    def chance(tried: int) -> float:
        if asked is not None:
            asked.append(tried)
        return 1.0 if tried >= number else 0.5

    return chance


@pytest.mark.parametrize("quick", [1, 20, 37, 38, 60, 200])
@pytest.mark.parametrize("sure", [2, 37, 100])
def test_the_twin_has_the_last_word(quick: int, sure: int) -> None:
    """Wherever the quick sum points, the smallest number that is enough is found."""
    asked: list[int] = []

    found, tried = least(
        from_on(quick),
        from_on(sure, asked),
        low=2,
        high=100,
        enough=0.9,
    )

    assert found == sure
    assert Tried(sure, 1.0) in tried
    assert len(asked) == len(set(asked)) <= 16
    if sure > 2:
        assert Tried(sure - 1, 0.5) in tried


def test_what_is_never_enough_is_refused() -> None:
    """With the chance that there is at best."""
    never = from_on(1000)
    with pytest.raises(InvalidInputError, match="in time") as caught:
        least(never, never, low=2, high=100, enough=0.9)
    (fault,) = caught.value.faults
    assert fault.problem == "even with 100 the chance is 50%, wanted are 90%"


def test_the_latest_that_is_early_enough() -> None:
    """Less is better."""

    def until(last: int) -> Callable[[int], float]:
        return lambda day: 1.0 if day <= last else 0.0

    found, tried = most(
        until(50),
        until(43),
        low=0,
        high=90,
        enough=0.9,
    )

    assert found == 43
    assert {Tried(43, 1.0), Tried(44, 0.0)} <= set(tried)


def test_what_was_tried_is_a_table() -> None:
    """By number."""
    tried = (Tried(5, 1.0), Tried(4, 0.5))
    needed = NodesNeeded(nodes=5, by=BY, chance=1.0, tried=tried)
    latest = LatestStart(start=BY, by=BY, chance=1.0, tried=tried)

    assert needed.to_pandas()["chance"].to_dict() == {4: 0.5, 5: 1.0}
    assert latest.to_pandas().index.name == "day"
