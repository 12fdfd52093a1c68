"""What a copy in a partner's memory costs, and what it saves.

The same campaign on 2 worker processes with a copy at every boundary and without,
in turns. CPU seconds of the nodes between the same two segments are compared, and
those of the driver over the whole run; the difference over the number of copies is
what one costs: cutting, carrying and bookkeeping. Both nodes are on this machine,
so carrying is through memory and not through a network card.

The bar: at most 3 CPU seconds of the nodes per GB, and a median stall of 0.1 s.

    uv run python benchmarks/partner_copies.py [--quick]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

import climorch as co
from benchmarks.bench import Figures, report
from climorch.engine.copying import CARRYING_S_PER_BYTE
from climorch.model.events import CopyFailed, CopyHeld, SegmentFinished
from climorch.policy.partnering import PartnerCopy

NODES = 2
BLOCKS = 16
WARM_UP = 3
MB = 10**6
MOST_S_PER_GB = 3.0
MOST_STALL_S = 0.1

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lived:
    """One run.

    Attributes
    ----------
    nodes_s, driver_s : float
        CPU seconds of the nodes from the warm-up on; of the driver in all.
    copies : int
        Held from the warm-up on.
    stalls_s, held_s : tuple of float
        Seconds that each stopped the attempt; until each was held.
    segment_s : float
        Median seconds of a segment.
    """

    nodes_s: float
    driver_s: float
    copies: int
    stalls_s: tuple[float, ...]
    held_s: tuple[float, ...]
    segment_s: float


def initial(segment: co.Segment, inputs: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """Return noise, as many bytes as are asked for."""
    size = int(segment.params["bytes"]) // 8 // BLOCKS
    values = np.random.default_rng(0).standard_normal((BLOCKS, size))
    return xr.Dataset({"x": (("block", "cell"), values)})


def step(
    state: xr.Dataset, inputs: Mapping[str, xr.Dataset], segment: co.Segment
) -> xr.Dataset:
    """Change every value, and note what the node has spent."""
    data = state["x"].data.map_blocks(
        advance,
        str(segment.params["notes"]),
        segment.index,
        dtype=np.float64,
        meta=np.empty((0, 0)),
    )
    return state.assign(x=(("block", "cell"), data))


def advance(block: Array, notes: str, index: int) -> Array:
    """Compute one block."""
    out = block * 0.999 + 1.0
    line = f"{os.getpid()} {index} {time.process_time():.6f}\n"
    descriptor = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(descriptor, line.encode())
    os.close(descriptor)
    return out


def spent_s(notes: Path, first: int, last: int) -> float:
    """Return the CPU seconds of all nodes between two segments."""
    seen: dict[str, dict[int, float]] = {}
    for line in notes.read_text().splitlines():
        pid, index, process_s = line.split()
        known = seen.setdefault(pid, {})
        known[int(index)] = max(known.get(int(index), 0.0), float(process_s))
    return sum(known[last] - known[first] for known in seen.values())


def live(size: int, segments: int, *, every: int) -> Lived:
    """Run a campaign with a copy at every so many boundaries."""
    with tempfile.TemporaryDirectory() as folder:
        notes = Path(folder) / "notes"
        workflow = co.Workflow("copies")
        start = np.datetime64("2000-01-01")
        workflow.stage(
            "model",
            step,
            init=initial,
            span=co.Span(str(start), str(start + segments), every="1D"),
            chunks={"block": 1},
            resources=co.Resources(nodes=NODES),
        )
        strategy = PartnerCopy(
            disk=co.EverySegments(count=10**6), every=every, most_overhead=1.0
        )
        campaign = co.Campaign(
            "c", root=folder, policies=co.Policies(checkpointing=strategy)
        )
        campaign.submit(
            workflow,
            scenario=co.Scenario("s", params={"bytes": size, "notes": str(notes)}),
        )
        driver_s = time.process_time()
        run = campaign.start(co.LocalSite(nodes=NODES))
        run.wait()
        driver_s = time.process_time() - driver_s
        records = [record for record, _ in run.facts()]
        nodes_s = spent_s(notes, WARM_UP, segments - 1)
    return _counted(records, nodes_s, driver_s)


def _counted(records: Sequence[Any], nodes_s: float, driver_s: float) -> Lived:
    failed = [record for record in records if isinstance(record, CopyFailed)]
    if failed:
        raise RuntimeError(f"{len(failed)} copies failed: {failed[0].message}")
    held = [r for r in records if isinstance(r, CopyHeld) and r.boundary > WARM_UP]
    # Nodes of `LocalSite` have one core each.
    stalls = [r.cost_s - CARRYING_S_PER_BYTE * r.bytes_copied / NODES for r in held]
    segments = [r.seconds for r in records if isinstance(r, SegmentFinished)]
    return Lived(
        nodes_s=nodes_s,
        driver_s=driver_s,
        copies=len(held),
        stalls_s=tuple(stalls),
        held_s=tuple(r.seconds for r in held),
        segment_s=statistics.median(segments),
    )


def compare(size_mb: int, segments: int, pairs: int) -> dict[str, float]:
    """Return what a copy of a state of so many megabytes costs."""
    nodes: list[float] = []
    drivers: list[float] = []
    stalls: list[float] = []
    held: list[float] = []
    for _ in range(pairs):
        with_copies = live(size_mb * MB, segments, every=1)
        without = live(size_mb * MB, segments, every=10**6)
        count = max(with_copies.copies, 1)
        nodes.append((with_copies.nodes_s - without.nodes_s) / count)
        drivers.append((with_copies.driver_s - without.driver_s) / count)
        stalls += with_copies.stalls_s
        held += with_copies.held_s
    node_s = statistics.median(nodes)
    return {
        "state_mb": size_mb,
        "pairs": pairs,
        "node_cpu_s_per_copy": node_s,
        "driver_cpu_s_per_copy": statistics.median(drivers),
        "node_cpu_s_per_gb": node_s * 1000 / size_mb,
        "stall_s_median": statistics.median(stalls),
        "held_after_s_median": statistics.median(held),
    }


def main() -> int:
    """Compare both sizes and print the figures; 0 if the bar holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    segments, pairs = (14, 1) if quick else (34, 3)
    figures: Figures = {}
    good = True
    for size_mb in (64, 256):
        found = compare(size_mb, segments, pairs)
        good &= found["node_cpu_s_per_gb"] <= MOST_S_PER_GB
        good &= found["stall_s_median"] <= MOST_STALL_S
        figures |= {f"{size_mb} MB: {name}": value for name, value in found.items()}
    report("partner_copies", figures)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
