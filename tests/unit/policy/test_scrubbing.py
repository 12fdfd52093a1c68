from __future__ import annotations

import math

import pytest

from climorch.errors import InvalidInputError
from climorch.policy.scrubbing import Scrub


@pytest.mark.parametrize(
    ("committed", "read", "now_s", "due"),
    [
        ({}, {}, 1e9, None),
        ({"a": 0.0}, {}, 299.0, None),
        ({"a": 0.0}, {}, 300.0, "a"),
        ({"a": 0.0, "b": 10.0}, {}, 1000.0, "a"),
        ({"a": 0.0, "b": 10.0}, {"a": 300.0}, 1000.0, "b"),
        ({"a": 0.0, "b": 10.0}, {"a": 300.0, "b": 310.0}, 1000.0, None),
        ({"a": 0.0, "b": 10.0}, {"a": 300.0, "b": 310.0}, 22_000.0, "a"),
        ({"a": 0.0, "b": 10.0}, {"a": 300.0, "b": -math.inf}, 310.0, "b"),
    ],
)
def test_the_longest_due_is_read_first(
    committed: dict[str, float], read: dict[str, float], now_s: float, due: str | None
) -> None:
    """Each is read soon after its commit, and again every six hours."""
    assert Scrub().next_due(committed, read, now_s) == due


def test_reading_keeps_to_its_rate() -> None:
    """The pause makes up for what was read too fast, and is never below 0."""
    scrub = Scrub(bytes_per_s=100.0)

    assert scrub.pause_s(1000, 4.0) == 6.0
    assert scrub.pause_s(1000, 40.0) == 0.0


def test_nothing_is_read_at_no_rate() -> None:
    """A rate of 0 turns it off."""
    assert Scrub(bytes_per_s=0).next_due({"a": 0.0}, {}, 1e9) is None


def test_impossible_settings_are_refused_together() -> None:
    """Every fault is named at once."""
    with pytest.raises(InvalidInputError) as caught:
        Scrub(bytes_per_s=-1, after_s=math.nan, every_s=0)

    places = [fault.place for fault in caught.value.faults]
    assert places == ["Scrub.bytes_per_s", "Scrub.after_s", "Scrub.every_s"]
