"""The benchmark of the ledger, with few records."""

from __future__ import annotations

import pytest

from benchmarks.ledger import BAR_S, measure
from climorch.forecast.ledger import Bookkeeper


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
    """A journal that is not read is no result."""
    monkeypatch.setattr(Bookkeeper, "note", lambda *_: None)
    with pytest.raises(SystemExit, match="nothing was booked"):
        measure(1000)
