"""The benchmark of books and times, with few records."""

from __future__ import annotations

import pytest

from benchmarks.ledger import BAR_S, measure
from climorch.forecast.leases import LeaseBook
from climorch.forecast.timekeeping import Timekeeper


def test_books_of_many_records_take_seconds() -> None:
    """Several campaigns over months; far below the bar even on a busy machine."""
    figures = measure(30_000)

    assert figures["records"] == 30_000
    assert int(figures["simulations"]) > 8
    assert int(figures["months"]) > 1
    assert float(figures["per_million_cpu_s"]) < 10 * BAR_S


def test_books_in_which_nothing_is_booked_are_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Leases of which no node-second is counted are no result."""
    monkeypatch.setattr(LeaseBook, "settle", lambda *_: 0.0)
    with pytest.raises(SystemExit, match="nothing was booked"):
        measure(1000)


def test_times_that_are_not_taken_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is one of which nobody takes the time."""
    monkeypatch.setattr(Timekeeper, "note", lambda *_: None)
    with pytest.raises(SystemExit, match="nothing was timed"):
        measure(1000)
