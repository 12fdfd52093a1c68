"""Promise in the allocation, in worlds drawn at random: what holds whatever it says."""

from __future__ import annotations

import dataclasses
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from climorch.policy.claims import Claim
from tests.property.test_allocation import World, worlds


@st.composite
def promising(draw: st.DrawFn, *, equals: bool = False) -> World:
    """Draw a world in which promise decides; whole gangs are held, or nothing."""
    world = draw(worlds(equals=equals))
    places = draw(st.permutations(range(len(world.claims))))
    low = draw(st.lists(st.booleans(), min_size=len(places), max_size=len(places)))
    claims = []
    for claim, place, gives_way in zip(world.claims, places, low, strict=True):
        whole = claim.held if len(claim.held) >= claim.nodes else ()
        claims.append(
            replace(
                claim,
                held=whole,
                borrowed=claim.borrowed and bool(whole),
                standing=place,
                yields="it promises little" if whole and gives_way else "",
            )
        )
    return dataclasses.replace(world, claims=tuple(claims))


def place(claim: Claim) -> int:
    """Return where one stands."""
    assert claim.standing is not None
    return claim.standing


@given(world=promising())
def test_no_node_is_leased_twice(world: World) -> None:
    """Nor does anybody get less than its gang."""
    after = world.planned(world.allocate())

    held = Counter(node for claim in after.claims for node in claim.held)
    assert max(held.values(), default=1) == 1
    assert all(not c.held or len(c.held) >= c.nodes for c in after.claims)


@given(world=promising())
def test_protection_priority_and_shares_stand_above_promise(world: World) -> None:
    """Who gives way by promise is of the same project and priority as who gets that,
    of no higher level, and not exempt now."""
    decided = world.allocate()

    for name, why in decided.preempt.items():
        if why != "it promises little":
            continue
        other = next(c for c in world.claims if c.simulation == name)
        assert other.exempt_until_s <= world.contest.now_s
        assert any(
            c.project == other.project
            and c.priority == other.priority
            and c.level >= other.level
            and place(c) < place(other)
            and not c.held
            for c in world.claims
        )


@given(world=promising(equals=True))
def test_whoever_was_started_is_let_finish(world: World) -> None:
    """Only who gives way, or had its nodes out of turn, is asked for all of them."""
    claims = {c.simulation: c for c in world.claims}

    for name in world.allocate().preempt:
        other = claims[name]
        ahead = [c for c in world.claims if not c.held and place(c) < place(other)]
        assert ahead
        assert other.borrowed or other.yields


@given(world=promising(equals=True))
def test_who_stands_first_and_fits_is_not_passed_by(world: World) -> None:
    """Nobody that needs as many nodes gets any before it, but on loan."""
    decided = world.allocate()

    waiting = [c for c in world.claims if not c.held]
    for claim in waiting:
        if claim.simulation in decided.leases.keys() - decided.borrowed:
            ahead = [c for c in waiting if place(c) < place(claim)]
            fits = [c for c in ahead if c.nodes <= claim.nodes]
            assert all(c.simulation in decided.leases for c in fits)


@given(world=promising(equals=True))
def test_somebody_always_runs(world: World) -> None:
    """While nodes for the smallest gang are up."""
    decided = world.allocate()

    if min(c.nodes for c in world.claims) <= len(world.offers):
        assert decided.leases or any(c.held for c in world.claims)


@given(world=promising(equals=True))
def test_pauses_come_to_an_end(world: World) -> None:
    """Were all nodes given back at once, it would end within a step per claim."""
    for _ in range(2 * len(world.claims) + 1):
        decided = world.allocate()
        if not (decided.leases or decided.shrink or decided.preempt):
            return
        world = world.given_back(decided)
    raise AssertionError(f"still goes on: {decided}")
