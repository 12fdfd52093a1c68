"""Studies that are made by hand."""

from __future__ import annotations

from typing import Any

from climorch.forecast.entries import Entry
from climorch.forecast.insights.finding import Study
from climorch.forecast.parts import Part
from climorch.forecast.timings import SetTimes, SimulationTimes, StageTimes, Times
from climorch.model.plan import StagePlan
from tests.unit.core.script import plan
from tests.unit.twin.stage import stage

__all__ = ["simulation", "study"]


def simulation(*stages: StagePlan, **more: Any) -> SimulationTimes:
    """Make the times of a simulation that nothing is known of yet."""
    made = plan(*(stages or (stage(),)))
    return SimulationTimes(
        plan=made,
        project="p",
        submitted_s=0.0,
        stages={x.name: StageTimes() for x in made.stages},
        sets={s.name: SetTimes(plan=s) for s in made.sets},
        **more,
    )


def study(times: Times | None = None, as_of_s: float = 100.0, **parts: float) -> Study:
    """Make a study with node-seconds by part."""
    node_s = tuple(parts.pop(part.name.lower(), 0.0) for part in Part)
    return Study(
        times=times or Times(),
        entries=(Entry(since_s=0.0, until_s=as_of_s, node_s=node_s),),
        ends={},
        as_of_s=as_of_s,
        longest_s=1e9,
        **parts,
    )
