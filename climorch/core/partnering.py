"""When a set is copied to partners, and when a copy is written as a checkpoint.

A copy is no checkpoint: attempts start from committed checkpoints only. So what
a loss leaves of a copy is written out first, by what is left of the lease; and
before nodes go as announced, a copy is written beside what still computes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from climorch.core.horizon import closes_s
from climorch.core.lifecycle import Control, Phase
from climorch.core.state import CampaignState, SetState, SimulationState
from climorch.core.stretch import write
from climorch.model.commands import (
    BeginCheckpoint,
    BeginCopy,
    CopyPlanned,
    Record,
    SalvageCopy,
)
from climorch.model.events import Cause
from climorch.model.pace import CheckpointStrategy
from climorch.policy.partnering import CopyPace, partner_copy_of

__all__ = [
    "copy_at",
    "plan_copy",
    "salvage_goes_on",
    "salvage_of",
    "write_out",
    "write_out_s",
]

# How many times longer than a checkpoint takes in 19 of 20 cases there is for it
# before nodes go: the one of the boundary that follows must fit too.
AHEAD = 2.0

# What these blame is the state itself.
OF_THE_STATE = (Cause.NUMERICAL, Cause.CORRUPT)


def plan_copy(
    state: CampaignState,
    simulation: SimulationState,
    s: SetState,
    strategy: CheckpointStrategy,
) -> Iterator[Record]:
    """Choose a boundary for a copy before any stage has passed it.

    Parameters
    ----------
    state : CampaignState
        What is known.
    simulation : SimulationState
        Whose set.
    s : SetState
        An active set.
    strategy : CheckpointStrategy
        Of the campaign; most copy nothing.
    """
    partner, held = partner_copy_of(strategy), s.held
    if partner is None or held.planned is not None or held.copying is not None:
        # One on its way: skip, never queue.
        return
    boundary = s.front()
    if boundary <= max(held.begun, s.committed) or s.passed(boundary):
        return
    why = partner.copy_due(
        CopyPace(
            boundaries=boundary - held.begun,
            since_s=state.now_s - held.begun_s,
            cost_s=held.cost_s,
            nodes=len(simulation.lease),
        )
    )
    if why is not None:
        yield CopyPlanned(
            simulation=simulation.name, set=s.name, boundary=boundary, why=why
        )


def copy_at(simulation: SimulationState, s: SetState) -> Iterator[Record]:
    """Copy once all stages stand at the planned boundary.

    Parameters
    ----------
    simulation, s
        As for `plan_copy`.
    """
    boundary = s.held.planned
    if boundary is not None and s.settled and s.reached == boundary:
        yield BeginCopy(
            simulation=simulation.name,
            set=s.name,
            boundary=boundary,
            attempt=s.attempt,
            why=s.held.planned_why,
        )


def write_out_s(
    state: CampaignState, simulation: SimulationState, s: SetState
) -> float:
    """Say when a copy is to be on the disk, since its nodes go.

    Parameters
    ----------
    state, simulation, s
        As for `plan_copy`.

    Returns
    -------
    float
        Driver's clock, seconds; infinite: no copy is newer than the disk, it is
        written already, or no node of the lease goes at a known time.
    """
    boundary = s.held.boundary
    if (
        not state.timed
        or boundary is None
        or boundary <= s.committed
        or s.checkpoint is not None
        or s.phase is not Phase.ACTIVE
    ):
        return math.inf
    ends_s = min(
        (closes_s(state, simulation, n, soft=False) for n in simulation.lease),
        default=math.inf,
    )
    if ends_s == math.inf or ends_s <= state.now_s:
        return math.inf
    return max(ends_s - AHEAD * write(s).p95_s, s.retry_at_s)


def write_out(
    state: CampaignState, simulation: SimulationState, s: SetState
) -> Iterator[Record]:
    """Write a copy beside what computes, shortly before its nodes go.

    Whoever is in time stands at its last boundary by then, and is checkpointed
    there; this is for a segment that takes longer than was expected.

    Parameters
    ----------
    state, simulation, s
        As for `plan_copy`.
    """
    boundary = s.held.boundary
    if (
        boundary is not None
        and not s.settled
        and write_out_s(state, simulation, s) <= state.now_s
    ):
        yield BeginCheckpoint(
            simulation=simulation.name,
            set=s.name,
            boundary=boundary,
            attempt=s.attempt,
            held=True,
            why="its nodes go soon: what partners hold is written",
        )


def salvage_of(
    state: CampaignState,
    simulation: SimulationState,
    s: SetState,
    broken: tuple[Cause, str],
    strategy: CheckpointStrategy,
) -> SalvageCopy | None:
    """Return what saves the copy of a set that broke, if there is one to save.

    Parameters
    ----------
    state, simulation, s, strategy
        As for `plan_copy`.
    broken : tuple of Cause and str
        What broke it.

    Returns
    -------
    SalvageCopy or None
        None: no copy is newer than the disk, none of the nodes is left, or
        the state itself is to blame.
    """
    partner, boundary = partner_copy_of(strategy), s.held.boundary
    cause, message = broken
    if (
        partner is None
        or boundary is None
        or not s.committed < boundary <= s.plan.last
        or not simulation.lease
        or simulation.failed is not None
        or simulation.control is Control.CANCELLED
        or cause in OF_THE_STATE
    ):
        return None
    return SalvageCopy(
        simulation=simulation.name,
        set=s.name,
        boundary=boundary,
        attempt=s.attempt,
        until_s=state.now_s + partner.salvage_s,
        why=message,
    )


def salvage_goes_on(
    state: CampaignState, simulation: SimulationState, s: SetState
) -> bool:
    """Tell whether a copy that is being written is still waited for.

    Parameters
    ----------
    state, simulation, s
        As for `plan_copy`; the set is salvaging.
    """
    held = s.held
    return (
        held.salvaging is not None
        and state.now_s < held.until_s
        and bool(simulation.lease)
    )
