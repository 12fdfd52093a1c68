"""Which checkpoint strategy for which simulation and which failures, on the twin.

Three kinds of simulation, six patterns of failure, seven strategies under the default
caps and three without; `PartnerCopy` keeps copies in memory beside the disk. What is
counted is the share of the leased time that is not useful: waiting for checkpoints,
computing again, restarting. The same failures come to all strategies, since the draws
of a seed are those of its nodes.

The table of docs/guide-checkpointing.md is written from it: ``--write``. The bar: with
the caps and without, Daly loses nowhere more than a quarter and half a point more than
the best one without copies; with copies no graph model loses more than that beyond
Daly; checkpoints cost at most the cap on overhead wherever that on exposure
does not bind; and nobody under the caps loses an hour at one failure, unless a segment
and its checkpoint together take longer than the 28 min between two. ``--quick``: an
eighth of the time, in which Daly without caps has not learned how often nodes fail and
is not judged, and half a point becomes two.

    uv run python benchmarks/strategies.py [--quick] [--write]
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bench import Figures, report
from benchmarks.strategy_cases import (
    KINDS,
    PATTERNS,
    SIMULATIONS,
    SLOWER,
    Kind,
    Pattern,
)
from climorch.core.orchestrator import Orchestrator
from climorch.core.progress import Policies
from climorch.model import events as e
from climorch.model.scenario import Scenario
from climorch.model.windows import Window
from climorch.policy.checkpointing import (
    BeforeEvent,
    CheckpointStrategy,
    Daly,
    EverySegments,
    EveryWall,
    ModelCalendar,
)
from climorch.policy.limits import Limits
from climorch.policy.partnering import PartnerCopy
from climorch.policy.recovery import RecoveryPolicy
from climorch.twin.driver import Twin
from climorch.twin.ledger import Part

HOUR_S, DAY_S = 3600.0, 86_400.0
GUIDE = Path(__file__).parents[1] / "docs" / "guide-checkpointing.md"
BEGIN, END = "<!-- strategies: begin -->", "<!-- strategies: end -->"

SEGMENTS = 2000
SEEDS = (1, 2)


CAPS, NO_CAPS = Limits(), Limits(most_overhead=math.inf, most_exposure_s=math.inf)
STRATEGIES: Mapping[str, tuple[CheckpointStrategy, Limits]] = {
    "`Daly()`": (Daly(), CAPS),
    "`EverySegments()`": (EverySegments(), CAPS),
    "`EverySegments(count=10)`": (EverySegments(count=10), CAPS),
    "`EveryWall(seconds=900)`": (EveryWall(seconds=900.0), CAPS),
    r"`Daly() \| BeforeEvent()`": (Daly() | BeforeEvent(), CAPS),
    "`ModelCalendar('1YS')`": (ModelCalendar(every="1YS"), CAPS),
    "`PartnerCopy()`": (PartnerCopy(), CAPS),
    "`Daly()`, no caps": (Daly(), NO_CAPS),
    "`ModelCalendar('1YS')`, no caps": (ModelCalendar(every="1YS"), NO_CAPS),
    "`PartnerCopy()`, no caps": (PartnerCopy(), NO_CAPS),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What became of a kind of simulation under a pattern and a strategy.

    Attributes
    ----------
    checkpoint, recompute, restart : float
        Shares of the leased time, in percent.
    worst_s : float
        Most compute that a simulation lost at one failure, in seconds.
    """

    checkpoint: float
    recompute: float
    restart: float
    worst_s: float

    @property
    def total(self) -> float:
        """All that was lost, in percent."""
        return self.checkpoint + self.recompute + self.restart


def play(
    kind: Kind,
    pattern: Pattern,
    strategy: CheckpointStrategy,
    limits: Limits,
    part: int,
) -> Cell:
    """Run simulations to their end, with every seed."""
    spent = dict.fromkeys(Part, 0.0)
    worst_s = 0.0
    segments = SEGMENTS // part
    span_s = segments * kind.segment_s
    for seed in SEEDS:
        policies = Policies(
            checkpointing=strategy,
            limits=limits,
            recovery=RecoveryPolicy(abandon_at=0.0 if kind.rigid else 0.25),
        )
        twin = Twin(Orchestrator(policies), pattern.site(kind, span_s), seed=seed)
        plan = kind.plan(segments)
        for i in range(SIMULATIONS):
            name = f"s{i}"
            twin.post(
                e.SimulationSubmitted(
                    simulation=name, scenario=Scenario(name), plan=plan
                )
            )
        for number, begin_s in enumerate(pattern.services(span_s)):
            window = Window(
                name=f"service-{number}", start_s=begin_s, stop_s=begin_s + HOUR_S
            )
            twin.post(e.WindowDeclared(window=window), after_s=begin_s - DAY_S / 4)
        ledger = twin.run(10 * span_s)
        for what, node_s in ledger.spent().items():
            spent[what] += node_s
        worst_s = max([worst_s, *(a.worst_loss_s for a in ledger.accounts.values())])
    lost = {
        "checkpoint": spent[Part.STALL] + spent[Part.DRAIN],
        "recompute": spent[Part.LOST],
        "restart": spent[Part.RESTORE],
    }
    whole = spent[Part.USEFUL] + spent[Part.PENDING] + sum(lost.values())
    shares = {what: 100 * node_s / whole for what, node_s in lost.items()}
    return Cell(worst_s=worst_s, **shares)


Cells = dict[tuple[str, str, str], Cell]


def measure(part: int) -> Cells:
    """Fill every cell of the table."""
    return {
        (kind, pattern, strategy): play(
            KINDS[kind], PATTERNS[pattern], *STRATEGIES[strategy], part
        )
        for kind, pattern, strategy in itertools.product(KINDS, PATTERNS, STRATEGIES)
    }


def table(cells: Cells) -> str:
    """Write the cells as a table: in each, the sum and what it consists of."""
    lines = [
        "| Simulation | Failures | " + " | ".join(STRATEGIES) + " |",
        "|---|---|" + "---|" * len(STRATEGIES),
    ]
    for kind, pattern in itertools.product(KINDS, PATTERNS):
        row = [cells[kind, pattern, strategy] for strategy in STRATEGIES]
        least = min(cell.total for cell in row)
        told = []
        for cell in row:
            total = f"{cell.total:.1f}"
            if cell.total <= least + 0.05:
                total = f"**{total}**"
            parts = (cell.checkpoint, cell.recompute, cell.restart)
            told.append(f"{total} ({' + '.join(f'{p:.1f}' for p in parts)})")
        lines.append(f"| {kind} | {pattern} | " + " | ".join(told) + " |")
    return "\n".join(lines)


def faults(cells: Cells, slack: float, *, learned: bool = True) -> list[str]:
    """Say where the bar is missed; without caps only what had time to learn counts."""
    found = []
    for (kind, pattern, strategy), cell in cells.items():
        place = f"{kind}, {pattern}, {strategy}"
        limits = STRATEGIES[strategy][1]
        rivals = [
            cells[kind, pattern, other].total
            for other, (rival, caps) in STRATEGIES.items()
            if caps is limits and not isinstance(rival, PartnerCopy)
        ]
        judged = strategy.startswith("`Daly") and (learned or limits is CAPS)
        if judged and cell.total > 1.25 * min(rivals) + slack:
            found.append(f"{place}: loses {cell.total:.1f} %, best {min(rivals):.1f} %")
        told = KINDS[kind]
        daly = cells[kind, pattern, "`Daly()`"].total
        copies = strategy == "`PartnerCopy()`" and not told.rigid
        if copies and cell.total > 1.25 * daly + slack:
            found.append(f"{place}: loses {cell.total:.1f} %, Daly {daly:.1f} %")
        if limits is NO_CAPS:
            continue
        slower = SLOWER if PATTERNS[pattern].slow else 1.0
        release_s = 1.3 * told.segment_s + slower * told.overheads.checkpoint_s
        if cell.worst_s >= HOUR_S and release_s < limits.longest_s:
            found.append(f"{place}: lost {cell.worst_s:.0f} s at one failure")
        # Where exposure asks for more, the cap on overhead gives way.
        least_s = limits.least_s(told.overheads.stall_s)
        bound = least_s > limits.longest_s - 1.3 * told.segment_s
        if not bound and cell.checkpoint > 2.0 + slack:
            found.append(f"{place}: checkpoints cost {cell.checkpoint:.1f} %")
    return found


def write(text: str) -> None:
    """Put the table between its marks in the guide."""
    guide = GUIDE.read_text()
    head, rest = guide.split(BEGIN)
    tail = rest.split(END)[1]
    GUIDE.write_text(f"{head}{BEGIN}\n\n{text}\n\n{END}{tail}")


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    began_s = time.process_time()
    cells = measure(8 if asked.quick else 1)
    text = table(cells)
    print(text)
    slack = 2.0 if asked.quick else 0.5
    found = faults(cells, slack, learned=not asked.quick)
    for fault in found:
        print(f"MISSED: {fault}")
    if asked.write:
        write(text)
    figures: Figures = {
        f"{kind}, {pattern}, {strategy}": round(cell.total, 2)
        for (kind, pattern, strategy), cell in cells.items()
    }
    figures["cpu_s"] = round(time.process_time() - began_s, 1)
    report("strategies", figures)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
