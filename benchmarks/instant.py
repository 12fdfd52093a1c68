"""What the benchmarks of the core share: plans, and a world that answers at once."""

from __future__ import annotations

from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.plan import Coupling, SimulationPlan, StagePlan
from climorch.model.resources import Resources

__all__ = ["answer", "coupled", "single"]


def coupled(segments: int) -> SimulationPlan:
    """Plan an atmosphere, an ocean and a land that read each other."""
    past = Coupling.PREVIOUS
    reads = {
        "atmosphere": {"ocean": past, "land": past},
        "ocean": {"atmosphere": Coupling.SAME},
        "land": {"atmosphere": Coupling.SAME},
    }
    boundaries = tuple(range(segments + 1))
    return SimulationPlan(
        workflow="coupled",
        stages=tuple(
            StagePlan(name=name, calendar="noleap", boundaries=boundaries, reads=read)
            for name, read in reads.items()
        ),
    )


def single(segments: int, nodes: int) -> SimulationPlan:
    """Plan one stage on a gang of nodes."""
    stage = StagePlan(
        name="earth",
        calendar="noleap",
        boundaries=tuple(range(segments + 1)),
        resources=Resources(nodes=nodes),
    )
    return SimulationPlan(workflow="single", stages=(stage,))


def answer(command: c.Command) -> e.Fact | None:
    """Do what a command asks for, in no time."""
    match command:
        case c.StartAttempt():
            return e.SetRestored(
                simulation=command.simulation,
                set=command.set,
                attempt=command.attempt,
                boundary=command.boundary,
                rung="init",
            )
        case c.StartSegment():
            return e.SegmentFinished(
                simulation=command.simulation,
                stage=command.stage,
                segment=command.segment,
                attempt=command.attempt,
                seconds=60.0,
                metrics={"tas": 288.15},
            )
        case c.BeginCheckpoint():
            return e.CheckpointCommitted(
                simulation=command.simulation,
                set=command.set,
                boundary=command.boundary,
                attempt=command.attempt,
                seconds=3.0,
                cost_s=0.5,
                independent=command.full,
            )
        case c.PublishResults():
            return e.ResultsPublished(
                simulation=command.simulation,
                set=command.set,
                boundary=command.boundary,
            )
        case c.DeleteCheckpoint():
            return e.CheckpointDeleted(
                simulation=command.simulation,
                set=command.set,
                boundary=command.boundary,
            )
        case _:
            return None
