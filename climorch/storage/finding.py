"""Committed checkpoints: listed, loaded and opened."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

from climorch.errors import CorruptDataError
from climorch.storage.inflight import Checkpoint
from climorch.storage.layout import Layout
from climorch.storage.manifest import OUTPUTS, read_manifest
from climorch.storage.template import open_template
from climorch.storage.verify import read_fixed

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["committed", "load", "opened"]

logger = logging.getLogger(__name__)


def committed(layout: Layout, simulation: str, set_name: str) -> Iterator[Checkpoint]:
    """Find the checkpoints of a set that have a good manifest, newest first."""
    for boundary, path in layout.boundaries(simulation, set_name).items():
        try:
            yield load(layout, simulation, set_name, boundary)
        except CorruptDataError as error:
            logger.warning("checkpoint=%s left_out=%r", path, str(error))


def load(layout: Layout, simulation: str, set_name: str, boundary: int) -> Checkpoint:
    """Return one checkpoint; see `CheckpointStore.load`."""
    path = layout.boundaries(simulation, set_name).get(boundary)
    place = f"checkpoint {boundary} of set '{set_name}' of simulation '{simulation}'"
    if path is None:
        message = f"{place}: is missing; use an older one"
        raise CorruptDataError(message, problem="is missing")
    try:
        manifest = read_manifest(path)
    except FileNotFoundError as error:
        message = f"{place}: has no manifest; use an older one"
        raise CorruptDataError(message, problem="has no manifest") from error
    expected = (layout.campaign.name, simulation, set_name, boundary)
    named = (manifest.campaign, manifest.simulation, manifest.set, manifest.boundary)
    if named != expected:
        message = f"{place}: says that it is {named}; use an older one"
        raise CorruptDataError(message, problem="is another one")
    return Checkpoint(path=path, manifest=manifest)


def opened(checkpoint: Checkpoint) -> dict[str, dict[str, xr.Dataset]]:
    """Open a checkpoint; see `CheckpointStore.opened`."""
    manifest = checkpoint.manifest
    for key, entry in manifest.entries.items():
        if entry.file_xxh3 is not None and not key.startswith(f"{OUTPUTS}/"):
            read_fixed(checkpoint.path / key, entry)
    datasets: dict[str, dict[str, xr.Dataset]] = {}
    for tree, stages in manifest.arrays.items():
        datasets[tree] = {}
        for stage, specs in stages.items():
            hints = manifest.hints.get(tree, {}).get(stage, {})
            path = checkpoint.path / f"{tree}.zarr" / stage
            dataset = open_template(path, hints)
            for name in set(dataset.variables) - {spec.name for spec in specs}:
                dataset.variables[name].load()
            datasets[tree][stage] = dataset
    return datasets
