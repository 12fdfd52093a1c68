"""The rules of moves are checked when they are made."""

from __future__ import annotations

import math
from typing import Any

import pytest

from climorch.errors import InvalidInputError
from climorch.policy.moving import Moving


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("slow_factor", 1.0, "> 1"),
        ("slow_factor", math.nan, "> 1"),
        ("strikes", 0, "in [1, 12]"),
        ("strikes", 13, "in [1, 12]"),
        ("slow_min_s", -1.0, "finite and >= 0"),
        ("slow_share", 1.5, "in [0, 1]"),
        ("forgive_s", 0.0, "> 0"),
        ("early", math.inf, "finite and >= 0"),
        ("rest_s", -1.0, ">= 0"),
        ("most", -1, ">= 0"),
    ],
)
def test_what_makes_no_sense_is_refused(name: str, value: Any, wanted: str) -> None:
    """Each number has its range."""
    with pytest.raises(InvalidInputError) as refused:
        Moving(**{name: value})
    (fault,) = refused.value.faults
    assert fault.place == f"Moving.{name}"
    assert fault.problem == f"got {value!r}, expected {wanted}"


def test_each_rule_can_be_switched_off() -> None:
    """No node is ever slow, nobody moves early, nobody makes room."""
    off = Moving(slow_factor=math.inf, early=0.0, most=0)
    assert (off.slow_factor, off.early, off.most) == (math.inf, 0.0, 0)
