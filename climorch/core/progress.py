"""The next decisions for one simulation.

Each function looks at the state and yields records; the orchestrator applies
every record before it asks for the next, so each decision sees the one before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from climorch.core.frontier import ready_segments
from climorch.core.state import (
    CampaignState,
    Control,
    Phase,
    SetState,
    SimulationState,
)
from climorch.model.commands import (
    AbandonAttempt,
    BeginCheckpoint,
    CheckpointPlanned,
    DeleteCheckpoint,
    EvaluateRule,
    PublishResults,
    Record,
    RolledBack,
    SegmentCommitted,
    SetLease,
    SimulationFailed,
    StartAttempt,
    StartSegment,
)
from climorch.model.events import Cause
from climorch.policy.checkpointing import CheckpointStrategy, Daly, Pace
from climorch.policy.recovery import RecoveryPolicy, mean_time_between_failures
from climorch.policy.retention import KeepLast, Kept, RetentionPolicy, guarded

__all__ = ["Policies", "holding", "kept_checkpoints", "next_records"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """The rules of a campaign.

    Attributes
    ----------
    checkpointing : CheckpointStrategy
        When a set is checkpointed besides its end and its releases.
    retention : RetentionPolicy
        Which checkpoints may go.
    recovery : RecoveryPolicy
        Retry budgets.
    full_every : int
        Every so many checkpoints of a set one shares no file with older ones.
    """

    checkpointing: CheckpointStrategy = field(default_factory=Daly)
    retention: RetentionPolicy = field(default_factory=KeepLast)
    recovery: RecoveryPolicy = field(default_factory=RecoveryPolicy)
    full_every: int = 8


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
        yield from _commit(simulation, s)
    yield from _settle_loss(state, simulation, policies)
    for s in simulation.sets.values():
        yield from _keep_house(simulation, s, policies)
    yield from _ask_rules(simulation)
    if not simulation.wants_nodes:
        yield from _let_go(state, simulation)
        return
    for s in simulation.sets.values():
        yield from _advance(state, simulation, s, policies)
    yield from _give_back(state, simulation)


def holding(state: CampaignState, simulation: SimulationState) -> str | None:
    """Say why a simulation may start nothing new, if so."""
    if state.stopping:
        return "the driver is to stop"
    if simulation.control is Control.PAUSED:
        return "paused"
    if simulation.shrink_to is not None:
        return "lent nodes go back"
    return None


def _commit(simulation: SimulationState, s: SetState) -> Iterator[Record]:
    """Declare segments committed that the newest checkpoint covers."""
    if not s.commits:
        return
    for stage, count in s.plan.segments_at[s.committed].items():
        for segment in range(s.committed_segments.get(stage, 0), count):
            yield SegmentCommitted(
                simulation=simulation.name, stage=stage, segment=segment
            )


def _settle_loss(
    state: CampaignState, simulation: SimulationState, policies: Policies
) -> Iterator[Record]:
    """Abandon what broke and fall back to the newest good checkpoints."""
    lost = simulation.granted - len(simulation.lease)
    uprooted = lost > 0 and policies.recovery.abandons(
        lost=lost, lease=simulation.granted
    )
    for s in simulation.sets.values():
        if s.phase is Phase.BROKEN or (uprooted and s.phase is not Phase.IDLE):
            cause, message = s.broken or (Cause.NODE_LOST, f"{lost} nodes lost")
            failures = simulation.failures.get(cause, 0)
            delay_s = policies.recovery.delay_s(cause, failures) if failures else 0.0
            yield AbandonAttempt(
                simulation=simulation.name,
                set=s.name,
                attempt=s.attempt,
                why=message,
                retry_at_s=state.now_s + delay_s if delay_s else 0.0,
            )
            yield from _roll_back(simulation, s, cause)
            if simulation.failed is None and policies.recovery.gives_up(
                cause, failures
            ):
                yield SimulationFailed(
                    simulation=simulation.name, cause=cause, message=message
                )
    if uprooted:
        # What is left of the lease is all that counts from now on.
        yield SetLease(
            simulation=simulation.name, nodes=simulation.lease, why="nodes lost"
        )


def _roll_back(
    simulation: SimulationState, s: SetState, cause: Cause
) -> Iterator[Record]:
    counts = s.plan.segments_at[s.committed]
    provisional = sum(max(s.done[stage] - n, 0) for stage, n in counts.items())
    uncommitted = any(s.committed_segments.get(g, 0) > n for g, n in counts.items())
    if provisional or uncommitted:
        yield RolledBack(
            simulation=simulation.name,
            set=s.name,
            attempt=s.attempt,
            boundary=s.committed,
            segments=provisional,
            lost_s=sum(s.seconds.values()),
            cause=cause,
        )


def kept_checkpoints(simulation: SimulationState, s: SetState) -> tuple[Kept, ...]:
    """Return the checkpoints of a set as retention sees them."""
    return tuple(
        Kept(
            boundary=c.boundary,
            independent=c.independent,
            good=c.good,
            # The end of a phase is where later phases and branches start, and
            # outputs that are not published yet live in their checkpoint.
            pinned=c.boundary == s.plan.last or not c.published,
        )
        for c in sorted(s.commits.values(), key=lambda c: c.boundary)
        if not c.deleting
    )


def _keep_house(
    simulation: SimulationState, s: SetState, policies: Policies
) -> Iterator[Record]:
    """Publish outputs and delete what retention lets go."""
    for commit in sorted(s.commits.values(), key=lambda c: c.boundary):
        # In order, one at a time: results grow at their end only.
        if commit.good and not commit.published:
            if not commit.publishing:
                yield PublishResults(
                    simulation=simulation.name, set=s.name, boundary=commit.boundary
                )
            break
    for boundary in guarded(policies.retention, kept_checkpoints(simulation, s)):
        yield DeleteCheckpoint(
            simulation=simulation.name, set=s.name, boundary=boundary
        )


def _ask_rules(simulation: SimulationState) -> Iterator[Record]:
    if simulation.failed or simulation.control is Control.CANCELLED:
        return
    for rule in simulation.plan.rules:
        known = simulation.rules_done | simulation.rules_asked
        watched = simulation.sets[simulation.plan.set_of[rule.when]]
        if rule.name not in known and watched.complete:
            yield EvaluateRule(simulation=simulation.name, rule=rule.name)


def _let_go(state: CampaignState, simulation: SimulationState) -> Iterator[Record]:
    """Release a simulation that has nothing to compute, a paused one cleanly."""
    if simulation.control is Control.PAUSED and simulation.failed is None:
        for s in simulation.sets.values():
            yield from _hold(state, simulation, s, "paused")
        yield from _give_back(state, simulation)
        return
    for s in simulation.sets.values():
        if s.phase is not Phase.IDLE:
            why = simulation.status.value
            yield AbandonAttempt(
                simulation=simulation.name, set=s.name, attempt=s.attempt, why=why
            )
            yield from _roll_back(simulation, s, Cause.NODE_LOST)
    if simulation.lease:
        yield SetLease(
            simulation=simulation.name, nodes=(), why=simulation.status.value
        )


def _give_back(state: CampaignState, simulation: SimulationState) -> Iterator[Record]:
    """Change a lease once nothing of the simulation lives on it."""
    why = holding(state, simulation)
    idle = all(s.phase is Phase.IDLE for s in simulation.sets.values())
    if why is None or not simulation.lease or not idle:
        return
    keep = 0
    if why == "lent nodes go back" and simulation.shrink_to is not None:
        keep = simulation.shrink_to
    yield SetLease(simulation=simulation.name, nodes=simulation.lease[:keep], why=why)


def _advance(
    state: CampaignState,
    simulation: SimulationState,
    s: SetState,
    policies: Policies,
) -> Iterator[Record]:
    """Move one set on: start an attempt, segments, a checkpoint."""
    if s.complete:
        if s.phase is not Phase.IDLE:
            yield AbandonAttempt(
                simulation=simulation.name, set=s.name, attempt=s.attempt, why="done"
            )
        return
    before = simulation.plan.prerequisites[s.name]
    if not all(simulation.sets[name].complete for name in before):
        return
    hold = holding(state, simulation)
    if s.phase is Phase.IDLE:
        enough = len(simulation.lease) >= simulation.plan.nodes
        if enough and hold is None and state.now_s >= s.retry_at_s:
            yield StartAttempt(
                simulation=simulation.name,
                set=s.name,
                attempt=s.attempt + 1,
                boundary=s.committed,
            )
    if hold is not None:
        yield from _hold(state, simulation, s, hold)
        return
    if s.phase is not Phase.ACTIVE:
        return
    yield from _plan_checkpoint(state, simulation, s, policies)
    yield from _meet(state, simulation, s, policies)
    yield from _start_segments(simulation, s)


def _hold(
    state: CampaignState, simulation: SimulationState, s: SetState, why: str
) -> Iterator[Record]:
    """Bring a set to a common boundary, checkpoint it there and let it go."""
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
    boundary = s.front()
    if s.planned is not None or boundary <= max(s.from_boundary, s.committed):
        return
    if s.passed(boundary):
        return
    if boundary == s.plan.last:
        yield _plan(simulation, s, boundary, "end of the phase")
        return
    if s.checkpoint is not None:
        # One in flight: skip, never queue.
        return
    why = policies.checkpointing.due(_pace(state, simulation, s, boundary))
    if why is not None:
        yield _plan(simulation, s, boundary, why)


def _pace(
    state: CampaignState, simulation: SimulationState, s: SetState, boundary: int
) -> Pace:
    here, there = (s.plan.segments_at[b] for b in (boundary, boundary + 1))
    next_s = max((there[g] - here[g]) * s.pace_s.get(g, 0.0) for g in here)
    up_s = sum(state.now_s - node.since_s for node in state.nodes.values())
    return Pace(
        since_s=state.now_s - s.since_s,
        boundaries=boundary - s.from_boundary,
        next_s=next_s,
        cost_s=s.cost_s,
        mtbf_s=mean_time_between_failures(
            node_s=state.node_s + up_s,
            failures=state.failures,
            nodes=max(len(simulation.lease), 1),
        ),
    )


def _meet(
    state: CampaignState,
    simulation: SimulationState,
    s: SetState,
    policies: Policies,
) -> Iterator[Record]:
    """Checkpoint once all stages stand at the planned boundary."""
    last = s.plan.last
    again = s.settled and s.reached == last and state.now_s >= s.retry_at_s
    if again and s.planned is None and s.checkpoint is None and not s.complete:
        yield _plan(simulation, s, last, "the last try failed")
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
    for stage, segment in list(ready_segments(s)):
        yield StartSegment(
            simulation=simulation.name,
            stage=stage,
            segment=segment,
            attempt=s.attempt,
        )
