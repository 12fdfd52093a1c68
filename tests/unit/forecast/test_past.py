"""A journal read once, as of several moments."""

from __future__ import annotations

import copy
from datetime import UTC, datetime

import pytest

from climorch.core.fold import apply
from climorch.core.state import CampaignState
from climorch.forecast.past import at_months, past_of
from climorch.model import events as e
from tests.unit.twin.months import pasts, told


def test_a_past_is_the_state_and_the_books_of_its_moment() -> None:
    """The same as folding the records up to then alone."""
    edge_s = datetime(2027, 3, 1, tzinfo=UTC).timestamp()
    until = [(record, now_s) for record, now_s in told() if now_s < edge_s]
    state = CampaignState()
    for record, now_s in until:
        apply(state, record, now_s)
    apply(state, e.DriverStopped(reason="forecast"), edge_s)

    march = pasts()[1]

    assert march.as_of_s == edge_s
    assert march.state == state
    alone = past_of(until)
    assert march.seen.pieces == alone.seen.pieces
    assert march.ledger.held_node_s == pytest.approx(alone.ledger.held_node_s, rel=0.01)


def test_there_is_a_past_for_each_month_and_one_of_now() -> None:
    """February to May, and the newest record; months that are whole."""
    found = [datetime.fromtimestamp(p.as_of_s, UTC) for p in pasts()]

    assert [(at.month, at.day) for at in found] == [
        *((2, 1), (3, 1), (4, 1), (5, 1)),
        (5, 31),
    ]
    held = [p.ledger.held_node_s for p in pasts()]
    assert held == sorted(held)


def test_reading_on_leaves_a_past_as_it_was() -> None:
    """Its state and books are copies."""
    reading = at_months(told())
    february = next(reading)
    before = copy.deepcopy((february.state, february.ledger))

    for _ in reading:
        pass

    assert (february.state, february.ledger) == before


def test_an_empty_journal_has_one_past() -> None:
    """In which nothing is known."""
    (found,) = at_months(())

    assert found == past_of(())
    assert found.ledger.entries == ()
    assert found.seen.pieces == ()
