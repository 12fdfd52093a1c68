"""What forecasts from past months would have been worth."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import pytest

from climorch.forecast.past import past_of
from climorch.forecast.unfolded import edges_of
from climorch.twin.asking import Question
from climorch.twin.hindsight import backtest_from, held_hours
from climorch.twin.site import TwinSite
from tests.unit.twin.months import ASKED, BEGIN, pasts


def test_each_past_month_is_an_origin_if_what_came_is_known() -> None:
    """February to April with one month each: the last month is not whole."""
    found = backtest_from(pasts(), Question(months=1, quick=True), ASKED)

    assert [o.month for o in found.origins] == ["2027-02", "2027-03", "2027-04"]
    # What leases held: 4018, 4448 and 2338 node-hours.
    assert [o.actual for o in found.origins] == pytest.approx(
        [4018, 4448, 2338], abs=1.0
    )
    assert found.mean_error < 0.2
    assert found.months == 1


def test_the_twin_answers_too() -> None:
    """The same origins, closer to what came."""
    question = Question(months=2, seeds=(0, 1, 2))

    found = backtest_from(pasts(), question, ASKED)

    assert [o.month for o in found.origins] == ["2027-02", "2027-03"]
    assert found.p90_error < 0.15


def test_months_of_which_nothing_is_known_are_no_origins() -> None:
    """Too short, nothing finished, or nothing held."""
    six = backtest_from(pasts(), Question(months=6, quick=True), ASKED)
    assert six.origins == ()
    assert backtest_from([past_of(())], Question(), ASKED).origins == ()
    bare = [
        dataclasses.replace(p, seen=dataclasses.replace(p.seen, pieces=()))
        for p in pasts()
    ]
    one = Question(months=1, quick=True, site=TwinSite(nodes=6))
    assert backtest_from(bare, one, ASKED).origins == ()
    last = dataclasses.replace(
        pasts()[-1], ledger=dataclasses.replace(pasts()[-1].ledger, entries=())
    )
    assert backtest_from([*pasts()[:-1], last], one, ASKED).origins == ()


def test_hours_are_those_of_the_ledger() -> None:
    """Month by month, nothing between them."""
    ledger = pasts()[-1].ledger
    edges_s = edges_of(BEGIN.timestamp(), 5)

    by_month = [held_hours(ledger, *span) for span in pairwise(edges_s)]

    assert sum(by_month) == pytest.approx(ledger.held_node_s / 3600.0)
