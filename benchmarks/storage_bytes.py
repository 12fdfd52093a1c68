"""How much 20 checkpoints take on the disk, next to 20 plain copies of the state.

Of ten fields four never change, two change at every fourth checkpoint, and four at
each. The checkpoints are made as the engine makes them, every eighth in full; the
copies with ``to_zarr`` as xarray does it by default, and once more with the codec of
the checkpoints, to tell links from compression. Counted are bytes of files, each file
once, metadata and manifests with them.

The bar: at least 1.8 times less than plain copies. With ``--quick`` smaller fields.

    uv run python benchmarks/storage_bytes.py [--quick]
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cftime
import numpy as np
import xarray as xr
from zarr.codecs import BloscCodec, Crc32cCodec

from benchmarks.bench import (
    LEVELS,
    RESULTS,
    VARIABLES,
    Array,
    Figures,
    Size,
    kernel,
    noise,
    report,
)
from climorch.core.progress import Policies
from climorch.storage.checkpoints import (
    Checkpoint,
    CheckpointRequest,
    CheckpointStore,
    physically_independent,
)
from climorch.storage.chunks import write_chunks

BAR = 1.8
COUNT = 20
STATIC, SLOW = 4, 2
SLOW_EVERY = 4


def states(size: Size) -> Iterator[dict[str, list[Array]]]:
    """Yield the blocks of every field, checkpoint after checkpoint."""
    blocks = {
        f"v{number}": [
            noise(np.full(1, level, np.float32), number, (size.lat, size.lon))
            for level in range(LEVELS)
        ]
        for number in range(VARIABLES)
    }
    for count in itertools.count():
        yield blocks
        for number in range(STATIC, VARIABLES):
            if number >= STATIC + SLOW or count % SLOW_EVERY == SLOW_EVERY - 1:
                blocks[f"v{number}"] = [kernel(b, 1) for b in blocks[f"v{number}"]]


def dataset(blocks: dict[str, list[Array]]) -> xr.Dataset:
    """Return a state, chunked by level."""
    fields = {
        name: (("level", "lat", "lon"), np.concatenate(parts))
        for name, parts in blocks.items()
    }
    return xr.Dataset(fields).chunk(level=1)


def save(
    store: CheckpointStore, number: int, blocks: dict[str, list[Array]]
) -> Checkpoint:
    """Write one checkpoint as the engine does."""
    in_flight = store.begin(
        CheckpointRequest(
            simulation="s",
            set="model",
            boundary=number + 1,
            model_time=cftime.DatetimeNoLeap(2000 + number, 1, 1),
            attempt=1,
            params_digest="p",
            states={"model": dataset(blocks)},
            segments={"model": number + 1},
            previous=store.newest("s", "model"),
            full=number % Policies().full_every == 0,
        )
    )
    jobs = [
        (in_flight.jobs["state", "model", name, (level, 0, 0)], block)
        for name, parts in blocks.items()
        for level, block in enumerate(parts)
    ]
    receipts = write_chunks(
        in_flight.directory,
        [job for job, _ in jobs],
        [block for _, block in jobs],
        writer="node-0",
        params_digest="p",
    )
    return store.commit(in_flight, receipts)


def bytes_of(folder: Path) -> int:
    """Return the bytes of all files, each counted once."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file():
            status = path.stat()
            found[status.st_ino] = status.st_size
    return sum(found.values())


def measure(folder: Path, size: Size) -> Figures:
    """Write everything; return bytes and ratios."""
    store = CheckpointStore(folder / "ours", "c", 1)
    store.fence()
    codec: dict[str, Any] = {
        "compressors": [
            BloscCodec(cname="lz4", clevel=1, shuffle="shuffle"),
            Crc32cCodec(),
        ]
    }
    saved: list[Checkpoint] = []
    for number, blocks in enumerate(itertools.islice(states(size), COUNT)):
        saved.append(save(store, number, blocks))
        whole = dataset(blocks)
        whole.to_zarr(folder / "plain" / str(number))
        encoding = dict.fromkeys(blocks, codec)
        whole.to_zarr(folder / "same codec" / str(number), encoding=encoding)
    if not all(store.verify(checkpoint).good for checkpoint in saved):
        sys.exit("a checkpoint is not good")
    copies = sum(
        not any(physically_independent(c, other) is False for other in saved[:i])
        for i, c in enumerate(saved)
    )
    ours = bytes_of(folder / "ours")
    plain = bytes_of(folder / "plain")
    same = bytes_of(folder / "same codec")
    return {
        "state_bytes": size.state_bytes,
        "checkpoints": COUNT,
        "physical_copies": copies,
        "bytes_checkpoints": ours,
        "bytes_plain": plain,
        "bytes_plain_same_codec": same,
        "ratio": plain / ours,
        "ratio_same_codec": same / ours,
    }


def main() -> int:
    """Measure, print, and tell whether the bar holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller fields")
    quick = parser.parse_args().quick
    RESULTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=RESULTS) as folder:
        size = Size(lat=64, lon=103) if quick else Size(lat=256, lon=410)
        figures = measure(Path(folder), size)
    report("storage_bytes", figures)
    print(f"bar: at least {BAR} times less than plain copies")
    return 0 if float(figures["ratio"]) >= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
