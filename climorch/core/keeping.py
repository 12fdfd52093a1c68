"""What is published, kept and let go of the checkpoints of a campaign.

Each set by its own retention first; then, where all together take too much space,
by one budget over the campaign.
"""

from __future__ import annotations

from collections.abc import Iterator

from climorch.core.state import CampaignState, Phase, SetState, SimulationState
from climorch.core.upkeep import Policies
from climorch.model.commands import DeleteCheckpoint, PublishResults, Record
from climorch.policy.budgeting import freed_bytes, to_fit
from climorch.policy.retention import Kept, guarded

__all__ = ["keep_house", "kept_checkpoints", "make_room", "over_budget_bytes"]


def kept_checkpoints(simulation: SimulationState, s: SetState) -> tuple[Kept, ...]:
    """Return the checkpoints of a set as retention sees them."""
    calendar, commons = s.plan.stages[0].calendar, s.plan.commons
    last = s.plan.last
    return tuple(
        Kept(
            boundary=c.boundary,
            copy=c.copy,
            good=c.good,
            # The end of a phase is where later phases and branches start, and
            # outputs that are not published yet live in their checkpoint. A restore
            # reads the one that its attempt began at.
            pinned=c.boundary == last
            or not c.published
            or c.boundary in s.pins
            or c.archiving
            or (s.phase is not Phase.IDLE and c.boundary == s.from_boundary),
            model_s=commons[min(c.boundary, last)],
            calendar=calendar,
            own_bytes=c.own_bytes,
            committed_s=c.committed_s,
            archived=c.boundary in s.archived,
        )
        for c in s.commits.values()
        if not c.deleting
    )


def keep_house(
    state: CampaignState, simulation: SimulationState, s: SetState, policies: Policies
) -> Iterator[Record]:
    """Publish outputs and delete what retention lets go."""
    for c in s.commits.values():
        # In order, one at a time: results grow at their end only.
        if c.good and not c.published and not c.deleting:
            if not c.publishing:
                yield PublishResults(
                    simulation=simulation.name, set=s.name, boundary=c.boundary
                )
            break
    kept = kept_checkpoints(simulation, s)
    for boundary in guarded(policies.retention, kept):
        yield DeleteCheckpoint(
            simulation=simulation.name,
            set=s.name,
            boundary=boundary,
            attempt=s.commits[boundary].attempt,
            bytes=freed_bytes(kept, boundary),
            at_once=policies.budget is not None,
        )


def make_room(state: CampaignState, policies: Policies) -> Iterator[Record]:
    """Delete what has to go, of any simulation, for the budget to be kept."""
    excess_bytes = over_budget_bytes(state, policies)
    if excess_bytes <= 0:
        return
    sets = [
        (simulation.name, s.name, kept_checkpoints(simulation, s))
        for simulation, s in state.sets()
        if len(s.commits) > 1
    ]
    for leaving in to_fit(excess_bytes, sets):
        s = state.simulations[leaving.simulation].sets[leaving.set]
        yield DeleteCheckpoint(
            simulation=leaving.simulation,
            set=leaving.set,
            boundary=leaving.boundary,
            attempt=s.commits[leaving.boundary].attempt,
            bytes=leaving.bytes,
            at_once=True,
        )


def over_budget_bytes(state: CampaignState, policies: Policies) -> int:
    """Return by how much all checkpoints exceed the budget, once deletions are done.

    Parameters
    ----------
    state : CampaignState
        What is known.
    policies : Policies
        The rules.

    Returns
    -------
    int
        Bytes; not above 0: they do not, or there is no budget.
    """
    if policies.budget is None:
        return 0
    excess_bytes = state.stored_bytes - policies.budget.bytes
    if excess_bytes <= 0:
        return excess_bytes
    return excess_bytes - sum(
        c.leaving_bytes
        for _, s in state.sets()
        for c in s.commits.values()
        if c.deleting
    )
