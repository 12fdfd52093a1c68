"""The next decisions for one simulation.

Each function looks at the state and yields records; the orchestrator applies
every record before it asks for the next, so each decision sees the one before.
"""

from __future__ import annotations

from collections.abc import Iterator

from climorch.core.archiving import archive, awaits_recall, recall
from climorch.core.frontier import ready_segments
from climorch.core.gating import gate_of
from climorch.core.holds import Hold, holding
from climorch.core.keeping import keep_house, make_room
from climorch.core.pacing import ruling_at, word_on
from climorch.core.partnering import copy_at, plan_copy, write_out
from climorch.core.remedying import ask_again, superseded
from climorch.core.ruling import ask_rules
from climorch.core.scoring import ask_scores
from climorch.core.state import (
    CampaignState,
    Control,
    Phase,
    SetState,
    SimulationState,
)
from climorch.core.upkeep import (
    Policies,
    clear_out,
    commit,
    retire,
    roll_back,
    settle_loss,
    strategy_of,
)
from climorch.model.commands import (
    AbandonAttempt,
    BeginCheckpoint,
    CheckpointPlanned,
    CheckpointPostponed,
    Record,
    SetLease,
    StartAttempt,
    StartSegment,
)
from climorch.model.events import Cause

__all__ = ["Policies", "move_on", "next_records"]


def next_records(
    state: CampaignState, simulation: SimulationState, policies: Policies
) -> Iterator[Record]:
    """Yield what is to be decided for a simulation, each on the newest state.

    Parameters
    ----------
    state : CampaignState
        Must have every yielded record applied before the next is asked for.
    simulation : SimulationState
        One of its simulations.
    policies : Policies
        The rules.

    Yields
    ------
    Record
        Commands and decisions, in the order to journal and execute them.
    """
    for s in simulation.sets.values():
        yield from superseded(simulation, s)
        yield from commit(simulation, s)
    yield from settle_loss(state, simulation, policies)
    for s in simulation.sets.values():
        yield from ask_again(simulation, s)
    if state.timed:
        yield from clear_out(state, simulation)
    yield from retire(simulation)
    archives, plan = policies.archive is not None, simulation.plan
    for s in simulation.sets.values():
        if archives:
            # Before it could be deleted.
            yield from archive(simulation, s, policies)
        yield from keep_house(state, simulation, s, policies)
        if archives:
            yield from recall(simulation, s, policies)
    if policies.budget is not None:
        yield from make_room(state, policies)
    if plan.rules:
        yield from ask_rules(simulation)
    if plan.scores:
        yield from ask_scores(simulation)
    yield from move_on(state, simulation, policies)


def move_on(
    state: CampaignState, simulation: SimulationState, policies: Policies
) -> Iterator[Record]:
    """Yield the last of `next_records`: what computes, and the lease.

    All that is due where segments finished and nothing else happened: there is
    nothing to commit, settle, retire, publish, delete or ask then.

    Parameters
    ----------
    state, simulation, policies
        As for `next_records`.

    Yields
    ------
    Record
        Likewise.
    """
    if not simulation.wants_nodes:
        yield from _let_go(state, simulation)
        return
    for s in simulation.sets.values():
        yield from _advance(state, simulation, s, policies)
    yield from _give_back(state, simulation)


def _let_go(state: CampaignState, simulation: SimulationState) -> Iterator[Record]:
    """Release a simulation that has nothing to compute, a paused one cleanly."""
    if simulation.control is Control.PAUSED and simulation.failed is None:
        for s in simulation.sets.values():
            yield from _hold(state, simulation, s, Hold(why="paused"))
        yield from _give_back(state, simulation)
        return
    for s in simulation.sets.values():
        if s.phase is not Phase.IDLE:
            why = simulation.status.value
            yield AbandonAttempt(
                simulation=simulation.name, set=s.name, attempt=s.attempt, why=why
            )
            yield from roll_back(simulation, s, Cause.NODE_LOST)
    if simulation.lease:
        yield SetLease(
            simulation=simulation.name, nodes=(), why=simulation.status.value
        )


def _give_back(state: CampaignState, simulation: SimulationState) -> Iterator[Record]:
    """Change a lease once nothing of the simulation lives on it."""
    if not simulation.lease or any(
        s.phase is not Phase.IDLE for s in simulation.sets.values()
    ):
        return
    hold = holding(state, simulation)
    if hold is None and len(simulation.lease) < simulation.plan.nodes:
        # Two that each sit on a part of what the other needs would wait forever.
        hold = Hold(why="too few nodes are left")
    if hold is not None:
        yield SetLease(
            simulation=simulation.name,
            nodes=hold.stays,
            why=hold.why,
            borrowed=simulation.borrowed,
        )


def _advance(
    state: CampaignState,
    simulation: SimulationState,
    s: SetState,
    policies: Policies,
) -> Iterator[Record]:
    """Move one set on: start an attempt, segments, a checkpoint."""
    hold = holding(state, simulation)
    if s.held.boundary is not None:
        yield from write_out(state, simulation, s)
    if s.phase is Phase.IDLE:
        before = simulation.plan.prerequisites[s.name]
        enough = len(simulation.lease) >= simulation.plan.nodes
        if (
            enough
            and hold is None
            and state.now_s >= s.retry_at_s
            and not s.complete
            and s.dropped is None
            and not awaits_recall(s)
            and not s.blown.waits
            and all(simulation.ended(name) for name in before)
        ):
            yield StartAttempt(
                simulation=simulation.name,
                set=s.name,
                attempt=s.attempt + 1,
                boundary=s.committed,
            )
    elif hold is not None:
        yield from _hold(state, simulation, s, hold)
        return
    if s.phase is not Phase.ACTIVE:
        return
    yield from _plan_checkpoint(state, simulation, s, policies)
    yield from plan_copy(state, simulation, s, strategy_of(policies, simulation, s))
    # Before a checkpoint, which then writes what is copied.
    if s.held.planned is not None:
        yield from copy_at(simulation, s)
    yield from _meet(state, simulation, s, policies)
    yield from _start_segments(simulation, s)


def _hold(
    state: CampaignState, simulation: SimulationState, s: SetState, hold: Hold
) -> Iterator[Record]:
    """Bring a set to a common boundary, checkpoint it there and let it go."""
    why = hold.why
    if s.phase is Phase.RESTORING:
        yield AbandonAttempt(
            simulation=simulation.name, set=s.name, attempt=s.attempt, why=why
        )
    if s.phase is not Phase.ACTIVE:
        return
    if s.settled and s.checkpoint is None:
        if s.committed == s.reached:
            yield AbandonAttempt(
                simulation=simulation.name, set=s.name, attempt=s.attempt, why=why
            )
        elif s.planned != s.reached and state.now_s >= s.retry_at_s:
            yield _plan(simulation, s, s.reached, why)
    elif s.planned is None and not s.settled:
        # Nothing runs ahead of the next boundary any more.
        boundary = s.reached + 1
        while boundary < s.plan.last and s.passed(boundary):
            boundary += 1
        yield _plan(simulation, s, boundary, why)
    if s.planned is not None:
        yield from _begin_at(simulation, s, full=False)
    # Asked again: once the checkpoint has begun, nothing goes on beyond it.
    if s.planned is not None:
        yield from _start_segments(simulation, s)


def _plan(
    simulation: SimulationState, s: SetState, boundary: int, why: str
) -> CheckpointPlanned:
    return CheckpointPlanned(
        simulation=simulation.name, set=s.name, boundary=boundary, why=why
    )


def _plan_checkpoint(
    state: CampaignState,
    simulation: SimulationState,
    s: SetState,
    policies: Policies,
) -> Iterator[Record]:
    """Choose a boundary for a checkpoint before any stage has passed it."""
    if s.planned is not None:
        return
    boundary = s.front()
    if boundary <= max(s.from_boundary, s.committed) or s.passed(boundary):
        return
    if boundary == s.plan.last:
        yield _plan(simulation, s, boundary, "end of the phase")
        return
    if boundary == gate_of(simulation, s):
        yield _plan(simulation, s, boundary, "asks whether it ends here")
        return
    if s.checkpoint is not None:
        # One in flight: skip, never queue.
        return
    ruling = ruling_at(state, simulation, s, boundary, state.now_s, policies)
    if ruling.due:
        binds, why = word_on(s, ruling)
        yield CheckpointPlanned(
            simulation=simulation.name,
            set=s.name,
            boundary=boundary,
            why=why,
            asked=True,
            binds=binds,
        )
    elif ruling.binds and not s.put_off:
        yield CheckpointPostponed(
            simulation=simulation.name,
            set=s.name,
            boundary=boundary,
            why=ruling.why,
            binds=ruling.binds,
        )


def _meet(
    state: CampaignState,
    simulation: SimulationState,
    s: SetState,
    policies: Policies,
) -> Iterator[Record]:
    """Checkpoint once all stages stand at the planned boundary."""
    last = s.plan.last
    idle = s.planned is None and s.checkpoint is None and s.committed < s.reached
    ends = idle and s.reached in (last, gate_of(simulation, s))
    if ends and s.settled and state.now_s >= s.retry_at_s:
        yield _plan(simulation, s, s.reached, "the last try failed")
    if s.planned is not None:
        count = len(s.commits) + s.deleted
        yield from _begin_at(simulation, s, full=count % policies.full_every == 0)


def _begin_at(
    simulation: SimulationState, s: SetState, *, full: bool
) -> Iterator[Record]:
    boundary = s.planned
    if boundary is None or s.checkpoint is not None:
        return
    if s.settled and s.reached == boundary:
        yield BeginCheckpoint(
            simulation=simulation.name,
            set=s.name,
            boundary=boundary,
            attempt=s.attempt,
            full=full,
            why=s.planned_why,
        )


def _start_segments(simulation: SimulationState, s: SetState) -> Iterator[Record]:
    # A list: starting one changes what the next call would yield.
    for stage, segment in list(ready_segments(s, gate_of(simulation, s))):
        yield StartSegment(
            simulation=simulation.name,
            stage=stage,
            segment=segment,
            attempt=s.attempt,
        )
