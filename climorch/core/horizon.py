"""Until when the nodes of a simulation are there for it.

Windows (maintenance, reservations) and walltime ends, seen from one simulation.
Pure views of the state; whether what comes next fits before is asked here, what
follows from it is decided in `progress`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from climorch.core.state import CampaignState, Phase, SetState, SimulationState
from climorch.core.stretch import release_s, restore_s, siblings
from climorch.model.windows import Window

__all__ = [
    "FAR",
    "closes_s",
    "closing",
    "gone",
    "least_s",
    "needs_s",
    "next_edge_s",
    "roughly_s",
    "shuts_out",
    "windows_of",
]

# Beyond this, in multiples of all that a set computes between two boundaries, an
# end is not looked at more closely.
FAR = 8.0


def shuts_out(window: Window, simulation: SimulationState) -> bool:
    """Tell whether a window is one in which a simulation may not have the nodes."""
    return not window.holder or window.holder not in (
        simulation.name,
        simulation.scenario.project,
    )


def windows_of(state: CampaignState, node: str) -> Iterator[Window]:
    """Yield the windows of a node that are not over."""
    for window in state.windows.values():
        if window.stop_s > state.now_s and window.covers(node):
            yield window


def closes_s(
    state: CampaignState,
    simulation: SimulationState,
    node: str,
    *,
    soft: bool = True,
) -> float:
    """Say when a node goes.

    Parameters
    ----------
    state : CampaignState
        What is known.
    simulation : SimulationState
        For whom.
    node : str
        A node that is up.
    soft : bool
        Whether soft windows count; they wait for the next boundary.

    Returns
    -------
    float
        Driver's clock, seconds; not after now: it is gone already. Infinite
        where no end is known.
    """
    known = state.nodes.get(node)
    end_s = math.inf
    if known is not None and known.deadline_s is not None:
        end_s = known.deadline_s
        if known.recalled and soft:
            # What runs there may still use its last seconds.
            end_s = min(end_s, state.now_s)
    for window in windows_of(state, node):
        if (soft or window.hard) and shuts_out(window, simulation):
            end_s = min(end_s, window.start_s)
    return end_s


def gone(state: CampaignState, simulation: SimulationState) -> tuple[str, ...]:
    """Return the leased nodes that went at once, whatever runs there."""
    if not state.timed:
        return ()
    return tuple(
        node
        for node in simulation.lease
        if closes_s(state, simulation, node, soft=False) <= state.now_s
    )


def closing(state: CampaignState, simulation: SimulationState) -> tuple[str, ...]:
    """Return the leased nodes on which nothing more can be begun.

    What lies before the next common boundary, and its checkpoint, would not end
    before the nodes go; or they are to go as soon as that boundary is reached.

    Parameters
    ----------
    state : CampaignState
        What is known.
    simulation : SimulationState
        Whose lease.

    Returns
    -------
    tuple of str
        In the order of the lease.
    """
    if not (state.timed and simulation.lease):
        return ()
    ends_s = {node: closes_s(state, simulation, node) for node in simulation.lease}
    first_s = min(ends_s.values())
    if first_s == math.inf:
        return ()
    left_s = first_s - state.now_s
    if left_s > FAR * roughly_s(simulation.sets.values()) and left_s > 0:
        return ()
    last_s = state.now_s + needs_s(state, simulation)
    hard = {
        node: closes_s(state, simulation, node, soft=False) for node in simulation.lease
    }
    return tuple(
        node
        for node in simulation.lease
        if hard[node] < last_s or ends_s[node] <= state.now_s
    )


def roughly_s(sets: Iterable[SetState]) -> float:
    """Bound the way to the next boundary, cheaply: all stages one after the other.

    Parameters
    ----------
    sets : iterable of SetState
        Of a simulation.

    Returns
    -------
    float
        Seconds; infinite while a stage has finished no segment.
    """
    return max(
        (
            sum(
                s.pace_s.get(stage, math.inf) * count / s.plan.last
                for stage, count in s.plan.segments_at[-1].items()
            )
            for s in sets
            if not s.complete and s.dropped is None
        ),
        default=0.0,
    )


def needs_s(
    state: CampaignState, simulation: SimulationState, nodes: int | None = None
) -> float:
    """Say how long a simulation needs until its nodes can be free again.

    Parameters
    ----------
    state : CampaignState
        What is known.
    simulation : SimulationState
        Which.
    nodes : int or None
        On how many; None: on those of its lease, or that it asks for.

    Returns
    -------
    float
        Seconds that it exceeds in fewer than one of 20 cases: to the next common
        boundary, with the checkpoint there, and the restore before where it
        does not compute yet. Later phases do not count. 0 where nothing is
        known, so that it begins.
    """
    nodes = nodes or len(simulation.lease) or None
    found = 0.0
    # One that has shown nothing yet is judged by others of its workflow.
    shown = any(s.shown for s in simulation.sets.values())
    others = () if shown else siblings(state, simulation.plan, simulation.name)
    for s in simulation.sets.values():
        before = simulation.plan.prerequisites[s.name]
        ready = all(simulation.sets[name].complete for name in before)
        if ready and not s.complete and s.dropped is None:
            at = s.reached
            needed_s = release_s(simulation, s, at, nodes=nodes, others=others) or 0.0
            if s.phase is Phase.IDLE and s.attempt:
                needed_s += restore_s(s, others)
            found = max(found, needed_s)
    return found


def least_s(state: CampaignState, simulation: SimulationState) -> float:
    """Say how long a simulation must have a node to get anything done with it.

    Parameters
    ----------
    state : CampaignState
        What is known.
    simulation : SimulationState
        Which.

    Returns
    -------
    float
        As for `needs_s`, on however many nodes it may get: with more it need not
        be faster, and what it gets must not close to it at once.
    """
    plan = simulation.plan
    widths = {plan.nodes, plan.most_nodes}
    for s in simulation.sets.values():
        for shown in s.shown.values():
            widths.update(w for w in shown if plan.nodes < w < plan.most_nodes)
    return max(needs_s(state, simulation, nodes) for nodes in widths)


def next_edge_s(state: CampaignState) -> float:
    """Return when the next window begins or ends, or a node goes; seconds."""
    edges = [
        edge
        for window in state.windows.values()
        for edge in (window.start_s, window.stop_s)
        if edge > state.now_s
    ]
    if state.deadlines:
        edges += [
            node.deadline_s
            for node in state.nodes.values()
            if node.deadline_s is not None and node.deadline_s > state.now_s
        ]
    return min(edges, default=math.inf)
