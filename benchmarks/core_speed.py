"""How many facts a second the core alone handles, and what history and size cost.

Two loads, each on a world that answers at once, so that nothing but
``Orchestrator.handle`` is measured:

coupled
    A hundred simulations of three coupled stages on 300 nodes, a checkpoint every
    fifth boundary: mostly finished segments.
twin
    A hundred simulations of one stage on 2 to 16 nodes, three times what 300 nodes
    can hold, a checkpoint at every boundary: per segment it is finished, committed
    and published, and an old checkpoint is deleted.

The bars, on CPU seconds of this process and on means over the run: at least 20,000
facts/s on both loads; a fact in the last tenth of a million records costs at most 1.25
times as much as one in the first; with 1,000 simulations on 3,000 nodes a fact costs
at most 1.2 times as much as with 100 on 300. What is compared runs in turn, slice by
slice, so that whatever else the machine does meets both. Beside the means stand the
best slices. With ``--quick`` the history has 200,000 records.

    uv run python benchmarks/core_speed.py [--quick]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.bench import Figures, report
from benchmarks.instant import answer, coupled, single
from climorch.core.orchestrator import Orchestrator
from climorch.core.progress import Policies
from climorch.model import events as e
from climorch.model.plan import SimulationPlan
from climorch.model.scenario import Scenario
from climorch.policy.checkpointing import EverySegments

BAR_PER_S = 20_000
HISTORY_BAR = 1.25
SCALE_BAR = 1.2
# Slices of the whole history, and of what is compared with its begin and with a
# larger campaign. A slice has as many records as the small campaign of the coupled
# load makes from one checkpoint to the next, with --quick half of them: all kinds
# of facts are in it in the same shares.
WHOLE = {False: 200, True: 80}
TENTH, SCALED, WARM = 20, 40, 4
SLICE = {False: 5_200, True: 2_600}
SMALL, LARGE = (100, 300), (1_000, 3_000)
# More than any run computes: what ends and begins is another load.
SEGMENTS = 6_000
LOADS: dict[str, tuple[tuple[SimulationPlan, ...], int]] = {
    "coupled": ((coupled(SEGMENTS),), 5),
    "twin": (tuple(single(SEGMENTS, nodes) for nodes in range(2, 17)), 1),
}


@dataclass(frozen=True, slots=True)
class Slice:
    """Some facts that were handled one by one, and the CPU seconds of it."""

    facts: int
    spent_s: float


def mean_s(slices: Sequence[Slice]) -> float:
    """Return the mean CPU seconds of a fact."""
    return sum(s.spent_s for s in slices) / sum(s.facts for s in slices)


def best_s(slices: Sequence[Slice]) -> float:
    """Return the mean CPU seconds of a fact in the best slice."""
    return min(s.spent_s / s.facts for s in slices)


class Campaign:
    """A campaign that goes on as far as it is asked to.

    Parameters
    ----------
    load : str
        What is computed.
    simulations, nodes : int
        How many there are.

    Attributes
    ----------
    facts, records : int
        How many so far, without those of the start.
    begun_s : float
        CPU seconds of the start: everything is submitted, nodes join.
    """

    def __init__(self, load: str, simulations: int, nodes: int) -> None:
        plans, every = LOADS[load]
        self.orchestrator = Orchestrator(
            Policies(checkpointing=EverySegments(count=every))
        )
        self._waiting: deque[e.Fact] = deque()
        self.names = [f"m{i:04d}" for i in range(simulations)]
        submitted = [
            e.SimulationSubmitted(
                simulation=name, scenario=Scenario(name), plan=plans[i % len(plans)]
            )
            for i, name in enumerate(self.names)
        ]
        joined = [e.NodeJoined(node=f"n{i:04d}", cores=4) for i in range(nodes)]
        self.facts = self.records = 0
        self.begun_s = self.handle(*submitted, *joined)
        self.facts = self.records = 0

    def handle(self, *facts: e.Fact) -> float:
        """Decide on facts and let the world answer; return the CPU seconds."""
        self.facts += len(facts)
        begin = time.process_time()
        outcome = self.orchestrator.handle(facts, float(self.facts))
        spent_s = time.process_time() - begin
        self.records += len(outcome.records)
        answers = (answer(command) for command in outcome.commands)
        self._waiting.extend(fact for fact in answers if fact is not None)
        return spent_s

    def go_on(self, records: int) -> Slice:
        """Handle fact after fact until so many more records were made."""
        end, before, spent_s = self.records + records, self.facts, 0.0
        while self.records < end:
            spent_s += self.handle(self._waiting.popleft())
        return Slice(facts=self.facts - before, spent_s=spent_s)

    def reallocate(self, times: int) -> float:
        """Change priorities, so that nodes are allocated anew; CPU seconds of one."""
        spent_s = 0.0
        for i in range(times):
            name = self.names[i % len(self.names)]
            spent_s += self.handle(e.PriorityRequested(simulation=name, priority=i % 3))
        return spent_s / times


def in_turn(
    one: Campaign, other: Campaign, *, slices: int, records: int
) -> tuple[list[Slice], list[Slice]]:
    """Let two campaigns go on in turn."""
    pairs = [(one.go_on(records), other.go_on(records)) for _ in range(slices)]
    return [a for a, _ in pairs], [b for _, b in pairs]


def measure(load: str, *, quick: bool) -> tuple[Figures, list[float]]:
    """Return the figures of a load, and each bar over what was found (>= 1 holds)."""
    size = SLICE[quick]
    old, young, large = (Campaign(load, *each) for each in (SMALL, SMALL, LARGE))
    for campaign in (young, large):
        campaign.go_on(WARM * size)
    run = [old.go_on(size) for _ in range(WHOLE[quick] - TENTH)]
    early, late = in_turn(young, old, slices=TENTH, records=size)
    small, big = in_turn(young, large, slices=SCALED, records=size)
    run += late
    per_s = 1 / mean_s(run)
    history = mean_s(late) / mean_s(early)
    scale = mean_s(big) / mean_s(small)
    figures: Figures = {
        "records": old.records,
        "facts": old.facts,
        "facts_per_s": per_s,
        "facts_per_s_best": 1 / best_s(run),
        "fact_mean_us": 1e6 * mean_s(run),
        "late_over_early": history,
        "late_over_early_best": best_s(late) / best_s(early),
        "large_over_small": scale,
        "start_small_s": old.begun_s,
        "start_large_s": large.begun_s,
        "allocation_small_ms": 1e3 * young.reallocate(50),
        "allocation_large_ms": 1e3 * large.reallocate(50),
    }
    margins = [per_s / BAR_PER_S, HISTORY_BAR / history, SCALE_BAR / scale]
    return {f"{load}_{name}": value for name, value in figures.items()}, margins


def main() -> int:
    """Measure, print, and tell whether the bars hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a shorter history")
    quick = parser.parse_args().quick
    figures: Figures = {}
    margin = float("inf")
    for load in LOADS:
        found, margins = measure(load, quick=quick)
        figures |= found
        margin = min(margin, *margins)
    report("core_speed", figures | {"margin": margin})
    print(f"bars: >= {BAR_PER_S:,} facts/s; late <= {HISTORY_BAR} x early;", end=" ")
    print(f"large <= {SCALE_BAR} x small; all means of CPU seconds")
    print(f"the smallest over its bar: {margin:.2f} (>= 1.00 holds)")
    return 0 if margin >= 1.0 else 1


if __name__ == "__main__":
    sys.exit(main())
