"""Changes of claims that can give nobody a right yet.

Whoever committed something in its turn may be asked for its nodes, but not before the
turn has taken its time; whoever was just given nodes may not be asked at all. To decide
anew for that would decide nothing: it is told from when on it may matter.

What shares alone would make of it waits for the next change of another kind, as it does
for usage, which changes all the time.
"""

from __future__ import annotations

import math

from msgspec.structs import replace

from climorch.policy.board import Board
from climorch.policy.claims import Allocation, Claim
from climorch.policy.sharing import Sharing

__all__ = ["AT_ONCE", "matters_from_s"]

AT_ONCE = -math.inf


def matters_from_s(
    board: Board, decided: Allocation, before: Claim, after: Claim, sharing: Sharing
) -> float:
    """Say from when on a change of a claim may change what is decided.

    Parameters
    ----------
    board : Board
        All claims.
    decided : Allocation
        What was decided last.
    before, after : Claim
        What a simulation asked for until now, and what it asks for.
    sharing : Sharing
        How long turns last.

    Returns
    -------
    float
        Driver's clock, seconds; `AT_ONCE`: now. Infinite: not by itself.
    """
    if after.moving or after.yields or len(after.held) < after.nodes:
        return AT_ONCE
    if not (before.held or after.fruitful):
        if after.held != decided.leases.get(after.simulation) or decided.idle:
            return AT_ONCE
        if board.slow_among(after):
            # Somebody may have a better one that was only lent to it.
            return AT_ONCE
        if decided.guest and (after.borrowed or decided.guest in decided.leases):
            # Who has waited too long may send it away before it has done anything;
            # and when that one has its nodes, another one may have waited too long.
            return AT_ONCE
        return after.exempt_until_s if _outranked(board, after) else math.inf
    # Whatever could take it before it was fruitful still can, and nobody was let.
    if after.borrowed or before != replace(after, fruitful=False):
        return AT_ONCE
    return after.turn_s + min(sharing.min_run_s, sharing.slice_s)


def _outranked(board: Board, claim: Claim) -> bool:
    """Whether one of its project wants nodes and comes before it, turns or not."""
    firsts = board.waiting.firsts.get(claim.project)
    if firsts and -firsts[0][0].lower > claim.priority:
        return True
    return any(
        other.project == claim.project
        and (other.priority > claim.priority or other.level > claim.level)
        for other in board.mending.values()
    )
