"""A campaign of one stage that writes outputs, as a driver would."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cftime
import numpy as np
import xarray as xr

from climorch.storage.checkpoints import (
    Checkpoint,
    CheckpointRequest,
    CheckpointStore,
)
from climorch.storage.chunks import ChunkReceipt, write_chunks
from climorch.storage.results import ResultStore, StagedOutput
from tests.unit.storage.checkpoint_cases import blocks_of, write


def dates(first: int, count: int) -> list[cftime.datetime]:
    """Mid-month dates from month ``first`` of 2000 on, without leap days."""
    return [
        cftime.DatetimeNoLeap(2000 + month // 12, month % 12 + 1, 16)
        for month in range(first, first + count)
    ]


def output(first: int, count: int = 2, *, chunk: int | None = None) -> xr.Dataset:
    """Months ``first`` and on of a field, of a host variable and of constants."""
    months = np.arange(first, first + count)
    values = np.add.outer(months * 10.0, np.arange(3.0)).astype("f4")
    field = xr.DataArray(
        values,
        dims=("time", "lat"),
        attrs={"units": "K", "standard_name": "air_temperature"},
    ).chunk({"time": chunk or count, "lat": 2})
    return xr.Dataset(
        {
            "tas": field,
            "steps": ("time", months * 100),
            "area": ("lat", np.array([1.0, 2.0, 1.0])),
            "grid": "regular",
        },
        coords={
            "time": ("time", dates(first, count), {"axis": "T"}),
            "lat": ("lat", [-60.0, 0.0, 60.0], {"units": "degrees_north"}),
        },
        attrs={"title": "a stage"},
    )


class Rig:
    """A campaign whose only stage, ``ocean``, writes outputs."""

    def __init__(self, root: Path) -> None:
        self.checkpoints = CheckpointStore(root, "cmip", 1)
        self.checkpoints.fence()
        self.results = ResultStore(root, "cmip", 1)
        self.path = self.results.path("m01", "ocean")

    def stage(self, segment: int, dataset: xr.Dataset) -> StagedOutput:
        """Make room for an output."""
        return self.results.stage(
            simulation="m01",
            set="ocean",
            attempt=1,
            stage="ocean",
            segment=segment,
            output=dataset,
        )

    def written(self, segment: int, dataset: xr.Dataset) -> tuple[Path, Any]:
        """Make room for an output and write it."""
        staged = self.stage(segment, dataset)
        blocks = {(name, index): v for name, index, v in blocks_of(dataset)}
        receipts = write_chunks(
            staged.directory,
            list(staged.jobs.values()),
            [blocks[where] for where in staged.jobs],
            writer="node-0",
            params_digest="",
        )
        return staged.directory, receipts

    def commit(
        self, boundary: int, outputs: Mapping[int, xr.Dataset], *, done: int
    ) -> Checkpoint:
        """Commit a checkpoint that carries the outputs of some segments."""
        state = xr.Dataset({"T": ("lat", np.arange(3.0) + boundary)}).chunk(lat=3)
        asked = CheckpointRequest(
            simulation="m01",
            set="ocean",
            boundary=boundary,
            model_time=cftime.DatetimeNoLeap(2000 + boundary, 1, 1),
            attempt=1,
            params_digest="p",
            states={"ocean": state},
            exports={},
            segments={"ocean": done},
            previous=None,
            full=True,
        )
        in_flight = self.checkpoints.begin(asked)
        receipts: list[ChunkReceipt] = write(in_flight, asked)
        for segment, dataset in outputs.items():
            directory, made = self.written(segment, dataset)
            receipts += self.checkpoints.add_outputs(
                in_flight, "ocean", segment, directory, made
            )
        return self.checkpoints.commit(in_flight, receipts)

    def publish(
        self, boundary: int, outputs: Mapping[int, xr.Dataset], *, done: int
    ) -> Checkpoint:
        """Commit and publish."""
        checkpoint = self.commit(boundary, outputs, done=done)
        self.results.publish(checkpoint)
        return checkpoint

    def read(self) -> xr.Dataset:
        """Read with plain xarray."""
        data: xr.Dataset = xr.open_zarr(self.path).load()
        return data


def tas(*months: int) -> list[list[float]]:
    """What the field must hold in these months."""
    return [[10.0 * m, 10.0 * m + 1, 10.0 * m + 2] for m in months]
