"""From when on a change of a claim may matter to others."""

from __future__ import annotations

import math

import pytest
from msgspec.structs import replace

from climorch.policy.board import Board
from climorch.policy.claims import Allocation, Claim, NodeOffer
from climorch.policy.quiet import AT_ONCE, matters_from_s
from climorch.policy.sharing import Sharing

SHARING = Sharing(min_run_s=50.0, slice_s=100.0)
WAITS = Claim(simulation="s", project="p", priority=1, serial=1, nodes=2, most_nodes=2)
GIVEN = replace(WAITS, held=("m", "n"), turn_s=7.0, exempt_until_s=9.0, fruitful=False)
DECIDED = Allocation(leases={"s": ("m", "n")})


def board(*others: Claim, given: Claim = GIVEN) -> Board:
    """Return a board with a claim and others."""
    return Board.of(
        [given, *others], [NodeOffer(name=n) for n in ("m", "n", "o")], 100.0
    )


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({"priority": 1}, math.inf),
        ({"priority": 2}, 9.0),
        ({"priority": 2, "project": "q"}, math.inf),
        # Who waits for nodes of its own and holds some is no more patient.
        ({"priority": 2, "held": ("o",)}, 9.0),
        ({"level": 1, "held": ("o",)}, 9.0),
        ({"level": 1, "held": ("o",), "project": "q"}, math.inf),
        ({"held": ("o",)}, math.inf),
    ],
)
def test_who_was_just_given_nodes_may_be_asked_by_its_betters_only(
    other: dict[str, object], expected: float
) -> None:
    """When its terms let it be: by priority, or by who is protected and has to move."""
    better = replace(WAITS, simulation="t", serial=2, **other)

    assert matters_from_s(board(better), DECIDED, WAITS, GIVEN, SHARING) == expected


def test_what_was_not_decided_is_decided_on_at_once() -> None:
    """Other nodes than were meant, or a lease that some other decision left."""
    for decided in (Allocation(), Allocation(leases={"s": ("m", "o")})):
        assert matters_from_s(board(), decided, WAITS, GIVEN, SHARING) == AT_ONCE


def test_where_nodes_are_left_it_is_decided_anew() -> None:
    """Somebody else may have them."""
    decided = Allocation(leases=DECIDED.leases, idle=1)

    assert matters_from_s(board(), decided, WAITS, GIVEN, SHARING) == AT_ONCE


@pytest.mark.parametrize(("slow", "expected"), [("n", AT_ONCE), ("o", math.inf)])
def test_who_was_given_a_slow_node_may_have_a_better_one_at_once(
    slow: str, expected: float
) -> None:
    """Somebody may give one back that was only lent to it."""
    offers = [NodeOffer(name=n, slow=2.0 if n == slow else 1.0) for n in "mno"]
    found = Board.of([GIVEN], offers, 100.0)

    assert matters_from_s(found, DECIDED, WAITS, GIVEN, SHARING) == expected


def test_when_a_guest_was_served_there_may_be_another() -> None:
    """One at a time is."""
    decided = Allocation(leases={**DECIDED.leases, "t": ("o",)}, guest="t")

    assert matters_from_s(board(), decided, WAITS, GIVEN, SHARING) == AT_ONCE


@pytest.mark.parametrize(("guest", "expected"), [("", math.inf), ("t", AT_ONCE)])
def test_who_has_waited_too_long_may_ask_who_borrows_at_once(
    guest: str, expected: float
) -> None:
    """Whatever that has done."""
    decided = Allocation(leases=DECIDED.leases, guest=guest)
    borrows = replace(GIVEN, borrowed=True)

    found = matters_from_s(board(given=borrows), decided, WAITS, borrows, SHARING)
    assert found == expected


def test_a_turn_takes_its_time_after_something_was_committed_in_it() -> None:
    """The shorter of what shares and what turns leave it."""
    fruitful = replace(GIVEN, fruitful=True)
    shared = Sharing(min_run_s=500.0, slice_s=100.0)

    assert matters_from_s(board(), DECIDED, GIVEN, fruitful, SHARING) == 57.0
    assert matters_from_s(board(), DECIDED, GIVEN, fruitful, shared) == 107.0


@pytest.mark.parametrize(
    "change",
    [
        {"borrowed": True},
        {"moving": True},
        {"yields": "its score is low"},
        {"held": ("m",)},
        {"nodes": 1},
        {"most_nodes": 3},
        {"priority": 2},
        {"least_s": 5.0},
    ],
)
def test_all_else_is_decided_on_at_once(change: dict[str, object]) -> None:
    """What it needs, has or is: somebody may want something of it now."""
    after = replace(GIVEN, fruitful=True, **change)

    assert matters_from_s(board(), DECIDED, GIVEN, after, SHARING) == AT_ONCE
