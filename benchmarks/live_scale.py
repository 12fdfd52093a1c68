"""A hundred simulations on three hundred nodes, against a bare client that drives them.

Each simulation has three nodes and a field of three chunks; a segment is one task of
50 ms on each. The bare loop is what one would write by hand: one coroutine for each
simulation calls the same step, persists what it returns on the same nodes of an equal
cluster, waits, and goes on; no journal, no contract, no keys of its own, nothing can
be lost. Both run in one process, in turns. Compared is the time from the first
segment's start to the last one's end, so that neither start-up nor the checkpoints
that end the simulations count; tasks of 0 s show what is the overhead's own.

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
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cftime
import dask
import dask.array as da
import numpy as np
import numpy.typing as npt
import xarray as xr
from distributed import Client, futures_of, wait

import climorch as co
from benchmarks.bench import RESULTS, Figures, report
from climorch.engine.worker import NodePlugin
from climorch.model.commands import StartSegment
from climorch.model.events import SegmentFinished

RATIO_BAR = 1.10
NODES_EACH = 3
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


def campaign_of(folder: Path, size: Size, task_s: float) -> co.Campaign:
    """Return a campaign that checkpoints at the end only."""
    campaign = co.Campaign(
        "c",
        root=folder,
        policies=co.Policies(checkpointing=co.EveryWall(seconds=1e6)),
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


def bare(size: Size, task_s: float, *, lean: bool) -> float:
    """Drive the same tasks by hand; return the seconds that it took.

    Parameters
    ----------
    size, task_s
        What is run.
    lean : bool
        Whether without fields and steps, from futures to futures.
    """
    return asyncio.run(_bare(size, task_s, lean))


async def _bare(size: Size, task_s: float, lean: bool) -> float:
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
                    _drive(client, nodes, state, size, task_s, lean)
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
    lean: bool,
) -> None:
    if lean:
        blocks = futures_of(state)
        for index in range(size.segments):
            blocks = client.map(
                advance,
                blocks,
                task_s=task_s,
                key=[f"{block.key}-{index}" for block in blocks],
                workers=nodes,
                resources={"cpu": 1},
            )
            await wait(blocks)
        return
    for index in range(size.segments):
        with dask.annotate(workers=nodes, resources={"cpu": 1}):
            state = client.persist(step(state, {}, _segment(index, task_s=task_s)))
        await wait(futures_of(state))


def _segment(index: int, **params: float) -> co.Segment:
    day = cftime.datetime(2000, 1, 1)
    return co.Segment(start=day, end=day, index=index, params=params)


WAYS = ("climorch", "bare", "lean")


def compared(folder: Path, size: Size, task_s: float) -> dict[str, list[float]]:
    """Run all ways in turns; return the seconds of each."""
    took: dict[str, list[float]] = {way: [] for way in WAYS}
    for repeat in range(size.repeats):
        place = folder / f"{task_s}-{repeat}"
        for way in WAYS if repeat % 2 else reversed(WAYS):
            took[way].append(
                ours(place, size, task_s)
                if way == "climorch"
                else bare(size, task_s, lean=way == "lean")
            )
    return took


def main() -> int:
    """Measure, print, and tell whether the bar holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller, fewer repeats")
    quick = parser.parse_args().quick
    size = (
        Size(simulations=30, segments=10, repeats=2)
        if quick
        else Size(simulations=100, segments=20, repeats=5)
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
            for way in WAYS[1:]:
                ratio = figures[f"{name}_ratio_to_{way}"] = statistics.median(
                    a / b for a, b in zip(took["climorch"], took[way], strict=True)
                )
    report("live_scale", figures)
    ratio = float(figures[f"tasks_{TASK_S * 1000:.0f}_ms_ratio_to_bare"])
    print(f"bar: with tasks of {TASK_S} s at most {RATIO_BAR} times the bare loop")
    print(f"{ratio:.2f} times; margin {RATIO_BAR / ratio:.2f} (>= 1.00 holds)")
    return 0 if ratio <= RATIO_BAR else 1


if __name__ == "__main__":
    sys.exit(main())
