"""One task per chunk: numpy kernels as lazy xarray fields.

Decides how a step becomes Dask tasks: each chunk of latitude is one task that
takes the blocks of its inputs that overlap it, whatever their chunks. So coupled
stages may be chunked in different ways without a rechunk between them, which
xarray's ``apply_ufunc`` and Dask's ``apply_gufunc`` would need.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, cast

import dask.array as da
import numpy as np
from dask.base import tokenize
from dask.highlevelgraph import HighLevelGraph, MaterializedLayer

from physics.grid import Array

if TYPE_CHECKING:
    import xarray as xr
    from dask.typing import DaskCollection

__all__ = ["Field", "Kernel", "map_latitudes"]

Kernel = Callable[..., Sequence[Array]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One array that a kernel returns.

    Attributes
    ----------
    name : str
        Name of the variable.
    dims : tuple of str
        Without ``lat`` only where the kernel sees all latitudes at once.
    attrs : dict
        CF attributes; units among them.
    """

    name: str
    dims: tuple[str, ...]
    attrs: dict[str, str] = field(default_factory=dict)


def map_latitudes(
    name: str,
    kernel: Kernel,
    arguments: Sequence[xr.DataArray],
    *,
    lat_chunks: tuple[int, ...],
    outputs: Sequence[Field],
    sizes: Mapping[str, int],
) -> dict[str, da.Array]:
    """Call a kernel once per chunk of latitude, lazily.

    Parameters
    ----------
    name : str
        Prefix of the task names.
    kernel : callable
        ``kernel(rows, *arrays)``: ``rows`` is the slice of latitudes, each
        array holds only these rows; returns one array per output. Must not
        write to its arguments.
    arguments : sequence of xarray.DataArray
        Each with a ``lat`` dimension, chunked in any way.
    lat_chunks : tuple of int
        Chunks of the outputs in latitude.
    outputs : sequence of Field
        What the kernel returns, in its order.
    sizes : mapping of str to int
        Length of each dimension of the outputs.

    Returns
    -------
    dict of str to dask.array.Array
        float64, chunked in latitude only.
    """
    arrays = [_whole_but_latitude(argument) for argument in arguments]
    axes = tuple(argument.dims.index("lat") for argument in arguments)
    # Same inputs and kernel, same name: a rebuilt graph finds its tasks again.
    token = tokenize(kernel, [array.name for array in arrays], lat_chunks)
    calls = f"{name}-{token}"
    tasks: dict[Any, Any] = {}
    for number, (start, stop) in enumerate(pairwise(accumulate(lat_chunks, initial=0))):
        blocks, cuts = [], []
        for array, axis in zip(arrays, axes, strict=True):
            keys, cut = _overlap(array, axis, start, stop)
            blocks.append(keys)
            cuts.append(cut)
        call = partial(_call, kernel, slice(start, stop), axes, tuple(cuts))
        tasks[calls, number] = (call, *blocks)
    graph = HighLevelGraph.from_collections(
        calls, tasks, dependencies=cast("Sequence[DaskCollection]", arrays)
    )
    return {
        output.name: _picked(
            graph,
            calls,
            index,
            f"{name}-{output.name}-{token}",
            tuple(lat_chunks if dim == "lat" else (sizes[dim],) for dim in output.dims),
        )
        for index, output in enumerate(outputs)
    }


def _picked(
    graph: HighLevelGraph,
    calls: str,
    index: int,
    key: str,
    chunks: tuple[tuple[int, ...], ...],
) -> da.Array:
    """Take one output out of the calls; call ``i`` returned block ``i`` of it."""
    picks: dict[Any, Any] = {}
    for place in itertools.product(*(range(len(lengths)) for lengths in chunks)):
        picks[key, *place] = (operator.getitem, (calls, sum(place)), index)
    layers = {**graph.layers, key: MaterializedLayer(picks)}
    depends = {**graph.dependencies, key: {calls}}
    return da.Array(HighLevelGraph(layers, depends), key, chunks, dtype=np.float64)


def _whole_but_latitude(argument: xr.DataArray) -> da.Array:
    array: da.Array = da.asarray(argument.data)
    split = {
        axis: -1
        for axis, dim in enumerate(argument.dims)
        if dim != "lat" and len(array.chunks[axis]) > 1
    }
    whole: da.Array = array.rechunk(split) if split else array
    return whole


def _overlap(
    array: da.Array, axis: int, start: int, stop: int
) -> tuple[list[tuple[Any, ...]], slice]:
    """Find the blocks that hold rows start to stop, and where in them."""
    keys: list[tuple[Any, ...]] = []
    first = start
    bounds = pairwise(accumulate(array.chunks[axis], initial=0))
    for number, (low, high) in enumerate(bounds):
        if low < stop and high > start:
            if not keys:
                first = low
            place = (number if i == axis else 0 for i in range(array.ndim))
            keys.append((array.name, *place))
    return keys, slice(start - first, stop - first)


def _call(
    kernel: Kernel,
    rows: slice,
    axes: tuple[int, ...],
    cuts: tuple[slice, ...],
    *blocks: list[Array],
) -> Sequence[Array]:
    """Run in the task: join the blocks, cut the rows, call the kernel."""
    arrays = []
    for axis, cut, parts in zip(axes, cuts, blocks, strict=True):
        whole = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=axis)
        arrays.append(whole[(slice(None),) * axis + (cut,)])
    return kernel(rows, *arrays)
