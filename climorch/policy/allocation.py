"""Which simulation holds which nodes.

Gangs by priority, then by order of submission. A lease is all or nothing at
``nodes``; free nodes beyond that are lent to running simulations up to
``most_nodes`` and asked back when somebody waits. Nobody overtakes a
simulation that would fit once others end, so a large one cannot starve.
Ignores time: windows, deadlines and fair share are other rules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["Allocation", "Claim", "NodeOffer", "allocate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeOffer:
    """A node that is up.

    Attributes
    ----------
    name : str
        Its name.
    memory_bytes : int
        Memory; 0: unlimited.
    cores, scratch_bytes : int
        Cores for compute, and disk of its own; 0: unknown or unlimited.
    leaving : bool
        Whether somebody still holds it who will give it back without being
        asked again: it counts as there, and cannot be leased yet.
    """

    name: str
    memory_bytes: int = 0
    cores: int = 0
    scratch_bytes: int = 0
    leaving: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A simulation that has work.

    Attributes
    ----------
    simulation : str
        Its name.
    priority, serial : int
        Higher priority first, then lower serial.
    nodes, most_nodes : int
        Its gang, and the most that it can use.
    memory_bytes, cores, scratch_bytes : int
        Memory, cores and disk that each of its nodes must have.
    held : tuple of str
        Nodes of its lease that are up and that it will not give back.
    moving : bool
        Whether it must first give back a node that is not offered: it gets
        none before, but what it will need then is kept free for it.
    """

    simulation: str
    priority: int
    serial: int
    nodes: int
    most_nodes: int
    memory_bytes: int = 0
    cores: int = 0
    scratch_bytes: int = 0
    held: tuple[str, ...] = ()
    moving: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """What changes.

    Attributes
    ----------
    leases : mapping of str to tuple of str
        Simulations whose lease grows, with all nodes of the new lease.
    shrink : mapping of str to int
        Simulations that shall give nodes back at their next checkpoint, with
        the number that they may keep.
    waits : mapping of str to str
        Why a simulation holds no lease, in words.
    """

    leases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    shrink: Mapping[str, int] = field(default_factory=dict)
    waits: Mapping[str, str] = field(default_factory=dict)


def allocate(claims: Sequence[Claim], offers: Sequence[NodeOffer]) -> Allocation:
    """Decide who holds what.

    Parameters
    ----------
    claims : sequence of Claim
        Every simulation with work, in any order; held nodes must be offered
        and held by one claim only.
    offers : sequence of NodeOffer
        Every node that is up.

    Returns
    -------
    Allocation
        Never leases a node twice and never takes one away.
    """
    order = sorted(claims, key=lambda c: (-c.priority, c.serial))
    taken = {node for claim in claims for node in claim.held}
    free = [o for o in offers if o.name not in taken and not o.leaving]
    leases: dict[str, tuple[str, ...]] = {}
    waits: dict[str, str] = {}
    blocked: Claim | None = None
    short = 0
    for claim in order:
        missing = claim.nodes - len(claim.held)
        if missing <= 0:
            continue
        fits = [offer for offer in free if _fits(offer, claim)]
        able = sum(_fits(offer, claim) for offer in offers)
        if able < claim.nodes:
            waits[claim.simulation] = _too_few(claim, able)
        elif blocked is not None and not claim.held:
            waits[claim.simulation] = f"goes after {blocked.simulation}"
        elif len(fits) < missing:
            waits[claim.simulation] = (
                f"needs {missing} more nodes; {len(fits)} are free"
            )
            if blocked is None:
                coming = sum(o.leaving and _fits(o, claim) for o in offers)
                blocked, short = claim, missing - len(fits) - coming
        else:
            given = [offer.name for offer in fits[:missing]]
            if not claim.moving:
                leases[claim.simulation] = (*claim.held, *given)
            free = [offer for offer in free if offer.name not in given]
    if blocked is not None:
        return Allocation(leases=leases, waits=waits, shrink=_ask_back(order, short))
    _lend(order, free, leases)
    return Allocation(leases=leases, waits=waits)


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


def _fits(offer: NodeOffer, claim: Claim) -> bool:
    return (
        (offer.memory_bytes == 0 or offer.memory_bytes >= claim.memory_bytes)
        and (offer.cores == 0 or offer.cores >= claim.cores)
        and (offer.scratch_bytes == 0 or offer.scratch_bytes >= claim.scratch_bytes)
    )


def _ask_back(order: Sequence[Claim], needed: int) -> dict[str, int]:
    """Ask lent nodes back, from the last in order first, as many as needed."""
    shrink: dict[str, int] = {}
    for claim in reversed(order):
        lent = len(claim.held) - claim.nodes
        if lent > 0 and needed > 0:
            back = min(lent, needed)
            shrink[claim.simulation] = len(claim.held) - back
            needed -= back
    return shrink


def _lend(
    order: Sequence[Claim], free: list[NodeOffer], leases: dict[str, tuple[str, ...]]
) -> None:
    """Lend free nodes one by one in turn, so that nobody takes them all."""
    lent = True
    while free and lent:
        lent = False
        for claim in order:
            lease = leases.get(claim.simulation, claim.held)
            if claim.moving or not claim.nodes <= len(lease) < claim.most_nodes:
                continue
            offer = next((o for o in free if _fits(o, claim)), None)
            if offer is not None:
                leases[claim.simulation] = (*lease, offer.name)
                free.remove(offer)
                lent = True
