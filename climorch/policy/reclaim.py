"""By what right a simulation takes nodes from others, and from whom.

Nothing is taken from anybody but at a common boundary, after a verified
checkpoint. What was only lent goes first, then what was borrowed out of turn,
then turns that are over. Between projects the fair share decides, within one
the priority, protection and whose turn it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from climorch.policy.claims import Claim, Contest
from climorch.policy.pool import Pool

__all__ = ["Source", "Standing", "reclaim", "under_target"]


@dataclass(slots=True)
class Standing:
    """Nodes that a project holds, in all and by protected simulations."""

    held: int = 0
    protected: int = 0


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
    """

    claim: Claim
    mask: int
    keeps: int
    why: str


def under_target(claim: Claim, contest: Contest, held: int) -> bool:
    """Tell whether a project may still grow by a gang, to the nearest gang."""
    target = contest.targets.get(claim.project, math.inf)
    return held + claim.nodes / 2 <= target


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
    fitting = pool.able(claim)
    found: list[tuple[tuple[float, ...], Source]] = []
    later_s = math.inf
    typical_s = median(contest.exposed_s.values()) if contest.exposed_s else 0.0
    for place, other in enumerate(reversed(running)):
        lent = len(other.held) - other.nodes
        if lent > 0:
            mask = pool.mask(other.held[other.nodes :]) & fitting
            if mask:
                source = Source(
                    claim=other, mask=mask, keeps=other.nodes, why="lent to it"
                )
                found.append(((0.0, place), source))
        right = _right(claim, other, contest, standing)
        if right is None:
            continue
        rank, from_s, why = right
        mask = pool.mask(other.held) & fitting
        if from_s > contest.now_s:
            later_s = min(later_s, from_s)
        elif mask:
            # Who does not checkpoint would lose most: that must not protect it.
            exposed_s = min(contest.exposed_s.get(other.simulation, 0.0), typical_s)
            source = Source(claim=other, mask=mask, keeps=0, why=why)
            short = float(mask.bit_count() < need)
            size = float(mask.bit_count() if not short else -mask.bit_count())
            found.append(((rank, other.level, short, size, exposed_s, place), source))
    found.sort(key=lambda pair: pair[0])
    return _fewest([source for _, source in found], need), later_s


def _fewest(sources: list[Source], need: int) -> tuple[Source, ...]:
    """Take sources in order until they do, then leave out what is not needed."""
    chosen: list[Source] = []
    given = 0
    for source in sources:
        if given >= need:
            break
        # Whoever gives up everything gives up what it was lent with it.
        chosen = [c for c in chosen if c.claim is not source.claim]
        chosen.append(source)
        given = sum(c.mask.bit_count() for c in chosen)
    if given < need:
        return ()
    for source in list(chosen):
        if given - source.mask.bit_count() >= need:
            chosen.remove(source)
            given -= source.mask.bit_count()
    return tuple(chosen)


def _right(
    claim: Claim,
    other: Claim,
    contest: Contest,
    standing: Mapping[str, Standing],
) -> tuple[float, float, str] | None:
    """Return the rank of a right, when it begins, and its name; None: there is none."""
    if other.moving or len(other.held) < other.nodes:
        # It is on its way to something else already.
        return None
    if other.borrowed and contest.place(claim) < contest.place(other):
        return (
            1.0,
            -math.inf,
            f"it was not its turn; now it is that of {claim.simulation}",
        )
    rights = list(_rights(claim, other, contest, standing))
    return min(rights, key=lambda right: right[1], default=None)


def _rights(
    claim: Claim,
    other: Claim,
    contest: Contest,
    standing: Mapping[str, Standing],
) -> Iterator[tuple[float, float, str]]:
    asks = claim.simulation
    if claim.project != other.project:
        mine, theirs = standing[claim.project], standing[other.project]
        over = theirs.held - other.nodes / 2
        kept = other.level > 0 and theirs.protected <= contest.floors.get(
            other.project, math.inf
        )
        if (
            under_target(claim, contest, mine.held)
            and over >= contest.targets.get(other.project, math.inf)
            and not kept
            and other.fruitful
        ):
            from_s = max(other.turn_s + contest.min_run_s, other.exempt_until_s)
            yield 2.0, from_s, f"project {claim.project} is below its share: {asks}"
        return
    if claim.held or claim.moving:
        if other.level < claim.level:
            yield 2.0, other.exempt_until_s, f"{asks} is protected and has to move"
        return
    if other.level > claim.level:
        return
    if other.priority < claim.priority:
        yield 3.0, other.exempt_until_s, f"{asks} has a higher priority"
    elif other.priority == claim.priority and other.fruitful:
        turn_s = contest.slice_s
        # Whole turns are compared, so that equals do not push each other out.
        ahead = contest.turns(claim) + 1 - (other.served_s // turn_s)
        from_s = other.turn_s + max(turn_s, ahead * turn_s - other.served_s % turn_s)
        yield 4.0, max(from_s, other.exempt_until_s), f"it is the turn of {asks}"
