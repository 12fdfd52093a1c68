"""Which nodes are shunned from now on, and which are no more."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict
from typing import Any

from climorch.core.state import CampaignState, SimulationState
from climorch.model.commands import NodeShunned, NodeTrusted
from climorch.policy.moving import Moving
from climorch.policy.straggling import forgiven_at_s, may_shun, recovered, slow_by

__all__ = ["move_factors", "next_trial_s", "verdicts"]


def verdicts(
    state: CampaignState, paced: Collection[str], moving: Moving
) -> Iterable[NodeShunned | NodeTrusted]:
    """Return what follows from what nodes took, and from the time.

    Parameters
    ----------
    state : CampaignState
        Must have every returned decision applied before the next is asked for.
    paced : collection of str
        Nodes of which something was heard.
    moving : Moving
        The rules.

    Returns
    -------
    iterable of NodeShunned or NodeTrusted
        In order; each follows from the state when it is asked for.
    """
    paces = state.paces
    if not (paced or paces.cleared or paces.shunned):
        # So it is after nearly all facts.
        return ()
    return _verdicts(state, paced, moving)


def _verdicts(
    state: CampaignState, paced: Iterable[str], moving: Moving
) -> Iterator[NodeShunned | NodeTrusted]:
    paces = state.paces
    for node, why in sorted(paces.cleared.items()):
        yield NodeTrusted(node=node, why=why)
    for node in sorted(paced):
        yield from _verdict(state, node, moving)
    due = [n for n, s in paces.shunned.items() if s.until_s <= state.now_s]
    if due:
        # One that somebody computes on tells by itself whether it keeps pace.
        held = {node for s in state.simulations.values() for node in s.lease}
        for node in due:
            if node not in held:
                why = "it was slow long ago: it is tried again"
                yield NodeTrusted(node=node, why=why)


def _verdict(
    state: CampaignState, node: str, moving: Moving
) -> Iterator[NodeShunned | NodeTrusted]:
    paces = state.paces
    samples = paces.samples.get(node, ())
    if node in paces.shunned:
        if recovered(samples, moving):
            yield NodeTrusted(node=node, why="it keeps pace again")
        return
    slow = slow_by(samples, moving)
    if (
        slow is not None
        and node in state.nodes
        and may_shun(len(paces.shunned), len(state.nodes), moving)
    ):
        yield NodeShunned(
            node=node,
            slow=slow.ratio,
            segments=slow.segments,
            simulation=slow.simulation,
            until_s=forgiven_at_s(state.now_s, paces.times.get(node, 0), moving),
        )


def next_trial_s(state: CampaignState) -> float:
    """Return when the next shunned node is to be tried again, seconds."""
    shunned = state.paces.shunned
    if not shunned:
        return math.inf
    times = [s.until_s for s in shunned.values()]
    return min((t for t in times if t > state.now_s), default=math.inf)


def move_factors(
    state: CampaignState, simulation: SimulationState
) -> dict[str, dict[str, Any]]:
    """Say which slow nodes concern a simulation, and how it last moved.

    Parameters
    ----------
    state : CampaignState
        What is known.
    simulation : SimulationState
        Which; one without nodes could get any.
    """
    slow = {
        node: {
            "times slower": found.slow,
            "segments in a row": found.segments,
            "of": found.simulation,
            "since": found.since_s,
            "tried again": found.until_s,
        }
        for node in simulation.lease or state.nodes
        if (found := state.paces.shunned.get(node)) is not None
    }
    factors: dict[str, dict[str, Any]] = {"slow nodes": slow} if slow else {}
    if simulation.moved is not None:
        factors["last move"] = asdict(simulation.moved)
    return factors
