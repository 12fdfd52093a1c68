"""How it is noted that a node fails at what others then do.

One part of `fold`; the rules are in `policy/outdoing.py`. A doubt ends with the
attempt that computes its segment, with another plan, and with the driver: the next
one may have come with other functions.
"""

from __future__ import annotations

from climorch.core.state import CampaignState, Phase, SetState, SimulationState
from climorch.policy.outdoing import (
    Doubt,
    Outdone,
    discredited,
    exonerated,
    left_in_doubt,
    outdone,
)

__all__ = ["computed", "in_doubt", "lost_in_doubt", "strode"]


def in_doubt(
    state: CampaignState,
    simulation: SimulationState,
    s: SetState,
    place: tuple[str, int],
    nodes: tuple[str, ...],
) -> None:
    """Note that a segment failed, and where.

    Parameters
    ----------
    state : CampaignState
        Changed in place.
    simulation : SimulationState
        Whose.
    s : SetState
        Of which set.
    place : (str, int)
        Stage and segment.
    nodes : tuple of str
        One of them may be to blame.
    """
    if state.outdone:
        state.outdone = discredited(state.outdone, simulation.name, nodes)
    s.doubts[place] = Doubt(at_s=state.now_s, nodes=nodes)


def lost_in_doubt(state: CampaignState, simulation: SimulationState, node: str) -> None:
    """Note that a node went by itself while it computed for a simulation."""
    for s in simulation.sets.values():
        if s.phase is Phase.ACTIVE:
            for place in s.running.items():
                in_doubt(state, simulation, s, place, (node,))


def computed(
    state: CampaignState, simulation: SimulationState, s: SetState, stage: str, at: int
) -> None:
    """Take what follows for nodes from a segment that was computed.

    Parameters
    ----------
    state, simulation, s
        As for `in_doubt`.
    stage : str
        Whose segment.
    at : int
        Which.
    """
    lease = simulation.lease
    if state.outdone and not state.outdone.keys().isdisjoint(lease):
        state.outdone = exonerated(state.outdone, lease)
    doubt = s.doubts.pop((stage, at), None) if s.doubts else None
    if doubt is not None and (node := left_in_doubt(doubt, lease)):
        seen = Outdone(at_s=doubt.at_s, simulation=simulation.name)
        state.outdone = outdone(state.outdone, node, seen)


def strode(state: CampaignState, simulation: SimulationState, s: SetState) -> None:
    """Do the same for all that a set has computed by itself."""
    for stage, done in s.done.items():
        computed(state, simulation, s, stage, done - 1)
    for stage, at in list(s.doubts):
        if at < s.done[stage]:
            computed(state, simulation, s, stage, at)
