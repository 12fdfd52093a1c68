"""Whom a simulation asks for nodes.

Nothing is taken from anybody but at a common boundary, after a verified
checkpoint. What was only lent goes first, then what was borrowed out of turn,
then turns that are over; as few are asked as will do. By what right: `rights`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter

import msgspec

from climorch.policy.claims import Claim, Contest
from climorch.policy.gathering import Camp
from climorch.policy.holders import Crew, Holders, Standing, Turn
from climorch.policy.pool import Pool
from climorch.policy.rights import (
    Rank,
    goes_before,
    is_kept,
    is_spared,
    lag,
    right_of,
)

__all__ = ["Round", "Source"]


class Source(msgspec.Struct, frozen=True, kw_only=True, gc=False):
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
    rank : Rank
        By what kind of right; lower goes first.
    overdue : bool
        Whether the asker has waited too long.
    """

    claim: Claim
    mask: int
    keeps: int
    why: str
    rank: Rank = Rank.LENT
    overdue: bool = False


@dataclass(slots=True, kw_only=True)
class Round:
    """One pass in which holders may be asked, each of them once.

    Attributes
    ----------
    contest : Contest
        The rules and measures.
    holders : Holders
        Who has nodes.
    standing : mapping of str to Standing
        Per project, as counted so far in the pass.
    pool : Pool
        Which nodes fit.
    guest : str
        Simulation that has waited too long; empty: none.
    settled : set of str
        Simulations that are not asked any more: they were, or were just given
        something.
    closed : set of str
        Projects whose simulations ask no others.
    """

    contest: Contest
    holders: Holders
    standing: Mapping[str, Standing]
    pool: Pool
    guest: str = ""
    settled: set[str] = field(default_factory=set)
    closed: set[str] = field(default_factory=set)
    _typical_s: float | None = None

    def refused(self, claim: Claim) -> None:
        """Let those of its project that come after one ask no other project.

        It could have all that it needs within what its project should hold, and that
        is not enough at present. Were smaller ones to make up for each node at once,
        gangs would move all the time.
        """
        if claim.held or claim.moving:
            return
        target = self.contest.targets.get(claim.project, math.inf)
        held = self.standing[claim.project].held
        if claim.nodes <= target and lag(claim, self.contest, held) > 0:
            self.closed.add(claim.project)

    def sources(
        self, claim: Claim, camps: Sequence[Camp]
    ) -> tuple[Camp | None, tuple[Source, ...], float]:
        """Choose who gives nodes back to a claim.

        Parameters
        ----------
        claim : Claim
            Who needs them.
        camps : sequence of Camp
            Where it could be served, what suits it best first; in none of them is
            enough free, or will be.

        Returns
        -------
        Camp or None
            Where it will be served; None: nowhere.
        tuple of Source
            Whom to ask for that, as few as will do.
        float
            When time alone may give more rights, driver's clock, seconds.
        """
        rights = _Rights(claim, self)
        spare = self.pool.free | self.pool.coming
        # What somebody may be asked for does not depend on where.
        every = [*self._lent(claim), *self._given_up(claim, rights)]
        for camp in camps:
            need = camp.lacks - (spare & camp.nodes).bit_count()
            chosen = self._enough(claim, every, camp.nodes, need)
            if chosen:
                return camp, chosen, rights.later_s
        return None, (), rights.later_s

    def _enough(
        self, claim: Claim, every: Sequence[Source], nodes: int, need: int
    ) -> tuple[Source, ...]:
        """Choose who gives enough of some nodes back; empty: nobody has enough."""
        sources = every
        if nodes != self.pool.able(claim):
            masks = ((source, source.mask & nodes) for source in every)
            sources = [msgspec.structs.replace(s, mask=m) for s, m in masks if m]
        if sum(source.mask.bit_count() for source in sources) < need:
            return ()
        ordered = self._in_order(sources, need)
        return _fewest(claim, ordered, need, self.contest, self.standing)

    def _lent(self, claim: Claim) -> Iterator[Source]:
        able = self.pool.able(claim)
        for other in self.holders.wide.values():
            if other.simulation not in self.settled:
                mask = self.pool.mask(other.held[other.nodes :]) & able
                if mask:
                    yield Source(
                        claim=other, mask=mask, keeps=other.nodes, why="lent to it"
                    )

    def _given_up(self, claim: Claim, rights: _Rights) -> Iterator[Source]:
        able = self.pool.able(claim)
        for other, rank, why in rights.now():
            mask = self.pool.held(other) & able
            if mask:
                yield Source(
                    claim=other,
                    mask=mask,
                    keeps=0,
                    why=why,
                    rank=rank,
                    overdue=claim.simulation == self.guest,
                )

    def _in_order(self, sources: Sequence[Source], need: int) -> Iterator[Source]:
        """Yield sources in the order in which they are taken.

        What they would lose is asked only of those of whom nothing else tells who
        goes first.
        """
        places = [(_kind_of_place(source, need), source) for source in sources]
        places.sort(key=itemgetter(0))
        for _, group in groupby(places, key=itemgetter(0)):
            alike = [source for _, source in group]
            if len(alike) > 1:
                alike.sort(key=self._place_among_such)
            yield from alike

    def _place_among_such(self, source: Source) -> tuple[float, ...]:
        other = source.claim
        last_first = tuple(-part for part in self.contest.place(other))
        if source.rank is Rank.LENT:
            return last_first
        return self._exposed_s(other), *last_first

    def _exposed_s(self, other: Claim) -> float:
        """Return what it would lose; who does not checkpoint is no safer for that."""
        exposed_s = self.contest.exposed_s
        if self._typical_s is None:
            self._typical_s = self.contest.typical_s()
        return min(exposed_s.get(other.simulation, 0.0), self._typical_s)


class _Rights:
    """Whom one claim may ask now, and when time gives it more rights."""

    def __init__(self, claim: Claim, asked: Round) -> None:
        self.later_s = math.inf
        self._claim = claim
        self._round = asked
        self._overdue = claim.simulation == asked.guest

    def now(self) -> Iterator[tuple[Claim, Rank, str]]:
        """Yield whom it may ask, by which kind of right, and that in words."""
        asked, seen = self._round, set(self._round.settled)
        for other in self._candidates():
            if other.simulation in seen:
                continue
            seen.add(other.simulation)
            right = right_of(
                self._claim,
                other,
                asked.contest,
                asked.standing,
                overdue=self._overdue,
            )
            if right is None:
                continue
            rank, from_s, why = right
            if from_s > asked.contest.now_s:
                self.later_s = min(self.later_s, from_s)
            else:
                yield other, rank, why

    def _candidates(self) -> Iterator[Claim]:
        """Yield all who could be asked now; others only while that tells when."""
        claim, contest, holders = self._claim, self._round.contest, self._round.holders
        held = self._round.standing[claim.project].held
        behind = lag(claim, contest, held)
        if self._overdue:
            behind = 0
        elif claim.project in self._round.closed:
            behind = 2
        for other in holders.borrowed.values():
            if behind < 2 or other.project == claim.project:
                yield other
        for (priority, level), crew in holders.crews.get(claim.project, {}).items():
            yield from self._at_home(priority, level, crew)
        if behind == 0:
            # Of most claims and leases nothing is looked at.
            for crew in holders.foreign(claim.project):
                for turns in (crew.ripe, crew.kept):
                    if turns:
                        yield from self._due(turns, contest.min_run_s)

    def _at_home(self, priority: int, level: int, crew: Crew) -> Iterator[Claim]:
        claim, contest = self._claim, self._round.contest
        mends = bool(claim.held) or claim.moving
        if mends:
            everybody = level < claim.level
        elif level > claim.level:
            return
        else:
            everybody = priority < claim.priority
        if everybody:
            yield from crew.green.values()
            yield from (turn[-1] for turn in crew.ripe)
        elif priority == claim.priority and not mends and crew.ripe:
            if claim.standing is not None:
                yield from crew.yielding.values()
                if not self._overdue:
                    return
            span_s = contest.slice_s
            if self._overdue:
                span_s = min(span_s, contest.min_run_s)
            yield from self._due(crew.ripe, span_s)

    def _due(self, turns: Sequence[Turn], span_s: float) -> Iterator[Claim]:
        """Yield whose turn may be over: nobody has to give up anything before.

        As the oldest turn comes first, all further ones give their right later than
        the earliest that is known.
        """
        now_s = self._round.contest.now_s
        for turn_s, _, _, other in turns:
            from_s = turn_s + span_s
            if from_s > now_s and from_s >= self.later_s:
                return
            yield other


def _kind_of_place(source: Source, need: int) -> tuple[int, ...]:
    """Sort sources by kind of right, then by level and by how well they fit."""
    if source.rank is Rank.LENT:
        return (Rank.LENT,)
    # The smallest that is enough, else the largest first.
    size = source.mask.bit_count()
    fit = (0, size) if size >= need else (1, -size)
    return source.rank, source.claim.level, *fit


def _fewest(
    claim: Claim,
    sources: Iterable[Source],
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
    left = msgspec.structs.replace(standing[other.project])
    for before in chosen:
        if before.claim.project == other.project:
            back = len(before.claim.held) - before.keeps
            left.held -= back
            left.protected -= back * (before.claim.level > 0)
    then = {**standing, other.project: left}
    if source.rank == Rank.BORROWED:
        return source.overdue or goes_before(claim, other, contest, then)
    if source.rank == Rank.GUEST:
        return not is_kept(other, contest, left)
    return source.rank != Rank.FOREIGN or is_spared(other, contest, left)
