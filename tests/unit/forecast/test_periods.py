"""Months in UTC, periods in the words of users."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone

import pytest

from climorch.errors import InvalidInputError
from climorch.forecast.periods import (
    Period,
    begin_of,
    month_begin_s,
    next_edge_s,
    period_of,
)


def at(*parts: int) -> float:
    """Return a moment, UTC seconds."""
    return datetime(*parts, tzinfo=UTC).timestamp()  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("moment", "later", "begin"),
    [
        (at(2026, 1, 1), 0, at(2026, 1, 1)),
        (at(2026, 1, 31, 23), 1, at(2026, 2, 1)),
        (at(2026, 12, 31), 1, at(2027, 1, 1)),
        (at(2024, 2, 29), 12, at(2025, 2, 1)),
        (0.0, 0, 0.0),
    ],
)
def test_a_month_begins_at_its_first_midnight(
    moment: float, later: int, begin: float
) -> None:
    """By the calendar, over years and leap days."""
    assert month_begin_s(moment, later=later) == begin


def test_cuts_divide_months() -> None:
    """A piece ends at the next cut or month; on an edge the next one begins."""
    cut = at(2026, 3, 10)
    assert begin_of(at(2026, 3, 5), (cut,)) == at(2026, 3, 1)
    assert begin_of(cut, (cut,)) == cut
    assert begin_of(at(2026, 4, 5), (cut,)) == at(2026, 4, 1)
    assert next_edge_s(at(2026, 3, 5), (cut,)) == cut
    assert next_edge_s(cut, (cut,)) == at(2026, 4, 1)
    assert next_edge_s(cut, ()) == at(2026, 4, 1)


@pytest.mark.parametrize(
    ("period", "since_s", "until_s"),
    [
        (None, -math.inf, math.inf),
        ("2026", at(2026, 1, 1), at(2027, 1, 1)),
        ("2026-11", at(2026, 11, 1), at(2026, 12, 1)),
        (("2026-01-15", "2026-02-01"), at(2026, 1, 15), at(2026, 2, 1)),
        (
            ("2026-01-15T02:00+02:00", datetime(2026, 1, 16, tzinfo=UTC)),
            at(2026, 1, 15),
            at(2026, 1, 16),
        ),
        (
            (
                datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=-6))),
                "2026-01-02",
            ),
            at(2026, 1, 1, 6),
            at(2026, 1, 2),
        ),
    ],
)
def test_a_period_is_read_as_users_write_it(
    period: Period, since_s: float, until_s: float
) -> None:
    """Years, months, days of UTC, moments with a time zone."""
    assert period_of(period) == (since_s, until_s)


@pytest.mark.parametrize(
    ("period", "faults"),
    [
        ("next year", 1),
        ("2026-11-05", 1),
        ("2026-13", 1),
        (("2026-01-02", "2026-01-02"), 1),
        (("2026-02-01", "2026-01-01"), 1),
        ((datetime(2026, 1, 1), "soon"), 2),  # noqa: DTZ001
        (("2026-01-01T00:00", "2026-02-01"), 1),
    ],
)
def test_what_is_no_period_is_refused_with_every_fault(
    period: Period, faults: int
) -> None:
    """No time zone, no date, an end before its begin."""
    with pytest.raises(InvalidInputError) as caught:
        period_of(period)

    assert len(caught.value.faults) == faults
