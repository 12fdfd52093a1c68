"""What comes of nodes that are left once all claims have been served.

Some move to them for a gain, some are lent them; and those that got nothing are told.
"""

from __future__ import annotations

from climorch.policy.claims import Claim
from climorch.policy.desk import Desk, too_few
from climorch.policy.gathering import grows_on, most_able
from climorch.policy.moves import plan_moves

__all__ = ["lend", "move", "tell_rest"]


def move(desk: Desk) -> None:
    """Let some move to nodes that nobody else can use now, for a gain.

    Parameters
    ----------
    desk : Desk
        Where all claims have been served.
    """
    moving = desk.contest.moving
    if moving is None:
        return
    found = plan_moves(
        desk.board,
        desk.pool,
        desk.contest,
        moving,
        blocked=desk.blocked.refused,
        engaged={*desk.leases, *desk.shrink, *desk.preempt},
        waiting=desk.waits,
    )
    # Those that gather have nothing to move to else.
    desk.moves = {**found.moves, **desk.moves}
    desk.shrink = {**desk.shrink, **found.shrink}
    desk.review_at_s = min(desk.review_at_s, found.review_at_s)


def lend(desk: Desk) -> None:
    """Lend free nodes one by one in turn, so that nobody takes them all.

    Parameters
    ----------
    desk : Desk
        Where all claims have been served, and have moved.
    """
    pool = desk.pool
    # One slow node holds up all others of a lease.
    pool.free &= ~pool.slow
    if desk.blocked or desk.promised or not pool.free:
        return
    given = (desk.board.claims[name] for name in desk.leases)
    able = {**desk.board.growing, **{c.simulation: c for c in given}}
    order = sorted(able.values(), key=desk.contest.place)
    while pool.free and order:
        order = [claim for claim in order if _lend_one(desk, claim)]


def _lend_one(desk: Desk, claim: Claim) -> bool:
    """Lend a node, if one fits and the simulation could use one more."""
    lease = desk.leases.get(claim.simulation, claim.held)
    could = claim.nodes <= len(lease) < claim.most_nodes
    if not could or claim.simulation in desk.moves:
        return False
    fits = desk.pool.free & grows_on(claim, desk.pool, lease)
    if fits:
        taken = desk.pool.take(fits, 1)
        desk.leases[claim.simulation] = (*lease, *desk.pool.names(taken))
    return bool(fits)


def tell_rest(desk: Desk) -> None:
    """Say of those too why they wait that nothing could come of.

    Parameters
    ----------
    desk : Desk
        Where all is decided.
    """
    for claim in desk.board.waiting:
        name = claim.simulation
        if name in desk.waits or name in desk.leases:
            continue
        able = most_able(claim, desk.pool)
        desk.waits[name] = (
            too_few(claim, able, desk.pool)
            if able < claim.nodes
            else f"goes after {desk.first}"
        )
