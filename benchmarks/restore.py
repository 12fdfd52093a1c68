"""How fast a verified restore is, next to a plain load of the same state.

One simulation on 2 worker processes is told to fail again and again. Before it is
tried again, plain xarray loads its newest checkpoint with as many threads; then the
engine restores it: from the command to the fact that the states are on their nodes,
every chunk compared with its CRC and hash. In turn the files are in the page cache
and dropped from it.

The bar: the engine restores at 60 % or more of the speed of
``xr.open_zarr().load()``, medians, warm and cold. Beside it stands the median of the
ratios of neighbouring turns, which drifts of a busy machine leave alone, and what the
reading and comparing of chunks costs without the engine: in this process, with as many
threads, in seconds and in CPU seconds. With ``--quick`` fewer repeats of the same
state.

    uv run python benchmarks/restore.py [--quick]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dask
import xarray as xr

import climorch as co
from benchmarks.bench import (
    FAIL,
    NODES,
    RESULTS,
    SIMULATION,
    Chosen,
    Figures,
    Size,
    make_campaign,
    report,
)
from climorch.model.commands import AbandonAttempt, StartAttempt
from climorch.model.events import Cause, CheckpointCommitted, RestoreFailed, SetRestored
from climorch.policy.recovery import DEFAULT_BUDGETS
from climorch.storage.arrays import ArraySpec
from climorch.storage.checkpoints import CheckpointStore
from climorch.storage.chunks import read_chunk

BAR = 0.6
LONGEST_WAIT_S = 60.0
# Rarely: reading the journal takes time from the driver, which is in this process.
POLL_S = 0.25
# Time for two readings of all files and for one plain load.
PAUSE_S = 4.0


def wait_for(run: co.Run, kind: type[Any], count: int) -> list[tuple[Any, float]]:
    """Poll the journal until it has so many records of a kind; return all."""
    deadline_s = time.monotonic() + LONGEST_WAIT_S
    while time.monotonic() < deadline_s:
        timed = run.facts()
        for record, _ in timed:
            if isinstance(record, RestoreFailed):
                sys.exit(f"something failed: {record}")
        if sum(isinstance(record, kind) for record, _ in timed) >= count:
            return timed
        if run.wait(POLL_S):
            sys.exit("the campaign ended too early")
    sys.exit(f"no {kind.__name__} number {count} in {LONGEST_WAIT_S:.0f} s")


def drop_from_cache(tree: Path) -> None:
    """Make the next reader of these files read them from the disk."""
    for path in tree.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(descriptor)


def read_all(tree: Path) -> None:
    """Bring these files into the page cache."""
    for path in tree.rglob("*"):
        if path.is_file():
            path.read_bytes()


def plain_load_s(tree: Path) -> float:
    """Return how long plain xarray takes to load a state, in seconds."""
    begin = time.perf_counter()
    with dask.config.set(scheduler="threads", num_workers=NODES):
        xr.open_zarr(tree).load()
    return time.perf_counter() - begin


def measure(folder: Path, repeats: int) -> Figures:
    """Pause, load and restore in turn; return medians."""
    size = Size()
    again_after_the_load = co.Budget(
        retries=1000, first_delay_s=PAUSE_S, longest_delay_s=PAUSE_S
    )
    campaign = make_campaign(
        folder,
        size=size,
        # More than will be computed, so that it never ends by itself.
        segments=2000,
        iterations=5,
        policies=co.Policies(
            checkpointing=Chosen([1]),
            recovery=co.RecoveryPolicy(
                budgets={**DEFAULT_BUDGETS, Cause.MODEL: again_after_the_load}
            ),
        ),
    )
    run = campaign.start(co.LocalSite(nodes=NODES))
    try:
        seconds = turns(run, folder, repeats)
        run.stop()
    finally:
        run.kill()
        with contextlib.suppress(co.ClimorchError):
            run.wait(LONGEST_WAIT_S)
    paired = {
        f"{way}_paired_ratio": statistics.median(
            plain_s / engine_s
            for plain_s, engine_s in zip(
                seconds[f"{way}_plain_s"], seconds[f"{way}_engine_s"], strict=True
            )
        )
        for way in ("warm", "cold")
    }
    found: Figures = {key: statistics.median(s) for key, s in sorted(seconds.items())}
    for way in ("warm", "cold"):
        plain_s, engine_s = (
            float(found[f"{way}_plain_s"]),
            float(found[f"{way}_engine_s"]),
        )
        found |= {
            f"{way}_plain_mb_per_s": size.state_bytes / plain_s / 1e6,
            f"{way}_engine_mb_per_s": size.state_bytes / engine_s / 1e6,
            f"{way}_ratio": plain_s / engine_s,
        }
    alone = without_engine(folder, repeats)
    return (
        found | paired | alone | {"state_bytes": size.state_bytes, "repeats": repeats}
    )


def without_engine(folder: Path, repeats: int) -> Figures:
    """Read and compare all chunks, and load them plainly, in turn; both warm."""
    store = CheckpointStore(folder, "c")
    checkpoint = store.newest(SIMULATION, "model")
    if checkpoint is None:
        sys.exit("there is no checkpoint")
    tree = checkpoint.path / "state.zarr" / "model"
    read_all(tree)

    def read(chunk: tuple[str, tuple[ArraySpec, tuple[int, ...]]]) -> None:
        key, (spec, index) = chunk
        entry, shape = checkpoint.manifest.entries[key], spec.block_shape(index)
        read_chunk(checkpoint.path / key, entry, spec.dtype, spec.chunk_shape, shape)

    def verified() -> None:
        with ThreadPoolExecutor(NODES) as threads:
            list(threads.map(read, checkpoint.manifest.chunks().items()))

    seconds: dict[str, list[float]] = {}
    for turn in range(repeats + 1):
        for way, work in (("plain", lambda: plain_load_s(tree)), ("ours", verified)):
            begin_s, begin_cpu_s = time.perf_counter(), time.process_time()
            work()
            took = time.perf_counter() - begin_s, time.process_time() - begin_cpu_s
            # The first of each warms up and does not count.
            for clock, took_s in zip(("wall", "cpu"), took, strict=True):
                if turn:
                    seconds.setdefault(f"{way}_{clock}", []).append(took_s)
    found: Figures = {
        f"alone_{key}_s": statistics.median(s) for key, s in seconds.items()
    }
    for clock in ("wall", "cpu"):
        pairs = zip(seconds[f"plain_{clock}"], seconds[f"ours_{clock}"], strict=True)
        found[f"alone_{clock}_paired_ratio"] = statistics.median(
            plain_s / ours_s for plain_s, ours_s in pairs
        )
    return found


def turns(run: co.Run, folder: Path, repeats: int) -> dict[str, list[float]]:
    """Load and restore, warm and cold in turn; return the seconds of each way."""
    seconds: dict[str, list[float]] = {}
    fail = folder / "times" / FAIL
    wait_for(run, CheckpointCommitted, 1)
    state = next((folder / "c" / "checkpoints").rglob("state.zarr")) / "model"
    for turn in range(2 * repeats + 2):
        way, prepare = ("cold", drop_from_cache) if turn % 2 else ("warm", read_all)
        fail.touch()
        wait_for(run, AbandonAttempt, turn + 1)
        prepare(state)
        plain_s = plain_load_s(state)
        prepare(state)
        prepared_s = time.time()
        timed = wait_for(run, SetRestored, turn + 2)
        begun_s = [t for record, t in timed if isinstance(record, StartAttempt)]
        ended_s = [t for record, t in timed if isinstance(record, SetRestored)]
        if begun_s[-1] < prepared_s:
            sys.exit("the plain load took too long: this machine is too busy to tell")
        # The first of each way warms up and does not count.
        if turn >= 2:
            seconds.setdefault(f"{way}_plain_s", []).append(plain_s)
            seconds.setdefault(f"{way}_engine_s", []).append(ended_s[-1] - begun_s[-1])
    return seconds


def main() -> int:
    """Measure, print, and tell whether the bar holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repeats")
    quick = parser.parse_args().quick
    RESULTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=RESULTS) as folder:
        figures = measure(Path(folder, "all"), 2 if quick else 8)
    ratio = min(float(figures["warm_ratio"]), float(figures["cold_ratio"]))
    report("restore", figures)
    print(f"bar: a verified restore at >= {BAR:.0%} of the speed of a plain load")
    print(
        f"warm {figures['warm_ratio']:.0%}, cold {figures['cold_ratio']:.0%} of the "
        f"speed of a plain load; smaller over the bar {ratio / BAR:.2f} (>= 1.00 holds)"
    )
    return 0 if ratio >= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
