"""One segment: let the step build its graph, make its keys its own, run it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import dask
import numpy as np
from dask.base import is_dask_collection
from dask.graph_manipulation import clone
from distributed import Client, Future, futures_of, wait

from climorch.engine.tags import ANNOTATION
from climorch.engine.worker import StateNotDurableError, freeze
from climorch.errors import BackendError, ClimorchError, CorruptDataError
from climorch.intake.contract import call_init, call_step
from climorch.intake.fields import chunked, field_names, lazy_others
from climorch.model.advance import Advance, Segment
from climorch.model.events import Cause
from climorch.model.workflow import Stage

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "Held",
    "build_init",
    "build_segment",
    "cause_of",
    "hold",
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
    """

    state: xr.Dataset
    exports: xr.Dataset
    output: xr.Dataset | None
    metrics: dict[str, Any]

    @property
    def futures(self) -> list[Future[Any]]:
        """Everything that is to be waited for."""
        found: list[Future[Any]] = futures_of(
            [self.state, self.exports, self.output, self.metrics]
        )
        return found


def build_init(
    stage: Stage, inputs: Mapping[str, xr.Dataset], segment: Segment, seed: Any
) -> Advance:
    """Build the first state; its blocks are read-only from the start."""
    advance = call_init(stage, inputs, segment)
    state = advance.state
    frozen = {
        name: state.variables[name].copy(
            data=state.variables[name].data.map_blocks(
                freeze, dtype=state.variables[name].dtype
            )
        )
        for name in field_names(state)
    }
    coords = {n: v for n, v in frozen.items() if n in state.coords}
    fields = {n: v for n, v in frozen.items() if n not in state.coords}
    state = state.assign(fields).assign_coords(coords)
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
    exports = advance.exports
    if exports is not None:
        exports = chunked(exports, stage.chunks)
    metrics = dict(advance.metrics or {})
    parts: list[Any] = [advance.state, exports, advance.output, *metrics.values()]
    lazy = [i for i, part in enumerate(parts) if is_dask_collection(part)]
    if lazy:
        omit = [dataset for dataset in given if is_dask_collection(dataset)]
        # One collection comes back bare, several come back in a tuple.
        wanted = [parts[i] for i in lazy]
        cloned = clone(*wanted, omit=omit or None, seed=seed)
        for i, part in zip(lazy, cloned if len(lazy) > 1 else (cloned,), strict=True):
            parts[i] = part
    return Advance(
        state=parts[0],
        exports=parts[1],
        output=parts[2],
        metrics=dict(zip(metrics, parts[3:], strict=True)),
    )


def hold(client: Client, advance: Advance, tag: Mapping[str, Any]) -> Held:
    """Start computing and hold the results on the cluster."""
    parts = [
        advance.state,
        advance.exports,
        advance.output,
        *(advance.metrics or {}).values(),
    ]
    lazy = [i for i, part in enumerate(parts) if is_dask_collection(part)]
    if lazy:
        with dask.annotate(**{ANNOTATION: dict(tag)}):
            persisted = client.persist([parts[i] for i in lazy])
        for i, part in zip(lazy, persisted, strict=True):
            parts[i] = part
    state, exports, output = parts[:3]
    return Held(
        state=state,
        exports=state if exports is None else exports,
        output=output,
        metrics=dict(zip(advance.metrics or {}, parts[3:], strict=True)),
    )


async def load_others(
    client: Client, dataset: xr.Dataset, tag: Mapping[str, Any]
) -> xr.Dataset:
    """Bring lazy variables that are no fields (strings, dates) to the driver."""
    names = lazy_others(dataset)
    if not names:
        return dataset
    with dask.annotate(**{ANNOTATION: dict(tag)}):
        futures = client.compute([dataset.variables[name].data for name in names])
    values = await client.gather(futures)
    return dataset.assign(
        {
            name: (dataset.variables[name].dims, value, dataset.variables[name].attrs)
            for name, value in zip(names, values, strict=True)
        }
    )


async def settle(client: Client, futures: Sequence[Future[Any]]) -> None:
    """Wait for futures; raise the first error among them, in their order."""
    if futures:
        await wait(list(futures))
    for future in futures:
        if future.status == "error":
            error = await future.exception()
            raise error
        if future.status != "finished":
            raise BackendError(f"task {future.key!r} was {future.status}")


async def scalars(client: Client, metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return metrics as numbers."""
    lazy = {n: m for n, m in metrics.items() if is_dask_collection(m)}
    values = await client.gather(client.compute(list(lazy.values()))) if lazy else []
    known = dict(zip(lazy, values, strict=True))
    return {
        str(name): float(np.asarray(known.get(name, metric)).item())
        for name, metric in metrics.items()
    }


def cause_of(error: BaseException) -> Cause:
    """Say which retry budget an error draws on."""
    match error:
        case StateNotDurableError():
            return Cause.NOT_DURABLE
        case CorruptDataError():
            return Cause.CORRUPT
        case MemoryError():
            return Cause.MEMORY
        case ArithmeticError():
            return Cause.NUMERICAL
        case BackendError() | OSError():
            return Cause.STORAGE
        case ClimorchError():
            return Cause.MODEL
        case _ if type(error).__name__ in ("KilledWorker", "FutureCancelledError"):
            return Cause.NODE_LOST
        case _:
            return Cause.MODEL
