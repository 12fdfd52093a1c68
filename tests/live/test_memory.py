"""How much memory a state takes on its way through steps and checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import dask.array as da
import numpy as np
import numpy.typing as npt
import psutil
import pytest
import xarray as xr

import climorch as co

GB = 10**9
CHUNKS = 32
NODES = 2

Array = npt.NDArray[np.float32]


def pattern(block: Array) -> Array:
    """Something that is not all alike, and quickly made."""
    y, x = block.shape
    return np.add.outer(np.arange(y), np.arange(x)).astype("f4")


def initial(segment: co.Segment, inputs: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """Return 2 GB in 32 chunks."""
    shape = (CHUNKS * 1000, 2 * GB // 4 // CHUNKS // 1000)
    empty = da.zeros(shape, chunks=(1000, -1), dtype="f4")
    return xr.Dataset({"x": (("y", "x"), empty.map_blocks(pattern, dtype="f4"))})


def step(
    state: xr.Dataset, inputs: Mapping[str, xr.Dataset], segment: co.Segment
) -> xr.Dataset:
    """Change every value."""
    return state.assign(x=state["x"] + np.float32(1))


def peaks(pids: set[int]) -> dict[int, int]:
    """Return the largest resident memory that each process ever had, in bytes."""
    found = {}
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        except OSError:
            continue
        sizes = [line.split()[1] for line in lines if line.startswith("VmHWM")]
        if sizes:
            found[pid] = int(sizes[0]) * 1024
    return found


@pytest.mark.live
@pytest.mark.timeout(300)
@pytest.mark.benchmark
def test_two_gigabytes_step_and_checkpoint_within_three_times_and_one(
    tmp_path: Path,
) -> None:
    """State of 2 GB on two nodes: all processes stay below 7 GB, as nodes tell."""
    wf = co.Workflow("large")
    wf.stage(
        "model",
        step,
        init=initial,
        span=co.Span("2000-01-01", "2000-01-05", every="1D"),
        chunks={"y": 1000},
        resources=co.Resources(nodes=NODES),
    )
    campaign = co.Campaign(
        "large", root=tmp_path, policies=co.Policies(checkpointing=co.EverySegments())
    )
    campaign.submit(wf, scenario=co.Scenario("s"))
    here = psutil.Process()
    before = here.memory_info().rss
    run = campaign.start(co.LocalSite(nodes=NODES))
    seen: dict[int, int] = {}
    own = 0
    while not run.wait(0.2):
        seen |= peaks({child.pid for child in here.children(recursive=True)})
        own = max(own, here.memory_info().rss - before)

    assert campaign.status().finished
    written = campaign.checkpoints("s")
    assert sum(f.stat().st_size for f in written[0].rglob("*") if f.is_file()) > GB / 20
    total = own + sum(seen.values())
    assert 2 * GB < total <= 3 * 2 * GB + GB
    told = campaign.performance().sel(simulation="s", stage="model")
    assert GB < float(told["memory_bytes"]) <= max(seen.values())
    # Each segment changes every value; the last half second may not be told.
    assert float(told["cpu_s"]) > 0.1
    assert float(told["task_s"]) > 0.1
