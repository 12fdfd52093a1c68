"""How each command and decision changes the state.

The other half of `fold`: what the orchestrator itself decided.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec

from climorch.core.dropping import failures_of
from climorch.core.fold_paces import shunned, trusted
from climorch.core.fold_scores import forget_scores_beyond
from climorch.core.state import CampaignState, Phase, SetState, SimulationState
from climorch.model import commands as c
from climorch.model.events import Cause
from climorch.policy.moving import Moved
from climorch.policy.outdoing import discredited
from climorch.policy.usage import Usage

__all__ = [
    "COMMANDS",
    "break_attempt",
    "break_off",
    "charge",
    "current",
    "end_turn",
    "hold",
    "stay",
]

# Terms of protection count interruptions over so long, in seconds.
MONTH_S = 30 * 86_400.0


def current(state: CampaignState, record: Any) -> SetState | None:
    """Return the set of a record, unless the record is about an old attempt."""
    simulation = state.simulations.get(record.simulation)
    if simulation is None:
        return None
    name = getattr(record, "set", None) or simulation.plan.set_of.get(record.stage)
    found = simulation.sets.get(name or "")
    if found is None or found.attempt != record.attempt or found.phase is Phase.IDLE:
        return None
    return found


def charge(state: CampaignState, simulation: SimulationState, *, more: int = 0) -> None:
    """Count what a simulation held since this was last done, for its project too.

    From now on its project holds so many nodes more.
    """
    held_s = state.now_s - simulation.lease_since_s
    if simulation.lease:
        simulation.node_s += len(simulation.lease) * held_s
        simulation.held_s += held_s
    simulation.lease_since_s = state.now_s
    project = simulation.scenario.project
    usage = state.usage.get(project) or Usage(at_s=state.now_s)
    state.usage[project] = usage.at(
        state.now_s, half_life_s=state.half_life_s, more=more
    )


def hold(
    state: CampaignState, simulation: SimulationState, nodes: tuple[str, ...]
) -> None:
    """Let a simulation hold these nodes from now on, and charge what it held."""
    charge(state, simulation, more=len(nodes) - len(simulation.lease))
    simulation.lease = nodes


def break_off(state: CampaignState, s: SetState) -> None:
    """Nothing of a set runs any more; count what was computed in vain."""
    s.broken_off_s += sum(state.now_s - began_s for began_s in s.started_s.values())
    s.running.clear()
    s.started_s.clear()


def break_attempt(
    simulation: SimulationState, s: SetState, cause: Cause, message: str
) -> None:
    """Let the attempt of a set be over, and count the failure."""
    if s.phase in (Phase.BROKEN, Phase.SALVAGING):
        return
    s.phase = Phase.BROKEN
    s.broken = (cause, message)
    failures = failures_of(simulation, s)
    failures[cause] = failures.get(cause, 0) + 1


def end_turn(state: CampaignState, simulation: SimulationState) -> None:
    """Count a turn that is over; nothing is planned for the simulation any more."""
    if simulation.granted:
        simulation.served_s += state.now_s - simulation.turn_s
        simulation.left_s = state.now_s
    simulation.shrink_to = simulation.preempted = None


def _lease_set(state: CampaignState, command: c.SetLease) -> None:
    simulation = state.simulations[command.simulation]
    if not command.nodes:
        preempted = simulation.preempted is not None
        simulation.waits_since_s = state.now_s
        end_turn(state, simulation)
        if preempted:
            _interrupted(state, simulation)
    elif not simulation.granted:
        _begin_turn(state, simulation)
    if not set(command.nodes) <= set(simulation.lease):
        # It was given others.
        simulation.missed.clear()
        stay(simulation)
    elif not command.nodes:
        _gave_all_up(state, simulation, command.why)
    hold(state, simulation, command.nodes)
    simulation.granted = len(command.nodes)
    if not set(command.nodes) <= set(simulation.ring):
        # What it lost stays: the next loss may be of the same event.
        simulation.ring = command.nodes
    simulation.lease_why = command.why
    simulation.borrowed = command.borrowed
    simulation.shrink_to = None


def _begin_turn(state: CampaignState, simulation: SimulationState) -> None:
    if simulation.left_s == state.now_s:
        # It moved to other nodes, all of them: its turn goes on.
        simulation.served_s -= state.now_s - simulation.turn_s
    else:
        simulation.turn_s = state.now_s
        simulation.fruitful = False


def _interrupted(state: CampaignState, simulation: SimulationState) -> None:
    recent = [t for t in simulation.interruptions_s if t > state.now_s - MONTH_S]
    simulation.interruptions_s = (*recent, state.now_s)
    # Its turn is over, even if it should get nodes again at once.
    simulation.left_s = None
    simulation.interruptions += 1


def stay(simulation: SimulationState) -> None:
    """Let a move that is under way be over."""
    moved = simulation.moved
    if moved is not None and not moved.over:
        simulation.moved = replace(moved, over=True)


def _gave_all_up(state: CampaignState, simulation: SimulationState, why: str) -> None:
    """Let a move go on only where it is why nothing is held now."""
    if simulation.moved is not None and simulation.moved.why != why:
        stay(simulation)
    if simulation.complete:
        state.paces.places.pop(simulation.name, None)


def _move_planned(state: CampaignState, decision: c.MovePlanned) -> None:
    state.simulations[decision.simulation].moved = Moved(
        leave=decision.leave,
        seek=decision.seek,
        why=decision.why,
        at_s=state.now_s,
        over=not decision.leave,
    )


def _attempt_started(state: CampaignState, command: c.StartAttempt) -> None:
    s = state.simulations[command.simulation].sets[command.set]
    s.phase = Phase.RESTORING
    s.attempt = command.attempt
    s.started_at_s = state.now_s
    s.from_boundary = command.boundary
    s.done = dict(s.plan.segments_at[command.boundary])
    s.seconds.clear()
    s.planned = s.checkpoint = None
    s.put_off = False
    s.held.let_go()
    s.held.begun = command.boundary


def _segment_started(state: CampaignState, command: c.StartSegment) -> None:
    s = current(state, command)
    if s is not None:
        s.running[command.stage] = command.segment
        s.started_s[command.stage] = state.now_s


def _checkpoint_begun(state: CampaignState, command: c.BeginCheckpoint) -> None:
    s = current(state, command)
    if s is not None:
        s.checkpoint = command.boundary
        source = s.commits.get(s.committed)
        s.sources[s.attempt, command.boundary] = source.copy if source else 0
        # Of a copy that is written out, the state is as old as that.
        s.since_s = s.held.begun_s if command.held else state.now_s
        s.planned = s.planned if command.held else None
        s.from_boundary = command.boundary
        s.put_off = False


def _abandoned(state: CampaignState, command: c.AbandonAttempt) -> None:
    s = current(state, command)
    if s is not None:
        s.phase = Phase.IDLE
        s.retry_at_s = command.retry_at_s
        s.broken = s.planned = s.checkpoint = None
        s.held.let_go()
        break_off(state, s)


def _publishing(state: CampaignState, command: c.PublishResults) -> None:
    s = state.simulations[command.simulation].sets[command.set]
    s.commits[command.boundary].publishing = True


def _planned(state: CampaignState, decision: c.CheckpointPlanned) -> None:
    s = state.simulations[decision.simulation].sets[decision.set]
    s.planned, s.planned_why = decision.boundary, decision.why
    if decision.asked:
        s.binds, s.binds_why = decision.binds, decision.why if decision.binds else ""


def _postponed(state: CampaignState, decision: c.CheckpointPostponed) -> None:
    s = state.simulations[decision.simulation].sets[decision.set]
    s.binds, s.binds_why, s.put_off = decision.binds, decision.why, True


def _shrink(state: CampaignState, decision: c.ShrinkPlanned) -> None:
    state.simulations[decision.simulation].shrink_to = decision.nodes


def _preempted(state: CampaignState, decision: c.PreemptPlanned) -> None:
    state.simulations[decision.simulation].preempted = decision.why


def _window_placed(state: CampaignState, decision: c.WindowPlaced) -> None:
    window = state.windows.get(decision.name)
    if window is not None:
        state.windows[decision.name] = msgspec.structs.replace(
            window, nodes=decision.nodes, count=0
        )


def _window_ended(state: CampaignState, decision: c.WindowEnded) -> None:
    state.windows.pop(decision.name, None)


def _sharing_set(state: CampaignState, decision: c.SharingSet) -> None:
    # What was used until now has faded by the old half-life.
    state.usage = state.usage_at(state.now_s)
    state.half_life_s = decision.half_life_s


def _segment_committed(state: CampaignState, decision: c.SegmentCommitted) -> None:
    simulation = state.simulations[decision.simulation]
    s = simulation.sets[simulation.plan.set_of[decision.stage]]
    s.committed_segments[decision.stage] = decision.segment + 1
    s.seconds.pop((decision.stage, decision.segment), None)


def _rolled_back(state: CampaignState, decision: c.RolledBack) -> None:
    simulation = state.simulations[decision.simulation]
    s = simulation.sets[decision.set]
    counts = s.plan.segments_at[decision.boundary]
    s.done = dict(counts)
    s.seconds.clear()
    s.broken_off_s, s.lost_s = 0.0, decision.lost_s
    s.owed_s += decision.lost_s
    for stage, count in counts.items():
        kept = min(s.committed_segments.get(stage, 0), count)
        s.committed_segments[stage] = kept
    forget_scores_beyond(simulation, counts)
    simulation.lost_s += decision.lost_s
    simulation.lost_segments += decision.segments


def _set_dropped(state: CampaignState, decision: c.SetDropped) -> None:
    s = state.simulations[decision.simulation].sets[decision.set]
    s.dropped = (decision.cause, decision.message)


def _simulation_failed(state: CampaignState, decision: c.SimulationFailed) -> None:
    simulation = state.simulations[decision.simulation]
    simulation.failed = (decision.cause, decision.message)
    if decision.cause is Cause.POISON:
        # The nodes that it killed are not to blame.
        state.mishaps = tuple(
            m for m in state.mishaps if m.simulation != decision.simulation
        )
        state.outdone = discredited(state.outdone, decision.simulation)


COMMANDS: dict[type[Any], Callable[[CampaignState, Any], None]] = {
    c.SetLease: _lease_set,
    c.StartAttempt: _attempt_started,
    c.StartSegment: _segment_started,
    c.BeginCheckpoint: _checkpoint_begun,
    c.AbandonAttempt: _abandoned,
    c.PublishResults: _publishing,
    c.CheckpointPlanned: _planned,
    c.CheckpointPostponed: _postponed,
    c.ShrinkPlanned: _shrink,
    c.PreemptPlanned: _preempted,
    c.MovePlanned: _move_planned,
    c.NodeShunned: shunned,
    c.NodeTrusted: trusted,
    c.WindowPlaced: _window_placed,
    c.WindowEnded: _window_ended,
    c.SharingSet: _sharing_set,
    c.SegmentCommitted: _segment_committed,
    c.RolledBack: _rolled_back,
    c.SetDropped: _set_dropped,
    c.SimulationFailed: _simulation_failed,
}
