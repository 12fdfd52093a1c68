"""What an allocation that was found sound means as records."""

from __future__ import annotations

from collections.abc import Iterator

from climorch.core.state import CampaignState, SimulationState
from climorch.model.commands import (
    MovePlanned,
    PreemptPlanned,
    Record,
    SetLease,
    ShrinkPlanned,
)
from climorch.policy.claims import Allocation

__all__ = ["leased"]


def leased(state: CampaignState, decided: Allocation) -> Iterator[Record]:
    """Yield the records of a decision.

    Parameters
    ----------
    state : CampaignState
        Must have every yielded record applied before the next is asked for.
    decided : Allocation
        What the policy said.
    """
    for name, nodes in decided.leases.items():
        s = state.simulations[name]
        borrowed = name in decided.borrowed or (s.borrowed and bool(s.lease))
        yield SetLease(
            simulation=name, nodes=nodes, why=_why(s, borrowed), borrowed=borrowed
        )
    for name, keep in decided.shrink.items():
        if state.simulations[name].shrink_to is None:
            yield ShrinkPlanned(simulation=name, nodes=keep)
    for name, why in decided.preempt.items():
        yield PreemptPlanned(simulation=name, why=why)
    for name, move in decided.moves.items():
        yield MovePlanned(
            simulation=name, leave=move.leave, seek=move.seek, why=move.why
        )


def _why(simulation: SimulationState, borrowed: bool) -> str:
    moved = simulation.moved
    if moved is not None and not moved.over:
        return moved.why
    return "lies idle until its turn comes" if borrowed else "its turn"
