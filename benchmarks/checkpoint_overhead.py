"""What a checkpoint costs the model that runs beside it.

One campaign computes segments without a pause on 2 worker processes. Windows of
about 5 s that begin with a checkpoint lie beside windows that do not, in the order
with, without, without, with; the cost of a checkpoint is the mean difference of such
pairs, so it has everything in it: the stall at the boundary, the writer's share of
the cores and of the memory, and the commit.

The bar, for 134 MB of state per core: with the upper 95 % limit of the cost, at most
1 % of 60 s and 0.25 % of 300 s; and no core waits at a boundary with a checkpoint
0.1 s longer (median) than at one without. With copies in partners' memory
(``copies_...``), a copy each 60 s and a checkpoint each 28 min, both by their upper
limits, cost at most 2 %. With ``--quick`` fewer and shorter windows of the same state,
and no copies unless ``--copies``, which leaves all but them out.

    uv run python benchmarks/checkpoint_overhead.py [--quick] [--copies]
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import climorch as co
from benchmarks.bench import (
    NODES,
    RESULTS,
    Busy,
    Chosen,
    Figures,
    Size,
    busy_times,
    make_campaign,
    report,
    upper_limit,
    work_per_block,
)
from benchmarks.copy_windows import run_copies
from climorch.model.commands import BeginCheckpoint
from climorch.model.events import (
    CheckpointCommitted,
    CheckpointFailed,
    SegmentFailed,
    SegmentFinished,
)

SHARE_AT_60_S = 0.01
SHARE_OF_COPIES = 0.02
COPY_EVERY_S, DISK_EVERY_S = 60.0, 28 * 60.0
SHARE_AT_300_S = 0.0025
STALL_BAR_S = 0.1
WARM_UP = 3
# Share of a core that the model gets on a machine without other work.
QUIET = 0.9
COST_AT_WRITERS = re.compile(r"boundary=(\d+) .*stall_s=([\d.]+) cpu_s=([\d.]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """How the windows lie.

    Attributes
    ----------
    pairs : int
        Windows with a checkpoint, and as many without.
    window : int
        Segments in each.
    segment_s : float
        Seconds that a segment shall take about.
    """

    pairs: int
    window: int
    segment_s: float

    @property
    def first(self) -> int:
        """Boundary at which the first window begins."""
        return WARM_UP + self.window

    @property
    def has_checkpoint(self) -> list[bool]:
        """Which windows begin with a checkpoint."""
        order = (True, False, False, True)
        return [order[i % 4] for i in range(2 * self.pairs)]

    @property
    def begins(self) -> list[int]:
        """Boundary at which each window begins."""
        return [self.first + i * self.window for i in range(2 * self.pairs)]

    @property
    def checkpoints(self) -> list[int]:
        """Boundaries to checkpoint at; the first warms up and is not counted."""
        return [WARM_UP] + [
            begin
            for begin, has in zip(self.begins, self.has_checkpoint, strict=True)
            if has
        ]

    @property
    def segments(self) -> int:
        """How many are computed; after the last one a checkpoint is forced."""
        return self.first + 2 * self.pairs * self.window


class Lines(logging.Handler):
    """Keeps what the engine logs about its checkpoints."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[int, tuple[float, float]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Take stall and CPU seconds from the line of a commit."""
        match = COST_AT_WRITERS.search(record.getMessage())
        if match:
            self.found[int(match[1])] = (float(match[2]), float(match[3]))


def run(folder: Path, design: Design, *, static: int) -> Figures:
    """Run the windows; return what they tell."""
    size = Size()
    campaign = make_campaign(
        folder,
        size=size,
        segments=design.segments,
        iterations=work_per_block(size, design.segment_s, static=static),
        static=static,
        # All checkpoints of one run alike: each links what it may.
        policies=co.Policies(
            checkpointing=Chosen(design.checkpoints), full_every=10_000
        ),
    )
    lines, logger = Lines(), logging.getLogger("climorch.engine.checkpointing")
    logger.addHandler(lines)
    logger.setLevel(logging.INFO)
    running = campaign.start(co.LocalSite(nodes=NODES))
    try:
        running.wait(handle_signals=True)
    finally:
        logger.removeHandler(lines)
    records = running.facts()
    failed = [r for r, _ in records if isinstance(r, CheckpointFailed | SegmentFailed)]
    if failed:
        sys.exit(f"something failed: {failed[0]}")
    return evaluate(design, records, lines.found, folder) | {
        "state_bytes": size.state_bytes
    }


def evaluate(
    design: Design,
    records: Sequence[tuple[Any, float]],
    logged: dict[int, tuple[float, float]],
    folder: Path,
) -> Figures:
    """Turn the journal, the log and the notes of the blocks into figures."""
    ends = {r.segment: t for r, t in records if isinstance(r, SegmentFinished)}
    begun = {r.boundary for r, _ in records if isinstance(r, BeginCheckpoint)}
    commits = {r.boundary: r for r, _ in records if isinstance(r, CheckpointCommitted)}
    chosen = set(design.checkpoints)
    if begun != chosen | {design.segments} or set(commits) != begun:
        sys.exit(
            f"checkpoints at {sorted(begun)}, expected {sorted(chosen)}: one took "
            "longer than a window; this machine is too busy or too slow to tell"
        )
    windows = [ends[b + design.window - 1] - ends[b - 1] for b in design.begins]
    costs = [
        (windows[i] - windows[i + 1]) * (1 if design.has_checkpoint[i] else -1)
        for i in range(0, len(windows), 2)
    ]
    busy = busy_times(folder)
    first = range(design.first, design.segments)
    gaps: dict[bool, list[float]] = {True: [], False: []}
    for here in busy:
        for boundary in first:
            gap_s = here[boundary].begin_s - here[boundary - 1].end_s
            gaps[boundary in chosen] += [gap_s]
    # One process computes for each core, so its CPU seconds are those of a core.
    cpu_costs = [cost for here in busy for cost in _cpu_costs(design, here)]
    measured = [commits[b] for b in design.checkpoints[1:]]
    last = commits[design.segments]
    return {
        "pairs": design.pairs,
        "segments_per_window": design.window,
        "window_without_s": statistics.mean(
            w for w, has in zip(windows, design.has_checkpoint, strict=True) if not has
        ),
        "cost_mean_s": statistics.mean(costs),
        "cost_sd_s": statistics.stdev(costs),
        "cost_upper_95_s": upper_limit(costs),
        "core_share": sum(here[k].blocks_cpu_s for here in busy for k in first)
        / sum(here[k].blocks_s for here in busy for k in first),
        "cpu_cost_mean_s": statistics.mean(cpu_costs),
        "cpu_cost_upper_95_s": upper_limit(cpu_costs),
        "gap_without_median_s": statistics.median(gaps[False]),
        "gap_with_median_s": statistics.median(gaps[True]),
        "gap_with_max_s": max(gaps[True]),
        "stall_median_s": statistics.median(logged[c.boundary][0] for c in measured),
        "engine_cost_median_s": statistics.median(c.cost_s for c in measured),
        "cpu_s_per_gb": statistics.median(_per_gb(c, logged) for c in measured),
        "seconds_beside_compute": statistics.median(c.seconds for c in measured),
        "seconds_alone": last.seconds,
        "mb_per_s_beside_compute": statistics.median(
            c.bytes_state / c.seconds / 1e6 for c in measured
        ),
        "mb_per_s_alone": last.bytes_state / last.seconds / 1e6,
        "bytes_written": last.bytes_written,
        "bytes_linked": last.bytes_linked,
    }


def _per_gb(
    commit: CheckpointCommitted, logged: dict[int, tuple[float, float]]
) -> float:
    """Return the writers' CPU seconds per GB of state."""
    return logged[commit.boundary][1] / (commit.bytes_state / 1e9)


def _cpu_costs(design: Design, busy: dict[int, Busy]) -> list[float]:
    """Return what checkpoints cost a process in CPU seconds, pair by pair.

    The last pair is left out: no block begins after it.
    """
    used = [
        busy[b + design.window].process_cpu_s - busy[b].process_cpu_s
        for b in design.begins[:-2]
    ]
    return [
        (used[i] - used[i + 1]) * (1 if design.has_checkpoint[i] else -1)
        for i in range(0, len(used), 2)
    ]


def raw_mb_per_s(folder: Path) -> float:
    """Write the newest checkpoint's chunks again, plainly, with fsync; return MB/s."""
    chunks = [
        path.read_bytes()
        for path in sorted((folder / "c" / "checkpoints").rglob("c/*/*/*"))
    ]
    if not chunks:
        sys.exit("no chunks were found")
    chunks = chunks[-NODES * 20 :]
    rates = []
    for repeat in range(3):
        target = folder / f"raw{repeat}"
        target.mkdir()
        begin = time.perf_counter()
        with ThreadPoolExecutor(NODES) as pool:
            list(
                pool.map(_write, [target / str(i) for i in range(len(chunks))], chunks)
            )
        seconds = time.perf_counter() - begin
        rates.append(sum(map(len, chunks)) / seconds / 1e6)
    return statistics.median(rates)


def _write(path: Path, data: bytes) -> None:
    with path.open("wb", buffering=0) as file:
        file.write(data)
        os.fsync(file.fileno())


def with_copies(folder: Path, design: Design, checkpoint_s: float) -> Figures:
    """Measure copies, and what they cost together with checkpoints on disk."""
    found = {f"copies_{k}": v for k, v in run_copies(folder, design).items()}
    copy_s = float(found["copies_cost_upper_95_s"])
    share = max(copy_s, 0.0) / COPY_EVERY_S + max(checkpoint_s, 0.0) / DISK_EVERY_S
    found["copies_share_with_disk"] = share
    print(
        f"copies: {copy_s:.3f} s each, CPU seconds per core "
        f"{found['copies_cpu_cost_mean_s']:.3f}; with checkpoints {share:.2%} of the "
        f"time (bar {SHARE_OF_COPIES:.0%})"
    )
    return found


def copies_alone(design: Design) -> int:
    """Measure copies beside a checkpoint of the disk that costs nothing."""
    with tempfile.TemporaryDirectory(dir=RESULTS) as folder:
        found = with_copies(Path(folder, "copies"), design, 0.0)
    report("checkpoint_overhead_copies", found)
    return 0 if float(found["copies_share_with_disk"]) <= SHARE_OF_COPIES else 1


def asked_for() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer, shorter windows")
    parser.add_argument("--copies", action="store_true", help="copies alone")
    return parser.parse_args()


def main() -> int:
    """Measure, print, and tell whether the bar holds."""
    asked = asked_for()
    quick = asked.quick
    design = (
        Design(pairs=6, window=4, segment_s=0.6)
        if quick
        else Design(pairs=12, window=5, segment_s=1.0)
    )
    RESULTS.mkdir(exist_ok=True)
    if asked.copies:
        return copies_alone(design)
    figures: Figures = {}
    # Beside the results: a temporary folder may lie in memory, where a sync is free.
    with tempfile.TemporaryDirectory(dir=RESULTS) as folder:
        figures |= run(Path(folder, "all"), design, static=0)
        figures["raw_write_mb_per_s"] = raw_mb_per_s(Path(folder, "all"))
        if not quick:
            some = run(Path(folder, "some"), design, static=4)
            figures |= {f"unchanged_40_{k}": v for k, v in some.items()}
            cost_s = float(figures["cost_upper_95_s"])
            figures |= with_copies(Path(folder, "copies"), design, cost_s)
    cost_s = float(figures["cost_upper_95_s"])
    stall_s = float(figures["gap_with_median_s"]) - float(
        figures["gap_without_median_s"]
    )
    per_core = float(figures["state_bytes"]) / NODES
    margin = min(
        SHARE_AT_60_S * 60 / cost_s if cost_s > 0 else 100.0,
        SHARE_AT_300_S * 300 / cost_s if cost_s > 0 else 100.0,
        STALL_BAR_S / stall_s if stall_s > 0 else 100.0,
    )
    if (share := float(figures.get("copies_share_with_disk", 0.0))) > 0:
        margin = min(margin, SHARE_OF_COPIES / share)
    figures |= {
        "share_of_60_s": cost_s / 60,
        "share_of_300_s": cost_s / 300,
        "longer_gap_median_s": stall_s,
        "margin": margin,
    }
    report("checkpoint_overhead", figures)
    if float(figures["core_share"]) < QUIET:
        print(
            f"busy machine: blocks ran {figures['core_share']:.0%} of the time; "
            "of the figures only CPU seconds can be trusted"
        )
    print(
        f"CPU seconds per checkpoint and core: {figures['cpu_cost_mean_s']:.3f}, "
        f"upper limit {figures['cpu_cost_upper_95_s']:.3f}"
    )
    print(
        f"bar for {per_core / 1e6:.0f} MB per core: upper limit of the cost <= 1 % of "
        f"60 s and <= 0.25 % of 300 s, gap at a boundary <= {STALL_BAR_S} s longer"
    )
    print(
        f"cost {cost_s:.3f} s: {cost_s / 60:.2%} of 60 s, {cost_s / 300:.3%} of 300 s; "
        f"gap {stall_s:.3f} s longer; smallest margin {margin:.2f} (>= 1.00 holds)"
    )
    return 0 if margin >= 1.0 else 1


if __name__ == "__main__":
    sys.exit(main())
