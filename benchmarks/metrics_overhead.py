"""What it costs to measure what segments use.

One campaign on 2 worker processes computes short segments of 40 small tasks. Windows
of segments that are measured lie beside windows that are not, in the order with,
without, without, with; what measuring a segment costs is the mean difference of such
pairs, in CPU seconds of all processes and in wall time. To this comes what a node does
for each heartbeat, measured alone.

The bar: with its upper 95 % limit, measuring takes less than 0.5 % of the CPU and of
the time of segments of 10 s with 40 tasks, on 2 nodes that tell twice a second. With
``--quick`` fewer windows.

    uv run python benchmarks/metrics_overhead.py [--quick]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import dask.array as da
import numpy as np
import numpy.typing as npt
import psutil
import xarray as xr
from distributed import get_worker

import climorch as co
from benchmarks.bench import RESULTS, Chosen, Figures, report, upper_limit
from climorch.engine import runner
from climorch.engine.attempt import Attempt
from climorch.engine.measuring import measures_of
from climorch.engine.metering import METRIC, Meter
from climorch.engine.usages import Usages
from climorch.engine.worker import NAME, NodePlugin
from climorch.model.plan import StagePlan

__all__ = ["Watch", "measure", "switched_on"]

NODES = 2
TASKS = 40
WARM_UP = 4
BAR = 0.005
SEGMENT_S = 10.0
BEATS_PER_S = 2.0


def switched_on(segment: int, window: int) -> bool:
    """Return whether a segment is measured: with, without, without, with."""
    return (True, False, False, True)[max(segment - WARM_UP, 0) // window % 4]


@dataclass
class Watch:
    """Notes time and CPU at the begin of each window, and switches measuring.

    Attributes
    ----------
    window : int
        Segments in each.
    on : bool
        Whether the present segment is measured.
    measured : int
        Segments that were asked about.
    seen : list of (float, float)
        Wall time and CPU seconds of all processes at the begin of each window.
    """

    window: int
    on: bool = True
    measured: int = 0
    seen: list[tuple[float, float]] = field(default_factory=list)

    def begins(self, segment: int) -> None:
        """Take note of a segment that begins."""
        self.on = switched_on(segment, self.window)
        if segment >= WARM_UP and (segment - WARM_UP) % self.window == 0:
            here = psutil.Process()
            all_of_us = [here, *here.children(recursive=True)]
            times = [process.cpu_times() for process in all_of_us]
            cpu_s = sum(t.user + t.system for t in times)
            self.seen.append((time.perf_counter(), cpu_s))


def initial(segment: co.Segment, inputs: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """Return a small field in as many blocks as there shall be tasks."""
    return xr.Dataset({"x": (("y", "z"), da.zeros((TASKS, 4096), chunks=(1, -1)))})


def step(
    state: xr.Dataset, inputs: Mapping[str, xr.Dataset], segment: co.Segment
) -> xr.Dataset:
    """Compute a little in each block."""
    on = switched_on(segment.index, int(segment.params["window"]))
    data = state["x"].data.map_blocks(block, on, dtype="f8", meta=np.empty((0, 0)))
    return state.assign(x=(("y", "z"), data))


def block(values: npt.NDArray[Any], on: bool) -> npt.NDArray[Any]:
    """Compute a block; the first one of a window switches its node on or off."""
    worker = get_worker()
    plugin = worker.plugins[NAME]
    if isinstance(plugin, NodePlugin) and (METRIC in worker.metrics) != on:
        plugin._worker = worker if on else None
        others = {k: v for k, v in worker.metrics.items() if k != METRIC}
        # Another dict: a heartbeat that goes through the old one would fail.
        worker.metrics = {**others, METRIC: plugin._meter.read} if on else others
    for _ in range(20):
        values = np.sin(values) + 1.0
    return values


@contextmanager
def watching(watch: Watch) -> Iterator[None]:
    """Switch the driver's part of measuring, and the Dask scheduler's beside it."""
    advance, note = Attempt.advance, Usages.note

    async def watched(
        self: Attempt, stage: StagePlan, segment: int
    ) -> dict[str, float]:
        watch.begins(segment)
        return await advance(self, stage, segment)

    def noted(self: Usages, annotation: object, startstops: Any) -> None:
        if watch.on:
            note(self, annotation, startstops)

    async def measured(attempt: Attempt, stage: str, seconds: float) -> Any:
        if watch.on:
            watch.measured += 1
            return await measures_of(attempt, stage, seconds)
        return {}, None

    with (
        patch.object(Attempt, "advance", watched),
        patch.object(Usages, "note", noted),
        patch.object(runner, "measures_of", measured),
    ):
        yield


def measure(folder: Path, *, pairs: int, window: int) -> Figures:
    """Run a campaign and compare its windows.

    Parameters
    ----------
    folder : Path
        For the campaign.
    pairs : int
        Windows that are measured, and as many that are not; even.
    window : int
        Segments in each.

    Returns
    -------
    dict
        Seconds per segment, and shares of a segment of `SEGMENT_S`.

    Raises
    ------
    SystemExit
        If not exactly the half of the segments was measured.
    """
    segments = WARM_UP + 2 * pairs * window + 1
    start = np.datetime64("2000-01-01")
    workflow = co.Workflow("small")
    workflow.stage(
        "model",
        step,
        init=initial,
        span=co.Span(str(start), str(start + segments), every="1D"),
        chunks={"y": 1},
        resources=co.Resources(nodes=NODES),
    )
    policies = co.Policies(checkpointing=Chosen([segments]))
    campaign = co.Campaign("c", root=folder, policies=policies)
    campaign.submit(workflow, scenario=co.Scenario("s", params={"window": window}))
    watch = Watch(window)
    with watching(watch):
        campaign.run(co.LocalSite(nodes=NODES))
    expected = sum(switched_on(k, window) for k in range(segments))
    if watch.measured != expected:
        raise SystemExit(f"{watch.measured} segments measured, expected {expected}")
    found: Figures = {"pairs": pairs, "window": window, "segments": segments}
    return found | compared(watch, pairs)


def compared(watch: Watch, pairs: int) -> Figures:
    """Return what windows with and without measuring took, and what that makes.

    Parameters
    ----------
    watch : Watch
        That saw them.
    pairs : int
        Windows of each kind.
    """
    first = [switched_on(WARM_UP + k * watch.window, watch.window) for k in (0, 2)]
    found: Figures = {}
    for name, place in (("cpu", 1), ("wall", 0)):
        values = np.diff([seen[place] for seen in watch.seen]) / watch.window
        # Neighbours: (on, off), (off, on), ...
        extra = [
            float(values[2 * i] - values[2 * i + 1]) * (1 if first[i % 2] else -1)
            for i in range(pairs)
        ]
        found[f"{name}_segment_s"] = float(np.mean(values))
        found[f"{name}_extra_s"] = float(np.mean(extra))
        found[f"{name}_extra_upper_95_s"] = upper_limit(extra)
    beat_s = found["heartbeat_cpu_s"] = heartbeat_s()
    beats_s = beat_s * BEATS_PER_S * SEGMENT_S * NODES
    # Of CPU there are the cores of all nodes, one each.
    cpu_s = max(float(found["cpu_extra_upper_95_s"]) + beats_s, 0.0)
    wall_s = max(float(found["wall_extra_upper_95_s"]), 0.0) + beats_s / NODES
    found["share_of_cpu"] = cpu_s / (SEGMENT_S * NODES)
    found["share_of_time"] = wall_s / SEGMENT_S
    return found


def heartbeat_s(beats: int = 2000) -> float:
    """Return the CPU seconds of what a node does for one heartbeat."""
    meter = Meter()
    meter.works_for("s")
    begin_s = time.process_time()
    for _ in range(beats):
        meter.read()
    return (time.process_time() - begin_s) / beats


def main() -> int:
    """Measure, report, and compare with the bar."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    RESULTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=RESULTS) as folder:
        figures = measure(Path(folder), pairs=8 if quick else 24, window=10)
    report("metrics_overhead", figures)
    worst = max(float(figures["share_of_cpu"]), float(figures["share_of_time"]))
    print(f"bar: upper limits below {BAR:.1%} of segments of {SEGMENT_S:g} s")
    print(f"CPU {figures['share_of_cpu']:.3%}, time {figures['share_of_time']:.3%}")
    return 0 if worst < BAR else 1


if __name__ == "__main__":
    sys.exit(main())
