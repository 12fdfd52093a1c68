"""The nodes that are there while an allocation is being made.

Sets of nodes are bits of one integer: for thousands of nodes and claims the
questions asked here (which of these fit, how many are left) cost a few hundred
nanoseconds each. Lower bits are given out first.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from itertools import groupby
from operator import attrgetter, or_

from climorch.policy.claims import Claim, NodeOffer

__all__ = ["Pool"]


class Pool:
    """Which nodes are free, which will be, and which fit whom.

    Parameters
    ----------
    offers : sequence of NodeOffer
        Every node that is up.
    claims : iterable of Claim
        Every simulation with work: what they hold is not free.
    now_s : float
        Driver's clock, seconds.

    Attributes
    ----------
    free : int
        Nodes that nobody holds or has been promised.
    coming : int
        Nodes that will be given back and are promised to nobody.
    slow : int
        Nodes that are given out last, and lent to nobody.
    """

    def __init__(
        self, offers: Sequence[NodeOffer], claims: Iterable[Claim], now_s: float
    ) -> None:
        self._now_s = now_s
        # What stays longest is given out first, and of that what fits least; what
        # is slow last.
        self._timed = any(o.closings for o in offers)
        self._offers = sorted(offers, key=_worth if self._timed else _memory)
        slow = [o for o in self._offers if o.slow > 1]
        if slow:
            self._offers = [o for o in self._offers if o.slow <= 1] + slow
        self._bits = {o.name: 1 << i for i, o in enumerate(self._offers)}
        # Nodes that are alike fit the same claims: a site has few kinds of them.
        self._kinds: dict[tuple[object, ...], tuple[NodeOffer, int]] = {}
        first = 0
        for kind, group in groupby(self._offers, key=_kind):
            run = list(group)
            mask = (1 << len(run)) - 1 << first
            o, alike = self._kinds.get(kind, (run[0], 0))
            self._kinds[kind] = o, alike | mask
            first += len(run)
        self.slow = ((1 << len(slow)) - 1) << (len(self._offers) - len(slow))
        self._fits: dict[tuple[object, ...], int] = {}
        self._held = {c.simulation: self.mask(c.held) for c in claims if c.held}
        held = reduce(or_, self._held.values(), 0)
        self.coming = self.mask(o.name for o in offers if o.leaving) & ~held
        self.free = (1 << len(self._offers)) - 1 & ~(held | self.coming)

    def mask(self, nodes: Iterable[str]) -> int:
        """Return nodes as bits; one that is not offered has none."""
        found = 0
        for node in nodes:
            found |= self._bits.get(node, 0)
        return found

    def held(self, claim: Claim) -> int:
        """Return the nodes that a claim has."""
        return self._held.get(claim.simulation, 0)

    def names(self, mask: int) -> Iterator[str]:
        """Yield the names of nodes, in the order in which they are given out."""
        while mask:
            bit = mask & -mask
            yield self._offers[bit.bit_length() - 1].name
            mask ^= bit

    def able(self, claim: Claim) -> int:
        """Return the nodes that fit a claim, whoever holds them."""
        key: tuple[object, ...] = (
            claim.memory_bytes,
            claim.cores,
            claim.scratch_bytes,
        )
        if self._timed:
            key = (*key, claim.least_s, claim.simulation, claim.project)
        found = self._fits.get(key)
        if found is None:
            found = 0
            for offer, alike in self._kinds.values():
                if self._fit(offer, claim):
                    found |= alike
            self._fits[key] = found
        return found

    def _fit(self, offer: NodeOffer, claim: Claim) -> bool:
        if (
            0 < offer.memory_bytes < claim.memory_bytes
            or 0 < offer.cores < claim.cores
            or 0 < offer.scratch_bytes < claim.scratch_bytes
        ):
            return False
        least_s = self._now_s + claim.least_s
        return all(
            closing.holder in (claim.simulation, claim.project)
            or (closing.start_s > self._now_s and closing.start_s >= least_s)
            for closing in offer.closings
        )

    @property
    def timed(self) -> bool:
        """Whether any node goes at a known time."""
        return self._timed

    def slowness(self, node: str) -> float:
        """Return how many times longer than expected a node takes."""
        return self._offers[self._bits[node].bit_length() - 1].slow

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
        return min(
            (
                _end_s(self._offers[self._bits[node].bit_length() - 1], claim)
                for node in nodes
            ),
            default=math.inf,
        )

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
        if not self._timed:
            return able
        found = 0
        for offer, alike in self._kinds.values():
            if _end_s(offer, claim) >= until_s:
                found |= alike
        return found & able

    def take(self, mask: int, count: int) -> int:
        """Take some of these nodes out, those that come first; return them."""
        taken = 0
        while count and mask:
            bit = mask & -mask
            taken |= bit
            mask ^= bit
            count -= 1
        self.free &= ~taken
        self.coming &= ~taken
        return taken


_kind = attrgetter("memory_bytes", "cores", "scratch_bytes", "closings")


def _end_s(offer: NodeOffer, claim: Claim) -> float:
    own = (claim.simulation, claim.project)
    ends_s = (c.start_s for c in offer.closings if c.holder not in own)
    return min(ends_s, default=math.inf)


def _worth(offer: NodeOffer) -> tuple[float, float]:
    first_s = min((c.start_s for c in offer.closings), default=math.inf)
    return -first_s, _memory(offer)


def _memory(offer: NodeOffer) -> float:
    return offer.memory_bytes or math.inf
