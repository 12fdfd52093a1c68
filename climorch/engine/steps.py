"""One segment: let the step build its graph, make its keys its own, run it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import dask
import dask.array as da
import numpy as np
import xarray as xr
from dask.base import is_dask_collection
from distributed import Client, Future, KilledWorker, futures_of
from distributed.client import (
    ClosedClientError,
    FutureCancelledError,
    FuturesCancelledError,
)
from distributed.comm import CommClosedError

from climorch.engine.child import ModelFailedError
from climorch.engine.keys import futures_in, own_keys
from climorch.engine.tags import annotating
from climorch.engine.worker import StateNotDurableError, freeze
from climorch.errors import (
    BackendError,
    ClimorchError,
    ConflictError,
    CorruptDataError,
    InternalError,
)
from climorch.intake.contract import call_init, call_step
from climorch.intake.fields import chunked, field_names, lazy_others, replaced
from climorch.model.advance import Advance, Segment
from climorch.model.events import Cause
from climorch.model.workflow import Stage

__all__ = [
    "Held",
    "build_init",
    "build_segment",
    "cause_of",
    "hold",
    "in_flight",
    "is_held",
    "load_others",
    "settle",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a segment returned, as futures on the cluster.

    Attributes
    ----------
    state, exports : xarray.Dataset
        The same object where the exports are the state.
    output : xarray.Dataset or None
        Diagnostics.
    metrics : dict
        Scalars, lazy or not.
    fresh : tuple of Future
        Those among all of its futures that nobody held before.
    """

    state: xr.Dataset
    exports: xr.Dataset
    output: xr.Dataset | None
    metrics: dict[str, Any]
    fresh: tuple[Future[Any], ...] = ()

    @property
    def futures(self) -> list[Future[Any]]:
        """Everything that is to be waited for."""
        parts = [self.state]
        if self.exports is not self.state:
            parts.append(self.exports)
        if self.output is not None:
            parts.append(self.output)
        found = {f.key: f for part in parts for f in futures_in(part)}
        found |= {f.key: f for f in futures_of(self.metrics)}
        return list(found.values())


def build_init(
    stage: Stage, inputs: Mapping[str, xr.Dataset], segment: Segment, seed: Any
) -> Advance:
    """Build the first state; its blocks are read-only from the start."""
    advance = call_init(stage, inputs, segment)
    state = advance.state
    state = replaced(
        state,
        {
            name: state.variables[name].data.map_blocks(
                freeze, dtype=state.variables[name].dtype
            )
            for name in field_names(state)
        },
    )
    return _own(replace(advance, state=state), inputs.values(), seed, stage)


def build_segment(
    stage: Stage,
    state: xr.Dataset,
    inputs: Mapping[str, xr.Dataset],
    segment: Segment,
    seed: Any,
    output_chunk: int | None,
) -> Advance:
    """Build the graph of a segment with keys that nobody else has.

    Parameters
    ----------
    stage, state, inputs, segment
        As for `call_step`.
    seed : hashable
        Simulation, epoch, attempt, segment: Dask keeps the first task that it
        knows for a key, so a key must never mean two things.
    """
    advance = call_step(stage, state, inputs, segment)
    return _own(advance, [state, *inputs.values()], seed, stage)


def _own(
    advance: Advance, given: Iterable[xr.Dataset], seed: Any, stage: Stage
) -> Advance:
    """Give every new task of an advance a key that nobody else has."""
    exports = advance.exports
    if exports is not None:
        exports = chunked(exports, stage.chunks)
    # What the step passes on as it came keeps its name: a clone of it would be
    # a second name for futures that only the first one holds.
    old = {array.name: array for dataset in given for array in _lazy(dataset).values()}
    metrics = {
        name: metric.data if isinstance(metric, xr.DataArray) else metric
        for name, metric in (advance.metrics or {}).items()
    }
    parts = (advance.state, exports, advance.output)
    new = {
        array.name: array
        for dataset in parts
        if dataset is not None
        for array in _lazy(dataset).values()
        if array.name not in old
    }
    own = {n: metric for n, metric in metrics.items() if isinstance(metric, da.Array)}
    wanted = [*new.values(), *own.values()]
    if not wanted:
        return replace(advance, exports=exports, metrics=metrics)
    found = own_keys(wanted, set(old), seed)
    by_name = dict(zip(new, found, strict=False))
    metrics |= dict(zip(own, found[len(new) :], strict=True))
    state, exports, output = (
        dataset if dataset is None else _with_arrays(dataset, by_name)
        for dataset in parts
    )
    if state is None:
        raise InternalError("a segment came without a state")
    return Advance(state=state, exports=exports, output=output, metrics=metrics)


def _lazy(dataset: xr.Dataset) -> dict[str, Any]:
    return {
        str(name): variable.data
        for name, variable in dataset.variables.items()
        if variable.chunks is not None
    }


def hold(client: Client, advance: Advance, tag: Mapping[str, Any]) -> Held:
    """Start computing and hold the results on the cluster."""
    parts = (advance.state, advance.exports, advance.output)
    metrics = dict(advance.metrics or {})
    fresh = {
        array.name: array
        for dataset in parts
        if dataset is not None
        for array in _lazy(dataset).values()
        if not is_held(array)
    }
    own = {n: metric for n, metric in metrics.items() if is_dask_collection(metric)}
    held: Sequence[Any] = ()
    if fresh or own:
        with dask.annotate(**annotating(tag)):
            held = client.persist(
                [*fresh.values(), *own.values()], optimize_graph=False
            )
        fresh = dict(zip(fresh, held, strict=False))
        metrics |= dict(zip(own, held[len(fresh) :], strict=True))
    state, exports, output = (
        dataset if dataset is None else _with_arrays(dataset, fresh)
        for dataset in parts
    )
    if state is None:
        raise InternalError("a segment came without a state")
    return Held(
        state=state,
        exports=state if exports is None else exports,
        output=output,
        metrics=metrics,
        fresh=tuple(futures_of(held)),
    )


@contextmanager
def in_flight(futures: Iterable[Future[Any]]) -> Iterator[None]:
    """Let go of futures unless all that is done with them goes well.

    An error, or who was cancelled, keeps them by its traceback as long as anybody
    keeps it. Their tasks would go on meanwhile, or begin anew on other nodes.
    """
    try:
        yield
    except BaseException:
        for future in futures:
            future.release()
        raise


def is_held(array: Any) -> bool:
    """Whether an array is nothing but futures; persisting it again loses them."""
    graph = array.dask
    return len(graph) == array.npartitions and all(
        isinstance(value, Future) for value in graph.values()
    )


def _with_arrays(dataset: xr.Dataset, arrays: Mapping[str, Any]) -> xr.Dataset:
    """Return a dataset with arrays replaced by those of the given names."""
    return replaced(
        dataset,
        {
            name: arrays[array.name]
            for name, array in _lazy(dataset).items()
            if array.name in arrays
        },
    )


async def load_others(
    client: Client, dataset: xr.Dataset, tag: Mapping[str, Any]
) -> xr.Dataset:
    """Bring lazy variables that are no fields (strings, dates) to the driver."""
    names = lazy_others(dataset)
    if not names:
        return dataset
    with dask.annotate(**annotating(tag)):
        futures = client.compute([dataset.variables[name].data for name in names])
    values = await client.gather(futures)
    return replaced(dataset, dict(zip(names, values, strict=True)))


async def settle(futures: Sequence[Future[Any]]) -> None:
    """Wait for futures; raise the first error among them, in their order."""
    # Not `wait`: it finds its client through Dask's one configuration for all
    # threads. An exception is awaited without fetching the value.
    for error in await asyncio.gather(*(future.exception() for future in futures)):
        if error is not None:
            raise error


async def scalars(client: Client, metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return metrics as numbers."""
    # A scalar has one block; computing it again would be a task without a lease.
    lazy = {n: futures_of(m)[0] for n, m in metrics.items() if is_dask_collection(m)}
    values = await client.gather(list(lazy.values())) if lazy else []
    known = dict(zip(lazy, values, strict=True))
    return {
        str(name): float(np.asarray(known.get(name, metric)).item())
        for name, metric in metrics.items()
    }


def cause_of(error: BaseException) -> Cause:
    """Say which retry budget an error draws on."""
    match error:
        # First: Dask makes it an OSError, as if a disk had failed.
        case CommClosedError() | ClosedClientError():
            return Cause.NODE_LOST
        case ModelFailedError():
            return error.cause
        case StateNotDurableError():
            return Cause.NOT_DURABLE
        case CorruptDataError():
            return Cause.CORRUPT
        case MemoryError():
            return Cause.MEMORY
        case ArithmeticError():
            return Cause.NUMERICAL
        # Before the disks: Python counts what a network does among their errors.
        case ConnectionError() | TimeoutError():
            return Cause.TRANSIENT
        case BackendError() | ConflictError() | OSError():
            return Cause.STORAGE
        case ClimorchError():
            return Cause.MODEL
        case KilledWorker() | FutureCancelledError() | FuturesCancelledError():
            return Cause.NODE_LOST
        case _:
            return Cause.MODEL
