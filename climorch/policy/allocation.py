"""Which simulation holds which nodes.

A lease is all or nothing at ``nodes``. Whose turn it is follows from the fair
shares of projects, then priority, turns served and order of submission. Who
cannot have its gang yet gets what others give back: lent nodes, nodes borrowed
out of turn, turns that are over. Where all that is not enough, those behind it
may borrow what lies idle, so a large gang holds no nodes empty. One that has waited
too long for more than the turns of its project can give is served before all others,
once. What nobody needs is lent to running simulations up to ``most_nodes``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from climorch.policy.board import Board
from climorch.policy.claims import (
    Allocation,
    Claim,
    Closing,
    Contest,
    NodeOffer,
)
from climorch.policy.desk import Desk
from climorch.policy.leftovers import lend, move, tell_rest

__all__ = [
    "Allocate",
    "Allocation",
    "Claim",
    "Closing",
    "Contest",
    "NodeOffer",
    "allocate",
    "decide",
]


class Allocate(Protocol):
    """Decides who holds what; `allocate` is one, `Policies.allocation` takes others.

    Must follow from its arguments alone, or a replayed campaign would go another
    way. It is asked whenever a claim or an offer changed, not when nothing did.
    """

    def __call__(
        self,
        claims: Sequence[Claim],
        offers: Sequence[NodeOffer],
        contest: Contest | None = None,
        *,
        tell_all: bool = True,
    ) -> Allocation:
        """Decide who holds what.

        Parameters
        ----------
        claims, offers, contest, tell_all
            As for `allocate`.

        Returns
        -------
        Allocation
            A lease is made of what the simulation holds, then nodes that are
            offered, that nobody holds and that are not leaving; it is no smaller
            than the gang. Anything else is refused. To mind the closings of an
            offer is left to it.
        """


def allocate(
    claims: Sequence[Claim],
    offers: Sequence[NodeOffer],
    contest: Contest | None = None,
    *,
    tell_all: bool = True,
) -> Allocation:
    """Decide who holds what.

    Parameters
    ----------
    claims : sequence of Claim
        Every simulation with work, in any order; held nodes must be offered
        and held by one claim only.
    offers : sequence of NodeOffer
        Every node that is up.
    contest : Contest or None
        Shares, turns and the time; None: one project, at time 0.
    tell_all : bool
        Whether to say of every claim why it waits, also of those that nothing
        is left for, and which nodes will be given back to whom.

    Returns
    -------
    Allocation
        Never leases a node twice and never takes one away.
    """
    contest = contest or Contest()
    board = Board.of(claims, offers, contest.slice_s)
    return decide(board, contest, tell_all=tell_all)


def decide(board: Board, contest: Contest, *, tell_all: bool = False) -> Allocation:
    """Decide who holds what, as `allocate`, from what is kept on a board.

    Parameters
    ----------
    board : Board
        Claims and offers; it is not changed. Turns on it must be as long as those
        of the contest.
    contest, tell_all
        As for `allocate`.

    Returns
    -------
    Allocation
        That of `allocate` for the same claims and offers.
    """
    desk = Desk(board, contest, tell_all=tell_all)
    for claim in desk.in_order():
        desk.serve(claim)
    move(desk)
    lend(desk)
    if tell_all:
        tell_rest(desk)
    return Allocation(
        leases=desk.leases,
        borrowed=frozenset(desk.borrowed),
        shrink=desk.shrink,
        preempt=desk.preempt,
        waits=desk.waits,
        awaits=desk.awaits,
        review_at_s=desk.review_at_s,
        moves=desk.moves,
        guest=desk.guest,
        idle=desk.pool.free.bit_count(),
    )
