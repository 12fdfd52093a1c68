"""By what right a simulation may take what another one holds, and from when on.

What was borrowed out of turn may be taken first. Between projects the fair share
decides, within one the priority, protection, and promise or whose turn it is. Who has
waited too long for more than the turns of its project can give may take from everybody
once, shares or not. Ignores whose nodes would be enough: that is `reclaim`'s.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import IntEnum

from climorch.model.membership import at_hand
from climorch.policy.claims import Claim, Contest
from climorch.policy.holders import Standing

__all__ = [
    "Rank",
    "Right",
    "goes_before",
    "is_kept",
    "is_spared",
    "lag",
    "right_from_s",
    "right_of",
]


@at_hand
class Rank(IntEnum):
    """Kinds of rights, in the order in which what they give is taken.

    Who has waited too long takes from its own project before it takes from others.
    """

    LENT = 0
    BORROWED = 1
    FOREIGN = 2
    LOWER = 3
    EQUAL = 4
    OWN = 5
    GUEST = 6


Right = tuple[Rank, float, str]
"""Which kind, when it begins (driver's clock, seconds), and the reason in words."""


def lag(claim: Claim, contest: Contest, held: int) -> int:
    """Say how far a project is below its target, in gangs of a claim.

    Parameters
    ----------
    claim : Claim
        The next of the project.
    contest : Contest
        With the targets.
    held : int
        Nodes that the project holds.

    Returns
    -------
    int
        0: a whole gang is missing; 1: with one more the project is nearer to its
        target than without; 2: it holds enough.
    """
    left = contest.targets.get(claim.project, math.inf) - held
    if left >= claim.nodes:
        return 0
    return 1 if left >= claim.nodes / 2 else 2


def right_from_s(
    claim: Claim,
    other: Claim,
    contest: Contest,
    standing: Mapping[str, Standing],
) -> float | None:
    """Say from when on a simulation may take all that another one holds.

    Parameters
    ----------
    claim, other : Claim
        Who asks, and who holds.
    contest : Contest
        The rules and measures.
    standing : mapping of str to Standing
        Of both projects.

    Returns
    -------
    float or None
        Driver's clock, seconds; minus infinity: at any time. None: as things
        are, it may not.
    """
    right = right_of(claim, other, contest, standing)
    return None if right is None else right[1]


def right_of(
    claim: Claim,
    other: Claim,
    contest: Contest,
    standing: Mapping[str, Standing],
    *,
    overdue: bool = False,
) -> Right | None:
    """Return the rank of a right, when it begins, and its name; None: there is none."""
    asks = claim.simulation
    if other.moving or other is claim:
        # It is on its way to something else already.
        return None
    # Sent away before it committed anything, it would have computed for nothing. But
    # for who has waited too long there must be a time at which all can be asked.
    if other.borrowed and (
        overdue or (other.fruitful and goes_before(claim, other, contest, standing))
    ):
        why = f"it was not its turn; now it is that of {asks}"
        return Rank.BORROWED, other.exempt_until_s, why
    if len(other.held) < other.nodes:
        # It looks for nodes itself, or gives up what it has.
        return None
    right = _by_rule(claim, other, contest, standing)
    if not overdue or (right is not None and right[1] <= contest.now_s):
        return right
    waited = _by_waiting(claim, other, contest, standing)
    rights = [r for r in (right, waited) if r is not None]
    return min(rights, key=lambda r: r[1], default=None)


def _by_waiting(
    claim: Claim,
    other: Claim,
    contest: Contest,
    standing: Mapping[str, Standing],
) -> Right | None:
    """Return the right of one that has waited too long, once, whatever the shares.

    Its project makes up for it by its usage; no other is asked before it has run as
    long as shares let it run.
    """
    if not other.fruitful:
        return None
    exempt_s = other.exempt_until_s
    why = f"{claim.simulation} has waited too long"
    if claim.project == other.project:
        if other.level > claim.level or other.priority > claim.priority:
            return None
        return Rank.OWN, max(other.turn_s + contest.min_run_s, exempt_s), why
    if is_kept(other, contest, standing[other.project]):
        return None
    if exempt_s == math.inf:
        exempt_s = other.turn_s
    return Rank.GUEST, max(other.turn_s + contest.min_run_s, exempt_s), why


def _by_rule(
    claim: Claim,
    other: Claim,
    contest: Contest,
    standing: Mapping[str, Standing],
) -> Right | None:
    """Return the right that shares, priorities and turns give."""
    asks = claim.simulation
    if claim.project != other.project:
        return _by_share(claim, other, contest, standing)
    exempt_s = other.exempt_until_s
    if claim.held or claim.moving:
        if other.level < claim.level:
            return Rank.LOWER, exempt_s, f"{asks} is protected and has to move"
        return None
    if other.level > claim.level:
        return None
    if other.priority < claim.priority:
        return Rank.LOWER, exempt_s, f"{asks} has a higher priority"
    if other.priority > claim.priority or not other.fruitful:
        return None
    if claim.standing is not None and other.standing is not None:
        # Whoever was started is let finish, but for who gives way.
        if other.yields and claim.standing < other.standing:
            return Rank.EQUAL, exempt_s, other.yields
        return None
    turn_s = contest.slice_s
    # Whole turns are compared, so that equals do not push each other out; with as
    # many of them the older one goes first.
    needed = contest.turns(claim) + (other.serial < claim.serial)
    ahead = needed - other.served_s // turn_s
    from_s = other.turn_s + max(turn_s, ahead * turn_s - other.served_s % turn_s)
    return Rank.EQUAL, max(from_s, exempt_s), f"it is the turn of {asks}"


def goes_before(
    claim: Claim,
    other: Claim,
    contest: Contest,
    standing: Mapping[str, Standing],
) -> bool:
    """Whether a claim would be served before another one if that had nothing."""
    mine, theirs = standing[claim.project].held, standing[other.project].held
    theirs -= len(other.held)
    if claim.project != other.project:
        # The order of projects that hold about what they should changes with
        # every hour of use: it is no reason to move anybody.
        return lag(claim, contest, mine) < lag(other, contest, theirs)
    return contest.place(claim) < contest.place(other)


def _by_share(
    claim: Claim,
    other: Claim,
    contest: Contest,
    standing: Mapping[str, Standing],
) -> Right | None:
    """Return the right of a project that is below its share against another."""
    # A move costs a checkpoint and a restore: only where a whole gang is missing.
    # To go to the nearest half, as on free nodes, moved gangs back and forth.
    if (
        not other.fruitful
        or lag(claim, contest, standing[claim.project].held) > 0
        or not is_spared(other, contest, standing[other.project])
    ):
        return None
    exempt_s = other.exempt_until_s
    if exempt_s == math.inf:
        # "Never" holds within the share, or who protects everything keeps all.
        exempt_s = other.turn_s
    from_s = max(other.turn_s + contest.min_run_s, exempt_s)
    why = f"project {claim.project} is below its share: {claim.simulation}"
    return Rank.FOREIGN, from_s, why


def is_kept(other: Claim, contest: Contest, left: Standing) -> bool:
    """Whether it is protected, and such hold no more than its project's floor."""
    floor = contest.floors.get(other.project, math.inf)
    return other.level > 0 and left.protected <= floor


def is_spared(other: Claim, contest: Contest, left: Standing) -> bool:
    """Whether a project has enough left if it gives a gang up.

    It may end half a gang below its target, and gives up protected ones only
    while they hold more than its floor.
    """
    if is_kept(other, contest, left):
        return False
    after = left.held - len(other.held)
    return after + other.nodes / 2 >= contest.targets.get(other.project, math.inf)
