"""What is kept from pass to pass changes nothing but the cost."""

from __future__ import annotations

import dataclasses
import math

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from climorch.policy.allocation import allocate, decide
from climorch.policy.board import Board
from climorch.policy.claims import Claim
from climorch.policy.moving import Moving
from tests.property.test_allocation import NOW_S, World, worlds


@st.composite
def waiting(draw: st.DrawFn) -> World:
    """Draw a world in which some have waited for long, and some are never asked."""
    world = draw(worlds())
    claims = tuple(_aged(draw, claim) for claim in world.claims)
    pace = st.sampled_from((1.0, 1.0, 1.6, 3.0))
    rules = st.sampled_from((None, Moving(rest_s=100.0), Moving(early=0.0, most=0)))
    return dataclasses.replace(
        world,
        claims=claims,
        offers=tuple(replace(offer, slow=draw(pace)) for offer in world.offers),
        contest=replace(
            world.contest,
            patience_s=draw(st.sampled_from((50.0, 500.0, 1e9))),
            moving=draw(rules),
        ),
    )


def _aged(draw: st.DrawFn, claim: Claim) -> Claim:
    since_s = st.sampled_from((0.0, 800.0, 990.0))
    return replace(
        claim,
        unbroken=draw(st.booleans()),
        interrupted_s=draw(st.sampled_from((-1e9, NOW_S - 100.0))),
        moving=bool(claim.held) and draw(st.integers(0, 5)) == 0,
        waits_since_s=1e9 if claim.held else draw(since_s),
        avoids=("n0", "n1") if draw(st.integers(0, 4)) == 0 else (),
        seeks=draw(st.sampled_from(((), ("n2", "n3")))),
        moved_s=draw(st.sampled_from((-math.inf, NOW_S - 50.0, NOW_S - 500.0))),
    )


@given(changes=st.lists(waiting(), min_size=2, max_size=4), data=st.data())
def test_a_board_that_was_changed_decides_as_a_new_one(
    changes: list[World], data: st.DataObject
) -> None:
    """Whatever was on it before, and in whatever order it came there."""
    board = Board(100.0)
    for world in changes:
        told = data.draw(st.permutations(world.claims))
        kept = {claim.simulation for claim in told}
        for simulation in [*board.claims]:
            if simulation not in kept:
                board.drop(simulation)
        # Some of them leave nodes, as if they were to be given back.
        board.lay_out(replace(offer, leaving=False) for offer in world.offers)
        leaving = data.draw(st.sets(st.sampled_from([o.name for o in world.offers])))
        for offer in world.offers:
            out = (offer.name,) if offer.name in leaving else ()
            board.leave(offer.name, out)
        for gone in [f"n{i}" for i in range(len(world.offers), 10)]:
            board.leave(gone, ())
        for claim in told:
            board.put(claim)
        offers = [replace(o, leaving=o.name in leaving) for o in world.offers]

        for tell_all in (True, False):
            kept_up = decide(board, world.contest, tell_all=tell_all)
            anew = allocate(world.claims, offers, world.contest, tell_all=tell_all)
            assert kept_up == anew
        assert sorted(board.offers(), key=lambda o: o.name) == sorted(
            offers, key=lambda o: o.name
        )


@given(world=waiting())
def test_to_tell_all_decides_nothing_else(world: World) -> None:
    """Why each of thousands waits is told of the same decision."""
    told = allocate(world.claims, world.offers, world.contest)
    few = allocate(world.claims, world.offers, world.contest, tell_all=False)

    assert few.leases == told.leases
    assert few.borrowed == told.borrowed
    assert few.shrink == told.shrink
    assert few.preempt == told.preempt
    assert few.moves == told.moves
    assert few.review_at_s == told.review_at_s
    assert few.waits.items() <= told.waits.items()
    served = told.leases.keys() | told.waits.keys() | told.preempt.keys()
    lacking = {c.simulation for c in world.claims if not c.under_way}
    assert lacking <= served


@given(world=waiting())
def test_who_has_waited_too_long_moves_nobody_in_circles(world: World) -> None:
    """Asked again at the same instant it ends soon: there is one guest at a time."""
    # Without moves: who is on its way comes before all others until it is there.
    still = replace(world.contest, moving=None)
    claims = tuple(replace(claim, avoids=(), seeks=()) for claim in world.claims)
    world = dataclasses.replace(world, claims=claims, contest=still)
    for _ in range(len(world.claims) + 1):
        decided = world.allocate()
        if not (decided.leases or decided.shrink or decided.preempt):
            return
        world = world.planned(decided)
    raise AssertionError(f"still goes on: {decided}")
