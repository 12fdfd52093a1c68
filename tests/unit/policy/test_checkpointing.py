"""When a set is checkpointed."""

from __future__ import annotations

import math
from typing import Any

import cftime
import pytest

from climorch.errors import InvalidInputError
from climorch.policy.calendar import TIME_UNITS
from climorch.policy.checkpointing import (
    AnyOf,
    BeforeEvent,
    CheckpointStrategy,
    Daly,
    EverySegments,
    EveryWall,
    ModelCalendar,
    Overrides,
    Pace,
)

HOUR_S = 3600.0


def pace(since_s: float = 0.0, **more: Any) -> Pace:
    """Make a pace."""
    told: dict[str, Any] = {
        "boundaries": 1,
        "next_s": 0.0,
        "cost_s": None,
        "mtbf_s": 24 * HOUR_S,
    }
    return Pace(since_s=since_s, **(told | more))


def between(since: str, here: str, calendar: str = "noleap") -> Pace:
    """Make a pace from one model date to another."""
    times = [
        int(
            cftime.date2num(
                cftime.datetime.strptime(text, "%Y-%m-%dT%H", calendar=calendar),
                TIME_UNITS,
                calendar,
            )
        )
        for text in (since, here)
    ]
    return pace(since_model_s=times[0], model_s=times[1], calendar=calendar)


@pytest.mark.parametrize(
    ("mtbf_s", "minutes"), [(24 * HOUR_S, 117), (6 * HOUR_S, 57), (0.25 * HOUR_S, 9.1)]
)
def test_the_interval_is_that_of_daly(mtbf_s: float, minutes: float) -> None:
    """A measured dump of five minutes gives the published intervals."""
    interval_s = Daly().interval_s(pace(cost_s=300.0, mtbf_s=mtbf_s))

    assert interval_s / 60 == pytest.approx(minutes, rel=0.01)


@pytest.mark.parametrize(
    ("strategy", "known", "seconds"),
    [
        (Daly(), pace(cost_s=300.0), 7001.3889),
        # Until one was measured, 5 s are assumed.
        (Daly(), pace(mtbf_s=600.0), 74.1622),
        (Daly(first_cost_s=300.0), pace(), 7001.3889),
        # What costs nothing measurable is taken to cost a millisecond.
        (Daly(), pace(cost_s=0.0, mtbf_s=50.0), 0.315561),
    ],
)
def test_the_interval_of_daly_follows_what_was_measured(
    strategy: Daly, known: Pace, seconds: float
) -> None:
    """Cost and failures as observed make the interval."""
    assert strategy.interval_s(known) == pytest.approx(seconds, rel=1e-4)


@pytest.mark.parametrize(
    ("strategy", "known", "why"),
    [
        (Daly(), pace(7001.0, cost_s=300.0), None),
        (
            Daly(),
            pace(7002.0, cost_s=300.0),
            "7002 s since the last one, interval 7001 s",
        ),
        # The next boundary lies as far behind the optimum as this one before.
        (Daly(), pace(6901.0, cost_s=300.0, next_s=200.0), None),
        (
            Daly(),
            pace(6902.0, cost_s=300.0, next_s=200.0),
            "6902 s since the last one, interval 7001 s",
        ),
        (EverySegments(), pace(boundaries=1), "every 1 boundaries"),
        (EverySegments(count=3), pace(boundaries=2), None),
        (EverySegments(count=3), pace(boundaries=3), "every 3 boundaries"),
        (EveryWall(seconds=60.0), pace(59.9), None),
        (EveryWall(seconds=60.0), pace(60.0), "every 60 s"),
        (BeforeEvent(), pace(), None),
        (BeforeEvent(lead_s=60.0), pace(ends_in_s=61.0), None),
        (BeforeEvent(lead_s=60.0), pace(ends_in_s=60.0), "nodes go in 60 s, lead 60 s"),
    ],
)
def test_a_strategy_says_why_or_nothing(
    strategy: CheckpointStrategy, known: Pace, why: str | None
) -> None:
    """A strategy gives its reason where a checkpoint is due."""
    assert strategy.due(known) == why


@pytest.mark.parametrize(
    ("every", "since", "here", "calendar", "due"),
    [
        ("1YS", "1850-12-01T00", "1851-01-01T00", "noleap", True),
        ("1YS", "1851-01-01T00", "1851-12-31T23", "noleap", False),
        ("YS", "1851-06-01T00", "1852-03-01T00", "noleap", True),
        # Decades are decades wherever a span begins.
        ("10YS", "1853-01-01T00", "1859-01-01T00", "standard", False),
        ("10YS", "1853-01-01T00", "1860-01-01T00", "standard", True),
        ("1MS", "1850-02-01T00", "1850-02-30T00", "360_day", False),
        ("1MS", "1850-02-01T00", "1850-03-01T00", "360_day", True),
        # A leap day of one calendar is the first of March of another.
        ("1MS", "1852-02-28T00", "1852-02-29T00", "standard", False),
        ("1MS", "1852-02-28T00", "1852-03-01T00", "noleap", True),
        # No boundary falls on the end of March: the next one counts.
        ("3MS", "1850-03-20T00", "1850-04-09T00", "noleap", True),
        ("3MS", "1850-01-20T00", "1850-03-09T00", "noleap", False),
        ("5D", "0001-01-01T00", "0001-01-05T23", "noleap", False),
        ("5D", "0001-01-01T00", "0001-01-06T00", "noleap", True),
        ("12h", "0001-01-01T00", "0001-01-01T11", "noleap", False),
        ("12h", "0001-01-01T11", "0001-01-01T12", "noleap", True),
    ],
)
def test_the_calendar_of_the_model_counts(
    every: str, since: str, here: str, calendar: str, due: bool
) -> None:
    """A checkpoint is due at the first boundary at or after each such date."""
    found = ModelCalendar(every=every).due(between(since, here, calendar))

    assert found == (f"every {every} of model time" if due else None)


def test_strategies_combine() -> None:
    """Whichever is due first checkpoints; the reasons of all that are due are told."""
    combined = EverySegments(count=3) | EveryWall(seconds=60.0)

    assert combined == AnyOf(
        strategies=(EverySegments(count=3), EveryWall(seconds=60.0))
    )
    assert combined.due(pace(59.0, boundaries=2)) is None
    assert combined.due(pace(60.0, boundaries=2)) == "every 60 s"
    assert combined.due(pace(60.0, boundaries=3)) == "every 3 boundaries; every 60 s"


def test_combinations_are_flat() -> None:
    """It does not matter how a combination was put together."""
    a, b, c, d = Daly(), BeforeEvent(), ModelCalendar(), EverySegments()

    assert (a | b) | (c | d) == AnyOf(strategies=(a, b, c, d))
    assert a | (b | (c | d)) == AnyOf(strategies=(a, b, c, d))


def test_the_same_reason_is_told_once() -> None:
    """Stages of a set that want the same do not say it twice."""
    assert (EverySegments() | EverySegments()).due(pace()) == "every 1 boundaries"


A, B, C, REST = (EverySegments(count=n) for n in (2, 3, 4, 9))


@pytest.mark.parametrize(
    ("overrides", "strategy"),
    [
        (Overrides(), REST),
        (Overrides(stages={("w", "ocean"): A}), A),
        (Overrides(stages={("other", "ocean"): A, ("w", "land"): B}), REST),
        (Overrides(scenarios={"s": C, "t": A}), C),
        # The strictest wins: whichever is due first.
        (
            Overrides(stages={("w", "air"): B, ("w", "ocean"): A}),
            AnyOf(strategies=(B, A)),
        ),
        (
            Overrides(stages={("w", "ocean"): A}, scenarios={"s": C}),
            AnyOf(strategies=(A, C)),
        ),
    ],
)
def test_wishes_for_a_set_meet(
    overrides: Overrides, strategy: CheckpointStrategy
) -> None:
    """Stages and the scenario are heard; the campaign where neither says anything."""
    found = overrides.strategy_for(
        REST, simulation="s", workflow="w", stages=("air", "ocean")
    )

    assert found == strategy


@pytest.mark.parametrize(
    ("make", "place"),
    [
        (lambda: EverySegments(count=0), r"EverySegments\.count: got 0"),
        (lambda: EveryWall(seconds=-1), r"EveryWall\.seconds: got -1"),
        (lambda: EveryWall(seconds=math.nan), r"EveryWall\.seconds: got nan"),
        (lambda: Daly(first_cost_s=0.0), r"Daly\.first_cost_s: got 0\.0"),
        (lambda: BeforeEvent(lead_s=0.0), r"BeforeEvent\.lead_s: got 0\.0"),
        (lambda: BeforeEvent(lead_s=math.inf), r"BeforeEvent\.lead_s: got inf"),
        (lambda: AnyOf(strategies=()), r"len\(AnyOf\.strategies\): got 0"),
        (lambda: ModelCalendar(every="month"), r"ModelCalendar\.every: got 'month'"),
        (lambda: ModelCalendar(every="0YS"), r"ModelCalendar\.every: got '0YS'"),
        (lambda: ModelCalendar(every="-1D"), r"ModelCalendar\.every: got '-1D'"),
    ],
)
def test_strategies_that_cannot_work_are_refused(make: Any, place: str) -> None:
    """Every number has a range, and every frequency a name."""
    with pytest.raises(InvalidInputError, match=place):
        make()
