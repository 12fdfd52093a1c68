"""All that claims ask for and nodes offer, kept from one allocation to the next.

What changed is put in, the rest stays as it lies: then an allocation costs what
changed and what is decided, not what there is. It follows from what is on the board
alone, in whatever order it came there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from operator import or_

from msgspec.structs import replace

from climorch.policy.claims import Claim, NodeOffer
from climorch.policy.holders import Holders
from climorch.policy.pool import Layout, Pool
from climorch.policy.waiting import Waiting

__all__ = ["Board"]


class Board:
    """Claims and offers, arranged for those who decide.

    Parameters
    ----------
    slice_s : float
        Length of a turn among equals, seconds: whole turns are a claim's place in
        line.

    Attributes
    ----------
    claims : dict of str to Claim
        Every simulation with work, by name.
    waiting : Waiting
        Those of them that hold nothing.
    holders : Holders
        Those of them that hold nodes.
    mending : dict of str to Claim
        Those that hold or await some nodes, or leave some, and lack others.
    growing : dict of str to Claim
        Those that have their gang and could use more.
    """

    def __init__(self, slice_s: float) -> None:
        self.slice_s = slice_s
        self.claims: dict[str, Claim] = {}
        self.waiting = Waiting(slice_s)
        self.holders = Holders()
        self.mending: dict[str, Claim] = {}
        self.growing: dict[str, Claim] = {}
        # By project: how many claims, and nodes that they could hold.
        self._wanted: dict[str, tuple[int, int]] = {}
        self._offers: dict[str, NodeOffer] = {}
        self._leaving: dict[str, tuple[str, ...]] = {}
        self._layout = Layout(())
        # What each holds, and what it will give back, as bits.
        self._held: dict[str, int] = {}
        self._back: dict[str, int] = {}

    def put(self, claim: Claim) -> None:
        """Take a claim in, in place of what the simulation asked for before."""
        name = claim.simulation
        if name in self.claims:
            self.drop(name)
        self.claims[name] = claim
        self._count(claim, 1)
        if claim.held:
            self.holders.put(claim)
            self._held[name] = self._layout.mask(claim.held)
        if claim.moving or len(claim.held) < claim.nodes:
            if claim.under_way:
                self.mending[name] = claim
            else:
                self.waiting.put(claim)
        elif len(claim.held) < claim.most_nodes:
            self.growing[name] = claim

    def drop(self, simulation: str) -> None:
        """Forget what a simulation asked for, if it did."""
        claim = self.claims.pop(simulation, None)
        if claim is None:
            return
        self._count(claim, -1)
        if claim.held:
            self.holders.drop(claim)
            del self._held[simulation]
        self.growing.pop(simulation, None)
        if self.mending.pop(simulation, None) is None and not claim.held:
            self.waiting.drop(claim)

    def leave(self, simulation: str, nodes: tuple[str, ...]) -> None:
        """Note which nodes a simulation will give back unasked, all of them."""
        if nodes:
            self._leaving[simulation] = nodes
            self._back[simulation] = self._layout.mask(nodes)
        elif self._leaving.pop(simulation, ()):
            del self._back[simulation]

    def lay_out(self, offers: Iterable[NodeOffer]) -> None:
        """Take all nodes in, in place of those that were there before.

        Those that somebody gives back unasked are told with `leave`.
        """
        found = {offer.name: offer for offer in offers}
        if found == self._offers and [*found] == [*self._offers]:
            return
        self._offers = found
        self._layout = Layout([*found.values()])
        self._held = {
            name: self._layout.mask(claim.held)
            for name, claim in self.holders.claims.items()
        }
        self._back = {
            name: self._layout.mask(nodes) for name, nodes in self._leaving.items()
        }

    def pool(self, now_s: float) -> Pool:
        """Return the nodes, to be given out in one pass."""
        # Not kept up to date: while claims are put on, two may name one node.
        taken = reduce(or_, self._held.values(), 0)
        back = reduce(or_, self._back.values(), 0)
        return Pool(self._layout, self._held, taken, back, now_s)

    @property
    def nodes(self) -> int:
        """How many nodes are up."""
        return len(self._offers)

    def slow_among(self, claim: Claim) -> bool:
        """Tell whether nodes that a claim holds are shunned."""
        return bool(
            self._layout.slow and self._layout.mask(claim.held) & self._layout.slow
        )

    def wanted_by(self, project: str) -> int:
        """Return the nodes that the claims of a project could hold."""
        return self._wanted.get(project, (0, 0))[1]

    def wanted(self) -> dict[str, float]:
        """Return the nodes that each project could hold, by name in order."""
        return {name: float(self._wanted[name][1]) for name in sorted(self._wanted)}

    def offers(self) -> tuple[NodeOffer, ...]:
        """Return all nodes, with what is leaving."""
        leaving = {node for nodes in self._leaving.values() for node in nodes}
        return tuple(
            replace(offer, leaving=True) if name in leaving else offer
            for name, offer in self._offers.items()
        )

    def _count(self, claim: Claim, more: int) -> None:
        claims, nodes = self._wanted.get(claim.project, (0, 0))
        claims += more
        nodes += more * max(claim.most_nodes, claim.nodes)
        if claims:
            self._wanted[claim.project] = claims, nodes
        else:
            del self._wanted[claim.project]

    @classmethod
    def of(
        cls, claims: Iterable[Claim], offers: Sequence[NodeOffer], slice_s: float
    ) -> Board:
        """Return a board with claims and offers on it.

        Parameters
        ----------
        claims : iterable of Claim
            Every simulation with work.
        offers : sequence of NodeOffer
            Every node that is up, with what is leaving.
        slice_s : float
            Length of a turn among equals, seconds.
        """
        board = cls(slice_s)
        board.lay_out(offers)
        for offer in offers:
            if offer.leaving:
                board.leave(offer.name, (offer.name,))
        for claim in claims:
            board.put(claim)
        return board
