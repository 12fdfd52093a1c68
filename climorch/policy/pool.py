"""The nodes that are there while an allocation is being made.

Sets of nodes are bits of one integer: for thousands of nodes and claims the
questions asked here (which of these fit, how many are left) cost a few hundred
nanoseconds each. Lower bits are given out first. Where the nodes lie in it changes
only when nodes come and go; what is free of them, with every pass.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter

from climorch.policy.bits import lowest
from climorch.policy.claims import Claim, NodeOffer

__all__ = ["Layout", "Pool"]


class Layout:
    """Which bit stands for which node, and which nodes are alike.

    Parameters
    ----------
    offers : sequence of NodeOffer
        Every node that is up; whether one is leaving is not looked at.

    Attributes
    ----------
    every : int
        All of them.
    timed : bool
        Whether any of them goes at a known time: then what fits whom changes as
        time goes by.
    slow : int
        Nodes that are given out last, and lent to nobody.
    jobs : tuple of int
        The nodes of each job.
    """

    def __init__(self, offers: Sequence[NodeOffer]) -> None:
        self.timed = any(o.closings for o in offers)
        # What stays longest is given out first, and of that what fits least; what
        # is slow last.
        self._offers = sorted(offers, key=_worth if self.timed else _memory)
        slow = [o for o in self._offers if o.slow > 1]
        if slow:
            self._offers = [o for o in self._offers if o.slow <= 1] + slow
        self._bits = {o.name: 1 << i for i, o in enumerate(self._offers)}
        self.every = (1 << len(self._offers)) - 1
        self.slow = self.every ^ ((1 << len(self._offers) - len(slow)) - 1)
        # By job: programs of several nodes are started within one.
        jobs: dict[str, int] = {}
        for offer in self._offers:
            jobs[offer.job] = jobs.get(offer.job, 0) | self._bits[offer.name]
        self.jobs = tuple(jobs.values())
        # Nodes that are alike fit the same claims: a site has few kinds of them.
        self._kinds: dict[tuple[object, ...], tuple[NodeOffer, int]] = {}
        first = 0
        for kind, group in groupby(self._offers, key=_kind):
            run = list(group)
            mask = (1 << len(run)) - 1 << first
            o, alike = self._kinds.get(kind, (run[0], 0))
            self._kinds[kind] = o, alike | mask
            first += len(run)
        self._fits: dict[tuple[object, ...], int] = {}

    def mask(self, nodes: Iterable[str]) -> int:
        """Return nodes as bits; one that is not offered has none."""
        found = 0
        for node in nodes:
            found |= self._bits.get(node, 0)
        return found

    def names(self, mask: int) -> Iterator[str]:
        """Yield the names of nodes, in the order in which they are given out."""
        while mask:
            bit = mask & -mask
            yield self._offers[bit.bit_length() - 1].name
            mask ^= bit

    def able(self, claim: Claim, now_s: float) -> int:
        """Return the nodes that fit a claim at a time, whoever holds them."""
        if self.timed:
            return self._fitting(claim, now_s)
        key = claim.memory_bytes, claim.cores, claim.scratch_bytes
        found = self._fits.get(key)
        if found is None:
            found = self._fits[key] = self._fitting(claim, now_s)
        return found

    def offer(self, node: str) -> NodeOffer:
        """Return what is offered under a name."""
        return self._offers[self._bits[node].bit_length() - 1]

    def staying(self, claim: Claim, until_s: float) -> int:
        """Return the nodes that do not go before a time for a claim."""
        if not self.timed:
            return self.every
        found = 0
        for offer, alike in self._kinds.values():
            if _end_s(offer, claim) >= until_s:
                found |= alike
        return found

    def end_s(self, claim: Claim, mask: int) -> float:
        """Say when the first of some nodes goes for a claim, seconds."""
        if not self.timed:
            return math.inf
        kinds = self._kinds.values()
        ends_s = (_end_s(offer, claim) for offer, alike in kinds if alike & mask)
        return min(ends_s, default=math.inf)

    def _fitting(self, claim: Claim, now_s: float) -> int:
        found = 0
        for offer, alike in self._kinds.values():
            if _fit(offer, claim, now_s):
                found |= alike
        return found


class Pool:
    """Which nodes are free, which will be, and which fit whom.

    Parameters
    ----------
    layout : Layout
        The nodes.
    held : mapping of str to int
        What each simulation holds, as bits: none of it is free.
    taken, leaving : int
        All that is held, and nodes that somebody will give back.
    now_s : float
        Driver's clock, seconds.

    Attributes
    ----------
    free : int
        Nodes that nobody holds or has been promised.
    coming : int
        Nodes that will be given back and are promised to nobody.
    """

    def __init__(
        self,
        layout: Layout,
        held: dict[str, int],
        taken: int,
        leaving: int,
        now_s: float,
    ) -> None:
        self._layout = layout
        self._held = held
        self._now_s = now_s
        self._able: dict[str, int] = {}
        self.coming = leaving & ~taken
        self.free = layout.every & ~(taken | self.coming)

    @property
    def spare(self) -> int:
        """How many nodes are free or will be."""
        return (self.free | self.coming).bit_count()

    @property
    def timed(self) -> bool:
        """As of the `Layout`."""
        return self._layout.timed

    @property
    def jobs(self) -> tuple[int, ...]:
        """As of the `Layout`."""
        return self._layout.jobs

    def mask(self, nodes: Iterable[str]) -> int:
        """Return nodes as bits; one that is not offered has none."""
        return self._layout.mask(nodes)

    def held(self, claim: Claim) -> int:
        """Return the nodes that a claim has."""
        return self._held.get(claim.simulation, 0)

    def names(self, mask: int) -> Iterator[str]:
        """Yield the names of nodes, in the order in which they are given out."""
        return self._layout.names(mask)

    def able(self, claim: Claim) -> int:
        """Return the nodes that fit a claim, whoever holds them."""
        if not self._layout.timed:
            return self._layout.able(claim, self._now_s)
        found = self._able.get(claim.simulation)
        if found is None:
            found = self._layout.able(claim, self._now_s)
            self._able[claim.simulation] = found
        return found

    @property
    def slow(self) -> int:
        """As of the `Layout`."""
        return self._layout.slow

    def slowness(self, node: str) -> float:
        """Return how many times longer than expected a node takes."""
        return self._layout.offer(node).slow

    def ends_s(self, claim: Claim, nodes: Iterable[str]) -> float:
        """Say when the first of some nodes goes for a claim.

        Parameters
        ----------
        claim : Claim
            For whom.
        nodes : iterable of str
            Which; all are offered.

        Returns
        -------
        float
            Driver's clock, seconds; infinite: none goes.
        """
        return self._layout.end_s(claim, self._layout.mask(nodes))

    def staying(self, claim: Claim, until_s: float) -> int:
        """Return the nodes that are there for a claim until a time, if they fit.

        Parameters
        ----------
        claim : Claim
            For whom.
        until_s : float
            Driver's clock, seconds.
        """
        able = self.able(claim)
        return self._layout.staying(claim, until_s) & able

    def take(self, mask: int, count: int) -> int:
        """Take some of these nodes out, those that come first; return them."""
        if not (mask and count):
            return 0
        taken = lowest(mask, count)
        self.free &= ~taken
        self.coming &= ~taken
        return taken

    def take_for(self, claim: Claim, mask: int, count: int) -> int:
        """Take some of these nodes out for a claim; return them.

        First those that it seeks, last those that it leaves.
        """
        if not claim.avoids:
            return self.take(mask, count)
        taken = self.take(mask & self.mask(claim.seeks), count)
        other = mask & ~taken & ~self.mask(claim.avoids)
        taken |= self.take(other, count - taken.bit_count())
        return taken | self.take(mask & ~taken, count - taken.bit_count())


def _fit(offer: NodeOffer, claim: Claim, now_s: float) -> bool:
    if (
        0 < offer.memory_bytes < claim.memory_bytes
        or 0 < offer.cores < claim.cores
        or 0 < offer.scratch_bytes < claim.scratch_bytes
    ):
        return False
    least_s = now_s + claim.least_s
    return all(
        closing.holder in (claim.simulation, claim.project)
        or (closing.start_s > now_s and closing.start_s >= least_s)
        for closing in offer.closings
    )


_kind = attrgetter("memory_bytes", "cores", "scratch_bytes", "closings")


def _end_s(offer: NodeOffer, claim: Claim) -> float:
    own = (claim.simulation, claim.project)
    ends_s = (c.start_s for c in offer.closings if c.holder not in own)
    return min(ends_s, default=math.inf)


def _worth(offer: NodeOffer) -> tuple[float, float, str]:
    first_s = min((c.start_s for c in offer.closings), default=math.inf)
    return -first_s, *_memory(offer)


def _memory(offer: NodeOffer) -> tuple[float, str]:
    # Those of one job side by side: what is given out in order breaks few of them.
    return offer.memory_bytes or math.inf, offer.job
