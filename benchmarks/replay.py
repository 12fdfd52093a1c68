"""How fast the core decides on a fact, and how fast a journal is folded again.

A hundred simulations of three coupled stages run at once on three hundred nodes
that answer at once. The bar: at most 1 ms per fact in ``Orchestrator.handle`` with
all of them running, and 1,000,000 records decoded and folded in at most 30 s. With
``--quick`` ten times fewer records at the same rates.

    uv run python benchmarks/replay.py [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections import deque
from pathlib import Path

import numpy as np

from benchmarks.instant import answer, coupled
from climorch.core.orchestrator import Orchestrator
from climorch.core.progress import Policies
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.scenario import Scenario
from climorch.policy.checkpointing import EverySegments

RESULTS = Path(__file__).parent / "results"
HANDLE_BAR_S = 1e-3
REPLAY_BAR_PER_S = 1_000_000 / 30.0
SIMULATIONS = 100
SEGMENTS = 3000
POLICIES = Policies(checkpointing=EverySegments(count=5))


def live(count: int) -> tuple[list[tuple[bytes, float]], list[float], Orchestrator]:
    """Run until there are `count` records; return them and the time of each fact."""
    orchestrator = Orchestrator(POLICIES)
    plan = coupled(SEGMENTS)
    journal: list[tuple[bytes, float]] = []
    facts: deque[e.Fact] = deque()

    def decide(now_s: float, *news: e.Fact) -> float:
        begin = time.perf_counter()
        outcome = orchestrator.handle(news, now_s)
        spent_s = time.perf_counter() - begin
        journal.extend((c.encode_record(r), now_s) for r in outcome.records)
        facts.extend(fact for x in outcome.commands if (fact := answer(x)) is not None)
        return spent_s

    for i in range(SIMULATIONS):
        name = f"ssp245-m{i:03d}"
        decide(
            0.0,
            e.SimulationSubmitted(simulation=name, scenario=Scenario(name), plan=plan),
        )
    decide(
        0.0, *(e.NodeJoined(node=f"n{i:03d}", cores=4) for i in range(3 * SIMULATIONS))
    )
    spent: list[float] = []
    while len(journal) < count and facts:
        spent.append(decide(float(len(spent)), facts.popleft()))
    return journal, spent, orchestrator


def measure(count: int) -> dict[str, float]:
    """Decide on facts until there are `count` records, then fold them again."""
    journal, spent, lived = live(count)
    again = Orchestrator(POLICIES)
    begin = time.perf_counter()
    again.replay((c.decode_record(payload), now_s) for payload, now_s in journal)
    replay_s = time.perf_counter() - begin
    begin = time.perf_counter()
    deque((c.decode_record(payload) for payload, _ in journal), maxlen=0)
    decode_s = time.perf_counter() - begin
    if again.state != lived.state:
        sys.exit("the folded state is not the one that was lived")
    times = np.asarray(spent)
    return {
        "simulations": SIMULATIONS,
        "records": len(journal),
        "facts": len(spent),
        "handle_mean_s": float(times.mean()),
        "handle_median_s": float(np.median(times)),
        "handle_p99_s": float(np.quantile(times, 0.99)),
        "handle_longest_s": float(times.max()),
        "replay_s": replay_s,
        "of_that_decode_s": decode_s,
        "replay_per_s": len(journal) / replay_s,
        "replay_of_a_million_s": replay_s / len(journal) * 1e6,
    }


def main() -> int:
    """Measure, print, and tell whether the bar holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="ten times fewer records")
    quick = parser.parse_args().quick
    found = measure(100_000 if quick else 1_000_000)
    margin = min(
        HANDLE_BAR_S / found["handle_mean_s"], found["replay_per_s"] / REPLAY_BAR_PER_S
    )
    RESULTS.mkdir(exist_ok=True)
    told = found | {
        "handle_bar_s": HANDLE_BAR_S,
        "replay_bar_per_s": REPLAY_BAR_PER_S,
        "margin": margin,
        "cores": os.cpu_count() or 0,
        "python": platform.python_version(),
    }
    (RESULTS / "replay.json").write_text(json.dumps(told, indent=2) + "\n")
    for name, value in told.items():
        shown = f"{value:,.6f}" if isinstance(value, float) else f"{value}"
        print(f"{name:24} {shown:>16}")
    print("bar: handle <= 1 ms per fact (mean), 1,000,000 records folded in <= 30 s")
    print(f"the smaller of both over its bar: {margin:.2f} (>= 1.00 holds)")
    return 0 if margin >= 1.0 else 1


if __name__ == "__main__":
    sys.exit(main())
