"""What an allocation decided: whether it can be done at all, and what follows.

Users may bring their own. Nodes that are leased twice would be found out only by
what two simulations do to each other; so it is refused before it is a record.
"""

from __future__ import annotations

from collections.abc import Iterator

from climorch.core.state import CampaignState
from climorch.errors import Fault, InvalidInputError
from climorch.model.commands import PreemptPlanned, SetLease, ShrinkPlanned
from climorch.policy.board import Board
from climorch.policy.claims import Allocation

__all__ = ["audit", "granted"]


def audit(decided: Allocation, board: Board) -> None:
    """Refuse a decision that breaks what an allocation promises.

    Parameters
    ----------
    decided : Allocation
        What it said.
    board : Board
        What it was asked by, and offered.

    Raises
    ------
    InvalidInputError
        With every fault.
    """
    if not (decided.leases or decided.shrink or decided.preempt):
        return
    asking, pool = board.claims, board.pool(0.0)
    faults = [
        _fault(name, "has no claim", "answer those that ask")
        for name in {**decided.leases, **decided.shrink, **decided.preempt}
        if name not in asking
    ]
    for name, nodes in decided.leases.items():
        if name not in asking:
            continue
        claim = asking[name]
        held, added = nodes[: len(claim.held)], nodes[len(claim.held) :]
        if held != claim.held:
            faults.append(
                _fault(name, "loses nodes", "begin its lease with what it holds")
            )
        if len(nodes) < claim.nodes:
            problem = f"gets {len(nodes)} nodes of {claim.nodes}"
            faults.append(_fault(name, problem, "lease whole gangs"))
        for node in added:
            bit = pool.mask((node,))
            if not bit & pool.free:
                problem = f"gets {node!r}, which is not free"
                faults.append(_fault(name, problem, "lease each free node once"))
            pool.free &= ~bit
    for name, keep in decided.shrink.items():
        if name not in asking:
            continue
        claim = asking[name]
        if not claim.nodes <= keep < len(claim.held):
            problem = f"shall keep {keep} of {len(claim.held)} nodes"
            faults.append(_fault(name, problem, "keep its gang, and fewer than it has"))
    if faults:
        raise InvalidInputError("this allocation cannot be carried out", faults=faults)


def granted(
    state: CampaignState, decided: Allocation
) -> Iterator[SetLease | ShrinkPlanned | PreemptPlanned]:
    """Yield what is to be journaled of a decision.

    Parameters
    ----------
    state : CampaignState
        Must have every yielded record applied before the next is asked for.
    decided : Allocation
        What the allocation said.
    """
    for name, nodes in decided.leases.items():
        s = state.simulations[name]
        borrowed = name in decided.borrowed or (s.borrowed and bool(s.lease))
        why = "lies idle until its turn comes" if borrowed else "its turn"
        yield SetLease(simulation=name, nodes=nodes, why=why, borrowed=borrowed)
    for name, keep in decided.shrink.items():
        if state.simulations[name].shrink_to is None:
            yield ShrinkPlanned(simulation=name, nodes=keep)
    for name, why in decided.preempt.items():
        yield PreemptPlanned(simulation=name, why=why)


def _fault(simulation: str, problem: str, remedy: str) -> Fault:
    return Fault(place=f"allocation, {simulation!r}", problem=problem, remedy=remedy)
