"""The decisions that every simulation needs, whether it computes or not.

What is committed, what is lost, which rules are due.
`progress` asks these first, then moves the simulation on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from climorch.core.dropping import failures_of, give_up
from climorch.core.hanging import go_elsewhere, try_elsewhere
from climorch.core.horizon import gone
from climorch.core.origins import lost_origin
from climorch.core.partnering import salvage_goes_on, salvage_of
from climorch.core.remedying import give_up_or_ask
from climorch.core.state import (
    CampaignState,
    Phase,
    SetState,
    SimulationState,
)
from climorch.model.commands import (
    AbandonAttempt,
    NodeQuarantined,
    Record,
    RolledBack,
    SegmentCommitted,
    SetLease,
    SimulationFailed,
)
from climorch.model.events import Cause
from climorch.model.kinds import require_kinds
from climorch.model.numerics import Remedy
from climorch.policy.allocation import Allocate, allocate
from climorch.policy.archiving import Archive
from climorch.policy.budgeting import ByteBudget
from climorch.policy.checkpointing import CheckpointStrategy, Daly, Overrides
from climorch.policy.limits import Limits
from climorch.policy.moving import Moving
from climorch.policy.outdoing import in_question, outdone_nodes
from climorch.policy.prospects import PromiseRule
from climorch.policy.quarantine import (
    Suspect,
    bad_nodes,
    hangs_too_often,
    kills_nodes,
    suspicious,
)
from climorch.policy.recovery import RecoveryPolicy
from climorch.policy.retention import KeepLast, RetentionPolicy
from climorch.policy.scrubbing import Scrub
from climorch.policy.sharing import Sharing
from climorch.policy.watching import Watch

__all__ = [
    "Policies",
    "clear_out",
    "commit",
    "quarantine_nodes",
    "retire",
    "roll_back",
    "set_apart",
    "settle_loss",
    "strategy_of",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """The rules of a campaign.

    Attributes
    ----------
    checkpointing : CheckpointStrategy
        When a set is checkpointed besides its end and its releases.
    limits : Limits
        Caps on what checkpoints cost and on what a failure may cost; they stand
        above every strategy.
    overrides : Overrides
        Strategies of stages and scenarios, in place of the campaign's; a
        campaign fills them in from what is submitted.
    retention : RetentionPolicy
        Which checkpoints may go.
    budget : ByteBudget or None
        Most that all checkpoints take on the disk; None: no limit.
    archive : Archive or None
        Where checkpoints and results are archived; None: nowhere.
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
    promise : PromiseRule or None
        Which simulations of a project should have its nodes, such as
        `SiblingPromise`; None: they take turns.
    moving : Moving
        When nodes count as slow, and when leases move by themselves.
    remedies : mapping of str to Remedy
        Workflow to what is done when its numbers blow up; a campaign fills them in
        from what is submitted.
    """

    checkpointing: CheckpointStrategy = field(default_factory=Daly)
    limits: Limits = field(default_factory=Limits)
    overrides: Overrides = field(default_factory=Overrides)
    retention: RetentionPolicy = field(default_factory=KeepLast)
    budget: ByteBudget | None = None
    archive: Archive | None = None
    recovery: RecoveryPolicy = field(default_factory=RecoveryPolicy)
    full_every: int = 8
    scrub: Scrub = field(default_factory=Scrub)
    watch: Watch = field(default_factory=Watch)
    sharing: Sharing = field(default_factory=Sharing)
    allocation: Allocate = allocate
    promise: PromiseRule | None = None
    moving: Moving = field(default_factory=Moving)
    remedies: Mapping[str, Remedy] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require_kinds(self)


def strategy_of(
    policies: Policies, simulation: SimulationState, s: SetState
) -> CheckpointStrategy:
    """Return the strategy of a set, where the wishes of its stages meet.

    Parameters
    ----------
    policies : Policies
        The rules.
    simulation : SimulationState
        Whose.
    s : SetState
        The set.
    """
    return policies.overrides.strategy_for(
        policies.checkpointing,
        simulation=simulation.name,
        workflow=simulation.plan.workflow,
        stages=s.plan.counts,
    )


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
    """Abandon what broke and fall back to the newest good checkpoints.

    Where partners hold a newer state, it is written as a checkpoint before.
    """
    lost = simulation.granted - len(simulation.lease)
    uprooted = lost > 0 and policies.recovery.abandons(
        lost=lost, lease=simulation.granted
    )
    for s in simulation.sets.values():
        if s.phase is Phase.SALVAGING:
            broken = not salvage_goes_on(state, simulation, s)
        else:
            broken = s.phase is Phase.BROKEN or (uprooted and s.phase is not Phase.IDLE)
        if broken:
            cause, message = s.broken or (Cause.NODE_LOST, f"{lost} nodes lost")
            failures = failures_of(simulation, s).get(cause, 0)
            gives_up = policies.recovery.gives_up(cause, failures)
            if cause is Cause.CORRUPT and (gone := _gone_from(state, simulation, s)):
                gives_up, message = True, f"{gone}, to start from, is bad: {message}"
            if s.phase is not Phase.SALVAGING and not gives_up:
                strategy = strategy_of(policies, simulation, s)
                found = salvage_of(state, simulation, s, (cause, message), strategy)
                if found is not None:
                    yield found
                    continue
            reached = s.front()
            delay_s = policies.recovery.delay_s(cause, failures) if failures else 0.0
            yield AbandonAttempt(
                simulation=simulation.name,
                set=s.name,
                attempt=s.attempt,
                why=message,
                retry_at_s=state.now_s + delay_s if delay_s else 0.0,
            )
            yield from roll_back(simulation, s, cause)
            if cause is Cause.HANG and not gives_up:
                yield from go_elsewhere(state, simulation, s)
            if cause is Cause.MODEL and not gives_up:
                yield from try_elsewhere(state, simulation, s)
            over = simulation.failed is not None or s.dropped is not None
            if not over and gives_up and cause is Cause.NUMERICAL:
                yield from give_up_or_ask(
                    simulation, s, policies.remedies, message, reached
                )
            elif not over and gives_up:
                if cause is Cause.HANG:
                    message = f"quarantined after {failures} hangs in a row: {message}"
                yield from give_up(simulation, s, cause, message)
    yield from set_apart(state, simulation, policies)
    if uprooted:
        # What is left of the lease is all that counts from now on.
        yield SetLease(
            simulation=simulation.name,
            nodes=simulation.lease,
            why="nodes lost",
            borrowed=simulation.borrowed,
        )


def _gone_from(state: CampaignState, simulation: SimulationState, s: SetState) -> str:
    """Say which checkpoint of its parent it lacks to begin with; empty: none.

    Nobody computes that anew, so there is nothing to wait for.
    """
    return lost_origin(state.simulations, simulation) if s.from_boundary == 0 else ""


def set_apart(
    state: CampaignState, simulation: SimulationState, policies: Policies
) -> Iterator[Record]:
    """Give a simulation up that hangs again and again, or kills its nodes."""
    rules, name = policies.recovery.quarantine, simulation.name
    mine = [m for m in state.mishaps if m.simulation == name]
    if not mine or not simulation.wants_nodes:
        return
    why = hangs_too_often(mine, rules, simulation=name, now_s=state.now_s)
    if why is not None:
        message = f"quarantined: {why}"
        yield SimulationFailed(simulation=name, cause=Cause.HANG, message=message)
        return
    why = kills_nodes(_suspect(state, simulation), rules)
    if why is not None:
        message = f"quarantined, poison: {why}"
        yield SimulationFailed(simulation=name, cause=Cause.POISON, message=message)


def _suspect(state: CampaignState, simulation: SimulationState) -> Suspect:
    """Compare what a simulation lost since its newest checkpoint with all others."""
    lost = [m for m in state.mishaps if not m.hang]
    mine = [m for m in lost if m.simulation == simulation.name]
    commits = (c for s in simulation.sets.values() for c in s.commits.values())
    since_s = max((c.committed_s for c in commits if c.good), default=0.0)
    held_s = state.now_s - simulation.lease_since_s
    own_node_s = simulation.node_s + len(simulation.lease) * held_s
    width = max(simulation.granted, simulation.plan.nodes)
    # Of the same span as the losses: what is older is not remembered of either.
    return Suspect(
        nodes=tuple(m.node for m in mine if m.at_s > since_s),
        node_s=min(width * (state.now_s - since_s), own_node_s),
        others_lost=len(lost) - len(mine),
        others_node_s=state.held_node_s(state.now_s) - own_node_s,
    )


def quarantine_nodes(state: CampaignState, policies: Policies) -> Iterator[Record]:
    """Set nodes apart that are to blame for what simulations came to."""
    rules = policies.recovery.quarantine
    if not (in_question(state.outdone, rules) or suspicious(state.mishaps, rules)):
        return
    up = state.nodes.keys() - state.draining
    gangs = (s.plan.nodes for s in state.simulations.values() if s.wants_nodes)
    nodes = len(state.nodes.keys() | state.quarantined.keys())
    now_s, apart = state.now_s, dict(state.quarantined)
    spare = len(up) - max(gangs, default=0)
    found = bad_nodes(
        state.mishaps, rules, now_s=now_s, nodes=nodes, apart=apart, spare=spare
    )
    found |= outdone_nodes(
        state.outdone,
        rules,
        now_s=now_s,
        nodes=nodes,
        apart=apart | found,
        spare=spare - len(found),
    )
    for node, why in found.items():
        yield NodeQuarantined(node=node, why=why)


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
            committed = s.committed
            complete = committed == s.plan.last
            below = s.reached < committed or (
                s.planned is not None and s.planned <= committed
            )
            if complete or below:
                yield AbandonAttempt(
                    simulation=simulation.name,
                    set=s.name,
                    attempt=s.attempt,
                    why="done" if complete else "a newer checkpoint was found",
                )
                yield from roll_back(simulation, s, Cause.NODE_LOST)
        if s.phase is Phase.IDLE:
            # A checkpoint that is damaged or missing takes its segments along,
            # whether or not an attempt lived on it.
            back = s.blown.target is not None
            cause = Cause.NUMERICAL if back else Cause.CORRUPT
            yield from roll_back(simulation, s, cause)


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
