"""From worlds that were played to a forecast."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from climorch.forecast.activities import Slippage
from climorch.forecast.assembling import assemble
from climorch.forecast.projection import Forecast
from climorch.forecast.series import Case, Outlook
from climorch.forecast.unfolded import Unfolded, edges_of
from climorch.forecast.worlds import Prospect, left_of, prospect
from tests.unit.twin.months import DAY_S, activity, pasts

MARCH = pasts()[1]
EDGES_S = edges_of(MARCH.as_of_s, 2)
HOUR_S = 3600.0


def known(nodes: int = 6, **more: Any) -> Prospect:
    """Learn from the past of March, for two months."""
    given: dict[str, Any] = {
        "plan": (activity("later"),),
        "workflows": {},
        "ledger": MARCH.ledger,
        "seen": MARCH.seen,
        "slips": Slippage(),
        "nodes": nodes,
        "edges_s": EDGES_S,
    } | more
    state = given.pop("state", MARCH.state)
    return prospect(state, left_of(MARCH.state, ()), **given)


def world(seed: int, hours: float, **more: Any) -> Unfolded:
    """A world in which p holds so many hours each month."""
    given: dict[str, Any] = {
        "node_s": {"p": (hours * HOUR_S, hours * HOUR_S)},
        "begun_s": {"one": EDGES_S[0], "child": EDGES_S[1]},
        "ended_s": {"one": EDGES_S[1]},
        "projects": {"one": "p", "child": "q", "later": "p"},
    } | more
    return Unfolded(seed=seed, **given)


def assembled(*several: Unfolded, **more: Any) -> Forecast:
    """Make a forecast."""
    given = {"campaign": "c", "mode": "twin"} | more
    return assemble(given.pop("known", known()), several, **given)


def test_all_worlds_are_draws_by_project_and_month() -> None:
    """A project without use has none; capacity is nodes times hours."""
    found = assembled(world(0, 100.0), world(1, 200.0))

    assert found.projects == ("p", "q")
    assert found.node_hours == (
        ((100.0, 100.0), (0.0, 0.0)),
        ((200.0, 200.0), (0.0, 0.0)),
    )
    assert found.capacity_node_hours == (6 * 31 * 24.0, 6 * 30 * 24.0)
    assert found.outlook is None
    assert found.notes == ()


def test_what_is_not_done_has_a_completion_and_what_rules_add_too() -> None:
    """What is planned is told apart from what is submitted."""
    found = assembled(world(0, 1.0), world(1, 1.0, ended_s={}))

    rows = {c.simulation: (c.project, c.planned, c.share) for c in found.completions}
    assert rows == {
        "one": ("p", False, 0.5),
        "two": ("p", False, 0.0),
        "three": ("q", False, 0.0),
        "later": ("p", True, 0.0),
        "child": ("q", True, 0.0),
    }


def test_more_than_there_is_cannot_be_used() -> None:
    """It is cut, and said."""
    found = assembled(world(0, 9000.0, notes=("odd",)), notes=("first",))

    assert found.total().p50 == pytest.approx(6 * 61 * 24.0)
    assert found.notes[0] == "first"
    assert "2 of 2 months are limited by the nodes" in found.notes[1]
    assert found.notes[2] == "odd"


def test_a_series_that_is_worth_it_moves_a_plan() -> None:
    """By its weight, in equal lengths of time, and no further than there is."""
    steady = Outlook(
        unit="node h",
        case=Case.STEADY,
        months=("2027-03", "2027-04"),
        expected=(200.0, 200.0),
        p10=(180.0, 180.0),
        p50=(200.0, 200.0),
        p90=(220.0, 220.0),
        total=400.0,
        total_p10=360.0,
        total_p50=400.0,
        total_p90=440.0,
        blocks=30,
    )
    short = dataclasses.replace(steady, case=Case.SHORT)

    moved = assembled(world(0, 100.0), world(1, 110.0), outlook=steady)
    still = assembled(world(0, 100.0), world(1, 110.0), outlook=short)

    assert still.total().p50 == pytest.approx(210.0)
    assert 230.0 < moved.total().p50 < 400.0
    assert moved.outlook is steady
    assert "use counts" in moved.notes[0]


def test_storage_is_what_simulations_take_from_their_begin_on() -> None:
    """Those that are there go on taking it; new ones take what their kin do."""
    state = dataclasses.replace(MARCH.state)
    one = state.simulations["one"]
    sets = {"a": dataclasses.replace(one.sets["a"], stored_bytes=2 * 10**12)}
    state.simulations = {
        **state.simulations,
        "one": dataclasses.replace(one, sets=sets),
    }
    later = world(0, 1.0, begun_s={"later": EDGES_S[1]})

    found = assembled(later, known=known(state=state))

    month_s = 365.2425 / 12 * DAY_S
    (((first, second), other),) = found.tb_months
    assert first == pytest.approx(2 * 31 * DAY_S / month_s)
    assert second == pytest.approx(4 * 30 * DAY_S / month_s)
    assert other == (0.0, 0.0)


def test_without_a_checkpoint_nobody_knows_what_is_stored() -> None:
    """NaN, not nothing."""
    (((first, _), _),) = assembled(world(0, 1.0)).tb_months

    assert math.isnan(first)
