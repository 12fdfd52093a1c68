"""What the benchmarks of checkpoints share: a model, its workflow, and statistics.

The model is a set of fields that are computed block by block for a fixed amount of
work. Each block notes when it ran, so that idle time of a core can be seen.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import platform
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import numpy.typing as npt
import xarray as xr

import climorch as co
from climorch.model.events import Fact
from climorch.policy.checkpointing import Pace

__all__ = [
    "FAIL",
    "NODES",
    "RESULTS",
    "SIMULATION",
    "Busy",
    "Chosen",
    "Figures",
    "Size",
    "busy_times",
    "make_campaign",
    "report",
    "upper_limit",
    "work_per_block",
]

RESULTS = Path(__file__).parent / "results"
NODES = 2
SIMULATION = "s"
VARIABLES = 10
LEVELS = 4

FAIL = "fail"

Array = npt.NDArray[np.float32]
Figures = dict[str, float | int | str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """A state: ten fields of four blocks each, float32.

    Attributes
    ----------
    lat, lon : int
        Shape of a block.
    """

    lat: int = 1024
    lon: int = 1640

    @property
    def state_bytes(self) -> int:
        """Bytes of the whole state."""
        return VARIABLES * LEVELS * self.lat * self.lon * 4


class Chosen:
    """A strategy that checkpoints at given boundaries and nowhere else."""

    def __init__(self, boundaries: Sequence[int]) -> None:
        self.boundaries = frozenset(boundaries)
        self._newest = 0

    def due(self, pace: Pace) -> str | None:
        """Checkpoint where it was chosen beforehand."""
        boundary = self._newest + pace.boundaries
        if boundary not in self.boundaries:
            return None
        self._newest = boundary
        return "chosen"


def make_campaign(
    folder: Path,
    *,
    size: Size,
    segments: int,
    iterations: int,
    static: int = 0,
    policies: co.Policies,
) -> co.Campaign:
    """Return a campaign of one simulation on all nodes.

    Parameters
    ----------
    folder : Path
        For the campaign and for the times of blocks.
    size : Size
        Of the state.
    segments : int
        How many it computes.
    iterations : int
        Of the kernel, for every block that changes.
    static : int
        Fields, of ten, that never change.
    policies : Policies
        When to checkpoint.
    """
    (folder / "times").mkdir(parents=True)
    start = np.datetime64("2000-01-01")
    workflow = co.Workflow("fields")
    workflow.stage(
        "model",
        step,
        init=initial,
        span=co.Span(str(start), str(start + segments), every="1D"),
        chunks={"level": 1},
        resources=co.Resources(nodes=NODES),
    )
    campaign = co.Campaign("c", root=folder, policies=policies)
    params = {
        "times": str(folder / "times"),
        "iterations": iterations,
        "static": static,
        "lat": size.lat,
        "lon": size.lon,
    }
    campaign.submit(workflow, scenario=co.Scenario(SIMULATION, params=params))
    return campaign


def initial(segment: co.Segment, inputs: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """Return ten fields of noise on a wave."""
    shape = (LEVELS, int(segment.params["lat"]), int(segment.params["lon"]))
    chunks = (1, *shape[1:])
    fields = {}
    for number in range(VARIABLES):
        index = da.arange(LEVELS, chunks=1, dtype="f4")[:, None, None]
        field = da.map_blocks(
            noise, index, number, shape[1:], chunks=chunks, dtype=np.float32
        )
        fields[f"v{number}"] = (("level", "lat", "lon"), field)
    return xr.Dataset(fields)


def noise(index: Array, number: int, shape: tuple[int, int]) -> Array:
    """Return one block of a field: what LZ4 can make little of."""
    rng = np.random.default_rng((number, int(index.flat[0])))
    wave = np.sin(np.linspace(0.0, 6.0, shape[1], dtype=np.float32))
    return (rng.standard_normal((1, *shape), dtype=np.float32) + wave) + np.float32(280)


def step(
    state: xr.Dataset, inputs: Mapping[str, xr.Dataset], segment: co.Segment
) -> xr.Dataset:
    """Compute the fields that change, block by block."""
    moving = [f"v{n}" for n in range(int(segment.params["static"]), VARIABLES)]
    return state.assign(
        {
            name: state[name].copy(
                data=state[name].data.map_blocks(
                    evolve,
                    int(segment.params["iterations"]),
                    str(segment.params["times"]),
                    segment.index,
                    dtype=np.float32,
                    meta=np.empty((0, 0, 0), np.float32),
                )
            )
            for name in moving
        }
    )


def evolve(block: Array, iterations: int, times: str, segment: int) -> Array:
    """Compute one block and note when, and what it and all before it cost.

    Raises
    ------
    RuntimeError
        Once for each file ``fail`` that is put beside the notes.
    """
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(times, FAIL))
        raise RuntimeError("told to fail")
    begin, thread_s, process_s = time.time(), time.thread_time(), time.process_time()
    out = kernel(block, iterations)
    thread_s = time.thread_time() - thread_s
    line = f"{segment} {begin:.6f} {time.time():.6f} {thread_s:.6f} {process_s:.6f}\n"
    note = os.open(
        os.path.join(times, str(os.getpid())), os.O_WRONLY | os.O_APPEND | os.O_CREAT
    )
    try:
        os.write(note, line.encode())
    finally:
        os.close(note)
    return out


def kernel(block: Array, iterations: int) -> Array:
    """Diffuse and force a block `iterations` times: half arithmetic, half memory."""
    out = block.copy()
    work = np.empty_like(out)
    for _ in range(iterations):
        np.sin(out, out=work)
        work *= np.float32(1e-3)
        out += work
        inner, change = out[..., 1:-1], work[..., 1:-1]
        np.add(out[..., 2:], out[..., :-2], out=change)
        change *= np.float32(5e-4)
        inner *= np.float32(0.999)
        inner += change
    return out


def work_per_block(size: Size, segment_s: float, *, static: int = 0) -> int:
    """Return how many iterations make a segment last about `segment_s` seconds."""
    block = noise(np.zeros(1, np.float32), 0, (size.lat, size.lon))
    kernel(block, 5)
    begin = time.perf_counter()
    kernel(block, 30)
    iteration_s = (time.perf_counter() - begin) / 30
    blocks = (VARIABLES - static) * LEVELS / NODES
    return max(round(segment_s / blocks / iteration_s), 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Busy:
    """One segment on one node.

    Attributes
    ----------
    begin_s, end_s : float
        When its first block began and its last one ended, seconds since 1970.
    blocks_s, blocks_cpu_s : float
        Seconds that its blocks took, and CPU seconds of them.
    process_cpu_s : float
        CPU seconds of the whole process before its first block.
    """

    begin_s: float
    end_s: float
    blocks_s: float
    blocks_cpu_s: float
    process_cpu_s: float


def busy_times(folder: Path) -> list[dict[int, Busy]]:
    """Return for each node what each segment took."""
    notes = [p for p in (folder / "times").iterdir() if p.name != FAIL]
    return [_busy(path.read_text()) for path in notes]


def _busy(text: str) -> dict[int, Busy]:
    lines: dict[int, list[tuple[float, ...]]] = defaultdict(list)
    for line in text.splitlines():
        segment, *values = line.split()
        lines[int(segment)].append(tuple(map(float, values)))
    return {
        segment: Busy(
            begin_s=min(b for b, *_ in blocks),
            end_s=max(e for _, e, *_ in blocks),
            blocks_s=sum(e - b for b, e, *_ in blocks),
            blocks_cpu_s=sum(c for _, _, c, _ in blocks),
            process_cpu_s=min(p for *_, p in blocks),
        )
        for segment, blocks in lines.items()
    }


def upper_limit(values: Sequence[float]) -> float:
    """Return the one-sided upper 95 % limit of a mean, from Student's t."""
    count = len(values)
    # No SciPy for one number: a million draws give it to about 0.003.
    draws = np.random.default_rng(0).standard_t(count - 1, 1_000_000)
    error = float(np.std(values, ddof=1)) / math.sqrt(count)
    return float(np.mean(values)) + float(np.quantile(draws, 0.95)) * error


def of_kind(records: Sequence[tuple[Any, float]], kind: type[Fact]) -> list[Any]:
    """Return the records of one kind, without their times."""
    return [record for record, _ in records if isinstance(record, kind)]


def report(name: str, figures: Figures) -> None:
    """Print figures and write them beside the benchmark."""
    figures = figures | {
        "cores": os.cpu_count() or 0,
        "load_1min": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(figures, indent=2) + "\n")
    for key, value in figures.items():
        shown = f"{value:,.4f}" if isinstance(value, float) else str(value)
        print(f"{key:36} {shown:>14}")
