"""Where claims are served one after the other, in one allocation.

What is given out leaves the pool; whom nobody could give enough to is remembered, so
that those like it are not looked at. The order is by fair shares, then by turns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from climorch.policy.board import Board
from climorch.policy.claims import Claim, Contest, Move
from climorch.policy.gathering import (
    Camp,
    camps_of,
    most_able,
    most_spare,
    of_one_job,
)
from climorch.policy.overdue import guest_of
from climorch.policy.pool import Pool
from climorch.policy.reclaim import Round, Source
from climorch.policy.rights import lag
from climorch.policy.waiting import Blocked, Place, Queue

__all__ = ["Desk", "too_few"]

# Who was interrupted borrows nothing for so long, in seconds.
REST_S = 600.0


class Desk:
    """Where claims are served one after the other; lives for one allocation."""

    def __init__(self, board: Board, contest: Contest, *, tell_all: bool) -> None:
        self.board = board
        self._tells = tell_all
        self.contest = contest
        self.pool = board.pool(contest.now_s)
        self.leases: dict[str, tuple[str, ...]] = {}
        self.borrowed: set[str] = set()
        self.shrink: dict[str, int] = {}
        self.preempt: dict[str, str] = {}
        self.waits: dict[str, str] = {}
        self.awaits: dict[str, tuple[str, ...]] = {}
        self.moves: dict[str, Move] = {}
        # Who is the first to wait, for whom the others wait too.
        self.first = ""
        self.promised = False
        self.blocked = Blocked()
        self._standing = board.holders.standing()
        self._queues: dict[str, Queue] = {}
        # Who is next of each project, and of which that has to be seen anew.
        self._heads: dict[str, tuple[int, int, Place, Claim]] = {}
        self._stale: set[str] = set()
        guest, self.review_at_s = guest_of(board, contest, self.pool)
        self._guest = guest
        self.guest = "" if guest is None else guest.simulation
        self._round = Round(
            contest=contest,
            holders=board.holders,
            standing=self._standing,
            pool=self.pool,
            guest=self.guest,
        )

    def _count(self, claim: Claim, nodes: int) -> None:
        self._standing[claim.project].count(claim, nodes)
        if claim.project in self._queues:
            self._stale.add(claim.project)

    def in_order(self) -> Iterator[Claim]:
        """Yield the claims that lack nodes, each when its turn has come.

        Those that nothing could come of are left out.
        """
        # Who computes already comes before who does not, protected ones first; but not
        # who does so out of turn, unless it is protected: it may send others away for
        # what it lacks, and they would take it again.
        mending = self.board.mending.values()
        first = [c for c in mending if c.level > 0 or not c.borrowed]
        yield from sorted(first, key=lambda c: (-c.level, -c.priority, c.serial))
        if self._guest is not None:
            yield self._guest
        out_of_turn: dict[str, list[tuple[Place, Claim]]] = {}
        for number, claim in enumerate(mending, start=1):
            if claim.borrowed and claim.level <= 0:
                # Of its own too, so that no two places are the same.
                place = Place(*self.contest.place(claim)[1:], -number)
                out_of_turn.setdefault(claim.project, []).append((place, claim))
        firsts = self.board.waiting.firsts
        self._queues = {
            project: Queue(firsts.get(project, ()), out_of_turn.get(project, ()))
            for project in {**firsts, **out_of_turn}
        }
        self._stale = {*self._queues}
        while (following := self._next()) is not None:
            if following is not self._guest:
                yield following

    def _next(self) -> Claim | None:
        """Take who is next of all projects out of the line in which it stands."""
        heads, stale = self._heads, self._stale
        while True:
            # Only where something was given or taken has anything changed.
            while stale:
                self._see(stale.pop())
            if not heads:
                return None
            claim = min(heads.values())[3]
            queue = self._queues[claim.project]
            stale.add(claim.project)
            if not self._idle(claim):
                queue.pop()
                return claim
            queue.park()

    def _see(self, project: str) -> None:
        """Note who is next of a project, with its place among those of the others."""
        head = self._queues[project].head()
        if head is None:
            self._heads.pop(project, None)
            return
        place, claim = head
        contest = self.contest
        behind = lag(claim, contest, self._standing[project].held)
        self._heads[project] = behind, contest.ranks.get(project, 0), place, claim

    def _idle(self, claim: Claim) -> bool:
        """Whether nothing can come of looking at a claim, nor at any like it."""
        if claim.held or not self.blocked:
            return False
        if claim.unbroken:
            return True
        pool = self.pool
        spare = most_spare(claim, pool) if claim.together else pool.spare
        return claim.nodes > spare and self.blocked.before(claim, timed=pool.timed)

    def serve(self, claim: Claim) -> None:
        """Give a claim what it lacks, or see who could."""
        camps = camps_of(claim, self.pool)
        if not camps:
            most = most_able(claim, self.pool)
            self.waits[claim.simulation] = too_few(claim, most, self.pool)
        elif self._rests(claim):
            self.waits[claim.simulation] = f"goes after {self.first}"
        elif (self.pool.free & camps[0].nodes).bit_count() >= camps[0].lacks:
            self._give(claim, camps[0])
        else:
            self._ask(claim, camps)

    def _rests(self, claim: Claim) -> bool:
        """Whether a claim borrows nothing though it is not its turn now.

        It was just interrupted: it would borrow what somebody else is about to be
        given, and be sent away again. Or nobody could ever send it away.
        """
        if not self.blocked or claim.held or claim is self._guest:
            return False
        if claim.unbroken:
            return True
        rested_s = claim.interrupted_s + REST_S
        if rested_s <= self.contest.now_s:
            return False
        self.review_at_s = min(self.review_at_s, rested_s)
        return True

    def _give(self, claim: Claim, camp: Camp) -> None:
        missing = camp.lacks
        taken = self.pool.take_for(claim, self.pool.free & camp.nodes, missing)
        if claim.moving or not missing:
            return
        nodes = tuple(self.pool.names(taken))
        if camp.leaves:
            # Of one job it cannot have the rest.
            why = f"leaves {', '.join(claim.held)}: programs start within one job"
            self.moves[claim.simulation] = Move(leave=claim.held, seek=nodes, why=why)
            self._round.settled.add(claim.simulation)
            return
        self.leases[claim.simulation] = (*claim.held, *nodes)
        self._count(claim, missing)
        if claim.held:
            self._round.settled.add(claim.simulation)
        elif self.blocked and claim is not self._guest:
            self.borrowed.add(claim.simulation)

    def _ask(self, claim: Claim, camps: Sequence[Camp]) -> None:
        """Let others give nodes back to a claim, if that would be enough."""
        pool = self.pool
        spare = pool.free | pool.coming
        camp: Camp | None = camps[0]
        sources: tuple[Source, ...] = ()
        if (spare & camps[0].nodes).bit_count() < camps[0].lacks:
            camp = None
            if not self.blocked.before(claim, timed=pool.timed):
                camp, sources, later_s = self._round.sources(claim, camps)
                self.review_at_s = min(self.review_at_s, later_s)
        if camp is None:
            self._refuse(claim, camps[0])
            return
        missing, able = camp.lacks, camp.nodes
        free = (pool.free & able).bit_count()
        lacks = f"{self._lacks(claim, camp)}; {free} are free"
        need = missing - (spare & able).bit_count()
        for source in sources:
            self._take_from(source, camp)
        if sources:
            asked = ", ".join(source.claim.simulation for source in sources)
            lacks += f", {need} are asked back from {asked}"
        else:
            lacks += f", {missing - free} will be given back"
        self.waits[claim.simulation] = lacks
        self.first = self.first or claim.simulation
        self.promised = True
        back = pool.take(pool.coming & able, missing)
        if self._tells:
            self.awaits[claim.simulation] = tuple(pool.names(back))
        pool.take(pool.free & able, missing - back.bit_count())
        self._count(claim, missing)
        if sources and pool.coming:
            # More comes back than was needed.
            for queue in self._queues.values():
                queue.unpark()
            self._stale |= self._queues.keys()

    def _refuse(self, claim: Claim, camp: Camp) -> None:
        """Let a claim wait to which nobody could give enough."""
        if self.first and not claim.held:
            lacks = f"goes after {self.first}"
        else:
            free = (self.pool.free & camp.nodes).bit_count()
            lacks = f"{self._lacks(claim, camp)}; {free} are free"
        self.first = self.first or claim.simulation
        self.blocked.add(claim)
        self._round.refused(claim)
        self.waits[claim.simulation] = lacks

    def _lacks(self, claim: Claim, camp: Camp) -> str:
        of = " of one job" if of_one_job(claim, self.pool) else ""
        return f"needs {camp.lacks} more nodes{of}"

    def _take_from(self, source: Source, camp: Camp) -> None:
        other = source.claim
        if source.keeps:
            keeps = len(other.held) - _lent_back(source, camp, self.pool)
            self.shrink[other.simulation] = keeps
            back = other.held[keeps:]
        else:
            self.preempt[other.simulation] = source.why
            back = other.held
        self.pool.coming |= self.pool.mask(back)
        self._count(other, -len(back))
        self._round.settled.add(other.simulation)


def _lent_back(source: Source, camp: Camp, pool: Pool) -> int:
    """Count how many lent nodes, from the end of the lease, are enough."""
    needed = camp.lacks - ((pool.free | pool.coming) & camp.nodes).bit_count()
    back = fitting = 0
    for node in reversed(source.claim.held[source.keeps :]):
        if fitting >= needed:
            break
        back += 1
        fitting += bool(pool.mask((node,)) & source.mask)
    return back


def too_few(claim: Claim, able: int, pool: Pool) -> str:
    """Say what a claim needs of which too few nodes are up."""
    want = f"{claim.nodes} node" + ("s" if claim.nodes > 1 else "")
    want += " of one job" if of_one_job(claim, pool) else ""
    asks = (
        (claim.cores, "cores"),
        (claim.memory_bytes, "bytes of memory"),
        (claim.scratch_bytes, "bytes of scratch"),
    )
    if each := ", ".join(f"{much} {what}" for much, what in asks if much):
        want += f" with {each} each"
    return f"needs {want}; {able or 'none'} such {'is' if able < 2 else 'are'} up"
