"""Which simulation holds which nodes.

A lease is all or nothing at ``nodes``. Whose turn it is follows from the fair
shares of projects, then priority, turns served and order of submission. Who
cannot have its gang yet gets what others give back: lent nodes, nodes borrowed
out of turn, turns that are over. Where all that is not enough, those behind it
may borrow what lies idle, so a large gang holds no nodes empty. One that is larger
than what its project should hold has no right to others' nodes and may wait long.
What nobody needs is lent to running simulations up to ``most_nodes``.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from typing import Protocol

from climorch.policy.claims import (
    Allocation,
    Claim,
    Closing,
    Contest,
    Move,
    NodeOffer,
)
from climorch.policy.moves import plan_moves
from climorch.policy.pool import Pool
from climorch.policy.reclaim import Source, lag, reclaim, standings

__all__ = [
    "Allocate",
    "Allocation",
    "Claim",
    "Closing",
    "Contest",
    "NodeOffer",
    "allocate",
]

# Simulations without enough nodes that are looked at for whom they could follow:
# with thousands that wait, the others come later.
MOST_BLOCKED = 16

# Who was interrupted borrows nothing for so long, in seconds.
REST_S = 600.0


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
        is left for.

    Returns
    -------
    Allocation
        Never leases a node twice and never takes one away.
    """
    desk = _Desk(claims, offers, contest or Contest())
    for claim in desk.in_order():
        if not desk.serve(claim) and not tell_all:
            break
    desk.move()
    desk.lend()
    return Allocation(
        leases=desk.leases,
        borrowed=frozenset(desk.borrowed),
        shrink=desk.shrink,
        preempt=desk.preempt,
        waits=desk.waits,
        awaits=desk.awaits,
        review_at_s=desk.review_at_s,
        moves=desk.moves,
    )


class _Desk:
    """Where claims are served one after the other; lives for one allocation."""

    def __init__(
        self, claims: Sequence[Claim], offers: Sequence[NodeOffer], contest: Contest
    ) -> None:
        self.claims = claims
        self.contest = contest
        self.pool = Pool(offers, claims, contest.now_s)
        self.leases: dict[str, tuple[str, ...]] = {}
        self.borrowed: set[str] = set()
        self.shrink: dict[str, int] = {}
        self.preempt: dict[str, str] = {}
        self.waits: dict[str, str] = {}
        self.awaits: dict[str, tuple[str, ...]] = {}
        self.review_at_s = math.inf
        self.moves: dict[str, Move] = {}
        # Who is the first to wait, for whom the others wait too.
        self._first = ""
        self._blocked: list[Claim] = []
        self._promised = False
        self._running = sorted(
            (c for c in claims if c.held),
            key=contest.place,
        )
        self._standing = standings(self._running)

    def _count(self, claim: Claim, nodes: int) -> None:
        self._standing[claim.project].count(claim, nodes)

    def in_order(self) -> Iterator[Claim]:
        """Yield the claims that lack nodes, each when its turn has come."""
        lacking = [c for c in self.claims if c.moving or len(c.held) < c.nodes]
        # Who computes already comes before who does not, protected ones first;
        # but not who does so out of turn.
        first = [
            c for c in lacking if (c.held or c.moving or c.avoids) and not c.borrowed
        ]
        yield from sorted(first, key=lambda c: (-c.level, -c.priority, c.serial))
        queues: dict[str, deque[Claim]] = defaultdict(deque)
        for claim in sorted(
            (c for c in lacking if c.borrowed or not (c.held or c.moving or c.avoids)),
            key=self.contest.place,
        ):
            queues[claim.project].append(claim)
        while queues:
            project = min(queues, key=lambda name: self._place(queues[name][0]))
            queue = queues[project]
            yield queue.popleft()
            if not queue:
                del queues[project]

    def _place(self, claim: Claim) -> tuple[float, ...]:
        """Place of the first claim of a project among those of the others."""
        contest = self.contest
        held = self._standing[claim.project].held
        return lag(claim, contest, held), *contest.place(claim)

    def serve(self, claim: Claim) -> bool:
        """Give a claim what it lacks, or see who could; tell whether to go on."""
        pool = self.pool
        able = pool.able(claim)
        missing = max(claim.nodes - len(claim.held), 0)
        if able.bit_count() < claim.nodes:
            self.waits[claim.simulation] = _too_few(claim, able.bit_count())
            return True
        free = (pool.free & able).bit_count()
        if self._rests(claim):
            self.waits[claim.simulation] = f"goes after {self._first}"
            return True
        if free >= missing:
            self._give(claim, missing, able)
            return True
        self._ask(claim, missing, free, able)
        return bool(pool.free) or len(self._blocked) < MOST_BLOCKED

    def _rests(self, claim: Claim) -> bool:
        """Whether a claim borrows nothing though it is not its turn now.

        It was just interrupted: it would borrow what somebody else is about to be
        given, and be sent away again. Or nobody could ever send it away.
        """
        if not self._blocked or claim.held:
            return False
        if claim.unbroken:
            return True
        rested_s = claim.interrupted_s + REST_S
        if rested_s <= self.contest.now_s:
            return False
        self.review_at_s = min(self.review_at_s, rested_s)
        return True

    def _give(self, claim: Claim, missing: int, able: int) -> None:
        pool = self.pool
        taken = 0
        if claim.avoids:
            taken = pool.take(pool.free & able & pool.mask(claim.seeks), missing)
            other = pool.free & able & ~pool.mask(claim.avoids)
            taken |= pool.take(other, missing - taken.bit_count())
        taken |= pool.take(pool.free & able, missing - taken.bit_count())
        if claim.moving or not missing:
            return
        self.leases[claim.simulation] = (*claim.held, *pool.names(taken))
        self._count(claim, missing)
        if claim.held:
            self._leave_alone(claim)
        if self._blocked and not claim.held:
            self.borrowed.add(claim.simulation)

    def _ask(self, claim: Claim, missing: int, free: int, able: int) -> None:
        """Let others give nodes back to a claim, if that would be enough."""
        pool = self.pool
        coming = (pool.coming & able).bit_count()
        need = missing - free - coming
        lacks = f"needs {missing} more nodes; {free} are free"
        sources: tuple[Source, ...] = ()
        if need > 0 and len(self._blocked) < MOST_BLOCKED:
            sources, later_s = reclaim(
                claim, need, self._running, self.contest, self._standing, pool
            )
            self.review_at_s = min(self.review_at_s, later_s)
        if need > 0 and not sources:
            if self._first and not claim.held:
                lacks = f"goes after {self._first}"
            self._first = self._first or claim.simulation
            self._blocked.append(claim)
            self.waits[claim.simulation] = lacks
            return
        for source in sources:
            self._take_from(source, claim)
        if sources:
            asked = ", ".join(source.claim.simulation for source in sources)
            lacks += f", {need} are asked back from {asked}"
        else:
            lacks += f", {missing - free} will be given back"
        self.waits[claim.simulation] = lacks
        self._first = self._first or claim.simulation
        self._promised = True
        back = pool.take(pool.coming & able, missing)
        self.awaits[claim.simulation] = tuple(pool.names(back))
        pool.take(pool.free & able, missing - back.bit_count())
        self._count(claim, missing)

    def _leave_alone(self, claim: Claim) -> None:
        """Ask nobody twice, and nobody who was just given something."""
        self._running = [c for c in self._running if c is not claim]

    def _take_from(self, source: Source, claim: Claim) -> None:
        other = source.claim
        if source.keeps:
            keeps = len(other.held) - self._lent_back(source, claim)
            self.shrink[other.simulation] = keeps
            back = other.held[keeps:]
        else:
            self.preempt[other.simulation] = source.why
            back = other.held
        self.pool.coming |= self.pool.mask(back)
        self._count(other, -len(back))
        self._leave_alone(other)

    def _lent_back(self, source: Source, claim: Claim) -> int:
        """Count how many lent nodes, from the end of the lease, are enough."""
        needed = claim.nodes - len(claim.held)
        needed -= (
            (self.pool.free | self.pool.coming) & self.pool.able(claim)
        ).bit_count()
        back = fitting = 0
        for node in reversed(source.claim.held[source.keeps :]):
            if fitting >= needed:
                break
            back += 1
            fitting += bool(self.pool.mask((node,)) & source.mask)
        return back

    def move(self) -> None:
        """Let some move to nodes that nobody else can use now, for a gain."""
        moving = self.contest.moving
        if moving is None:
            return
        found = plan_moves(
            self.claims,
            self.pool,
            self.contest,
            moving,
            blocked=self._blocked,
            engaged={*self.leases, *self.shrink, *self.preempt},
            waiting=self.waits,
        )
        self.moves, self.shrink = found.moves, {**self.shrink, **found.shrink}
        self.review_at_s = min(self.review_at_s, found.review_at_s)

    def lend(self) -> None:
        """Lend free nodes one by one in turn, so that nobody takes them all."""
        if self._blocked or self._promised:
            return
        order = sorted(self.claims, key=self.contest.place)
        lent = True
        # One slow node holds up all others of a lease.
        self.pool.free &= ~self.pool.slow
        while self.pool.free and lent:
            lent = False
            for claim in order:
                lease = self.leases.get(claim.simulation, claim.held)
                if claim.moving or claim.simulation in self.moves:
                    continue
                if not claim.nodes <= len(lease) < claim.most_nodes:
                    continue
                fits = self.pool.free & self.pool.able(claim)
                if fits:
                    taken = self.pool.take(fits, 1)
                    self.leases[claim.simulation] = (*lease, *self.pool.names(taken))
                    lent = True


def _too_few(claim: Claim, able: int) -> str:
    want = f"{claim.nodes} node" + ("s" if claim.nodes > 1 else "")
    asks = (
        (claim.cores, "cores"),
        (claim.memory_bytes, "bytes of memory"),
        (claim.scratch_bytes, "bytes of scratch"),
    )
    if each := ", ".join(f"{much} {what}" for much, what in asks if much):
        want += f" with {each} each"
    return f"needs {want}; {able or 'none'} such {'is' if able < 2 else 'are'} up"
