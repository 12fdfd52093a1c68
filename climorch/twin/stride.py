"""What a set does while nothing is to be decided about it but checkpoints.

Goes from one end of a segment to the next without a kernel and without facts: what
may start, when a checkpoint is due and which may go is asked of the functions that
the orchestrator asks. Ignores all that can disturb it: others end it before that.
"""

from __future__ import annotations

import dataclasses
import math

from climorch.core.calm import LAST, near_end
from climorch.core.fold_strides import mean
from climorch.core.frontier import ready_segments
from climorch.core.progress import pace_of
from climorch.core.state import CampaignState, SetState, SimulationState
from climorch.core.upkeep import Policies, kept_checkpoints
from climorch.model import commands as c
from climorch.model.strides import SetAdvanced, Written
from climorch.policy.retention import Kept, guarded
from climorch.twin.work import Lab, Running, Standing

__all__ = ["Stride"]

# Checkpoints that a set may have more than the retention policy would let it, until
# it is asked again.
UNASKED = 4


class Stride:
    """One set of a simulation, from where it stands.

    Parameters
    ----------
    lab : Lab
        What all sets of the run share.
    rules : Policies
        Of the orchestrator.
    state : CampaignState
        The orchestrator's; only read.
    simulation : SimulationState
        Whose set.
    s : SetState
        The set, as the orchestrator knows it.
    standing : Standing
        What is under way.

    Attributes
    ----------
    next_s : float
        When something happens to it next; clock of the run, seconds.
    ended : bool
        Whether it is so near its end that it goes no further.
    """

    __slots__ = (
        "_committed",
        "_copies",
        "_copy",
        "_counted",
        "_factor",
        "_here",
        "_kept",
        "_known",
        "_lab",
        "_news",
        "_rules",
        "_seconds",
        "_simulation",
        "_standing",
        "_state",
        "_unasked",
        "_written",
        "ended",
        "next_s",
    )

    def __init__(
        self,
        lab: Lab,
        rules: Policies,
        state: CampaignState,
        simulation: SimulationState,
        s: SetState,
        standing: Standing,
    ) -> None:
        self._lab = lab
        self._rules = rules
        self._state = state
        self._simulation = simulation
        self._known = s
        self._standing = standing
        # Its own, ahead of what the orchestrator knows.
        self._here = dataclasses.replace(
            s, done=dict(s.done), running=dict(s.running), pace_s=dict(s.pace_s)
        )
        self._committed = s.committed
        self._kept = {g: s.committed_segments.get(g, 0) for g in s.done}
        self._counted = len(s.commits) + s.deleted
        self._factor = lab.storage.factor
        self._seconds: dict[str, list[float]] = {}
        self._written: list[Written] = []
        self._unasked = 0
        self._news = False
        self.ended = False
        self.next_s = self._next_s()

    @property
    def name(self) -> str:
        """Name of the set."""
        return self._known.name

    @property
    def period_s(self) -> float:
        """Least seconds from one common boundary to the next, roughly."""
        pace_s, plan = self._here.pace_s, self._here.plan
        counts = plan.segments_at[-1]
        return max(pace_s.get(g, 0.0) * n / plan.last for g, n in counts.items())

    @property
    def left(self) -> int:
        """Common boundaries until it is near its end."""
        return self._here.plan.last - LAST - self._here.front()

    def run(self, until_s: float) -> None:
        """Go on up to a time, it included; clock of the run, seconds."""
        while self.next_s <= until_s and not self.ended:
            self.step()

    def step(self) -> None:
        """Go on to the next moment at which something happens."""
        now_s = self.next_s
        at = self._standing
        self._news = True
        for stage in [g for g, r in at.running.items() if r.ends_s <= now_s]:
            self._finish(stage, now_s)
        if at.written_s <= now_s:
            self._commit(now_s)
        self._decide(now_s)
        self.ended = near_end(self._here)
        self.next_s = self._next_s()

    def told(self) -> SetAdvanced | None:
        """Return what it did since it was last asked; None: nothing happened."""
        if not self._news:
            return None
        self._news = False
        here = self._here
        fact = SetAdvanced(
            simulation=self._simulation.name,
            set=here.name,
            attempt=here.attempt,
            seconds={stage: tuple(took) for stage, took in self._seconds.items()},
            nodes=self._lab.nodes(self._simulation.name),
            running={g: r.begun_s for g, r in self._standing.running.items()},
            planned=here.planned,
            why=here.planned_why,
            checkpoint=here.checkpoint,
            since_s=here.since_s,
            from_boundary=here.from_boundary,
            written=tuple(self._written),
            cost_s=self._lab.overheads.stall_s,
            deleted=self._deleted(),
        )
        self._seconds.clear()
        self._written.clear()
        return fact

    def slowed(self, now_s: float, factor: float) -> None:
        """Let the storage be so many times slower from now on than on a good day."""
        at = self._standing
        if at.written_s < math.inf:
            at.written_s = now_s + (at.written_s - now_s) * factor / self._factor
        self._factor = factor
        self.next_s = self._next_s()

    def stop(self) -> Standing:
        """End here; return what is under way."""
        here, at = self._here, self._standing
        if here.checkpoint is not None and at.checkpoint is None:
            at.checkpoint = c.BeginCheckpoint(
                simulation=self._simulation.name,
                set=here.name,
                boundary=here.checkpoint,
                attempt=here.attempt,
                full=at.full,
                why=here.planned_why,
            )
        return at

    def _next_s(self) -> float:
        at = self._standing
        return min([r.ends_s for r in at.running.values()] + [at.written_s])

    def _finish(self, stage: str, now_s: float) -> None:
        here, at, lab = self._here, self._standing, self._lab
        running = at.running.pop(stage)
        del here.running[stage]
        here.done[stage] = running.number + 1
        took_s = running.price.seconds
        here.pace_s[stage] = mean(here.pace_s.get(stage), took_s)
        self._seconds.setdefault(stage, []).append(took_s)
        at.redo_base_s += running.price.base_s
        lab.ledger.finished(
            self._simulation.name,
            here.name,
            stage,
            running.number,
            compute_s=took_s,
            base_s=running.price.base_s,
            now_s=now_s,
        )

    def _commit(self, now_s: float) -> None:
        here, at, ledger = self._here, self._standing, self._lab.ledger
        name, boundary = self._simulation.name, here.checkpoint
        if boundary is None:
            return
        ledger.writing(name, -1, now_s)
        self._written.append(
            Written(
                boundary=boundary,
                committed_s=now_s,
                seconds=now_s - at.begun_s,
                independent=at.full,
            )
        )
        self._committed = boundary
        here.cost_s = mean(here.cost_s, self._lab.overheads.stall_s)
        here.checkpoint = at.checkpoint = None
        at.written_s = math.inf
        for stage, count in here.plan.segments_at[boundary].items():
            for segment in range(self._kept[stage], count):
                ledger.committed(name, here.name, stage, segment)
            self._kept[stage] = count

    def _decide(self, now_s: float) -> None:
        """Plan a checkpoint, begin it, start segments: in the orchestrator's order."""
        here = self._here
        if here.planned is None and here.checkpoint is None:
            boundary = here.front()
            if boundary > max(here.from_boundary, self._committed) and not (
                here.passed(boundary)
            ):
                pace = pace_of(self._state, self._simulation, here, boundary, now_s)
                why = self._rules.checkpointing.due(pace)
                if why is not None:
                    here.planned, here.planned_why = boundary, why
        if here.planned is not None and here.checkpoint is None:
            if here.settled and here.reached == here.planned:
                self._begin(here.planned, now_s)
        for stage, segment in list(ready_segments(here)):
            self._start(stage, segment, now_s)

    def _begin(self, boundary: int, now_s: float) -> None:
        """Cut and write behind."""
        here, at, lab = self._here, self._standing, self._lab
        here.checkpoint, here.planned = boundary, None
        here.since_s, here.from_boundary = now_s, boundary
        at.full = self._counted % self._rules.full_every == 0
        self._counted += 1
        at.ready_s, at.redo_base_s = now_s + lab.overheads.stall_s, 0.0
        at.begun_s = now_s
        at.written_s = now_s + lab.overheads.checkpoint_s * self._factor
        lab.ledger.writing(self._simulation.name, +1, now_s)

    def _start(self, stage: str, segment: int, now_s: float) -> None:
        at, lab, name = self._standing, self._lab, self._simulation.name
        price = lab.price(name, stage, segment, now_s)
        stall_s = max(at.ready_s - now_s, 0.0)
        lab.ledger.started(name, stage, price.base, stall_s, now_s)
        self._here.running[stage] = segment
        at.running[stage] = Running(
            segment,
            price,
            begun_s=now_s,
            since_s=now_s + stall_s,
            ends_s=now_s + (stall_s + price.seconds),
        )

    def _deleted(self) -> tuple[int, ...]:
        """Ask which checkpoints may go, once there are some more."""
        self._unasked += len(self._written)
        if self._unasked < UNASKED:
            return ()
        self._unasked = 0
        known = self._known
        kept = list(kept_checkpoints(self._simulation, known))
        copies = known.copies
        copy = kept[-1].copy if kept else copies
        for written in self._written:
            if written.independent or not kept:
                copies += 1
                copy = copies
            kept.append(
                Kept(boundary=written.boundary, copy=copy, good=True, pinned=False)
            )
        return guarded(self._rules.retention, kept)
