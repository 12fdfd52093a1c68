"""What stands above every checkpoint strategy."""

from __future__ import annotations

import math

import pytest

from climorch.errors import InvalidInputError
from climorch.policy.checkpointing import Pace
from climorch.policy.limits import Limits, Ruling, faded, judge


def pace(
    since_s: float,
    *,
    next_s: float = 0.0,
    cost_s: float | None = None,
    spent_s: float = 0.0,
) -> Pace:
    """Make a pace."""
    return Pace(
        since_s=since_s,
        boundaries=1,
        next_s=next_s,
        cost_s=cost_s,
        mtbf_s=1e6,
        spent_s=spent_s,
    )


def test_the_defaults_are_two_per_cent_and_an_hour() -> None:
    """Two intervals of 28 min, and four minutes until a failure is dealt with."""
    limits = Limits()

    assert (limits.most_overhead, limits.most_exposure_s) == (0.02, 3600.0)
    assert limits.longest_s == pytest.approx(28 * 60.0)
    assert limits.least_s(6.0) == pytest.approx(300.0)


@pytest.mark.parametrize(
    ("wanted", "known", "ruling"),
    [
        # Nobody wants one, and the next boundary is near enough.
        (None, pace(600.0, next_s=600.0), Ruling(due=False)),
        ("due", pace(600.0, next_s=600.0), Ruling(due=True, why="due")),
        # 2 % of 300 s are what it costs.
        ("due", pace(300.0, cost_s=6.0), Ruling(due=True, why="due")),
        # A few in a row may cost up to 2 % of an hour.
        ("due", pace(10.0, cost_s=6.0, spent_s=66.0), Ruling(due=True, why="due")),
    ],
)
def test_a_strategy_has_its_way_within_the_caps(
    wanted: str | None, known: Pace, ruling: Ruling
) -> None:
    """No cap binds: what the strategy says is done."""
    assert judge(wanted, known, Limits()) == ruling


def test_the_overhead_cap_puts_off() -> None:
    """Beyond 72 s of checkpoints in about an hour one waits until it has earned it."""
    found = judge("due", pace(299.0, cost_s=6.0, spent_s=66.5), Limits())

    assert found == Ruling(
        due=False,
        why="due; put off: overhead cap of 0.02: one costs 6 s, 66.5 s were spent in "
        "the last hour",
        binds="overhead",
    )


def test_the_exposure_cap_takes_one_that_nobody_wanted() -> None:
    """The next boundary would lie more than 28 min after the last checkpoint."""
    found = judge(None, pace(1200.0, next_s=500.0), Limits())

    assert found == Ruling(
        due=True,
        why="exposure cap: 1200 s since the last one, the next boundary in 500 s, at "
        "most 1680 s between two",
        binds="exposure",
    )


def test_exposure_wins_over_overhead() -> None:
    """Where both caps bind, the checkpoint is taken, and both are told."""
    found = judge(
        "due", pace(1200.0, next_s=500.0, cost_s=60.0, spent_s=60.0), Limits()
    )

    assert (found.due, found.binds) == (True, "exposure")
    assert found.why == (
        "due; exposure cap: 1200 s since the last one, the next boundary in 500 s, at "
        "most 1680 s between two; but overhead cap of 0.02: one costs 60 s, 60 s were "
        "spent in the last hour"
    )


def test_caps_can_be_switched_off() -> None:
    """Without caps a strategy always has its way."""
    free = Limits(most_overhead=math.inf, most_exposure_s=math.inf)

    dear = pace(1.0, next_s=1e9, cost_s=1e6, spent_s=1e9)
    assert judge("due", dear, free) == Ruling(due=True, why="due")
    assert judge(None, dear, free) == Ruling(due=False)


def test_what_was_spent_fades() -> None:
    """What checkpoints cost an hour ago counts by 1/e; clocks that go back do not."""
    assert faded(10.0, 3600.0) == pytest.approx(10.0 / math.e)
    assert faded(10.0, -5.0) == 10.0


@pytest.mark.parametrize("cost_s", [0.5, 5.0, 30.0, 100.0])
@pytest.mark.parametrize("every_s", [1.0, 60.0, 600.0])
def test_the_overhead_cap_holds_over_a_day(cost_s: float, every_s: float) -> None:
    """However often one is wanted, a day costs 2 % and the first hour's allowance."""
    limits = Limits(most_exposure_s=math.inf)
    spent_s, at_s, last_s, total_s = 0.0, 0.0, 0.0, 0.0
    while at_s < 86_400.0:
        at_s += every_s
        known = pace(
            at_s - last_s,
            next_s=every_s,
            cost_s=cost_s,
            spent_s=faded(spent_s, every_s),
        )
        spent_s = known.spent_s
        if judge("due", known, limits).due:
            spent_s += cost_s
            total_s += cost_s
            last_s = at_s

    assert total_s <= 0.02 * 86_400.0 + 72.0 + cost_s


def test_limits_are_above_zero() -> None:
    """All that are not are told."""
    with pytest.raises(InvalidInputError) as caught:
        Limits(most_overhead=0.0, most_exposure_s=math.nan)

    assert [fault.place for fault in caught.value.faults] == [
        "Limits.most_overhead",
        "Limits.most_exposure_s",
    ]
