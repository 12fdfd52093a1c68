"""Order, priority, equal parts, halving."""

from __future__ import annotations

import pytest

from climorch.errors import InvalidInputError
from climorch.policy.prospects import PromiseRule, Prospect, Skill
from climorch.policy.simple_promise import (
    EqualSplit,
    FixedPriorities,
    SubmissionOrder,
    SuccessiveHalving,
)


def one(serial: int, **more: object) -> Prospect:
    """A simulation of ten parts."""
    told: dict[str, object] = {"planned_node_s": 10.0, "left_node_s": 10.0} | more
    return Prospect(
        simulation=f"s{serial}",
        serial=serial,
        **told,  # type: ignore[arg-type]
    )


def order(rule: PromiseRule, *prospects: Prospect) -> list[str]:
    """Names in the order of service."""
    return [p.simulation for p in rule.rank(prospects, now_s=0.0).order]


def test_submission_order() -> None:
    """Oldest first; who ended is not in it."""
    some = [one(2), one(0, finished=True), one(1), one(3, failed=True)]

    assert order(SubmissionOrder(), *some) == ["s1", "s2"]


def test_fixed_priorities() -> None:
    """Highest first, then oldest."""
    some = [one(0), one(1, priority=2), one(2, priority=2), one(3, priority=-1)]

    assert order(FixedPriorities(), *some) == ["s1", "s2", "s0", "s3"]


def test_equal_parts() -> None:
    """Who got least far is served; who got further makes room."""
    some = [
        one(0, left_node_s=5.0, holding=True),
        one(1, left_node_s=7.0, holding=True),
        one(2, left_node_s=7.0),
    ]

    found = EqualSplit().rank(some, now_s=0.0)

    assert [p.simulation for p in found.order] == ["s1", "s2", "s0"]
    assert dict(found.pauses) == {"s0": "s2 has got less far"}


def test_halving() -> None:
    """The better half goes on, also before new ones; the others wait at the end."""
    rule = SuccessiveHalving(marks=(0, 2))
    some = [
        one(0, skills=(Skill(mark=0, margin=1.0),), left_node_s=8.0),
        one(1, skills=(Skill(mark=0, margin=-1.0),), left_node_s=8.0, holding=True),
        one(2),
        one(
            3,
            skills=(Skill(mark=0, margin=0.5), Skill(mark=1, margin=0.0)),
            left_node_s=7.0,
            holding=True,
        ),
        one(4, skills=(Skill(mark=0, margin=-2.0),), left_node_s=8.0),
    ]

    found = rule.rank(some, now_s=0.0)

    # Of four scored at mark 0 two go on; the third has passed it already.
    assert [p.simulation for p in found.order] == ["s3", "s0", "s2", "s1", "s4"]
    assert dict(found.pauses) == {"s1": "2 of 4 are better at mark 0"}


def test_halving_wants_marks() -> None:
    """Ascending ones, and a part to keep."""
    with pytest.raises(InvalidInputError) as caught:
        SuccessiveHalving(marks=(2, 1), keep=0.0)

    assert [fault.place for fault in caught.value.faults] == [
        "SuccessiveHalving.marks",
        "SuccessiveHalving.keep",
    ]
