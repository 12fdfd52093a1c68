"""By what right a simulation takes nodes from others, and from whom.

Nothing is taken from anybody but at a common boundary, after a verified
checkpoint. What was only lent goes first, then what was borrowed out of turn,
then turns that are over. Between projects the fair share decides, within one
the priority, protection and whose turn it is.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from climorch.policy.claims import Claim, Contest
from climorch.policy.pool import Pool

__all__ = [
    "Source",
    "Standing",
    "lag",
    "reclaim",
    "right_from_s",
    "standings",
]

# Order of what may be taken: lent, borrowed out of turn, then by what right.
LENT, BORROWED, FOREIGN, LOWER, EQUAL = range(5)


@dataclass(slots=True)
class Standing:
    """Nodes that a project holds, in all and by protected simulations."""

    held: int = 0
    protected: int = 0

    def count(self, claim: Claim, nodes: int) -> None:
        """Add nodes that a claim of the project gets, or gives up if below 0."""
        self.held += nodes
        self.protected += nodes * (claim.level > 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Nodes that somebody can be asked for.

    Attributes
    ----------
    claim : Claim
        Who has them.
    mask : int
        Those that the asker can use.
    keeps : int
        Nodes that stay with it; 0: it gives up all.
    why : str
        By what right, in words.
    rank : int
        By what kind of right; lower goes first.
    """

    claim: Claim
    mask: int
    keeps: int
    why: str
    rank: int = LENT


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


def standings(claims: Iterable[Claim]) -> dict[str, Standing]:
    """Count what each project holds.

    Parameters
    ----------
    claims : iterable of Claim
        Of all simulations.

    Returns
    -------
    dict of str to Standing
        By project; one that holds nothing has one too.
    """
    found: dict[str, Standing] = defaultdict(Standing)
    for claim in claims:
        found[claim.project].count(claim, len(claim.held))
    return found


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
    right = _right(claim, other, contest, standing)
    return None if right is None else right[1]


def reclaim(
    claim: Claim,
    need: int,
    running: Sequence[Claim],
    contest: Contest,
    standing: Mapping[str, Standing],
    pool: Pool,
) -> tuple[tuple[Source, ...], float]:
    """Choose who gives nodes back to a claim.

    Parameters
    ----------
    claim : Claim
        Who needs them.
    need : int
        How many that fit it.
    running : sequence of Claim
        Who may be asked, in order of standing: the last is asked first.
    contest : Contest
        The rules and measures.
    standing : mapping of str to Standing
        Per project.
    pool : Pool
        Which nodes fit.

    Returns
    -------
    tuple of Source
        Whom to ask, as few as will do; empty: all together have not enough.
    float
        When time alone may give more rights, driver's clock, seconds.
    """
    found: list[tuple[tuple[float, ...], Source]] = []
    later_s = math.inf
    typical_s = median(contest.exposed_s.values()) if contest.exposed_s else 0.0
    whole = lag(claim, contest, standing[claim.project].held) == 0
    for place, other in enumerate(reversed(running)):
        if len(other.held) > other.nodes:
            found.append(((LENT, place), _lent(claim, other, pool)))
        elif not (whole or other.project == claim.project or other.borrowed):
            # Of most claims and leases this is all that is looked at.
            continue
        right = _right(claim, other, contest, standing)
        if right is None:
            continue
        rank, from_s, why = right
        if from_s > contest.now_s:
            later_s = min(later_s, from_s)
            continue
        mask = pool.held(other) & pool.able(claim)
        source = Source(claim=other, mask=mask, keeps=0, why=why, rank=rank)
        # Who does not checkpoint would lose most: that must not protect it.
        exposed_s = min(contest.exposed_s.get(other.simulation, 0.0), typical_s)
        # The smallest that is enough, else the largest first.
        size = mask.bit_count()
        fit = (0, size) if size >= need else (1, -size)
        found.append(((rank, other.level, *fit, exposed_s, place), source))
    found.sort(key=lambda pair: pair[0])
    sources = [source for _, source in found if source.mask]
    return _fewest(claim, sources, need, contest, standing), later_s


def _lent(claim: Claim, other: Claim, pool: Pool) -> Source:
    mask = pool.mask(other.held[other.nodes :]) & pool.able(claim)
    return Source(claim=other, mask=mask, keeps=other.nodes, why="lent to it")


def _fewest(
    claim: Claim,
    sources: list[Source],
    need: int,
    contest: Contest,
    standing: Mapping[str, Standing],
) -> tuple[Source, ...]:
    """Take sources in order until they do, then leave out what is not needed."""
    chosen: list[Source] = []
    given = 0
    for source in sources:
        if given >= need:
            break
        # Whoever gives up everything gives up what it was lent with it.
        others = [c for c in chosen if c.claim is not source.claim]
        if others and not _still(claim, source, others, contest, standing):
            continue
        chosen = [*others, source]
        given = sum(c.mask.bit_count() for c in chosen)
    if given < need:
        return ()
    for source in list(chosen):
        if given - source.mask.bit_count() >= need:
            chosen.remove(source)
            given -= source.mask.bit_count()
    return tuple(chosen)


def _still(
    claim: Claim,
    source: Source,
    chosen: Sequence[Source],
    contest: Contest,
    standing: Mapping[str, Standing],
) -> bool:
    """Whether a right holds once others of the same project gave nodes back."""
    other = source.claim
    left = replace(standing[other.project])
    for before in chosen:
        if before.claim.project == other.project:
            back = len(before.claim.held) - before.keeps
            left.held -= back
            left.protected -= back * (before.claim.level > 0)
    then = {**standing, other.project: left}
    if source.rank == BORROWED:
        return _goes_before(claim, other, contest, then)
    return source.rank != FOREIGN or _spared(other, contest, left)


def _spared(other: Claim, contest: Contest, left: Standing) -> bool:
    """Whether a project has enough left if it gives a gang up.

    It may end half a gang below its target, and gives up protected ones only
    while they hold more than its floor.
    """
    floor = contest.floors.get(other.project, math.inf)
    if other.level > 0 and left.protected <= floor:
        return False
    after = left.held - len(other.held)
    return after + other.nodes / 2 >= contest.targets.get(other.project, math.inf)


def _right(
    claim: Claim,
    other: Claim,
    contest: Contest,
    standing: Mapping[str, Standing],
) -> tuple[int, float, str] | None:
    """Return the rank of a right, when it begins, and its name; None: there is none."""
    asks = claim.simulation
    if other.moving or other is claim:
        # It is on its way to something else already.
        return None
    if other.borrowed and _goes_before(claim, other, contest, standing):
        why = f"it was not its turn; now it is that of {asks}"
        return BORROWED, other.exempt_until_s, why
    if len(other.held) < other.nodes:
        # It looks for nodes itself, or gives up what it has.
        return None
    if claim.project != other.project:
        return _by_share(claim, other, contest, standing)
    exempt_s = other.exempt_until_s
    if claim.held or claim.moving:
        if other.level < claim.level:
            return LOWER, exempt_s, f"{asks} is protected and has to move"
        return None
    if other.level > claim.level:
        return None
    if other.priority < claim.priority:
        return LOWER, exempt_s, f"{asks} has a higher priority"
    if other.priority > claim.priority or not other.fruitful:
        return None
    turn_s = contest.slice_s
    # Whole turns are compared, so that equals do not push each other out; with as
    # many of them the older one goes first.
    needed = contest.turns(claim) + (other.serial < claim.serial)
    ahead = needed - other.served_s // turn_s
    from_s = other.turn_s + max(turn_s, ahead * turn_s - other.served_s % turn_s)
    return EQUAL, max(from_s, exempt_s), f"it is the turn of {asks}"


def _goes_before(
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
) -> tuple[int, float, str] | None:
    """Return the right of a project that is below its share against another."""
    # A move costs a checkpoint and a restore: only where a whole gang is missing.
    # To go to the nearest half, as on free nodes, moved gangs back and forth.
    if (
        not other.fruitful
        or lag(claim, contest, standing[claim.project].held) > 0
        or not _spared(other, contest, standing[other.project])
    ):
        return None
    exempt_s = other.exempt_until_s
    if exempt_s == math.inf:
        # "Never" holds within the share, or who protects everything keeps all.
        exempt_s = other.turn_s
    from_s = max(other.turn_s + contest.min_run_s, exempt_s)
    why = f"project {claim.project} is below its share: {claim.simulation}"
    return FOREIGN, from_s, why
