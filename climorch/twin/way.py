"""How far a set has gone by itself, and what of that was not told yet.

Common to sets of one stage and of several: checkpoints that are begun and committed,
and the fact that tells of all of it in one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from climorch.core.fold_strides import mean
from climorch.core.keeping import kept_checkpoints
from climorch.core.pacing import ends_s_of, pace_at, word_on
from climorch.core.state import CampaignState, SetState, SimulationState
from climorch.core.upkeep import Policies, strategy_of
from climorch.model import commands as c
from climorch.model.pace import CheckpointStrategy
from climorch.model.strides import SetAdvanced, Written
from climorch.policy.limits import faded, judge
from climorch.policy.retention import Kept, guarded
from climorch.twin.held_nodes import HeldNodes
from climorch.twin.lab import Lab, Standing

__all__ = ["Way"]

# Checkpoints that a set may have more than the retention policy would let it, until
# it is asked again.
UNASKED = 4


@dataclass(slots=True, kw_only=True)
class Way:
    """A set, ahead of what the orchestrator knows.

    Attributes
    ----------
    lab : Lab
        What all sets of the run share.
    rules : Policies
        Of the orchestrator.
    state : CampaignState
        The orchestrator's; only read.
    simulation : SimulationState
        Whose set; only read.
    known : SetState
        The set as the orchestrator knows it; only read.
    here : SetState
        The set as it is, as far as decisions on it go by that.
    at : Standing
        What is under way.
    held : HeldNodes
        What all leases have held.
    factor : float
        How many times longer than on a good day the storage takes.
    committed : int
        Boundary of the newest checkpoint.
    counted : int
        Checkpoints begun so far.
    seconds : dict of str to list of float
        What segments took, by stage, that was not told yet.
    written : list of Written
        Checkpoints of which was not told yet.
    unasked : int
        Checkpoints since the retention policy was asked.
    full : bool
        Whether the one that is being written shares no file with older ones.
    news : bool
        Whether there is anything to tell.
    strategy : CheckpointStrategy
        When the set is checkpointed.
    ends_s : float
        When the first node of the lease goes, as announced; clock, seconds.
    """

    lab: Lab
    rules: Policies
    state: CampaignState
    simulation: SimulationState
    known: SetState
    here: SetState
    at: Standing
    held: HeldNodes
    factor: float
    committed: int
    counted: int
    seconds: dict[str, list[float]] = field(default_factory=dict)
    written: list[Written] = field(default_factory=list)
    unasked: int = 0
    full: bool = False
    news: bool = False
    strategy: CheckpointStrategy = field(init=False)
    ends_s: float = field(init=False)

    def __post_init__(self) -> None:
        # This does not change while nothing concerns the simulation.
        self.strategy = strategy_of(self.rules, self.simulation, self.known)
        self.see_ends()

    def see_ends(self) -> None:
        """See when nodes of the lease go, after that changed."""
        self.ends_s = ends_s_of(self.state, self.simulation)

    def plan(self, boundary: int, now_s: float) -> None:
        """Ask whether there is to be a checkpoint at a boundary, as is asked live."""
        here = self.here
        pace = pace_at(
            self.state,
            self.simulation,
            here,
            boundary,
            now_s,
            self.ends_s,
            self.held.until(now_s),
        )
        ruling = judge(self.strategy.due(pace), pace, self.rules.limits)
        if ruling.due:
            here.planned = boundary
            here.binds, here.planned_why = word_on(here, ruling)
            here.binds_why = here.planned_why if here.binds else ""
        elif ruling.binds and not here.put_off:
            here.binds, here.binds_why, here.put_off = ruling.binds, ruling.why, True

    def begin(self, boundary: int, now_s: float) -> None:
        """Cut at a boundary and write behind."""
        here, at, over = self.here, self.at, self.lab.overheads
        here.checkpoint, here.planned, here.put_off = boundary, None, False
        here.since_s, here.from_boundary = now_s, boundary
        self.full = self.counted % self.rules.full_every == 0
        self.counted += 1
        at.ready_s, at.redo_base_s = now_s + over.stall_s, 0.0
        at.begun_s = now_s
        at.written_s = now_s + over.checkpoint_s * self.factor

    def commit(self) -> int | None:
        """Let what was written be committed; return its boundary."""
        here, at = self.here, self.at
        boundary, now_s = here.checkpoint, at.written_s
        if boundary is None:
            return None
        self.written.append(
            Written(
                boundary=boundary,
                committed_s=now_s,
                seconds=now_s - at.begun_s,
                independent=self.full,
            )
        )
        self.committed = boundary
        stall_s = self.lab.overheads.stall_s
        here.cost_s = mean(here.cost_s, stall_s)
        here.spent_s = faded(here.spent_s, now_s - here.spent_at_s) + stall_s
        here.spent_at_s = now_s
        here.checkpoint = at.checkpoint = None
        at.written_s = math.inf
        return boundary

    def slowed(self, now_s: float, factor: float) -> None:
        """Let the storage be so many times slower from now on than on a good day."""
        at = self.at
        if at.written_s < math.inf:
            at.written_s = now_s + (at.written_s - now_s) * factor / self.factor
        self.factor = factor

    def told(self) -> SetAdvanced | None:
        """Return what was not told yet; None: nothing happened."""
        if not self.news:
            return None
        self.news = False
        here, name = self.here, self.simulation.name
        fact = SetAdvanced(
            simulation=name,
            set=here.name,
            attempt=here.attempt,
            seconds={stage: tuple(took) for stage, took in self.seconds.items()},
            nodes=self.lab.nodes(name),
            running={g: r.begun_s for g, r in self.at.running.items()},
            planned=here.planned,
            why=here.planned_why,
            checkpoint=here.checkpoint,
            binds=here.binds,
            binds_why=here.binds_why,
            put_off=here.put_off,
            since_s=here.since_s,
            from_boundary=here.from_boundary,
            written=tuple(self.written),
            cost_s=self.lab.overheads.stall_s,
            deleted=self._deleted(),
        )
        self.seconds.clear()
        self.written.clear()
        return fact

    def stop(self) -> Standing:
        """Return what is under way, for somebody else to go on with."""
        here, at = self.here, self.at
        if here.checkpoint is not None and at.checkpoint is None:
            at.checkpoint = c.BeginCheckpoint(
                simulation=self.simulation.name,
                set=here.name,
                boundary=here.checkpoint,
                attempt=here.attempt,
                full=self.full,
                why=here.planned_why,
            )
        return at

    def _deleted(self) -> tuple[int, ...]:
        """Ask which checkpoints may go, once there are some more."""
        self.unasked += len(self.written)
        if self.unasked < UNASKED:
            return ()
        self.unasked = 0
        kept = list(kept_checkpoints(self.simulation, self.known))
        copies = self.known.copies
        copy = kept[-1].copy if kept else copies
        for written in self.written:
            if written.independent or not kept:
                copies += 1
                copy = copies
            plan = self.known.plan
            kept.append(
                Kept(
                    boundary=written.boundary,
                    copy=copy,
                    model_s=plan.commons[written.boundary],
                    calendar=plan.stages[0].calendar,
                )
            )
        return guarded(self.rules.retention, kept)
