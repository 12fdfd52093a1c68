"""What an allocation decided: whether it can be done at all, and what follows.

Users may bring their own. Nodes that are leased twice would be found out only by
what two simulations do to each other; so it is refused before it is a record.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from climorch.errors import Fault, InvalidInputError
from climorch.policy.board import Board
from climorch.policy.claims import Allocation, Claim
from climorch.policy.gathering import parts_of

__all__ = ["audit"]


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
    if not (decided.leases or decided.shrink or decided.preempt or decided.moves):
        return
    asking, pool = board.claims, board.pool(0.0)
    faults = [
        _fault(name, "has no claim", "answer those that ask")
        for name in {
            **decided.leases,
            **decided.shrink,
            **decided.preempt,
            **decided.moves,
        }
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
        if len([p for p in parts_of(claim, pool, pool.mask(nodes)) if p]) > 1:
            problem = f"gets nodes of several jobs: {', '.join(nodes)}"
            faults.append(_fault(name, problem, "lease nodes of one job together"))
        for node in added:
            bit = pool.mask((node,))
            if not bit & pool.free:
                problem = f"gets {node!r}, which is not free"
                faults.append(_fault(name, problem, "lease each free node once"))
            pool.free &= ~bit
    faults += _lessened(decided, asking)
    if faults:
        raise InvalidInputError("this allocation cannot be carried out", faults=faults)


def _lessened(decided: Allocation, asking: Mapping[str, Claim]) -> Iterator[Fault]:
    for name, keep in decided.shrink.items():
        if name not in asking:
            continue
        claim = asking[name]
        if not claim.nodes <= keep < len(claim.held):
            problem = f"shall keep {keep} of {len(claim.held)} nodes"
            yield _fault(name, problem, "keep its gang, and fewer than it has")
    for name, move in decided.moves.items():
        if name in asking and not set(move.leave) <= set(asking[name].held):
            problem = f"shall leave {', '.join(move.leave)}"
            yield _fault(name, problem, "leave nodes that it holds")


def _fault(simulation: str, problem: str, remedy: str) -> Fault:
    return Fault(place=f"allocation, {simulation!r}", problem=problem, remedy=remedy)
