"""What segments use is measured while they run, and told by `performance`.

Of the tests that run by default `test_memory` and `test_models` look at it, too.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import xarray as xr

from climorch import (
    Advance,
    Campaign,
    Isolated,
    LocalSite,
    Scenario,
    Segment,
    Span,
    Workflow,
)
from climorch.model import events as e
from tests.live.cases import kinds, policies, records

SEGMENTS = 4
# CPU seconds of a segment of each stage, at least.
AIR_S, PROGRAM_S = 0.4, 0.3
BLOCK = 40 * 2**20


def initial(segment: Segment, inputs: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """Return a field in two blocks."""
    return xr.Dataset({"x": ("y", da.zeros(2, chunks=1))})


def burn(block: np.ndarray) -> np.ndarray:
    """Compute for a while, with some memory, on the thread of the task."""
    import time

    extra = np.ones(BLOCK, dtype=np.uint8)
    until_s = time.thread_time() + AIR_S / 2
    while time.thread_time() < until_s:
        extra[::4096] += 1
    return block + 1


def air(
    state: xr.Dataset, inputs: Mapping[str, xr.Dataset], segment: Segment
) -> Advance:
    """Burn on both blocks, and return them as output."""
    fresh = state.assign(x=("y", state["x"].data.map_blocks(burn, dtype="f8")))
    time = xr.date_range(
        segment.start.isoformat(), periods=1, calendar="noleap", use_cftime=True
    )
    return Advance(state=fresh, output=fresh[["x"]].expand_dims(time=time))


def program(
    state: xr.Dataset, inputs: Mapping[str, xr.Dataset], segment: Segment
) -> xr.Dataset:
    """Let another process burn, as a model under MPI does."""
    code = f"import time\nwhile time.process_time() < {PROGRAM_S}: pass"
    subprocess.run([sys.executable, "-S", "-c", code], check=True)
    return state


@pytest.mark.live
@pytest.mark.benchmark
def test_what_segments_use_is_measured(tmp_path: Path) -> None:
    """CPU seconds of threads and programs, memory, output: what was burned at least."""
    wf = Workflow("w")
    span = Span("2000-01-01", "2000-01-05", every="1D", calendar="noleap")
    wf.stage("air", air, init=initial, span=span, chunks={"y": 1})
    wf.stage("ice", Isolated(program), init=initial, span=span)
    campaign = Campaign("c", root=tmp_path, policies=policies(every=2))
    campaign.submit(wf, scenario=Scenario("s"))

    assert campaign.run(LocalSite(nodes=2)).finished

    usages = [f.usage for f in kinds(records(campaign), e.SegmentFinished)]
    assert len(usages) == 2 * SEGMENTS
    assert all(usage is not None for usage in usages)
    found = campaign.performance().sel(simulation="s")
    airy, icy = found.sel(stage="air"), found.sel(stage="ice")
    # Nodes tell with heartbeats, so the last second of it may not be told.
    assert float(airy["cpu_s"]) > AIR_S * (SEGMENTS - 2)
    assert float(airy["task_s"]) > AIR_S * SEGMENTS
    assert float(airy["memory_bytes"]) > BLOCK
    # Two values and a date each.
    assert float(airy["output_bytes"]) == 24 * SEGMENTS
    assert float(icy["cpu_s"]) > PROGRAM_S * SEGMENTS
    assert float(icy["memory_bytes"]) > float(airy["memory_bytes"])
    assert float(found["sypd"]) > 0
    assert float(found["data_intensity"]) > 0
