"""Results as far as so many segments, whatever was published since."""

from __future__ import annotations

import json
from pathlib import Path

import xarray as xr

from climorch.errors import NotFoundError
from climorch.storage.lengths import Lengths
from climorch.storage.template import GROUP

__all__ = ["open_segments"]

ATTRIBUTE = "climorch"


def open_segments(path: Path, segments: int) -> xr.Dataset:
    """Open the results of a stage, lazily, cut after some of its segments.

    Parameters
    ----------
    path : Path
        As of `ResultStore.path`.
    segments : int
        How many, from the first one.

    Returns
    -------
    xarray.Dataset
        Along ``time``.

    Raises
    ------
    NotFoundError
        If nothing is published.
    """
    if not (path / GROUP).exists():
        raise NotFoundError(
            f"{path} has no results; they follow the first checkpoint, if the step "
            "of the stage returns output"
        )
    # Metadata and attributes of one read: a publication may come between two.
    found: xr.Dataset = xr.open_zarr(path, consolidated=True)
    lengths = Lengths(runs=json.loads(found.attrs[ATTRIBUTE])["lengths"])
    return found.isel(time=slice(0, lengths.cut(segments).total))
