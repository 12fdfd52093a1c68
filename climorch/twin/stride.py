"""What a set does while nothing is to be decided about it but checkpoints.

Goes from one end of a segment to the next without a kernel and without facts: what
may start, when a checkpoint is due and which may go is asked of the functions that
the orchestrator asks. Ignores all that can disturb it: others end it before that.
"""

from __future__ import annotations

import dataclasses

from climorch.core.calm import LAST, near_end
from climorch.core.fold_strides import mean
from climorch.core.frontier import ready_segments
from climorch.core.state import CampaignState, SetState, SimulationState
from climorch.core.upkeep import Policies
from climorch.model.strides import SetAdvanced
from climorch.twin.held_nodes import HeldNodes
from climorch.twin.lab import Lab, Running, Standing
from climorch.twin.solo import go_alone
from climorch.twin.way import Way

__all__ = ["Stride"]


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
    held : HeldNodes
        What all leases have held.
    alone : bool
        Whether no other set of the simulation computes.

    Attributes
    ----------
    next_s : float
        When something happens to it next; clock of the run, seconds.
    ended : bool
        Whether it is so near its end that it goes no further.
    """

    __slots__ = ("_kept", "_solo", "_way", "ended", "next_s")

    def __init__(
        self,
        lab: Lab,
        rules: Policies,
        state: CampaignState,
        simulation: SimulationState,
        s: SetState,
        standing: Standing,
        held: HeldNodes,
        *,
        alone: bool,
    ) -> None:
        here = dataclasses.replace(
            s, done=dict(s.done), running=dict(s.running), pace_s=dict(s.pace_s)
        )
        self._way = Way(
            lab=lab,
            rules=rules,
            state=state,
            simulation=simulation,
            known=s,
            here=here,
            at=standing,
            held=held,
            factor=lab.storage.factor,
            committed=s.committed,
            counted=len(s.commits) + s.deleted + (s.checkpoint is not None),
            full=standing.checkpoint is not None and standing.checkpoint.full,
        )
        # By far most sets are such, and months of them are what takes time.
        self._solo = alone and len(s.plan.stages) == 1 and s.planned is None
        self._kept = {g: s.committed_segments.get(g, 0) for g in s.done}
        self.ended = False
        self.next_s = self._next_s()

    @property
    def name(self) -> str:
        """Name of the set."""
        return self._way.here.name

    @property
    def period_s(self) -> float:
        """Least seconds from one common boundary to the next, roughly."""
        pace_s, plan = self._way.here.pace_s, self._way.here.plan
        counts = plan.segments_at[-1]
        return max(pace_s.get(g, 0.0) * n / plan.last for g, n in counts.items())

    @property
    def left(self) -> int:
        """Common boundaries until it is near its end."""
        here = self._way.here
        return here.plan.last - LAST - here.front()

    def run(self, until_s: float) -> None:
        """Go on up to a time, it included; clock of the run, seconds."""
        if self.ended or self.next_s > until_s:
            return
        if self._solo:
            go_alone(self._way, until_s)
            self.ended = near_end(self._way.here)
            self.next_s = self._next_s()
            return
        while self.next_s <= until_s and not self.ended:
            self.step()

    def step(self) -> None:
        """Go on to the next moment at which something happens."""
        now_s, way = self.next_s, self._way
        way.news = True
        running = way.at.running
        for stage in [g for g, r in running.items() if r.ends_s <= now_s]:
            self._finish(stage, now_s)
        if way.at.written_s <= now_s:
            self._commit(now_s)
        self._decide(now_s)
        self.ended = near_end(way.here)
        self.next_s = self._next_s()

    def told(self) -> SetAdvanced | None:
        """Return what it did since it was last asked; None: nothing happened."""
        return self._way.told()

    def see_ends(self) -> None:
        """See when nodes of the lease go, after that changed."""
        self._way.see_ends()

    def slowed(self, now_s: float, factor: float) -> None:
        """Let the storage be so many times slower from now on than on a good day."""
        self._way.slowed(now_s, factor)
        self.next_s = self._next_s()

    def stop(self) -> Standing:
        """End here; return what is under way."""
        return self._way.stop()

    def _next_s(self) -> float:
        at = self._way.at
        return min([r.ends_s for r in at.running.values()] + [at.written_s])

    def _finish(self, stage: str, now_s: float) -> None:
        way = self._way
        here = way.here
        running = way.at.running.pop(stage)
        del here.running[stage]
        here.done[stage] = running.number + 1
        took_s = running.price.seconds
        here.pace_s[stage] = mean(here.pace_s.get(stage), took_s)
        way.seconds.setdefault(stage, []).append(took_s)
        way.at.redo_base_s += running.price.base_s
        way.lab.ledger.finished(
            way.simulation.name,
            here.name,
            stage,
            running.number,
            compute_s=took_s,
            base_s=running.price.base_s,
            now_s=now_s,
        )

    def _commit(self, now_s: float) -> None:
        way, name = self._way, self._way.simulation.name
        boundary = way.commit()
        if boundary is None:
            return
        ledger = way.lab.ledger
        ledger.writing(name, -1, now_s)
        for stage, count in way.here.plan.segments_at[boundary].items():
            for segment in range(self._kept[stage], count):
                ledger.committed(name, way.here.name, stage, segment)
            self._kept[stage] = count

    def _decide(self, now_s: float) -> None:
        """Plan a checkpoint, begin it, start segments: in the orchestrator's order."""
        way = self._way
        here = way.here
        if here.planned is None and here.checkpoint is None:
            boundary = here.front()
            if boundary > max(here.from_boundary, way.committed) and not (
                here.passed(boundary)
            ):
                way.plan(boundary, now_s)
        if (
            here.planned is not None
            and here.checkpoint is None
            and here.settled
            and here.reached == here.planned
        ):
            way.begin(here.planned, now_s)
            way.lab.ledger.writing(way.simulation.name, +1, now_s)
        for stage, segment in list(ready_segments(here)):
            self._start(stage, segment, now_s)

    def _start(self, stage: str, segment: int, now_s: float) -> None:
        way = self._way
        at, lab, name = way.at, way.lab, way.simulation.name
        price = lab.price(name, stage, segment, now_s)
        stall_s = max(at.ready_s - now_s, 0.0)
        lab.ledger.started(name, stage, price.base, stall_s, now_s)
        way.here.running[stage] = segment
        at.running[stage] = Running(
            segment,
            price,
            begun_s=now_s,
            since_s=now_s + stall_s,
            ends_s=now_s + (stall_s + price.seconds),
        )
