"""How nodes that come, go and come to grief change the state.

One part of `fold`. A node that goes as announced tells nothing; nodes that go
together are one event; one that goes by itself, or on which a segment hung, is a
mishap of whoever held it. One that was ended for its memory tells of nobody but
the one simulation that held it.
"""

from __future__ import annotations

from dataclasses import replace

from climorch.core.fold_commands import break_attempt, hold
from climorch.core.fold_outdone import in_doubt, lost_in_doubt
from climorch.core.fold_paces import forget_node
from climorch.core.state import CampaignState, Node, Phase, SimulationState
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.causes import Cause
from climorch.policy.outdoing import before, discredited
from climorch.policy.quarantine import LONGEST_MEMORY_S, MOST_MISHAPS, Mishap
from climorch.policy.reliability import TOGETHER_S, goes_on, torn
from climorch.policy.reliability import node_lost as counted

__all__ = [
    "deadline_moved",
    "forgive",
    "hung",
    "node_gone",
    "node_joined",
    "node_lost",
    "quarantined",
    "released",
]

# Names of nodes that went and are remembered.
MOST_ABSENT = 4096


def node_joined(state: CampaignState, fact: e.NodeJoined) -> None:
    """Count a node in."""
    if fact.node in state.nodes:
        # It came back before its loss was noticed: what it held is gone.
        node_lost(state, e.NodeLost(node=fact.node))
    _count_up(state)
    state.absent.pop(fact.node, None)
    state.nodes[fact.node] = Node(
        name=fact.node,
        cores=fact.cores,
        memory_bytes=fact.memory_bytes,
        scratch_bytes=fact.scratch_bytes,
        since_s=state.now_s,
        deadline_s=fact.deadline_s,
        job=fact.job,
    )
    state.deadlines += fact.deadline_s is not None


def deadline_moved(state: CampaignState, fact: e.NodeDeadline) -> None:
    """Let a node go at another time; one that went already is no matter."""
    node = state.nodes.get(fact.node)
    if node is None:
        return
    state.deadlines += (fact.deadline_s is not None) - (node.deadline_s is not None)
    state.nodes[fact.node] = replace(
        node, deadline_s=fact.deadline_s, recalled=fact.recalled
    )


def node_lost(state: CampaignState, fact: e.NodeLost) -> None:
    """Count a node out, and out of the lease that it was in."""
    if fact.node not in state.nodes:
        return
    holders = [s for s in state.simulations.values() if fact.node in s.lease]
    # Of several that share a node nobody knows who has filled it.
    filled = fact.cause is Cause.MEMORY and len(holders) == 1
    if not filled and not _expected(state, fact.node):
        _mourn(state, fact.node, holders[0] if holders else None)
    node_gone(state, fact.node)
    for simulation in holders:
        left = tuple(n for n in simulation.lease if n != fact.node)
        hold(state, simulation, left)
        simulation.missed[fact.node] = fact.reason
    if filled:
        _fills(holders[0], f"{fact.node}: {fact.reason}")


def _fills(simulation: SimulationState, message: str) -> None:
    """Let what runs of a simulation be over: on other nodes it would do the same."""
    active = [s for s in simulation.sets.values() if s.phase is not Phase.IDLE]
    failures = simulation.failures.get(Cause.MEMORY, 0)
    for s in active:
        break_attempt(simulation, s, Cause.MEMORY, message)
    if simulation.failures.get(Cause.MEMORY, 0) > failures:
        # One failure, however many of its sets were at work there.
        simulation.failures[Cause.MEMORY] = failures + 1


def _expected(state: CampaignState, name: str) -> bool:
    """Whether a node was to go by now: then its loss says nothing about nodes."""
    known = state.nodes[name]
    end_s = known.deadline_s
    return (end_s is not None and (known.recalled or end_s <= state.now_s)) or any(
        window.hard
        and window.start_s <= state.now_s < window.stop_s
        and window.covers(name)
        for window in state.windows.values()
    )


def _mourn(state: CampaignState, node: str, holder: SimulationState | None) -> None:
    """Count a loss that nobody announced, and who had the node."""
    since_s = state.now_s - TOGETHER_S
    if any(m.hang and m.node == node and m.at_s >= since_s for m in state.mishaps):
        # Its process was killed because a segment hung there.
        return
    leases = 0
    if not goes_on(state.losses, state.now_s):
        # Thousands of nodes may go with the first one: leases are counted once.
        leases = sum(len(s.lease) > 1 for s in state.simulations.values())
    state.losses = counted(
        state.losses,
        at_s=state.now_s,
        up=len(state.nodes),
        held=holder is not None,
        leases=leases,
    )
    if state.losses.lost == 1:
        state.taken.clear()
    state.taken.add(node)
    if holder is not None:
        _tear(state, holder, node)
    if state.losses.lost > 1:
        # An outage: the first of its nodes did not go by itself either.
        begun_s = state.losses.began_s
        state.mishaps = tuple(m for m in state.mishaps if m.hang or m.at_s < begun_s)
        if state.outdone:
            state.outdone = before(state.outdone, begun_s)
    elif holder is not None:
        lost_in_doubt(state, holder, node)
        _note(state, Mishap(at_s=state.now_s, node=node, simulation=holder.name))


def _tear(state: CampaignState, holder: SimulationState, node: str) -> None:
    """Count a lease once where an event took a node and its partner."""
    began_s, taken = state.losses.began_s, state.taken
    ring = [n for n in holder.ring if n in taken or n in holder.lease]
    if len(ring) < 2 or holder.torn_s == began_s:
        return
    at = ring.index(node)
    if not taken.isdisjoint((ring[at - 1], ring[(at + 1) % len(ring)])):
        holder.torn_s = began_s
        state.losses = torn(state.losses)


def hung(state: CampaignState, fact: e.SegmentFailed) -> None:
    """Note that a segment hung, and where."""
    mishap = Mishap(
        at_s=state.now_s, node=fact.node, simulation=fact.simulation, hang=True
    )
    _note(state, mishap)
    simulation = state.simulations[fact.simulation]
    s = simulation.sets[simulation.plan.set_of[fact.stage]]
    nodes = (fact.node,) if fact.node else simulation.lease
    in_doubt(state, simulation, s, (fact.stage, fact.segment), nodes)


def _note(state: CampaignState, mishap: Mishap) -> None:
    oldest_s = mishap.at_s - LONGEST_MEMORY_S
    kept = [m for m in state.mishaps if m.at_s > oldest_s]
    state.mishaps = (*kept[1 - MOST_MISHAPS :], mishap)


def forgive(state: CampaignState, simulation: str) -> None:
    """Forget what a simulation that is tried again, or was to blame, came to."""
    state.mishaps = tuple(m for m in state.mishaps if m.simulation != simulation)
    state.outdone = discredited(state.outdone, simulation)


def node_gone(state: CampaignState, name: str) -> None:
    """Count a node out, whatever the reason."""
    node = state.nodes[name]
    state.deadlines -= node.deadline_s is not None
    _count_up(state)
    forget_node(state, name)
    del state.nodes[name]
    state.absent.pop(name, None)
    state.absent[name] = state.now_s
    if len(state.absent) > MOST_ABSENT:
        # Where every node is a new name, as of batch jobs, it would never end.
        del state.absent[next(iter(state.absent))]


def _count_up(state: CampaignState) -> None:
    """Count how long nodes were up, before one comes or goes."""
    node_s = state.up_node_s
    state.up_s += bool(state.nodes) * (state.now_s - state.counted_s)
    state.node_s, state.counted_s = node_s, state.now_s


def quarantined(state: CampaignState, decision: c.NodeQuarantined) -> None:
    """Drain a node that is to blame, until somebody undrains it."""
    state.draining.add(decision.node)
    state.quarantined[decision.node] = decision.why


def released(state: CampaignState, node: str) -> None:
    """Trust a node again: nothing that happened on it counts any more."""
    state.draining.discard(node)
    state.outdone.pop(node, None)
    if state.quarantined.pop(node, None) is not None:
        state.mishaps = tuple(m for m in state.mishaps if m.node != node)
