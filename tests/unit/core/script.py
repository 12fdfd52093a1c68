"""A way to write what an orchestrator is told and what it answers, in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from climorch.core.orchestrator import Orchestrator, Outcome
from climorch.core.progress import Policies
from climorch.core.state import SetState, SimulationState
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.plan import Coupling, RulePlan, SimulationPlan, StagePlan
from climorch.model.resources import Resources
from climorch.model.scenario import Scenario
from climorch.model.scoring import ScorePlan
from climorch.policy.checkpointing import EverySegments
from climorch.policy.limits import Limits

__all__ = ["UNLIMITED", "Script", "plan", "simulation", "stage", "submitted", "words"]

# A minute of these scripts has more checkpoints than an hour should have.
UNLIMITED = Limits(most_overhead=math.inf, most_exposure_s=math.inf)


def stage(
    name: str = "a",
    *,
    boundaries: Sequence[int] = (0, 1, 2, 3, 4),
    reads: dict[str, Coupling] | None = None,
    after: tuple[str, ...] = (),
    nodes: int = 1,
    most: int | None = None,
    memory: int = 0,
    optional: bool = False,
    together: bool = False,
) -> StagePlan:
    """Make a stage of a plan."""
    return StagePlan(
        name=name,
        calendar="noleap",
        boundaries=tuple(boundaries),
        reads=reads or {},
        after=after,
        resources=Resources(nodes=nodes, max_nodes=most, memory=memory),
        optional=optional,
        together=together,
    )


def plan(
    *stages: StagePlan,
    rules: Sequence[tuple[str, str] | RulePlan] = (),
    scores: Sequence[ScorePlan] = (),
) -> SimulationPlan:
    """Make a plan; rules may be pairs of a name and a stage."""
    return SimulationPlan(
        workflow="w",
        stages=stages or (stage(),),
        rules=tuple(
            rule if isinstance(rule, RulePlan) else RulePlan(name=rule[0], when=rule[1])
            for rule in rules
        ),
        scores=tuple(scores),
    )


def submitted(
    *stages: StagePlan,
    name: str = "s",
    priority: int = 0,
    rules: Sequence[tuple[str, str] | RulePlan] = (),
    scores: Sequence[ScorePlan] = (),
    **more: Any,
) -> e.SimulationSubmitted:
    """Make the submission of a simulation; ``more`` is of its scenario."""
    return e.SimulationSubmitted(
        simulation=name,
        scenario=Scenario(name, priority=priority, **more),
        plan=plan(*stages, rules=rules, scores=scores),
    )


def simulation(*stages: StagePlan) -> SimulationState:
    """Make a simulation that has not begun."""
    script = Script()
    script.tell(submitted(*stages))
    return script.simulation()


def words(record: c.Record) -> str:
    """Say a command or decision in a few words."""
    match record:
        case c.SetLease():
            return f"lease {record.simulation}: {','.join(record.nodes) or 'none'}"
        case c.ShrinkPlanned():
            return f"shrink {record.simulation} to {record.nodes}"
        case c.PreemptPlanned():
            return f"preempt {record.simulation}: {record.why}"
        case c.PromiseRanked():
            order = ",".join(map(str, record.order)) if record.on else "off"
            pauses = "".join(f", {name} gives way" for name in record.pauses)
            return f"promise {record.project}: {order}{pauses}"
        case c.MovePlanned():
            left = ",".join(record.leave) or "none"
            return f"move {record.simulation} from {left}: {record.why}"
        case c.NodeShunned():
            return f"shun {record.node}: {record.slow:.1f} x{record.segments}"
        case c.NodeTrusted():
            return f"trust {record.node}: {record.why}"
        case c.WindowPlaced():
            return f"window {record.name}: {','.join(record.nodes)}"
        case c.WindowEnded():
            return f"window {record.name} ended"
        case c.SharingSet():
            return f"half-life {record.half_life_s:g} s"
        case c.NodeQuarantined():
            return f"quarantine {record.node}"
        case c.ArchiveResults():
            return f"archive results {record.simulation}.{record.stage}"
        case c.EvaluateRule():
            return f"rule {record.simulation}.{record.rule}"
        case c.EvaluateScore():
            return f"score {record.simulation}.{record.score} at {record.mark}"
        case c.AskRemedy():
            return f"remedy {record.simulation} #{record.number}"
        case c.SetDropped():
            return f"drop {record.simulation}.{record.set}: {record.cause.name}"
        case c.SimulationFailed():
            return f"failed {record.simulation}: {record.cause.name}"
        case c.StartSegment():
            where = f"{record.simulation}.{record.stage}"
            return f"segment {where} {record.segment} #{record.attempt}"
        case c.SegmentCommitted():
            return f"committed {record.simulation}.{record.stage} {record.segment}"
        case _:
            return _of_a_set(record)


def _of_a_set(record: c.Record) -> str:
    where = f"{getattr(record, 'simulation', '')}.{getattr(record, 'set', '')}"
    match record:
        case c.StartAttempt():
            return f"attempt {where} #{record.attempt} from {record.boundary}"
        case c.BeginCheckpoint():
            full = " full" if record.full else ""
            return f"checkpoint {where} {record.boundary} #{record.attempt}{full}"
        case c.CopyPlanned():
            return f"plan copy {where} {record.boundary}"
        case c.BeginCopy():
            return f"copy {where} {record.boundary} #{record.attempt}"
        case c.SalvageCopy():
            until = f"until {record.until_s:g}"
            return f"salvage {where} {record.boundary} #{record.attempt} {until}"
        case c.AbandonAttempt():
            later = f" until {record.retry_at_s:g}" if record.retry_at_s else ""
            return f"abandon {where} #{record.attempt}{later}"
        case c.PublishResults():
            return f"publish {where} {record.boundary}"
        case c.ArchiveCheckpoint():
            return f"archive {where} {record.boundary}"
        case c.RecallCheckpoint():
            return f"recall {where} {record.boundary}: {record.folder}"
        case c.DeleteCheckpoint():
            return f"delete {where} {record.boundary}"
        case c.CheckpointPlanned():
            return f"plan {where} {record.boundary}"
        case c.CheckpointPostponed():
            return f"postpone {where} {record.boundary}: {record.binds}"
        case c.RolledBack():
            lost = f"{record.segments} segments, {record.lost_s:g} s"
            return f"back {where} to {record.boundary}: {lost}, {record.cause.name}"
        case _:
            raise AssertionError(f"no words for {record}")


class Script:
    """An orchestrator that is told facts one after the other.

    Parameters
    ----------
    policies : Policies or None
        Its rules; None: a checkpoint at every boundary whatever it costs, the
        rest as usual.
    """

    def __init__(self, policies: Policies | None = None) -> None:
        self.policies = policies or Policies(
            checkpointing=EverySegments(), limits=UNLIMITED
        )
        self.orchestrator = Orchestrator(self.policies)
        self.now_s = 0.0
        self.journal: list[tuple[c.Record, float]] = []
        self.outcome = Outcome(records=(), commands=(), wake_at_s=None)

    def tell(self, *facts: e.Fact, after_s: float = 1.0) -> list[str]:
        """Tell facts; return what was decided on them, in words."""
        self.now_s += after_s
        self.outcome = self.orchestrator.handle(facts, self.now_s)
        self.journal += [(record, self.now_s) for record in self.outcome.records]
        return [words(record) for record in self.outcome.records[len(facts) :]]

    def at(self, now_s: float, *facts: e.Fact) -> list[str]:
        """Tell facts, or ask without any, at a time."""
        return self.tell(*facts, after_s=now_s - self.now_s)

    def restart(self, *nodes: str) -> list[str]:
        """Start the driver again from the journal; nodes join one second later."""
        self.orchestrator = Orchestrator(self.policies)
        self.orchestrator.replay(self.journal)
        told = self.tell(e.DriverStarted(epoch=2, host="h", pid=1))
        return told + self.nodes(*nodes)

    def wakes_after(self) -> float | None:
        """Return after how many seconds it wants to be asked again."""
        wake_at_s = self.outcome.wake_at_s
        return None if wake_at_s is None else wake_at_s - self.now_s

    def simulation(self, name: str = "s") -> SimulationState:
        """Return a simulation."""
        return self.orchestrator.state.simulations[name]

    def set(self, name: str = "a", simulation: str = "s") -> SetState:
        """Return a set."""
        return self.simulation(simulation).sets[name]

    def nodes(self, *names: str, memory: int = 0) -> list[str]:
        """Let nodes join."""
        return self.tell(
            *(e.NodeJoined(node=n, cores=4, memory_bytes=memory) for n in names)
        )

    def restored(self, name: str = "a", simulation: str = "s") -> list[str]:
        """Let the present attempt of a set get its states."""
        s = self.set(name, simulation)
        return self.tell(
            e.SetRestored(
                simulation=simulation,
                set=name,
                attempt=s.attempt,
                boundary=s.from_boundary,
                rung="init",
            )
        )

    def finished(
        self, segment: int, stage: str = "a", simulation: str = "s"
    ) -> list[str]:
        """Let a segment of the present attempt be computed in ten seconds."""
        return self.tell(self.finish(segment, stage, simulation))

    def finish(
        self, segment: int, stage: str = "a", simulation: str = "s"
    ) -> e.SegmentFinished:
        """Make the fact that a segment of the present attempt is computed."""
        name = self.simulation(simulation).plan.set_of[stage]
        return e.SegmentFinished(
            simulation=simulation,
            stage=stage,
            segment=segment,
            attempt=self.set(name, simulation).attempt,
            seconds=10.0,
            nodes=len(self.simulation(simulation).lease),
        )

    def failed(
        self, segment: int, cause: e.Cause, stage: str = "a", simulation: str = "s"
    ) -> list[str]:
        """Let a segment of the present attempt fail."""
        name = self.simulation(simulation).plan.set_of[stage]
        return self.tell(
            e.SegmentFailed(
                simulation=simulation,
                stage=stage,
                segment=segment,
                attempt=self.set(name, simulation).attempt,
                cause=cause,
                message="made to fail",
            )
        )

    def commit(
        self, boundary: int, name: str = "a", simulation: str = "s"
    ) -> e.CheckpointCommitted:
        """Make the fact that the present attempt committed a checkpoint."""
        return e.CheckpointCommitted(
            simulation=simulation,
            set=name,
            boundary=boundary,
            attempt=self.set(name, simulation).attempt,
            seconds=3.0,
            cost_s=2.0,
        )

    def committed(
        self, boundary: int, name: str = "a", simulation: str = "s"
    ) -> list[str]:
        """Let the present attempt commit a checkpoint."""
        return self.tell(self.commit(boundary, name, simulation))

    def not_written(
        self, boundary: int, cause: e.Cause, name: str = "a", simulation: str = "s"
    ) -> list[str]:
        """Let a checkpoint of the present attempt fail."""
        return self.tell(
            e.CheckpointFailed(
                simulation=simulation,
                set=name,
                boundary=boundary,
                attempt=self.set(name, simulation).attempt,
                cause=cause,
                message="made to fail",
            )
        )

    def published(
        self, boundary: int, name: str = "a", simulation: str = "s"
    ) -> list[str]:
        """Let the results up to a boundary be published."""
        return self.tell(
            e.ResultsPublished(simulation=simulation, set=name, boundary=boundary)
        )
