"""When a set is checkpointed."""

from __future__ import annotations

import math

import pytest

from climorch.errors import InvalidInputError
from climorch.policy.checkpointing import (
    CheckpointStrategy,
    Daly,
    EverySegments,
    EveryWall,
    Pace,
    daly_interval,
)

HOUR_S = 3600.0


def pace(
    since_s: float = 0.0,
    *,
    boundaries: int = 1,
    next_s: float = 0.0,
    cost_s: float | None = None,
    mtbf_s: float = 24 * HOUR_S,
) -> Pace:
    """Make a pace."""
    return Pace(
        since_s=since_s,
        boundaries=boundaries,
        next_s=next_s,
        cost_s=cost_s,
        mtbf_s=mtbf_s,
    )


@pytest.mark.parametrize(
    ("mtbf_s", "minutes"), [(24 * HOUR_S, 117), (6 * HOUR_S, 57), (0.25 * HOUR_S, 9.1)]
)
def test_the_interval_is_that_of_daly(mtbf_s: float, minutes: float) -> None:
    """A dump of five minutes gives the published intervals of compute between."""
    interval_s = daly_interval(cost_s=300.0, mtbf_s=mtbf_s)

    assert interval_s / 60 == pytest.approx(minutes, rel=0.01)


def test_the_interval_by_hand() -> None:
    """Equation 37 of Daly (2006): 7200 s x (1 + 1/72 + 1/5184) less the dump."""
    assert daly_interval(cost_s=300.0, mtbf_s=86400.0) == pytest.approx(
        7200 * (1 + 1 / 72 + 1 / 5184) - 300, rel=1e-12
    )


@pytest.mark.parametrize("cost_s", [200.0, 1000.0])
def test_where_dumps_take_longer_than_nodes_live(cost_s: float) -> None:
    """From twice the mean time between failures on, the interval is that time."""
    assert daly_interval(cost_s=cost_s, mtbf_s=100.0) == 100.0


@pytest.mark.parametrize(
    ("cost_s", "mtbf_s", "places"),
    [
        (0.0, 1.0, ["cost_s"]),
        (1.0, -1.0, ["mtbf_s"]),
        (math.nan, math.inf, ["cost_s", "mtbf_s"]),
    ],
)
def test_an_interval_needs_positive_times(
    cost_s: float, mtbf_s: float, places: list[str]
) -> None:
    """All arguments that are not finite and positive are told."""
    with pytest.raises(InvalidInputError, match="no checkpoint interval") as caught:
        daly_interval(cost_s=cost_s, mtbf_s=mtbf_s)

    assert [fault.place for fault in caught.value.faults] == places


@pytest.mark.parametrize(
    ("strategy", "known", "seconds"),
    [
        # 117 min are more than the 28 after which two intervals lose an hour.
        (Daly(), pace(cost_s=300.0), 1680.0),
        (Daly(longest_s=9000.0, most_overhead=1.0), pace(cost_s=300.0), 7001.3889),
        # Two per cent of overhead for 10 s are at least 500 s.
        (Daly(), pace(cost_s=10.0, mtbf_s=3600.0), 500.0),
        # Until one was measured, 5 s are assumed: 250 s at two per cent.
        (Daly(), pace(mtbf_s=600.0), 250.0),
        # What costs nothing measurable is taken to cost a millisecond.
        (Daly(), pace(cost_s=0.0, mtbf_s=50.0), 0.315561),
    ],
)
def test_the_interval_of_daly_stays_within_its_limits(
    strategy: Daly, known: Pace, seconds: float
) -> None:
    """Overhead makes the interval longer, and the longest one wins."""
    assert strategy.interval_s(known) == pytest.approx(seconds, rel=1e-4)


@pytest.mark.parametrize(
    ("strategy", "known", "why"),
    [
        (Daly(longest_s=100.0), pace(99.0), None),
        (
            Daly(longest_s=100.0),
            pace(100.0),
            "100 s since the last one, interval 100 s",
        ),
        # The next boundary lies as far behind the optimum as this one before.
        (Daly(longest_s=100.0), pace(79.0, next_s=40.0), None),
        (
            Daly(longest_s=100.0),
            pace(80.0, next_s=40.0),
            "80 s since the last one, interval 100 s",
        ),
        (EverySegments(), pace(boundaries=1), "every 1 boundaries"),
        (EverySegments(count=3), pace(boundaries=2), None),
        (EverySegments(count=3), pace(boundaries=3), "every 3 boundaries"),
        (EveryWall(seconds=60.0), pace(59.9), None),
        (EveryWall(seconds=60.0), pace(60.0), "every 60 s"),
    ],
)
def test_a_strategy_says_why_or_nothing(
    strategy: CheckpointStrategy, known: Pace, why: str | None
) -> None:
    """A strategy gives its reason where a checkpoint is due."""
    assert strategy.due(known) == why


def test_strategies_that_cannot_work_are_refused() -> None:
    """Every boundary is the most often, and no wall time is negative."""
    with pytest.raises(InvalidInputError, match=r"EverySegments\.count: got 0"):
        EverySegments(count=0)
    with pytest.raises(InvalidInputError, match=r"EveryWall\.seconds: got -1"):
        EveryWall(seconds=-1)
    with pytest.raises(InvalidInputError, match=r"EveryWall\.seconds: got nan"):
        EveryWall(seconds=math.nan)
