"""Who has waited too long, and is served before all others.

A gang that is larger than what the turns of its project free together would wait for
ever: its project may hold no more, and nodes that lie idle are too few. So once it
has waited long enough it is one site's *guest*: it may ask everybody, shares or not,
one at a time, the one that has waited longest first. Its project pays with its usage:
while that is above its share, none of its simulations is a guest.
"""

from __future__ import annotations

import math

from climorch.policy.board import Board
from climorch.policy.claims import Claim, Contest
from climorch.policy.gathering import most_able
from climorch.policy.pool import Pool

__all__ = ["guest_from_s", "guest_of"]

# Debts delay, they do not starve: a project may live above its share on nodes that
# nobody else can use. After so many times its patience a gang is a guest all the same.
INDEBTED = 5
# A project is in no debt while it should hold this part of what its bare share is:
# usage that tends to the share from above never falls below it.
SOLVENT = 0.95
# Where leases may be reclaimed at once, time alone is still no reason to ask again at
# the same instant, for ever.
SOONEST_S = 60.0


def guest_of(board: Board, contest: Contest, pool: Pool) -> tuple[Claim | None, float]:
    """Choose who is served before all others.

    Parameters
    ----------
    board : Board
        Who waits, and who holds what.
    contest : Contest
        The rules and measures.
    pool : Pool
        Which nodes fit.

    Returns
    -------
    Claim or None
        None: nobody has waited too long.
    float
        When time alone may change that, driver's clock, seconds.
    """
    found: tuple[float, int, Claim] | None = None
    later_s = math.inf
    for project, eldest in board.waiting.eldest.items():
        first = -board.waiting.firsts[project][0][0].lower
        solvent = _solvent(project, contest)
        for since_s, _, line in eldest:
            if line.kind.priority < first:
                continue
            if since_s + contest.patience_s > contest.now_s:
                # All others have waited for less: they are not looked at.
                later_s = min(later_s, since_s + contest.patience_s)
                break
            claim = line.oldest[0][2]
            if claim.standing is not None:
                # To wait is what promise asks of all but who stands first.
                claim = line.members[0][1]
                if line is not board.waiting.firsts[project][0][1]:
                    continue
                since_s = claim.waits_since_s
                if since_s + contest.patience_s > contest.now_s:
                    later_s = min(later_s, since_s + contest.patience_s)
                    continue
            if most_able(claim, pool) < claim.nodes:
                continue
            from_s = since_s + _patience_s(board, contest, claim)
            if from_s > contest.now_s:
                later_s = min(later_s, from_s)
                continue
            # Usage fades without anybody's doing, and turns become long enough.
            again_s = contest.min_run_s if contest.min_run_s >= 1.0 else SOONEST_S
            later_s = min(later_s, contest.now_s + again_s)
            if not solvent:
                owing_s = since_s + INDEBTED * contest.patience_s
                if max(owing_s, from_s) > contest.now_s:
                    continue
            if found is None or (since_s, claim.serial) < found[:2]:
                found = since_s, claim.serial, claim
    return (None if found is None else found[2]), later_s


def _solvent(project: str, contest: Contest) -> bool:
    target = contest.targets.get(project, math.inf)
    return target >= SOLVENT * contest.floors.get(project, 0.0)


def guest_from_s(board: Board, contest: Contest, claim: Claim) -> float:
    """Say from when on one that waits may be served before all others.

    Parameters
    ----------
    board, contest
        As for `guest_of`.
    claim : Claim
        Who waits, without nodes.

    Returns
    -------
    float
        Driver's clock, seconds, as things are; one at a time, the one that has
        waited longest first. Infinite: not while others of its project have a higher
        priority.
    """
    if claim.priority < -board.waiting.firsts[claim.project][0][0].lower:
        return math.inf
    from_s = claim.waits_since_s + _patience_s(board, contest, claim)
    if _solvent(claim.project, contest):
        return from_s
    return max(from_s, claim.waits_since_s + INDEBTED * contest.patience_s)


def _patience_s(board: Board, contest: Contest, claim: Claim) -> float:
    """Say how long one has to wait before it is a guest."""
    if claim.unbroken or claim.nodes > board.holders.within_reach(claim):
        return contest.patience_s
    # Turns within its project will do: each has one in so many of them.
    target = min(contest.targets.get(claim.project, math.inf), board.nodes)
    rounds = board.wanted_by(claim.project) / max(target, claim.nodes)
    return contest.patience_s + rounds * contest.slice_s
