"""How long a forecast of a large campaign takes.

A hundred simulations of one to four nodes with segments of an hour, six months, twenty
worlds, two processes: 440,000 segments in each world. The bars: 300 s of wall time with
the twin, 10 s without. With ``--quick`` two worlds in one process, a bar on their CPU
time, from which the whole follows: ten times as many on two cores.

    uv run python benchmarks/forecast_speed.py [--quick]
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import UTC, datetime

from benchmarks.bench import Figures, report
from climorch.core.progress import Policies
from climorch.forecast.past import past_of
from climorch.model.events import SimulationSubmitted
from climorch.model.plan import SimulationPlan, StagePlan
from climorch.model.resources import Resources
from climorch.model.scenario import Scenario
from climorch.policy.checkpointing import EverySegments
from climorch.twin.asking import Asked, Question, forecast_from
from climorch.twin.site import TwinSite

__all__ = ["SIMULATIONS", "asked", "measure"]

SIMULATIONS, NODES, WORLDS, PROCESSES = 100, 300, 20, 2
BAR_S, QUICK_BAR_S = 300.0, 10.0
SEGMENTS = 4380
SEGMENT_S = 3600.0
BEGIN_S = datetime(2027, 1, 1, tzinfo=UTC).timestamp()


def asked(simulations: int, segments: int) -> Asked:
    """Submit simulations of so many segments."""
    facts = []
    for number in range(simulations):
        stage = StagePlan(
            name="earth",
            calendar="noleap",
            boundaries=tuple(range(segments + 1)),
            resources=Resources(nodes=1 + number % 4, segment_s=SEGMENT_S),
        )
        name = f"s{number:03d}"
        facts.append(
            SimulationSubmitted(
                simulation=name,
                scenario=Scenario(name),
                plan=SimulationPlan(workflow="w", stages=(stage,)),
            )
        )
    return Asked(
        campaign="speed",
        facts=tuple(facts),
        policies=Policies(checkpointing=EverySegments()),
        workflows={},
    )


def measure(given: Asked, *, quick: bool, worlds: int, processes: int) -> Figures:
    """Forecast once; return what that took, in seconds, and what came out."""
    question = Question(
        site=TwinSite(nodes=NODES),
        quick=quick,
        seeds=tuple(range(worlds)),
        processes=processes,
    )
    wall_s, cpu_s = time.monotonic(), time.process_time()
    found = forecast_from(past_of(()), question, given, begin_s=BEGIN_S)
    return {
        "wall_s": time.monotonic() - wall_s,
        "cpu_s": time.process_time() - cpu_s,
        "node_hours": found.total().p50,
    }


def main() -> int:
    """Measure, print, and tell whether the bars hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two worlds")
    short = parser.parse_args().quick
    given = asked(SIMULATIONS, SEGMENTS)
    figures: Figures = {}
    plain = measure(given, quick=True, worlds=200, processes=1)
    figures |= {f"sum_{name}": value for name, value in plain.items()}
    worlds, processes = (2, 1) if short else (WORLDS, PROCESSES)
    twin = measure(given, quick=False, worlds=worlds, processes=processes)
    figures |= {f"twin_{name}": value for name, value in twin.items()}
    took_s = float(twin["cpu_s"]) / worlds * WORLDS / PROCESSES
    figures["twin_whole_s"] = took_s if short else float(twin["wall_s"])
    report("forecast_speed" + "_quick" * short, figures)
    holds = float(figures["twin_whole_s"]) < BAR_S
    holds &= float(plain["cpu_s"]) < QUICK_BAR_S
    print("bars:", "hold" if holds else "fall short")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
