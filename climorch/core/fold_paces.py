"""How what nodes took for segments changes the state.

A part of `fold` of its own: it is the same whatever the rules are, and what
follows from it is decided in `shunning`.
"""

from __future__ import annotations

from climorch.core.state import CampaignState, SimulationState
from climorch.model import commands as c
from climorch.model import events as e
from climorch.policy.moving import MOST_STRIKES
from climorch.policy.straggling import (
    LATELY,
    Shun,
    measured,
    replaced,
    to_clear,
)

__all__ = ["forget_node", "note_paces", "shunned", "trusted"]


def note_paces(
    state: CampaignState, simulation: SimulationState, fact: e.SegmentFinished
) -> None:
    """Remember what each node of a lease took for its share of a segment."""
    paces = state.paces
    places = paces.places.setdefault(simulation.name, {})
    width = len(simulation.lease)
    keys = {node: (fact.stage, width, at) for at, node in enumerate(simulation.lease)}
    took = {node: s for node, s in fact.paces.items() if node in keys and s > 0}
    known = {node: places.get(keys[node]) for node in took}
    found, raw = measured(simulation.name, took, known, paces.lately)
    for node, seconds in took.items():
        place = known[node]
        before = to_clear(place, node, seconds)
        shun = paces.shunned.get(before)
        if shun is not None and shun.simulation == simulation.name:
            paces.cleared[before] = f"{node} takes as long for {simulation.name}"
            # Nothing that was known before holds for this work any more.
            del places[keys[node]]
            continue
        places[keys[node]] = replaced(place, node, seconds)
        kept = paces.samples.get(node, ())[1 - MOST_STRIKES :]
        paces.samples[node] = (*kept, found[node])
    paces.lately = (*paces.lately, *raw.items())[-LATELY:]


def forget_node(state: CampaignState, node: str) -> None:
    """Forget what is known of a node that is gone: it may come back another."""
    paces = state.paces
    for known in (paces.samples, paces.shunned, paces.times, paces.cleared):
        known.pop(node, None)


def shunned(state: CampaignState, decision: c.NodeShunned) -> None:
    """Shun a node; what it takes from now on tells whether it stays slow."""
    paces = state.paces
    if decision.node not in state.nodes:
        return
    paces.shunned[decision.node] = Shun(
        slow=decision.slow,
        segments=decision.segments,
        simulation=decision.simulation,
        since_s=state.now_s,
        until_s=decision.until_s,
    )
    paces.times[decision.node] = paces.times.get(decision.node, 0) + 1
    paces.samples.pop(decision.node, None)


def trusted(state: CampaignState, decision: c.NodeTrusted) -> None:
    """Shun a node no more."""
    paces = state.paces
    for known in (paces.samples, paces.shunned, paces.cleared):
        known.pop(decision.node, None)
