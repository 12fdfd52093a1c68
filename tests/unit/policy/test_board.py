"""What is kept of claims and offers, and how it changes."""

from __future__ import annotations

from typing import Any

from climorch.policy.board import Board
from climorch.policy.claims import Claim, Closing, NodeOffer

OFFERS = [NodeOffer(name=name) for name in "abc"]


def claim(name: str, nodes: int = 1, *, held: str = "", **more: Any) -> Claim:
    """Make a claim; nodes have names of one letter."""
    values: dict[str, Any] = {
        "simulation": name,
        "priority": 0,
        "serial": 0,
        "nodes": nodes,
        "most_nodes": nodes,
        "held": tuple(held),
    }
    return Claim(**{**values, **more})


def test_a_claim_takes_the_place_of_the_one_before() -> None:
    """Whether it waited, held its gang or a part of it."""
    board = Board.of([claim("s", 2, most_nodes=3)], OFFERS, 100.0)
    assert [c.simulation for c in board.waiting] == ["s"]

    board.put(claim("s", 2, held="ab", most_nodes=3))
    assert not [*board.waiting]
    assert board.growing.keys() == board.holders.claims.keys() == {"s"}
    assert board.pool(0.0).free == 0b100

    board.put(claim("s", 2, held="a", most_nodes=3))
    assert board.mending.keys() == {"s"}
    assert not board.growing

    board.drop("s")
    board.drop("s")
    assert not board.claims
    assert not board.mending
    assert not board.holders.claims
    assert board.pool(0.0).free == 0b111


def test_projects_want_what_their_claims_could_hold() -> None:
    """By name, whoever came first; who wants nothing any more is not named."""
    board = Board.of(
        [claim("s", 2, project="q", most_nodes=5), claim("t", 3, project="p")],
        OFFERS,
        100.0,
    )
    assert [*board.wanted().items()] == [("p", 3.0), ("q", 5.0)]
    assert board.wanted_by("q") == 5

    board.drop("s")
    assert board.wanted() == {"p": 3.0}
    assert board.wanted_by("q") == 0


def test_nodes_that_come_and_go_are_laid_out_anew() -> None:
    """What is held stays held; the same nodes again change nothing."""
    board = Board.of([claim("s", held="b")], OFFERS, 100.0)
    pool = board.pool(0.0)
    assert [*pool.names(pool.free)] == ["a", "c"]

    board.lay_out(NodeOffer(name=name) for name in "bcd")
    pool = board.pool(0.0)
    assert [*pool.names(pool.free)] == ["c", "d"]
    board.lay_out(NodeOffer(name=name) for name in "bcd")
    assert board.nodes == 3

    board.lay_out([NodeOffer(name="b", closings=(Closing(start_s=9.0),))])
    assert board.pool(0.0).timed


def test_what_is_leaving_is_coming_and_offered_as_such() -> None:
    """Until its holder says that nothing of it is."""
    board = Board.of([], OFFERS, 100.0)
    board.leave("s", ("a", "b"))
    pool = board.pool(0.0)
    assert ([*pool.names(pool.free)], [*pool.names(pool.coming)]) == (["c"], ["a", "b"])
    assert pool.spare == 3
    assert [o.name for o in board.offers() if o.leaving] == ["a", "b"]

    board.leave("s", ())
    assert board.offers() == tuple(OFFERS)
