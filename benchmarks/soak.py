"""Ten thousand segments: nothing piles up, in the driver, its scheduler or the nodes.

Four simulations of a field of four chunks run on two node processes, with a
checkpoint every ten segments and outputs in between. Looked at every two seconds:
tasks, groups and prefixes that Dask's scheduler knows, tasks that the nodes know,
and the resident memory of every process.

The bar: after the first fifth, tasks known to the scheduler and to the nodes do not
grow (the last fifth's maximum is no more than 1.2 times that of the second fifth,
plus ten) and no process grows by 1 MB or more per 1,000 segments (straight line
through what was seen). ``--quick``: a fifteenth of the segments; then the memory's
bar is that of a machine that warms up, 30 MB per 1,000.

    uv run python benchmarks/soak.py [--quick]
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import dask.array as da
import numpy as np
import psutil
import xarray as xr

import climorch as co
from benchmarks.bench import NODES, RESULTS, Figures, report

SIMULATIONS = 4
EVERY_S = 2.0
# Megabytes per 1,000 segments.
GROWTH_BAR = {False: 1.0, True: 30.0}


def initial(segment: co.Segment, inputs: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """Return a field of zeros in four chunks."""
    return xr.Dataset({"x": (("y", "z"), da.zeros((4, 2000), chunks=(1, 2000)))})


def step(
    state: xr.Dataset, inputs: Mapping[str, xr.Dataset], segment: co.Segment
) -> co.Advance:
    """Add one, and tell the mean now and then."""
    x = state["x"] + 1.0
    output = None
    if segment.index % 5 == 4:
        output = xr.Dataset(
            {"mean": ("time", x.data.mean()[None])}, coords={"time": [segment.start]}
        )
    return co.Advance(
        state=state.assign(x=x), output=output, metrics={"mean": x.mean()}
    )


@dataclass
class Seen:
    """What was seen while it ran; all lists have one entry for each look."""

    segments: list[int] = field(default_factory=list)
    tasks: list[int] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)
    prefixes: list[int] = field(default_factory=list)
    node_tasks: list[int] = field(default_factory=list)
    memory_mb: dict[str, list[float]] = field(default_factory=dict)

    def look(self, run: co.Run, site: co.LocalSite, processes: dict[str, int]) -> None:
        """Look once."""
        scheduler = site.scheduler
        if scheduler is None or len(scheduler.workers) < NODES:
            return
        self.segments.append(
            sum(
                sum(s.done.values())
                for simulation in run.state().simulations.values()
                for s in simulation.sets.values()
            )
        )
        self.tasks.append(len(scheduler.tasks))
        self.groups.append(len(scheduler.task_groups))
        self.prefixes.append(len(scheduler.task_prefixes))
        self.node_tasks.append(
            sum(
                sum(worker.metrics.get("task_counts", {}).values())
                for worker in list(scheduler.workers.values())
            )
        )
        for name, pid in processes.items():
            memory = psutil.Process(pid).memory_info().rss / 1e6
            self.memory_mb.setdefault(name, []).append(memory)

    def growth(self, name: str) -> float:
        """Return the MB per 1,000 segments that a process grew by."""
        first = len(self.segments) // 5
        slope = np.polyfit(self.segments[first:], self.memory_mb[name][first:], 1)[0]
        return float(slope) * 1000

    def is_flat(self, counts: list[int]) -> bool:
        """Whether a number of tasks has not grown."""
        fifth = len(counts) // 5
        early, late = counts[fifth : 2 * fifth], counts[-fifth:]
        return max(late) <= 1.2 * max(early) + 10


def soak(folder: Path, segments: int) -> Seen:
    """Run and look."""
    last = np.datetime64("2000-01-01") + segments
    wf = co.Workflow("soak")
    wf.stage(
        "model",
        step,
        init=initial,
        span=co.Span("2000-01-01", str(last), every="1D"),
        chunks={"y": 1},
        output_chunk=1,
        resources=co.Resources(nodes=1),
    )
    campaign = co.Campaign(
        "c", root=folder, policies=co.Policies(checkpointing=co.EverySegments(count=10))
    )
    for number in range(SIMULATIONS):
        campaign.submit(wf, scenario=co.Scenario(f"s{number}"))
    site, seen = co.LocalSite(nodes=NODES), Seen()
    run = campaign.start(site)
    processes = {"driver": psutil.Process().pid}
    while not run.wait(EVERY_S, handle_signals=True):
        for number in range(NODES):
            pid = site.pid(f"node{number:03d}")
            if pid is not None:
                processes[f"node {number}"] = pid
        if len(processes) > NODES:
            seen.look(run, site, processes)
    for number in range(SIMULATIONS):
        newest = campaign.checkpoints(f"s{number}")[0]
        with xr.open_zarr(newest / "state.zarr" / "model") as state:
            if not bool((state["x"] == segments).all()):
                sys.exit(f"simulation {number} ended with other values")
    return seen


def main() -> int:
    """Measure, print, and tell whether the bar holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer segments")
    quick = parser.parse_args().quick
    logging.basicConfig(level=logging.ERROR)
    total = 660 if quick else 10_000
    RESULTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=RESULTS) as folder:
        seen = soak(Path(folder), total // SIMULATIONS)
    growth = {name: seen.growth(name) for name in seen.memory_mb}
    flat = seen.is_flat(seen.tasks) and seen.is_flat(seen.node_tasks)
    figures: Figures = {
        "segments": total,
        "looks": len(seen.segments),
        "scheduler_tasks_max": max(seen.tasks),
        "scheduler_tasks_last": seen.tasks[-1],
        "scheduler_groups_max": max(seen.groups),
        "scheduler_prefixes_max": max(seen.prefixes),
        "node_tasks_max": max(seen.node_tasks),
        "flat": int(flat),
        **{f"{n.replace(' ', '_')}_mb_per_1000": g for n, g in growth.items()},
        **{
            f"{n.replace(' ', '_')}_mb_last": seen.memory_mb[n][-1]
            for n in seen.memory_mb
        },
    }
    report("soak", figures)
    worst = max(growth.values())
    print(
        f"bar: tasks flat, every process grows by less than {GROWTH_BAR[quick]:.0f} MB "
        "per 1,000 segments"
    )
    print(
        f"tasks {'flat' if flat else 'GROWING'}; the fastest process grew by "
        f"{worst:.2f} MB per 1,000 segments"
    )
    return 0 if flat and worst < GROWTH_BAR[quick] else 1


if __name__ == "__main__":
    sys.exit(main())
