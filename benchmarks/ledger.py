"""How long the books and times of a long journal take.

The bar: 1,000,000 records in less than 10 CPU seconds, for all of it together: records
are decoded, read by the bookkeeper and by the timekeeper, and a ledger, the measures of
performance and findings are made of that. The journal is that of virtual campaigns on
nodes that fail, one after the other, each a simulation of its own name, so that books
and bookings grow as in a real one; segments tell what they used, as live ones do. With
``--quick`` twenty times fewer.

    uv run python benchmarks/ledger.py [--quick]
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from climorch.core.orchestrator import Orchestrator, Outcome
from climorch.core.progress import Policies
from climorch.forecast.booked import booked
from climorch.forecast.insights.found import insights
from climorch.forecast.ledger import Bookkeeper
from climorch.forecast.performance import performance
from climorch.forecast.timekeeping import Timekeeper
from climorch.model.commands import Record, decode_record, encode_record
from climorch.model.events import SegmentFinished, SimulationSubmitted
from climorch.model.plan import SimulationPlan, StagePlan
from climorch.model.resources import Resources
from climorch.model.scenario import Scenario
from climorch.model.usage import Usage
from climorch.policy.checkpointing import EverySegments
from climorch.twin.costs import Amdahl, Costs, Overheads
from climorch.twin.driver import Twin
from climorch.twin.hazards import Failures
from climorch.twin.site import TwinSite

__all__ = ["RECORDS", "journal", "measure", "repeated"]

RESULTS = Path(__file__).parent / "results"
RECORDS = 1_000_000
BAR_S = 10.0
SIMULATIONS = 8
DAY_S = 86_400.0
# Late in a month, so that few records are in two of them already.
BEGIN_S = 28 * DAY_S


def journal() -> list[tuple[float, Record]]:
    """Run some simulations for some weeks in the twin; return what was journaled."""
    records: list[tuple[float, Record]] = []

    def keep(outcome: Outcome, now_s: float) -> None:
        records.extend((now_s, as_live(record)) for record in outcome.records)

    twin = Twin(
        Orchestrator(Policies(checkpointing=EverySegments(count=4))),
        TwinSite(
            nodes=24,
            costs=Costs(default=Amdahl(seconds=1800.0), noise_cv=0.1),
            overheads=Overheads(),
            failures=Failures(mtbf_s=20 * DAY_S, repair_median_s=3600.0),
        ),
        seed=1,
        begin_s=BEGIN_S,
        watcher=keep,
    )
    for number in range(SIMULATIONS):
        stage = StagePlan(
            name="a",
            calendar="noleap",
            boundaries=tuple(range(201)),
            resources=Resources(nodes=2 + number % 2),
        )
        twin.post(
            SimulationSubmitted(
                simulation=f"s{number}",
                scenario=Scenario(f"s{number}", project=f"p{number % 3}"),
                plan=SimulationPlan(workflow="w", stages=(stage,)),
            )
        )
    twin.run(60 * DAY_S)
    return records


def as_live(record: Record) -> Record:
    """Let a segment of the twin tell what nodes tell of a live one."""
    if not isinstance(record, SegmentFinished):
        return record
    took_s = record.seconds
    usage = Usage(
        task_s=0.9 * took_s,
        transfer_s=0.01 * took_s,
        io_s=0.05 * took_s,
        cpu_s=0.9 * took_s,
        memory_bytes=2**33,
        output_bytes=10**8,
    )
    paces = {f"node-{k}": took_s - 10.0 * k for k in range(record.nodes)}
    return msgspec.structs.replace(record, usage=usage, paces=paces)


def repeated(
    records: list[tuple[float, Record]], count: int
) -> Iterator[tuple[float, Record]]:
    """Go on with campaigns of the same course and other names, up to a number."""
    span_s = records[-1][0] - BEGIN_S + 1.0
    made = turn = 0
    while made < count:
        for now_s, record in records[: count - made]:
            name = getattr(record, "simulation", None)
            if turn and name is not None:
                record = msgspec.structs.replace(record, simulation=f"{name}-{turn}")
            yield turn * span_s + now_s, record
        made += min(len(records), count - made)
        turn += 1


def measure(count: int) -> dict[str, float | int | str]:
    """Return what books and times of so many records take, in CPU seconds."""
    encoded = [
        (now_s, encode_record(record)) for now_s, record in repeated(journal(), count)
    ]
    begin_s = time.process_time()
    told = [(now_s, decode_record(payload)) for now_s, payload in encoded]
    decoded_s = time.process_time()
    keeper = Bookkeeper()
    timekeeper = Timekeeper(keeper.books)
    for now_s, record in told:
        keeper.note(record, now_s)
        timekeeper.note(record, now_s)
    timekeeper.close(keeper.now_s)
    read_s = time.process_time()
    ledger = booked(keeper, "benchmark")
    found = performance(ledger, timekeeper.times)
    insights(ledger, timekeeper.times, longest_s=1680.0)
    whole_s = time.process_time() - begin_s
    spent = ledger.held_node_s
    if not spent > 0:
        raise SystemExit("nothing was booked")
    if not float(found["run_s"].sum()) > 0:
        raise SystemExit("nothing was timed")
    return {
        "records": len(told),
        "simulations": len(keeper.books.of),
        "months": len({entry.month for entry in ledger.entries}),
        "decode_cpu_s": round(decoded_s - begin_s, 3),
        "fold_cpu_s": round(read_s - decoded_s, 3),
        "measures_cpu_s": round(begin_s + whole_s - read_s, 3),
        "per_million_cpu_s": round(whole_s * 1e6 / len(told), 3),
        "node_hours": round(spent / 3600.0, 1),
    }


def main() -> None:
    """Measure, print, write down; fail above the bar."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    figures = measure(RECORDS // 20 if quick else RECORDS)
    figures["python"] = platform.python_version()
    print(json.dumps(figures, indent=2))
    if not quick:
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / "ledger.json"
        path.write_text(json.dumps(figures, indent=2) + "\n")
    if float(figures["per_million_cpu_s"]) > BAR_S:
        sys.exit(f"more than {BAR_S:g} CPU seconds for a million records")


if __name__ == "__main__":
    main()
