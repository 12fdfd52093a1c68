"""A small coupled set and the ways in which tests write and damage it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import cftime
import numpy as np
import numpy.typing as npt
import xarray as xr

from climorch.storage import durable
from climorch.storage.checkpoints import (
    Checkpoint,
    CheckpointRequest,
    CheckpointStore,
    InFlight,
)
from climorch.storage.chunks import ChunkJob, ChunkReceipt, read_chunk, write_chunks
from climorch.storage.template import write_template

Array = npt.NDArray[Any]

CHUNKS = [
    "state.zarr/land/snow/c/0",
    "state.zarr/ocean/T/c/0/0",
    "state.zarr/ocean/T/c/1/0",
    "state.zarr/ocean/mask/c/0",
    "state.zarr/ocean/mask/c/1",
]


def open_store(root: Path, epoch: int = 1) -> CheckpointStore:
    """A store whose driver has taken the campaign over."""
    store = CheckpointStore(root, "cmip", epoch)
    store.fence()
    return store


def names(path: Path) -> list[str]:
    """What is in a directory."""
    return sorted(p.name for p in path.iterdir())


def ocean(shift: float = 0.0, clock: int = 3) -> xr.Dataset:
    """A stage of 4 chunks, two of which (``mask``) never change."""
    temperature = np.arange(12, dtype="f4").reshape(3, 4) + np.float32(shift)
    mask = np.array([True, True, False])
    return xr.Dataset(
        {
            "T": (("lat", "lon"), temperature, {"units": "K"}),
            "mask": (("lat",), mask),
        },
        coords={"lat": [-60.0, 0.0, 60.0], "clock": ((), clock)},
        attrs={"title": "ocean"},
    ).pipe(chunked, {"lat": 2})


def land() -> xr.Dataset:
    """A stage of one chunk and a variable in memory."""
    snow = xr.DataArray(np.array([1.5, np.nan, -0.0]), dims="lat").chunk()
    return xr.Dataset({"snow": snow, "name": ("lat", np.array(["a", "bc", "d"]))})


def chunked(dataset: xr.Dataset, chunks: Mapping[str, int]) -> xr.Dataset:
    """Chunk the data variables."""
    return dataset.assign({name: var.chunk(chunks) for name, var in dataset.items()})


def blocks_of(dataset: xr.Dataset) -> Iterator[tuple[str, tuple[int, ...], Array]]:
    """Variable, index and values of every chunk of every field."""
    for name, variable in dataset.variables.items():
        if variable.chunks is None:
            continue
        bounds = [np.cumsum((0, *lengths)) for lengths in variable.chunks]
        for index in itertools.product(*(range(len(c)) for c in variable.chunks)):
            where = tuple(
                slice(b[i], b[i + 1]) for b, i in zip(bounds, index, strict=True)
            )
            yield str(name), index, np.asarray(variable[where].values)


def request(
    boundary: int = 1,
    *,
    attempt: int = 1,
    shift: float = 0.0,
    previous: Checkpoint | None = None,
    full: bool = False,
    digest: str = "p",
    exports: bool = False,
) -> CheckpointRequest:
    """A checkpoint of both stages."""
    return CheckpointRequest(
        simulation="m01",
        set="earth",
        boundary=boundary,
        model_time=cftime.DatetimeNoLeap(1850 + boundary, 1, 1),
        attempt=attempt,
        params_digest=digest,
        states={"ocean": ocean(shift), "land": land()},
        exports={"ocean": ocean(shift + 100)} if exports else {},
        segments={"ocean": 2 * boundary, "land": boundary},
        previous=previous,
        full=full,
    )


def write(
    in_flight: InFlight,
    asked: CheckpointRequest,
    *,
    choose: Callable[[str], bool] = lambda key: True,
    writer: str = "node-0",
) -> list[ChunkReceipt]:
    """Write the chosen chunks, as a worker does."""
    jobs, arrays = [], []
    for tree, stages in asked.trees.items():
        for stage, dataset in stages.items():
            for name, index, values in blocks_of(dataset):
                job = in_flight.jobs[tree, stage, name, index]
                if choose(job.key):
                    jobs.append(job)
                    arrays.append(values)
    return write_chunks(
        in_flight.directory,
        jobs,
        arrays,
        writer=writer,
        params_digest=asked.params_digest,
    )


def save(store: CheckpointStore, asked: CheckpointRequest) -> Checkpoint:
    """Begin, write and commit."""
    in_flight = store.begin(asked)
    return store.commit(in_flight, write(in_flight, asked))


def restore(
    store: CheckpointStore, checkpoint: Checkpoint
) -> dict[str, dict[str, xr.Dataset]]:
    """Load everything through the manifest, as workers do."""
    trees = store.opened(checkpoint)
    for tree, stages in checkpoint.manifest.arrays.items():
        for stage, specs in stages.items():
            loaded = {}
            for spec in specs:
                values = np.empty(spec.shape, spec.dtype)
                for index in spec.indices():
                    key = f"{tree}.zarr/{stage}/{spec.key(index)}"
                    shape = spec.block_shape(index)
                    where = tuple(
                        slice(i * c, i * c + n)
                        for i, c, n in zip(index, spec.chunk_shape, shape, strict=True)
                    )
                    values[where] = read_chunk(
                        checkpoint.path / key,
                        checkpoint.manifest.entries[key],
                        spec.dtype,
                        spec.chunk_shape,
                        shape,
                        spec.codec,
                    )
                old = trees[tree][stage].variables[spec.name]
                loaded[spec.name] = (spec.dims, values, old.attrs)
            trees[tree][stage] = trees[tree][stage].assign(loaded)
    return trees


def replace_file(path: Path, data: bytes) -> None:
    """Change a read-only file in place."""
    path.chmod(0o644)
    path.write_bytes(data)


def flip(path: Path) -> None:
    """Change one bit of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    replace_file(path, bytes(data))


def stage_output(store: CheckpointStore, segment: int) -> tuple[Path, Any]:
    """Write the diagnostics of a segment into a staging directory."""
    staged = store.layout.epoch(1) / "m01" / "outputs-earth.1" / str(segment)
    durable.make_directories(staged.parent)
    (spec,) = write_template(staged, xr.Dataset({"sst": ocean()["T"].variable})).arrays
    (staged / "receipts").mkdir()
    index = (0, 0)
    job = ChunkJob(
        key=spec.key(index),
        dtype=spec.dtype,
        shape=spec.block_shape(index),
        chunk_shape=spec.chunk_shape,
    )
    array = np.zeros(job.shape, "f4")
    receipts = write_chunks(staged, [job], [array], writer="w", params_digest="")
    return staged, receipts
