"""Users may bring an allocation of their own; what it says is checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from climorch.core.explain import explain
from climorch.core.granting import audit
from climorch.core.progress import Policies
from climorch.errors import InvalidInputError
from climorch.policy.board import Board
from climorch.policy.claims import Allocation, Claim, Contest, Move, NodeOffer
from tests.unit.core.script import Script, stage, submitted

OFFERS = [
    *(NodeOffer(name=name) for name in "abcd"),
    NodeOffer(name="e", leaving=True),
]


def claim(name: str, nodes: int, held: str = "") -> Claim:
    """Make a claim; nodes have names of one letter."""
    return Claim(
        simulation=name,
        priority=0,
        serial=0,
        nodes=nodes,
        most_nodes=4,
        held=tuple(held),
    )


CLAIMS = [claim("s", 1, "ab"), claim("t", 2)]


@pytest.mark.parametrize(
    "decided",
    [
        Allocation(),
        Allocation(waits={"t": "for reasons of its own"}),
        Allocation(leases={"t": ("d", "c")}),
        Allocation(leases={"s": ("a", "b", "c")}),
        Allocation(shrink={"s": 1}),
        Allocation(preempt={"s": "it is not wanted"}),
    ],
)
def test_what_can_be_done_is_taken(decided: Allocation) -> None:
    """Free nodes go to whom it says; what is held is asked back as it says."""
    audit(decided, Board.of(CLAIMS, OFFERS, 1.0))


@pytest.mark.parametrize(
    ("decided", "problem"),
    [
        ({"leases": {"t": ("c",)}}, "'t': gets 1 nodes of 2"),
        ({"leases": {"t": ("c", "b")}}, "'t': gets 'b', which is not free"),
        ({"leases": {"t": ("c", "c")}}, "'t': gets 'c', which is not free"),
        ({"leases": {"t": ("c", "e")}}, "'t': gets 'e', which is not free"),
        ({"leases": {"t": ("c", "x")}}, "'t': gets 'x', which is not free"),
        ({"leases": {"s": ("a", "c")}}, "'s': loses nodes"),
        ({"leases": {"u": ("c",)}}, "'u': has no claim"),
        ({"preempt": {"u": "no"}}, "'u': has no claim"),
        ({"shrink": {"u": 1}}, "'u': has no claim"),
        ({"shrink": {"s": 2}}, "'s': shall keep 2 of 2 nodes"),
        ({"shrink": {"s": 0}}, "'s': shall keep 0 of 2 nodes"),
        ({"moves": {"u": Move(leave=("a",), why="w")}}, "'u': has no claim"),
        ({"moves": {"s": Move(leave=("c",), why="w")}}, "'s': shall leave c"),
    ],
)
def test_what_cannot_be_done_is_refused(decided: Any, problem: str) -> None:
    """Each fault names the simulation, and what is wrong with it."""
    with pytest.raises(InvalidInputError) as refused:
        audit(Allocation(**decided), Board.of(CLAIMS, OFFERS, 1.0))

    (fault,) = refused.value.faults
    assert f"{fault.place}: {fault.problem}" == f"allocation, {problem}"


def test_nodes_of_several_jobs_are_refused_where_programs_stay_in_one() -> None:
    """The same nodes may go to who does not mind."""
    offers = [NodeOffer(name="a", job="1"), NodeOffer(name="b", job="2")]
    decided = Allocation(leases={"t": ("a", "b")})
    audit(decided, Board.of([claim("t", 2)], offers, 1.0))

    bound = replace(claim("t", 2), together=True)
    with pytest.raises(InvalidInputError, match="gets nodes of several jobs: a, b"):
        audit(decided, Board.of([bound], offers, 1.0))


def test_a_node_is_given_to_one_of_two() -> None:
    """Also where two get leases in the same go."""
    asking = [claim("t", 1), claim("u", 1)]

    with pytest.raises(InvalidInputError, match="cannot be carried out"):
        audit(
            Allocation(leases={"t": ("a",), "u": ("a",)}),
            Board.of(asking, OFFERS, 1.0),
        )


def last_first(
    claims: Sequence[Claim],
    offers: Sequence[NodeOffer],
    contest: Contest | None = None,
    *,
    tell_all: bool = True,
) -> Allocation:
    """Give the node to the last that was submitted, and never take it away."""
    if not offers or any(claim.held for claim in claims):
        return Allocation(waits={c.simulation: "later" for c in claims if not c.held})
    last = max(claims, key=lambda c: c.serial)
    return Allocation(leases={last.simulation: (offers[0].name,)})


def test_an_allocation_of_ones_own_decides() -> None:
    """The orchestrator carries out what it says; explain repeats its words."""
    s = Script(Policies(allocation=last_first))
    s.tell(submitted(name="s"), submitted(name="t"))

    assert "lease t: n" in s.nodes("n")
    assert s.tell(submitted(name="u", priority=9)) == []
    state = s.orchestrator.state
    told = explain(state, "u", s.now_s, policies=Policies(allocation=last_first))
    assert told.status.why == "later"
    assert explain(state, "u", s.now_s).status.why != "later"


def test_an_allocation_that_does_not_add_up_stops_the_driver() -> None:
    """It is refused before anything of it is journaled."""

    def twice(*_: object, **__: object) -> Allocation:
        return Allocation(leases={"s": ("n", "n")})

    s = Script(Policies(allocation=twice))
    with pytest.raises(InvalidInputError):
        s.tell(submitted(stage(nodes=2)))
    assert not s.simulation().lease
