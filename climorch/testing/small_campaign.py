"""A campaign on the disk, as small as can be: what drivers and nodes write of it.

One simulation of one stage, whose state has a field that changes and one that does
not, and which returns an output for every segment. All values follow from the
number of the boundary, so that any mix of two is seen.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cftime
import numpy as np
import numpy.typing as npt
import xarray as xr

from climorch.errors import ClimorchError
from climorch.storage.arrays import ArraySpec
from climorch.storage.checkpoints import (
    Checkpoint,
    CheckpointRequest,
    CheckpointStore,
    InFlight,
)
from climorch.storage.chunks import ChunkReceipt, read_chunk, write_chunks
from climorch.storage.codec import decode_chunk
from climorch.storage.growth import grid, members_of
from climorch.storage.results import ResultStore

__all__ = [
    "CAMPAIGN",
    "SET",
    "SIMULATION",
    "Outcome",
    "SmallCampaign",
    "mixed",
    "recover",
]

CAMPAIGN, SIMULATION, SET = "c", "s", "ocean"
_TIMES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a new driver makes of a disk.

    Attributes
    ----------
    committed : tuple of int
        Boundaries that have a checkpoint then.
    published : int
        Segments that the results had before it did anything.
    faults : tuple of str
        Whatever is not as it was written, or does not work.
    """

    committed: tuple[int, ...]
    published: int
    faults: tuple[str, ...] = ()


def state(boundary: int) -> xr.Dataset:
    """Return the state at a boundary."""
    return xr.Dataset(
        {
            "T": xr.DataArray(np.arange(4.0) + 10 * boundary, dims="lat").chunk(lat=2),
            "mask": xr.DataArray(np.arange(4) > 1, dims="lat").chunk(lat=4),
            "clock": ((), boundary),
        }
    )


def output(segment: int) -> xr.Dataset:
    """Return the output of a segment."""
    first = segment * _TIMES
    values = np.add.outer(np.arange(first, first + _TIMES) * 10.0, np.arange(2.0))
    dates = [cftime.DatetimeNoLeap(2000 + first + i, 7, 1) for i in range(_TIMES)]
    tas = xr.DataArray(values, dims=("time", "lat")).chunk(time=_TIMES)
    return xr.Dataset({"tas": tas}, coords={"time": dates})


Blocks = dict[tuple[str, tuple[int, ...]], npt.NDArray[Any]]


@lru_cache
def _blocks_of(of: Callable[[int], xr.Dataset], number: int) -> Blocks:
    """Return every chunk of the fields of a dataset, by variable and index."""
    blocks: Blocks = {}
    for name, variable in of(number).variables.items():
        if variable.chunks is None:
            continue
        bounds = [np.cumsum((0, *lengths)) for lengths in variable.chunks]
        for index in itertools.product(*(range(len(c)) for c in variable.chunks)):
            where = tuple(
                slice(b[i], b[i + 1]) for b, i in zip(bounds, index, strict=True)
            )
            blocks[str(name), index] = np.asarray(variable[where].values)
    return blocks


class SmallCampaign:
    """The campaign as one driver sees it.

    Parameters
    ----------
    root : Path
        Folder of all campaigns.
    epoch : int
        Of the driver, which takes over as its first deed.
    """

    def __init__(self, root: Path, epoch: int = 1) -> None:
        self.checkpoints = CheckpointStore(root, CAMPAIGN, epoch)
        self.results = ResultStore(root, CAMPAIGN, epoch)
        for left in self.checkpoints.fence():
            self.checkpoints.complete(left)
        self.checkpoints.tidy()

    def begin(self, boundary: int, *, attempt: int = 1, full: bool = False) -> InFlight:
        """Begin a checkpoint."""
        return self.checkpoints.begin(
            CheckpointRequest(
                simulation=SIMULATION,
                set=SET,
                boundary=boundary,
                model_time=cftime.DatetimeNoLeap(2000 + boundary, 1, 1),
                attempt=attempt,
                params_digest="p",
                states={SET: state(boundary)},
                segments={SET: boundary},
                previous=self.checkpoints.newest(SIMULATION, SET),
                full=full,
                outputs={SET: (boundary - 1,)},
            )
        )

    def write(
        self,
        in_flight: InFlight,
        choose: Callable[[str], bool] = lambda key: True,
    ) -> list[ChunkReceipt]:
        """Write the chosen chunks, as a node does."""
        blocks = [
            (in_flight.jobs["state", SET, name, index], values)
            for (name, index), values in _blocks_of(
                state, in_flight.request.boundary
            ).items()
        ]
        chosen = [(job, values) for job, values in blocks if choose(job.key)]
        return write_chunks(
            in_flight.directory,
            [job for job, _ in chosen],
            [values for _, values in chosen],
            writer="node-0",
            params_digest="p",
        )

    def add_output(self, in_flight: InFlight) -> list[ChunkReceipt]:
        """Stage and write the output of the segment before, and take it in."""
        segment = in_flight.request.boundary - 1
        staged = self.results.stage(
            simulation=SIMULATION,
            set=SET,
            attempt=in_flight.request.attempt,
            stage=SET,
            segment=segment,
            output=output(segment),
        )
        blocks = _blocks_of(output, segment)
        receipts = write_chunks(
            staged.directory,
            list(staged.jobs.values()),
            [blocks[where] for where in staged.jobs],
            writer="node-0",
            params_digest="",
        )
        return self.checkpoints.add_outputs(
            in_flight, SET, segment, staged.directory, receipts
        )

    def commit(
        self, boundary: int, *, attempt: int = 1, full: bool = False
    ) -> Checkpoint:
        """Begin, write and commit."""
        in_flight = self.begin(boundary, attempt=attempt, full=full)
        receipts = [*self.write(in_flight), *self.add_output(in_flight)]
        return self.checkpoints.commit(in_flight, receipts)

    def publish(self, checkpoint: Checkpoint) -> None:
        """Publish the outputs of a checkpoint."""
        self.results.publish(checkpoint)

    def committed(self) -> Iterator[tuple[int, Checkpoint | None, str]]:
        """Yield each folder that passes for a checkpoint, and what is wrong with it."""
        for boundary in sorted(self.checkpoints.layout.boundaries(SIMULATION, SET)):
            try:
                checkpoint = self.checkpoints.load(SIMULATION, SET, boundary)
                report = self.checkpoints.verify(checkpoint)
                problem = str(report.bad) if report.bad else mixed(checkpoint)
            except (ClimorchError, OSError) as error:
                yield boundary, None, str(error)
            else:
                yield boundary, checkpoint, problem


def published(results: ResultStore) -> int:
    """Return how many segments the results have.

    Zarr gives fill values for chunks that are missing, so each is looked at.

    Raises
    ------
    ValueError
        If they are not what was returned for those segments.
    """
    if not results.exists(SIMULATION, SET):
        return 0
    group = results.path(SIMULATION, SET)
    members = members_of(group)
    found = {}
    for name in ("time", "tas"):
        about, dtype = members[name], np.dtype(members[name]["data_type"])
        spec = ArraySpec(
            name=name,
            dims=tuple(about["dimension_names"]),
            dtype=dtype.str,
            shape=tuple(about["shape"]),
            chunk_shape=tuple(grid(about)),
        )
        chunks = [
            decode_chunk(
                (group / spec.key(index)).read_bytes(),
                dtype,
                spec.chunk_shape,
                spec.block_shape(index),
            )
            for index in spec.indices()
        ]
        found[name] = np.concatenate(chunks).tolist()
    count = len(found["time"]) // _TIMES
    tas = [_blocks_of(output, k)["tas", (0, 0)] for k in range(count)]
    if found["tas"] != np.concatenate([*tas, np.empty((0, 2))]).tolist() or found[
        "time"
    ] != [_day(i) for i in range(count * _TIMES)]:
        raise ValueError(f"results are {found}")
    return count


def _day(number: int) -> float:
    """Return a date of the outputs in the units of results."""
    return (2000 + number - 1850) * 365.0 + 181


def mixed(checkpoint: Checkpoint) -> str:
    """Read every chunk; say which is not that of the boundary; empty: all are."""
    blocks = _blocks_of(state, checkpoint.boundary)
    for key, (spec, index) in checkpoint.manifest.chunks().items():
        entry = checkpoint.manifest.entries[key]
        found = read_chunk(
            checkpoint.path / key,
            entry,
            spec.dtype,
            spec.chunk_shape,
            spec.block_shape(index),
            spec.codec,
        )
        if not np.array_equal(found, blocks[spec.name, index]):
            return f"{key} is {found.tolist()}"
    return ""


def recover(root: Path, *, epoch: int = 9, go_on: bool = True) -> Outcome:
    """Take a disk over as the next driver does, look at all of it, and go on.

    Parameters
    ----------
    root : Path
        Folder of all campaigns; need not hold any.
    epoch : int
        Of that driver.
    go_on : bool
        Whether it also writes one more checkpoint, and reads results with xarray.

    Returns
    -------
    Outcome
        What it found; with a fault for whatever is not right or does not work.
    """
    faults: list[str] = []
    before = 0
    found: dict[int, Checkpoint] = {}
    try:
        before = published(ResultStore(root, CAMPAIGN))
        driver = SmallCampaign(root, epoch)
        for boundary, checkpoint, problem in driver.committed():
            if checkpoint is None or problem:
                faults.append(f"checkpoint {boundary}: {problem}")
            else:
                found[boundary] = checkpoint
        for boundary, checkpoint in found.items():
            if boundary > before:
                driver.publish(checkpoint)
        newest = max(found, default=0)
        seen = published(driver.results)
        if seen != newest:
            faults.append(f"{seen} segments are published, {newest} committed")
        if go_on:
            faults += _next(driver, newest + 1)
    except (ClimorchError, OSError, ValueError) as error:
        faults.append(f"{type(error).__name__}: {error}")
    return Outcome(committed=tuple(found), published=before, faults=tuple(faults))


def _next(driver: SmallCampaign, boundary: int) -> Iterator[str]:
    """Commit and publish one more; say what does not work."""
    after = driver.commit(boundary)
    driver.publish(after)
    if not driver.checkpoints.verify(after).good:
        yield f"checkpoint {boundary}, which came next, is not good"
    seen = driver.results.open(SIMULATION, SET)["tas"].values
    if seen[:, 0].tolist() != [10.0 * i for i in range(boundary * _TIMES)]:
        yield f"results are {seen.tolist()} after checkpoint {boundary}"
