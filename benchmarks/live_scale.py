"""A hundred simulations on three hundred nodes, against a bare client that drives them.

Each simulation has three nodes and a field of three chunks; a segment is one task of
50 ms on each. The bare loop is what one would write by hand: one coroutine for each
simulation calls the same step, persists what it returns on the same nodes of an equal
cluster, waits, and goes on; no journal, no contract, no keys of its own, nothing can
be lost. They run in turns, each in a process of its own. Compared is the time from
the first segment's start to the last one's end, so that neither start-up nor the
checkpoints that end the simulations count; tasks of 0 s show what is the overhead's
own.

Then once more with a tenth of the nodes killed, and then the driver, to the end: how
long until that is noticed, how long until all compute again, and nothing lost.

The bar: with tasks of 50 ms at most 1.10 times the wall time of the bare loop (median
of the ratios of neighbouring runs), and every simulation ends with the values that it
must have. ``--quick``: a third of the simulations and fewer repeats.

    uv run python benchmarks/live_scale.py [--quick]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import cftime
import dask
import dask.array as da
import numpy as np
import numpy.typing as npt
import xarray as xr
from distributed import Client, Worker, futures_of, wait

import climorch as co
from benchmarks.bench import RESULTS, Figures, report
from climorch.engine.session import read_records
from climorch.engine.worker import NodePlugin
from climorch.model.commands import RolledBack, SegmentCommitted, StartSegment
from climorch.model.events import NodeLost, SegmentFinished, SetRestored

RATIO_BAR = 1.10
NODES_EACH = 3
KILLED = "killed.json"
TASK_S = 0.05

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is run: simulations, segments of each, repeats of both ways."""

    simulations: int
    segments: int
    repeats: int

    @property
    def nodes(self) -> int:
        """How many nodes the cluster has."""
        return self.simulations * NODES_EACH


def advance(block: Array, task_s: float) -> Array:
    """Compute for a while."""
    if task_s:
        time.sleep(task_s)
    return block + 1.0


def initial(segment: co.Segment, inputs: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """Return a field, one chunk for each node, that no other simulation has."""
    number = float(segment.params["number"])
    field = da.full((NODES_EACH, 10), number, chunks=(1, 10))
    return xr.Dataset({"x": (("tile", "cell"), field)})


def step(
    state: xr.Dataset, inputs: Mapping[str, xr.Dataset], segment: co.Segment
) -> xr.Dataset:
    """Add one to the field, one task for each chunk."""
    new = state["x"].data.map_blocks(
        advance, float(segment.params["task_s"]), dtype=float, meta=np.empty((0, 0))
    )
    return state.assign(x=(("tile", "cell"), new))


def workflow(size: Size) -> co.Workflow:
    """Return the one stage that everybody runs."""
    last = np.datetime64("2000-01-01") + size.segments
    wf = co.Workflow("scale")
    wf.stage(
        "model",
        step,
        init=initial,
        span=co.Span("2000-01-01", str(last), every="1D"),
        chunks={"tile": 1},
        resources=co.Resources(nodes=NODES_EACH),
    )
    return wf


def campaign_of(
    folder: Path, size: Size, task_s: float, *, every: int = 1_000_000
) -> co.Campaign:
    """Return a campaign that checkpoints every so many segments and at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    campaign = co.Campaign(
        "c",
        root=folder,
        policies=co.Policies(checkpointing=co.EverySegments(count=every)),
    )
    wf = workflow(size)
    for number in range(size.simulations):
        campaign.submit(
            wf,
            scenario=co.Scenario(
                f"s{number:03d}", params={"task_s": task_s, "number": number}
            ),
        )
    return campaign


def ours(folder: Path, size: Size, task_s: float) -> float:
    """Run the campaign; return the seconds between its first and last segment."""
    campaign = campaign_of(folder, size, task_s)
    run = campaign.start(co.LocalSite(nodes=size.nodes, in_process=True))
    run.wait(handle_signals=True)
    records = run.facts()
    ends = [t for record, t in records if isinstance(record, SegmentFinished)]
    begins = [t for record, t in records if isinstance(record, StartSegment)]
    if len(ends) != size.simulations * size.segments:
        sys.exit(f"{len(ends)} segments were finished, some of them again")
    check(campaign, size)
    return max(ends) - min(begins)


def check(campaign: co.Campaign, size: Size) -> None:
    """Compare every final state with what it must be."""
    for number in range(size.simulations):
        newest = campaign.checkpoints(f"s{number:03d}")[0]
        with xr.open_zarr(newest / "state.zarr" / "model") as state:
            if not bool((state["x"] == number + size.segments).all()):
                sys.exit(f"simulation {number} ended with other values")


def bare(size: Size, task_s: float) -> float:
    """Drive the same tasks by hand; return the seconds that it took."""
    return asyncio.run(_bare(size, task_s))


async def _bare(size: Size, task_s: float) -> float:
    site = co.LocalSite(nodes=size.nodes, in_process=True)
    address = await site.open()
    try:
        async with Client(address, asynchronous=True) as client:
            await client.register_plugin(NodePlugin())
            await site.start_nodes()
            await client.wait_for_workers(size.nodes)
            workers = list((await client.scheduler.identity())["workers"])
            groups = [
                workers[i : i + NODES_EACH] for i in range(0, size.nodes, NODES_EACH)
            ]
            states = [
                await _begun(client, nodes, number)
                for number, nodes in enumerate(groups)
            ]
            begin = time.perf_counter()
            await asyncio.gather(
                *(
                    _drive(client, nodes, state, size, task_s)
                    for nodes, state in zip(groups, states, strict=True)
                )
            )
            return time.perf_counter() - begin
    finally:
        await site.close()


async def _begun(client: Client, nodes: list[str], number: int) -> xr.Dataset:
    with dask.annotate(workers=nodes):
        state: xr.Dataset = client.persist(initial(_segment(0, number=number), {}))
    await wait(futures_of(state))
    return state


async def _drive(
    client: Client,
    nodes: list[str],
    state: xr.Dataset,
    size: Size,
    task_s: float,
) -> None:
    for index in range(size.segments):
        with dask.annotate(workers=nodes, resources={"cpu": 1}):
            state = client.persist(step(state, {}, _segment(index, task_s=task_s)))
        await wait(futures_of(state))


def _segment(index: int, **params: float) -> co.Segment:
    day = cftime.datetime(2000, 1, 1)
    return co.Segment(start=day, end=day, index=index, params=params)


WAYS = ("climorch", "bare")


def compared(folder: Path, size: Size, task_s: float) -> dict[str, list[float]]:
    """Run both ways in turns, each in a process of its own; return the seconds."""
    took: dict[str, list[float]] = {way: [] for way in WAYS}
    for repeat in range(size.repeats):
        place = folder / f"{task_s}-{repeat}"
        for way in WAYS if repeat % 2 else reversed(WAYS):
            took[way].append(apart(place, way, size, task_s))
        pair = ", ".join(f"{way} {took[way][-1]:.1f} s" for way in WAYS)
        print(f"tasks of {task_s * 1e3:.0f} ms, repeat {repeat}: {pair}", flush=True)
    return took


def apart(folder: Path, way: str, size: Size, task_s: float) -> float:
    """Run one way in a new process: what a cluster leaves behind slows no other."""
    command = [sys.executable, __file__, "--child", str(folder), "--way", way]
    command += [f"--simulations={size.simulations}", f"--segments={size.segments}"]
    done = subprocess.run(
        [*command, f"--task-s={task_s}"], check=True, stdout=subprocess.PIPE, text=True
    )
    return float(done.stdout)


def under_fire(folder: Path, size: Size) -> Figures:
    """Kill a tenth of the nodes, then the driver; run to the end; return times."""
    command = [sys.executable, __file__, "--child", str(folder)]
    command += [f"--simulations={size.simulations}", f"--segments={size.segments}"]
    # What Dask says of the nodes that are gone would bury the figures.
    killed = subprocess.run(
        [*command, "--kill"], check=False, stderr=subprocess.DEVNULL
    )
    if killed.returncode != -signal.SIGKILL:
        sys.exit(f"the driver was not killed but ended with {killed.returncode}")
    began_s = time.time()
    subprocess.run(command, check=True)
    records = read_records(folder, "c")
    check(campaign_of(folder, size, TASK_S, every=5), size)
    committed = [
        (r.simulation, r.segment) for r, _ in records if isinstance(r, SegmentCommitted)
    ]
    if len(committed) != size.simulations * size.segments:
        sys.exit(f"{len(committed)} segments were committed: one twice or one never")
    told = json.loads((folder / KILLED).read_text())
    killed_s: float = told["at_s"]
    noticed = [
        t - killed_s
        for r, t in records
        if isinstance(r, NodeLost) and r.node in told["nodes"] and t < began_s
    ]
    if len(noticed) != len(told["nodes"]):
        sys.exit(f"{len(noticed)} of {len(told['nodes'])} lost nodes were noticed")
    restored = [(t, r.simulation) for r, t in records if isinstance(r, SetRestored)]
    again = [t - killed_s for t, _ in restored if killed_s < t < began_s]
    first = {name: t for t, name in reversed(restored) if t > began_s}
    return {
        "nodes_killed": len(noticed),
        "nodes_noticed_median_s": statistics.median(noticed),
        "nodes_noticed_max_s": max(noticed),
        "simulations_computing_again": len(again),
        "computing_again_median_s": statistics.median(again),
        "driver_back_first_s": min(first.values()) - began_s,
        "driver_back_all_s": max(first.values()) - began_s,
        "lost_compute_s": sum(
            r.lost_s for r, _ in records if isinstance(r, RolledBack)
        ),
    }


def child(folder: Path, size: Size, *, kill: bool) -> None:
    """Run the campaign; kill a tenth of its nodes and then itself on the way."""
    campaign = campaign_of(folder, size, TASK_S, every=5)
    site = co.LocalSite(nodes=size.nodes, in_process=True)
    run = campaign.start(site)
    total = size.simulations * size.segments
    until(run, total * 0.3 if kill else total)
    if not kill:
        run.wait(handle_signals=True)
        return
    leased = [n for s in run.state().simulations.values() for n in s.lease]
    doomed = set(leased[:: len(leased) * 10 // size.nodes])
    if site.scheduler is None:
        sys.exit("the campaign ended before its nodes could be killed")
    at_s = time.time()
    for worker in list(Worker._instances):
        if worker.name in doomed:
            site.scheduler.loop.add_callback(worker.close, executor_wait=False)
    (folder / KILLED).write_text(json.dumps({"at_s": at_s, "nodes": sorted(doomed)}))
    until(run, total * 0.6)
    os.kill(os.getpid(), signal.SIGKILL)


def until(run: co.Run, segments: float) -> None:
    """Wait until so many segments are computed, or the run has ended."""
    while not run.wait(0.1):
        sets = [s for x in run.state().simulations.values() for s in x.sets.values()]
        if sum(sum(s.done.values()) for s in sets) >= segments:
            return


def main() -> int:
    """Measure, print, and tell whether the bar holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller, fewer repeats")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--kill", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--task-s", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--simulations", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--segments", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        size = Size(
            simulations=options.simulations, segments=options.segments, repeats=1
        )
        if options.way == "climorch":
            print(ours(options.child, size, options.task_s))
        elif options.way == "bare":
            print(bare(size, options.task_s))
        else:
            child(options.child, size, kill=options.kill)
        return 0
    quick = options.quick
    size = (
        Size(simulations=30, segments=10, repeats=2)
        if quick
        else Size(simulations=100, segments=10, repeats=5)
    )
    logging.basicConfig(level=logging.ERROR)
    RESULTS.mkdir(exist_ok=True)
    figures: Figures = {"simulations": size.simulations, "nodes": size.nodes}
    segments = size.simulations * size.segments
    with tempfile.TemporaryDirectory(dir=RESULTS) as folder:
        for task_s in (0.0, TASK_S):
            took = compared(Path(folder), size, task_s)
            name = f"tasks_{task_s * 1000:.0f}_ms"
            for way, seconds in took.items():
                median_s = statistics.median(seconds)
                figures[f"{name}_{way}_s"] = median_s
                figures[f"{name}_{way}_ms_per_segment"] = median_s * 1e3 / segments
            ratios = [
                a / b for a, b in zip(took["climorch"], took["bare"], strict=True)
            ]
            figures[f"{name}_ratio"] = statistics.median(ratios)
            figures[f"{name}_ratio_highest"] = max(ratios)
        longer = replace(size, segments=2 * size.segments)
        figures |= under_fire(Path(folder, "fire"), longer)
    report("live_scale", figures)
    ratio = float(figures[f"tasks_{TASK_S * 1000:.0f}_ms_ratio"])
    print(f"bar: with tasks of {TASK_S} s at most {RATIO_BAR} times the bare loop")
    print(f"{ratio:.2f} times; margin {RATIO_BAR / ratio:.2f} (>= 1.00 holds)")
    return 0 if ratio <= RATIO_BAR else 1


if __name__ == "__main__":
    sys.exit(main())
