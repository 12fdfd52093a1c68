"""Past use by month: of ledgers, of traces, of lists."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import numpy as np
import pytest

from climorch.errors import InvalidInputError
from climorch.forecast.history import (
    History,
    history_of_jobs,
    history_of_ledger,
    usage_by_month,
)
from climorch.forecast.swf import Jobs
from tests.unit.forecast.journal import Journal

DAY_S = 86_400.0


def at(*parts: int) -> float:
    """Return a moment, UTC seconds."""
    return datetime(*parts, tzinfo=UTC).timestamp()  # type: ignore[misc, arg-type]


def test_a_history_knows_what_comes_after_it() -> None:
    """By the calendar, with leap days; or in months of a trace."""
    history = History(unit="node h", months=("2023-12",), days=(31.0,), used=(62.0,))
    assert history.ahead(3) == (("2024-01", "2024-02", "2024-03"), (31.0, 29.0, 31.0))
    assert list(history.per_day) == [2.0]
    trace = History(unit="h", months=("+008",), days=(30.0,), used=(1.0,))
    assert trace.ahead(2) == (("+009", "+010"), (30.0, 30.0))
    assert len(trace.until(0)) == 0
    assert history.to_pandas().loc["2023-12", "used"] == 62.0


def test_what_is_no_history_is_refused_with_every_fault() -> None:
    """Negative, infinite or missing use; months without a length."""
    with pytest.raises(InvalidInputError) as caught:
        History(
            unit="h",
            months=("2026-01", "2026-02", "2026-03"),
            days=(31.0, 0.0),
            used=(-1.0, math.nan, 1.0),
            capacity_per_day=0.0,
        )

    assert len(caught.value.faults) == 5


def test_use_is_added_up_by_month_and_gaps_are_told() -> None:
    """In whatever order; an empty month between two others is missing."""
    sums, missing = usage_by_month(
        [at(2026, 3, 1), at(2025, 12, 31), at(2025, 12, 1)], [4.0, 2.0, 1.0]
    )

    assert sums == {"2025-12": 3.0, "2026-03": 4.0}
    assert missing == ["2026-01", "2026-02"]
    assert usage_by_month([], []) == ({}, [])


def test_a_ledger_becomes_a_history_of_its_whole_months() -> None:
    """The month of its begin and that of its newest row are left out."""
    journal = Journal()
    journal.lease(0, "n1", "n2")
    journal.lease(40 * DAY_S)
    ledger = journal.ledger(100 * DAY_S)

    history = history_of_ledger(ledger)

    assert history.months == ("2026-02", "2026-03", "2026-04")
    assert history.days == (28.0, 31.0, 30.0)
    # From an hour before February to an hour before the end of 12 March.
    assert history.used == pytest.approx((2 * 28 * 24, 2 * (12 * 24 - 1), 0.0))
    assert history_of_ledger(ledger, project="nobody").used == (0.0, 0.0, 0.0)
    assert len(history_of_ledger(Journal().ledger(5))) == 0


def test_a_trace_becomes_a_history_of_months_of_thirty_days() -> None:
    """A job counts where it arrives; the last month is there in part only."""
    jobs = Jobs(
        number=np.arange(4),
        submit_s=np.array([0, 10, 31, 61]) * int(DAY_S),
        run_s=np.array([3600, 7200, 3600, 3600]),
        request_s=np.array([3600, 7200, 3600, 3600]),
        processors=np.array([2, 1, 5, 7]),
        user=np.array([1, 2, 1, 1]),
        machine=10,
    )

    history = history_of_jobs(jobs)

    assert history.months == ("+000", "+001")
    assert history.used == (4.0, 5.0)
    assert history.capacity_per_day == 240.0
    assert history_of_jobs(jobs, user=2).used == (2.0, 0.0)
    assert history_of_jobs(jobs, user=2).capacity_per_day is None
