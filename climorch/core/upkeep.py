"""The decisions that every simulation needs, whether it computes or not.

What is committed, what is lost, what may be deleted, which rules are due.
`progress` asks these first, then moves the simulation on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from climorch.core.horizon import gone
from climorch.core.state import (
    CampaignState,
    Control,
    Phase,
    SetState,
    SimulationState,
)
from climorch.model.commands import (
    AbandonAttempt,
    DeleteCheckpoint,
    EvaluateRule,
    PublishResults,
    Record,
    RolledBack,
    SegmentCommitted,
    SetLease,
    SimulationFailed,
)
from climorch.model.events import Cause
from climorch.policy.allocation import Allocate, allocate
from climorch.policy.checkpointing import CheckpointStrategy, Daly
from climorch.policy.moving import Moving
from climorch.policy.recovery import RecoveryPolicy
from climorch.policy.retention import KeepLast, Kept, RetentionPolicy, guarded
from climorch.policy.scrubbing import Scrub
from climorch.policy.sharing import Sharing
from climorch.policy.watching import Watch

__all__ = [
    "Policies",
    "ask_rules",
    "clear_out",
    "commit",
    "keep_house",
    "kept_checkpoints",
    "retire",
    "roll_back",
    "settle_loss",
]


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
    scrub : Scrub
        When checkpoints are read again, to find rot before they are needed.
    watch : Watch
        When a node counts as frozen and a task as stuck.
    sharing : Sharing
        How institutions and projects share the nodes.
    allocation : Allocate
        Which simulation holds which nodes.
    moving : Moving
        When nodes count as slow, and when leases move by themselves.
    """

    checkpointing: CheckpointStrategy = field(default_factory=Daly)
    retention: RetentionPolicy = field(default_factory=KeepLast)
    recovery: RecoveryPolicy = field(default_factory=RecoveryPolicy)
    full_every: int = 8
    scrub: Scrub = field(default_factory=Scrub)
    watch: Watch = field(default_factory=Watch)
    sharing: Sharing = field(default_factory=Sharing)
    allocation: Allocate = allocate
    moving: Moving = field(default_factory=Moving)


def commit(simulation: SimulationState, s: SetState) -> Iterator[Record]:
    """Declare segments committed that the newest checkpoint covers."""
    if not s.commits:
        return
    for stage, count in s.plan.segments_at[s.committed].items():
        for segment in range(s.committed_segments.get(stage, 0), count):
            yield SegmentCommitted(
                simulation=simulation.name, stage=stage, segment=segment
            )


def settle_loss(
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
            yield from roll_back(simulation, s, cause)
            if simulation.failed is None and policies.recovery.gives_up(
                cause, failures
            ):
                yield SimulationFailed(
                    simulation=simulation.name, cause=cause, message=message
                )
    if uprooted:
        # What is left of the lease is all that counts from now on.
        yield SetLease(
            simulation=simulation.name,
            nodes=simulation.lease,
            why="nodes lost",
            borrowed=simulation.borrowed,
        )


def clear_out(state: CampaignState, simulation: SimulationState) -> Iterator[Record]:
    """Leave nodes whose window has begun, whatever is computed there."""
    away = gone(state, simulation)
    if not away:
        return
    why = f"{len(away)} of its nodes went"
    for s in simulation.sets.values():
        if s.phase is not Phase.IDLE:
            yield AbandonAttempt(
                simulation=simulation.name, set=s.name, attempt=s.attempt, why=why
            )
            yield from roll_back(simulation, s, Cause.WALLTIME)
    yield SetLease(
        simulation=simulation.name,
        nodes=tuple(node for node in simulation.lease if node not in away),
        why=why,
        borrowed=simulation.borrowed,
    )


def retire(simulation: SimulationState) -> Iterator[Record]:
    """End attempts that have nothing to add to the newest checkpoint."""
    for s in simulation.sets.values():
        if s.phase is not Phase.IDLE:
            # One that an earlier attempt began may be found late: what lies
            # below it need not be computed, nor checkpointed once more.
            below = s.reached < s.committed or (
                s.planned is not None and s.planned <= s.committed
            )
            if s.complete or below:
                yield AbandonAttempt(
                    simulation=simulation.name,
                    set=s.name,
                    attempt=s.attempt,
                    why="done" if s.complete else "a newer checkpoint was found",
                )
                yield from roll_back(simulation, s, Cause.NODE_LOST)
        if s.phase is Phase.IDLE:
            # A checkpoint that is damaged or missing takes its segments along,
            # whether or not an attempt lived on it.
            yield from roll_back(simulation, s, Cause.CORRUPT)


def roll_back(
    simulation: SimulationState, s: SetState, cause: Cause
) -> Iterator[Record]:
    """Tell what an attempt that ended had computed and no checkpoint covers."""
    counts = s.plan.segments_at[s.committed]
    provisional = sum(max(s.done[stage] - n, 0) for stage, n in counts.items())
    uncommitted = any(s.committed_segments.get(g, 0) > n for g, n in counts.items())
    if provisional or uncommitted or s.broken_off_s:
        yield RolledBack(
            simulation=simulation.name,
            set=s.name,
            attempt=s.attempt,
            boundary=s.committed,
            segments=provisional,
            lost_s=sum(s.seconds.values()) + s.broken_off_s,
            cause=cause,
        )


def kept_checkpoints(simulation: SimulationState, s: SetState) -> tuple[Kept, ...]:
    """Return the checkpoints of a set as retention sees them."""
    return tuple(
        Kept(
            boundary=c.boundary,
            copy=c.copy,
            good=c.good,
            # The end of a phase is where later phases and branches start, and
            # outputs that are not published yet live in their checkpoint.
            pinned=c.boundary == s.plan.last or not c.published,
        )
        for c in s.commits.values()
        if not c.deleting
    )


def keep_house(
    simulation: SimulationState, s: SetState, policies: Policies
) -> Iterator[Record]:
    """Publish outputs and delete what retention lets go."""
    for c in s.commits.values():
        # In order, one at a time: results grow at their end only.
        if c.good and not c.published:
            if not c.publishing:
                yield PublishResults(
                    simulation=simulation.name, set=s.name, boundary=c.boundary
                )
            break
    for boundary in guarded(policies.retention, kept_checkpoints(simulation, s)):
        yield DeleteCheckpoint(
            simulation=simulation.name, set=s.name, boundary=boundary
        )


def ask_rules(simulation: SimulationState) -> Iterator[Record]:
    """Ask each rule whose stage is committed to its end, once."""
    if simulation.failed or simulation.control is Control.CANCELLED:
        return
    for rule in simulation.plan.rules:
        known = simulation.rules_done | simulation.rules_asked
        watched = simulation.sets[simulation.plan.set_of[rule.when]]
        if rule.name not in known and watched.complete:
            yield EvaluateRule(simulation=simulation.name, rule=rule.name)
