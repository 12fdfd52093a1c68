"""Which leases move though nobody has a right to their nodes.

For three reasons: a node of the lease is slow, nodes of a protected one will go,
or one that waits fits only where another one is, who fits elsewhere. All happen
at a boundary and only where other nodes are there, so nobody waits for a move.
Each simulation rests between two of them.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from climorch.policy.bits import lowest
from climorch.policy.board import Board
from climorch.policy.claims import Claim, Contest, Move
from climorch.policy.gathering import (
    Camp,
    camps_of,
    gang_in,
    grows_on,
    of_one_job,
    parts_of,
)
from climorch.policy.moving import Moving
from climorch.policy.pool import Pool

__all__ = ["Moves", "plan_moves"]

# Of those that wait, so many are looked at for whom somebody could make room.
MOST_HEADS = 2
# And so many of the jobs in which one of them could be served.
MOST_CAMPS = 4
# Whoever makes room is not sent to nodes that go within so many rests.
RESTS = 4


@dataclass(slots=True, kw_only=True)
class Moves:
    """What comes of it.

    Attributes
    ----------
    moves : dict of str to Move
        By simulation.
    shrink : dict of str to int
        Simulations that give lent nodes back for a move, with what they keep.
    review_at_s : float
        When time alone may change this, driver's clock, seconds.
    """

    moves: dict[str, Move] = field(default_factory=dict)
    shrink: dict[str, int] = field(default_factory=dict)
    review_at_s: float = math.inf


def plan_moves(
    board: Board,
    pool: Pool,
    contest: Contest,
    moving: Moving,
    *,
    blocked: Sequence[Claim] = (),
    engaged: Collection[str] = (),
    waiting: Collection[str] = (),
) -> Moves:
    """Choose who moves, from and to where.

    Parameters
    ----------
    board : Board
        Every simulation with work.
    pool : Pool
        What is free after all that could be given out was; what moves need is
        taken from it.
    contest : Contest
        The time, and whose turn it is.
    moving : Moving
        The rules.
    blocked : sequence of Claim
        Those that wait and cannot be given enough, the first to come first.
    engaged : collection of str
        Simulations that were given or asked for something just now.
    waiting : collection of str
        Simulations that could not be given what they lack.

    Returns
    -------
    Moves
        Nobody leaves nodes that it needs unless others are free for it.
    """
    plan = _Plan(pool, contest, moving)
    plan.end_some(board.mending.values(), waiting)
    if not (pool.slow or blocked or (pool.timed and moving.early)):
        return plan.found
    holders = board.holders
    if pool.timed and moving.early:
        # The order in which they came onto the board must not matter.
        kept = _settled(holders.protected.values(), engaged)
        for claim in sorted(kept, key=lambda c: c.serial):
            plan.leave_early(claim)
    if pool.slow:
        able = _settled(holders.claims.values(), engaged)
        slow = [claim for claim in able if pool.held(claim) & pool.slow]
        # A large lease stands still for more nodes.
        for claim in sorted(slow, key=lambda c: (-c.level, -len(c.held), c.serial)):
            plan.leave_slow(claim, able)
    for head in blocked[:MOST_HEADS]:
        for camp in camps_of(head, pool)[:MOST_CAMPS]:
            # Where there is nowhere to go, thousands need not be looked at.
            if plan.lacks(camp) and plan.make_room(
                head, camp, _settled(holders.claims.values(), engaged)
            ):
                break
    return plan.found


def _settled(claims: Iterable[Claim], engaged: Collection[str]) -> list[Claim]:
    """Return those that have their gang and were not given or asked for anything."""
    return [
        claim
        for claim in claims
        if len(claim.held) >= claim.nodes
        and not claim.moving
        and claim.simulation not in engaged
    ]


class _Plan:
    """Where moves are planned one after the other; lives for one allocation."""

    def __init__(self, pool: Pool, contest: Contest, moving: Moving) -> None:
        self.pool = pool
        self.contest = contest
        self.moving = moving
        self.found = Moves()

    def end_some(self, claims: Iterable[Claim], waiting: Collection[str]) -> None:
        """End the moves to nodes that are gone."""
        for claim in claims:
            if (
                claim.avoids
                and claim.moving
                and claim.simulation in waiting
                and self._of_use(claim)
            ):
                why = "there are no other nodes for it any more"
                self.found.moves[claim.simulation] = Move(leave=(), why=why)

    def _of_use(self, claim: Claim) -> bool:
        """Whether it could compute on the nodes that it leaves."""
        if not of_one_job(claim, self.pool):
            return True
        mine = self.pool.held(claim) | self.pool.mask(claim.avoids)
        # Where some are gone, or of another job, it leaves them for that.
        parts = parts_of(claim, self.pool, mine)
        return any(p == mine and p.bit_count() >= claim.nodes for p in parts)

    def _elsewhere(
        self, claim: Claim, leave: Sequence[str], fit: int
    ) -> tuple[Sequence[str], int]:
        """Say what a claim has to leave to get away from some nodes, and for which.

        Parameters
        ----------
        claim : Claim
            Who.
        leave : sequence of str
            Nodes of its lease.
        fit : int
            Others that will do.
        """
        near = fit & grows_on(claim, self.pool, claim.held)
        if near.bit_count() < min(len(leave), claim.nodes):
            whole = gang_in(claim, self.pool, fit)
            if whole:
                return claim.held, whole
        return leave, near

    def _rests(self, claim: Claim) -> bool:
        rested_s = claim.moved_s + self.moving.rest_s
        if rested_s <= self.contest.now_s:
            return False
        self._review(rested_s)
        return True

    def _review(self, at_s: float) -> None:
        self.found.review_at_s = min(self.found.review_at_s, at_s)

    def _plan(
        self, claim: Claim, leave: Iterable[str], seek: int, count: int, why: str
    ) -> None:
        taken = self.pool.take(seek, count)
        self.found.moves[claim.simulation] = Move(
            leave=tuple(leave), seek=tuple(self.pool.names(taken)), why=why
        )

    def leave_early(self, claim: Claim) -> None:
        """Let a protected simulation leave nodes that will go."""
        pool, now_s = self.pool, self.contest.now_s
        ahead_s = self.moving.early * claim.least_s
        first_s = pool.ends_s(claim, claim.held)
        if first_s - ahead_s > now_s:
            self._review(first_s - ahead_s)
            return
        ends_s = {node: pool.ends_s(claim, (node,)) for node in claim.held}
        gone = [node for node, end_s in ends_s.items() if end_s - ahead_s <= now_s]
        # All or none, and to where they stay for long: else they move again.
        until_s = max(ends_s[node] for node in gone) + ahead_s
        stays = pool.free & pool.staying(claim, until_s) & ~pool.slow
        leave, seek = self._elsewhere(claim, gone, stays)
        need = min(len(leave), claim.nodes)
        if seek.bit_count() < need or self._rests(claim):
            return
        left_s = max(min(ends_s[node] for node in gone) - now_s, 0.0)
        why = f"leaves {_listed(leave)} early: gone in {left_s / 3600:.1f} h"
        self._plan(claim, leave, seek, need, why)

    def leave_slow(self, claim: Claim, others: Sequence[Claim]) -> None:
        """Let a simulation leave slow nodes, the slowest first."""
        pool = self.pool
        if claim.simulation in {**self.found.moves, **self.found.shrink}:
            return
        slow = [node for node in claim.held if pool.mask((node,)) & pool.slow]
        slow.sort(key=pool.slowness, reverse=True)
        last_s = pool.ends_s(claim, slow)
        fit = pool.staying(claim, last_s) & ~pool.slow
        whole, seek = self._elsewhere(claim, slow[:1], pool.free & fit)
        fit &= grows_on(claim, pool, claim.held)
        if seek & ~fit:
            if not self._rests(claim):
                self._plan(claim, whole, seek, len(whole), self._slow_why(slow))
            return
        there = (pool.free & fit).bit_count()
        leave = slow[:there]
        for node in slow[there:]:
            left = len(claim.held) - len(leave)
            # What was only lent is no loss where the others wait for it longer.
            if left > claim.nodes and pool.slowness(node) > left / (left - 1):
                leave.append(node)
        if not leave:
            coming = (pool.coming & fit).bit_count()
            worst = pool.slowness(slow[0])
            gains = not coming and len(claim.held) * (1 - 1 / worst) > 1
            # While it rests it could not take what is given back, and whoever gave it
            # would be lent it anew, for ever.
            if gains and not self._rests(claim):
                self._ask_lent(claim, fit, others)
            return
        if self._rests(claim):
            return
        why = self._slow_why(leave)
        self._plan(claim, leave, pool.free & fit, min(there, len(leave)), why)

    def _slow_why(self, slow: Iterable[str]) -> str:
        slowness = self.pool.slowness
        told = ", ".join(f"{n} is {slowness(n):.1f} times" for n in slow)
        return f"leaves {_listed(slow)}: {told} slower than expected"

    def _ask_lent(self, claim: Claim, fit: int, others: Sequence[Claim]) -> None:
        """Let somebody give back a lent node: it moves there once it is free."""
        pool, place = self.pool, self.contest.place
        for other in sorted(others, key=place, reverse=True):
            if other is claim or other.simulation in {
                **self.found.moves,
                **self.found.shrink,
            }:
                continue
            for keeps in range(len(other.held) - 1, other.nodes - 1, -1):
                if pool.mask(other.held[keeps:]) & fit:
                    self.found.shrink[other.simulation] = keeps
                    return

    def lacks(self, camp: Camp) -> int:
        """Count the nodes for which others would have to go elsewhere, if they can."""
        pool = self.pool
        able = camp.nodes & ~pool.slow
        if not pool.free & ~able & ~pool.slow:
            return 0
        return max(camp.lacks - ((pool.free | pool.coming) & able).bit_count(), 0)

    def make_room(self, head: Claim, camp: Camp, others: Sequence[Claim]) -> bool:
        """Let some move to where one that waits does not fit, if that is enough."""
        able = camp.nodes & ~self.pool.slow
        spare = self.pool.free & ~able & ~self.pool.slow
        need = self.lacks(camp)
        swaps = [
            swap
            for at, other in enumerate(sorted(others, key=self.contest.place))
            if other.level <= head.level and other.simulation not in self.found.moves
            if (swap := self._swap(other, -at, able, spare)) is not None
            if not self._rests(other)
        ]
        swaps.sort(key=lambda swap: (swap.other.level, -swap.gain, swap.last))
        chosen: list[tuple[Claim, int, int]] = []
        for swap in swaps[: self.moving.most]:
            leave, seek = swap.within(spare, need)
            if seek:
                spare &= ~seek
                need -= (leave & able).bit_count()
                chosen.append((swap.other, leave, seek))
        if need > 0:
            return False
        for other, leave, seek in chosen:
            why = f"makes room for {head.simulation}, which fits only there"
            count = seek.bit_count()
            self._plan(other, self.pool.names(leave), seek, count, why)
        return True

    def _swap(self, other: Claim, last: int, able: int, spare: int) -> _Swap | None:
        """Say with what one could make room; None: it could not."""
        pool, moving = self.pool, self.moving
        use = pool.held(other) & able
        if not use:
            return None
        later_s = self.contest.now_s + RESTS * moving.rest_s
        until_s = min(pool.ends_s(other, other.held), later_s)
        stays = spare & pool.staying(other, until_s)
        fit = stays & grows_on(other, pool, other.held)
        if fit:
            return _Swap(other=other, last=last, leave=use, seek=fit)
        seek, held = gang_in(other, pool, stays), pool.held(other)
        if not seek:
            return None
        return _Swap(other=other, last=last, leave=held, seek=seek, whole=True)


class _Swap(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Nodes that one could leave for somebody else, and those that would do for it.

    Attributes
    ----------
    other : Claim
        Who.
    last : int
        Of those of whom nothing else tells who goes first, the lowest does.
    leave, seek : int
        As bits.
    whole : bool
        Whether it can only leave them all.
    """

    other: Claim
    last: int
    leave: int
    seek: int
    whole: bool = False

    @property
    def gain(self) -> int:
        """Most nodes that it could leave."""
        return min(self.leave.bit_count(), self.seek.bit_count())

    def within(self, spare: int, need: int) -> tuple[int, int]:
        """Return what it leaves for what, of nodes that are left; 0: for nothing.

        Parameters
        ----------
        spare : int
            What is left of those that are free.
        need : int
            How many somebody else still lacks.
        """
        seek = self.seek & spare
        if self.whole:
            enough = need > 0 and seek.bit_count() >= self.other.nodes
            return self.leave, lowest(seek, self.other.nodes) if enough else 0
        count = min(self.leave.bit_count(), seek.bit_count(), need)
        return (lowest(self.leave, count), lowest(seek, count)) if count else (0, 0)


def _listed(nodes: Iterable[str]) -> str:
    return ", ".join(nodes)
