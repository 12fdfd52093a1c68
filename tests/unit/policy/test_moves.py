"""Who moves where, case by case."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from climorch.policy.allocation import Allocation, allocate
from climorch.policy.claims import Claim, Closing, Contest, Move, NodeOffer
from climorch.policy.moving import Moving
from tests.unit.policy import test_allocation as cases

RULES = Moving(rest_s=100.0, early=4.0)
NOW = Contest(now_s=1000.0, moving=RULES)


def want(name: str, nodes: int = 1, most: int | None = None, **more: Any) -> Claim:
    """Make a claim of a project; who has nodes is before who waits."""
    found = cases.want(name, nodes, most, **more)
    return replace(found, project="p", priority=bool(found.held))


def up(
    names: str,
    *,
    slow: Mapping[str, float] | None = None,
    memory: Mapping[str, int] | None = None,
    closes: Mapping[str, float] | None = None,
    holder: str = "",
    leaving: str = "",
) -> list[NodeOffer]:
    """Offer nodes; by name how slow, how large, and when they go."""
    return [
        NodeOffer(
            name=n,
            slow=(slow or {}).get(n, 1.0),
            memory_bytes=(memory or {}).get(n, 0),
            closings=(Closing(start_s=closes[n], holder=holder),)
            if closes and n in closes
            else (),
            leaving=n in leaving,
        )
        for n in names
    ]


def planned(found: Allocation) -> dict[str, tuple[str, str]]:
    """What moves where, as strings of nodes."""
    return {
        name: ("".join(move.leave), "".join(move.seek))
        for name, move in found.moves.items()
    }


class Case(NamedTuple):
    """Claims and nodes, and who moves from and to where."""

    claims: list[Claim]
    offers: list[NodeOffer]
    moves: dict[str, tuple[str, str]] = {}  # noqa: RUF012 read only
    shrink: dict[str, int] = {}  # noqa: RUF012 read only
    review_at_s: float = math.inf


def protected(name: str, nodes: int, *, held: str, least_s: float = 50.0) -> Claim:
    """Make a claim of a protected simulation that has what it needs."""
    return replace(want(name, nodes, held=held), level=1, least_s=least_s)


CASES = {
    "a slow node is left for a free one": Case(
        [want("x", 2, held="ab")], up("abc", slow={"b": 3}), {"x": ("b", "c")}
    ),
    "nothing else is free": Case([want("x", 2, held="ab")], up("ab", slow={"b": 3})),
    "the others are slow too": Case(
        [want("x", 2, held="ab")], up("abc", slow={"b": 3, "c": 2})
    ),
    "the others do not fit": Case(
        [want("x", 1, memory=4, held="a")],
        up("ab", slow={"a": 3}, memory={"a": 4, "b": 2}),
    ),
    "the others go sooner": Case(
        [want("x", 1, held="a")], up("ab", slow={"a": 3}, closes={"b": 5000.0})
    ),
    "the others go later": Case(
        [want("x", 1, held="a")],
        up("ab", slow={"a": 3}, closes={"a": 4000.0, "b": 5000.0}),
        {"x": ("a", "b")},
    ),
    "the slowest first": Case(
        [want("x", 2, held="ab")], up("abc", slow={"a": 2, "b": 3}), {"x": ("b", "c")}
    ),
    "the larger lease first": Case(
        [want("x", 1, held="a"), want("y", 2, serial=1, held="bc")],
        up("abcd", slow={"a": 9, "b": 2}),
        {"y": ("b", "d")},
    ),
    "a lent node is let go of": Case(
        [want("x", 1, 3, held="abc")], up("abc", slow={"c": 2}), {"x": ("c", "")}
    ),
    "a lent node that is worth it is kept": Case(
        [want("x", 1, 2, held="ab")], up("ab", slow={"b": 1.8})
    ),
    "somebody gives back what it was lent": Case(
        [want("x", 3, held="abc"), want("y", 1, 2, serial=1, held="de")],
        up("abcde", slow={"a": 3}),
        shrink={"y": 1},
    ),
    "what was lent does not fit": Case(
        [want("x", 3, memory=4, held="abc"), want("y", 1, 2, serial=1, held="de")],
        up("abcde", slow={"a": 3}, memory={"d": 2, "e": 2}),
    ),
    "it is coming already": Case(
        [want("x", 3, held="abc"), want("y", 1, 1, serial=1, held="d")],
        up("abcde", slow={"a": 3}, leaving="e"),
    ),
    "a node for one that gains less": Case(
        [want("x", 1, held="a"), want("y", 1, 2, serial=1, held="bc")],
        up("abc", slow={"a": 3}),
    ),
    "who gives something back does not move as well": Case(
        [want("x", 3, held="abc"), want("y", 1, 2, serial=1, held="de")],
        up("abcde", slow={"a": 3, "d": 9}),
        shrink={"y": 1},
    ),
    "who leaves early leaves once": Case(
        [protected("x", 2, held="ab")],
        up("abcd", closes={"a": 1199.0}, slow={"b": 3}),
        {"x": ("a", "c")},
    ),
    "two could make the same room": Case(
        [
            want("x", 1, held="b"),
            want("z", 1, serial=1, held="c"),
            want("y", 2, serial=2, memory=8),
        ],
        up("abc", memory={"a": 2, "b": 8, "c": 8}),
    ),
    "it rests": Case(
        [replace(want("x", 1, held="a"), moved_s=950.0)],
        up("ab", slow={"a": 3}),
        review_at_s=1050.0,
    ),
    "it has rested": Case(
        [replace(want("x", 1, held="a"), moved_s=900.0)],
        up("ab", slow={"a": 3}),
        {"x": ("a", "b")},
    ),
    "a protected one leaves early": Case(
        [protected("x", 2, held="ab")],
        up("abcd", closes={"a": 1199.0}),
        {"x": ("a", "c")},
    ),
    "it is too early": Case(
        [protected("x", 2, held="ab")],
        up("abcd", closes={"a": 1201.0}),
        review_at_s=1001.0,
    ),
    "all nodes that go or none": Case(
        [protected("x", 2, held="ab")], up("abc", closes={"a": 1100.0, "b": 1100.0})
    ),
    "the others go too": Case(
        [protected("x", 1, held="a")], up("ab", closes={"a": 1100.0, "b": 1150.0})
    ),
    "it may stay in the window": Case(
        [protected("x", 1, held="a")],
        up("ab", closes={"a": 1100.0}, holder="x"),
    ),
    "others leave at the last boundary": Case(
        [replace(want("x", 1, held="a"), least_s=50.0)], up("ab", closes={"a": 1100.0})
    ),
    "somebody makes room": Case(
        [want("x", 1, held="b"), want("y", 2, serial=1, memory=8)],
        up("abc", memory={"a": 2, "b": 8, "c": 8}),
        {"x": ("b", "a")},
    ),
    "room is made only if that is enough": Case(
        [want("x", 1, held="b"), want("y", 3, serial=1, memory=8)],
        up("abc", memory={"a": 2, "b": 8, "c": 8}),
    ),
    "two make room": Case(
        [
            want("x", 1, held="b"),
            want("z", 1, serial=1, held="c"),
            want("y", 2, serial=2, memory=8),
        ],
        up("abcd", memory={"a": 2, "b": 8, "c": 8, "d": 2}),
        {"x": ("b", "d"), "z": ("c", "a")},
    ),
    "who is better protected makes no room": Case(
        [protected("x", 1, held="b"), want("y", 2, serial=1, memory=8)],
        up("abc", memory={"a": 2, "b": 8, "c": 8}),
    ),
    "nobody is sent to a node that goes soon": Case(
        [want("x", 1, held="b"), want("y", 2, serial=1, memory=8)],
        up("abc", memory={"a": 2, "b": 8, "c": 8}, closes={"a": 1399.0}),
    ),
    "nobody is sent to a slow node": Case(
        [want("x", 1, held="b"), want("y", 2, serial=1, memory=8)],
        up("abc", memory={"a": 2, "b": 8, "c": 8}, slow={"a": 2}),
    ),
    "who rests makes no room": Case(
        [
            replace(want("x", 1, held="b"), moved_s=950.0),
            want("y", 2, serial=1, memory=8),
        ],
        up("abc", memory={"a": 2, "b": 8, "c": 8}),
        review_at_s=1050.0,
    ),
    "a holder goes to what is kept for it": Case(
        [want("x", 1, held="b"), replace(want("y", 2, serial=1), least_s=900.0)],
        up("abc", closes={"a": 1500.0}, holder="x"),
        {"x": ("b", "a")},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_case(name: str) -> None:
    """Moves, and what is asked back for them."""
    case = CASES[name]
    found = allocate(case.claims, case.offers, NOW)
    assert planned(found) == case.moves
    assert dict(found.shrink) == case.shrink
    assert found.review_at_s == case.review_at_s
    if case.shrink:
        # Who rests could not take it: it would be lent anew and asked back, for ever.
        resting = [replace(claim, moved_s=950.0) for claim in case.claims]
        later = allocate(resting, case.offers, NOW)
        assert (dict(later.shrink), later.review_at_s) == ({}, 1050.0)


@pytest.mark.parametrize("name", [n for n, case in CASES.items() if case.moves])
def test_without_its_rule_nobody_moves(name: str) -> None:
    """Each rule is what moves them."""
    case = CASES[name]
    off = Contest(now_s=1000.0, moving=dataclasses.replace(RULES, early=0.0, most=0))
    fine = [replace(offer, slow=1.0) for offer in case.offers]
    assert planned(allocate(case.claims, fine, off)) == {}
    assert planned(allocate(case.claims, case.offers, Contest(now_s=1000.0))) == {}


def test_reasons_are_told_with_their_numbers() -> None:
    """What `explain` says."""
    slow = allocate([want("x", 1, held="a")], up("ab", slow={"a": 2.94}), NOW)
    assert slow.moves["x"].why == ("leaves a: a is 2.9 times slower than expected")
    early = allocate([protected("x", 1, held="a")], up("ab", closes={"a": 1180.0}), NOW)
    assert early.moves["x"].why == "leaves a early: gone in 0.1 h"
    case = CASES["somebody makes room"]
    room = allocate(case.claims, case.offers, NOW)
    assert room.moves["x"].why == "makes room for y, which fits only there"


def moving_claim(*, held: str = "", avoids: str = "a", seeks: str = "c") -> Claim:
    """Make a claim that is on its way from one node to another."""
    return replace(
        want("x", 1, held=held),
        avoids=tuple(avoids),
        seeks=tuple(seeks),
        moving=not held and bool(avoids),
    )


def test_what_is_left_is_given_out_last_to_who_left_it() -> None:
    """First what it seeks, then any other, then that."""
    left = replace(moving_claim(), moving=False)
    assert allocate([left], up("abc"), NOW).leases == {"x": ("c",)}
    assert allocate([left], up("ab"), NOW).leases == {"x": ("b",)}
    assert allocate([left], up("a"), NOW).leases == {"x": ("a",)}


def test_who_moves_comes_before_those_that_wait() -> None:
    """Between two leases it does not lose its turn."""
    left = replace(moving_claim(), serial=9, moving=False)
    other = replace(want("y", 2), priority=5)
    found = allocate([other, left], up("ac"), NOW)
    assert found.leases == {"x": ("c",)}


def test_what_a_move_needs_is_kept_free_for_it() -> None:
    """Nobody is leased the node that it seeks while it computes on."""
    found = allocate(
        [moving_claim(), want("y", 1, serial=1)], up("ac", leaving="a"), NOW
    )
    assert found.leases == {}
    assert found.moves == {}


def test_a_move_ends_where_the_other_nodes_are_gone() -> None:
    """It stays where it is."""
    found = allocate([moving_claim()], up("a", leaving="a"), NOW)
    assert found.moves == {
        "x": Move(leave=(), why="there are no other nodes for it any more")
    }


def test_a_slow_node_is_given_out_last_and_lent_to_nobody() -> None:
    """It is better than none, not than fewer."""
    offers = up("abc", slow={"a": 3})
    assert allocate([want("x", 2)], offers, NOW).leases == {"x": ("b", "c")}
    assert allocate([want("x", 3)], offers, NOW).leases == {"x": ("b", "c", "a")}
    assert allocate([want("x", 1, 3)], offers, NOW).leases == {"x": ("b", "c")}


NODES = "abcdefgh"


@given(
    sizes=st.lists(st.integers(1, 3), min_size=1, max_size=4),
    slow=st.dictionaries(st.sampled_from(NODES), st.floats(1.5, 9.0), max_size=3),
    memory=st.lists(st.sampled_from([2, 8]), min_size=8, max_size=8),
    asks=st.lists(st.sampled_from([0, 8]), min_size=4, max_size=4),
    waiting=st.integers(0, 3),
)
def test_moves_come_to_an_end_and_nobody_loses_nodes_by_them(
    sizes: list[int],
    slow: dict[str, float],
    memory: list[int],
    asks: list[int],
    waiting: int,
) -> None:
    """Carried out one by one, each moves at most once before it has rested."""
    fits = dict(zip(NODES, memory, strict=True))
    offers = up(NODES, slow=slow, memory=fits)
    rest = list(NODES)
    claims = []
    for at, (size, ask) in enumerate(zip(sizes, asks, strict=False)):
        able = [n for n in rest if fits[n] >= ask][:size]
        if len(able) == size:
            rest = [n for n in rest if n not in able]
            claims.append(
                want(f"s{at}", size, serial=at, memory=ask, held="".join(able))
            )
    if waiting:
        claims.append(want("w", waiting, serial=9, memory=8))
    now = replace(NOW, moving=dataclasses.replace(RULES, rest_s=1e9))
    for _ in range(20):
        found = allocate(claims, offers, now)
        if not (found.moves or found.leases):
            break
        held = {c.simulation: c.held for c in claims} | dict(found.leases)
        for name, move in found.moves.items():
            before = held[name]
            assert set(move.leave) <= set(before)
            stays = tuple(n for n in before if n not in move.leave)
            held[name] = (*stays, *move.seek)
        nodes = [n for lease in held.values() for n in lease]
        assert len(nodes) == len(set(nodes))
        moved = found.moves.keys()
        for claim in claims:
            assert len(held[claim.simulation]) >= min(claim.nodes, len(claim.held))
        claims = [
            replace(
                c,
                held=held[c.simulation],
                moved_s=1000.0 if c.simulation in moved else c.moved_s,
            )
            for c in claims
        ]
    else:
        pytest.fail("moves do not come to an end")
