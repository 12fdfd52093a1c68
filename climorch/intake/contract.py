"""The contract of steps and inits, enforced at every call.

A call gets copies under a scheduler that refuses to compute, and what
it returns is checked before anybody else sees it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import dask
import dask.threaded
import numpy as np
import xarray as xr

from climorch.errors import Fault, InternalError, InvalidInputError
from climorch.intake.dating import time_faults
from climorch.intake.fields import chunked, structure_faults
from climorch.model.advance import Advance, Segment
from climorch.model.stages import Opaque
from climorch.model.steps import taken
from climorch.model.workflow import Stage

__all__ = ["accepted", "call_init", "call_step", "in_memory_faults", "type_faults"]


def call_step(
    stage: Stage,
    state: xr.Dataset,
    inputs: Mapping[str, xr.Dataset],
    segment: Segment,
) -> Advance:
    """Let a step build its graph.

    Parameters
    ----------
    stage : Stage
        Whose step.
    state : xarray.Dataset
        Lazy, in the chunks of the stage.
    inputs : mapping of str to xarray.Dataset
        Exports of the stages that it reads; final states of those it follows.
    segment : Segment
        What to advance.

    Returns
    -------
    Advance
        Its state in the chunks of the stage.

    Raises
    ------
    InvalidInputError
        If the step breaks the contract; names every breach.
    Exception
        Whatever the step itself raises.
    """
    place = f"stage {stage.name!r}, step"
    if isinstance(stage.step, Opaque):
        raise InternalError(f"{place}: it builds no graph")
    given = {"state": _own(state), **{n: _own(d) for n, d in inputs.items()}}
    with _building(place):
        inputs_given = {name: given[name] for name in inputs}
        returned = taken(stage.step(given["state"], inputs_given, segment), segment)
    mutations = _mutations(place, {"state": state, **inputs}, given)
    return accepted(stage, state, returned, segment, mutations)


def accepted(
    stage: Stage,
    state: xr.Dataset,
    returned: xr.Dataset | Advance,
    segment: Segment,
    more: Iterable[Fault] = (),
) -> Advance:
    """Check what a step returned.

    Parameters
    ----------
    stage : Stage
        Whose step.
    state : xarray.Dataset
        What it was given.
    returned : Dataset or Advance
        What it returned.
    segment : Segment
        What it was to advance.
    more : iterable of Fault
        What is known to be wrong already.

    Returns
    -------
    Advance
        Its state in the chunks of the stage.

    Raises
    ------
    InvalidInputError
        If the step breaks the contract; names every breach.
    """
    place = f"stage {stage.name!r}, step"
    faults = [*more, *type_faults(place, returned)]
    if not faults:
        advance = _advance(returned, stage)
        faults += structure_faults(state, advance.state, place=place)
        faults += _output_faults(place, advance.output, segment)
        faults += _chunk_faults(stage, advance, segment)
    _raise(f"step of stage {stage.name!r} breaks the contract", faults)
    return advance


def call_init(
    stage: Stage, inputs: Mapping[str, xr.Dataset], segment: Segment
) -> Advance:
    """Let an init, or a transform, build the first state; see `call_step`."""
    what = "init" if stage.transform is None else "transform"
    place = f"stage {stage.name!r}, {what}"
    breach = f"{what} of stage {stage.name!r} breaks the contract"
    given = {name: _own(dataset) for name, dataset in inputs.items()}
    if stage.transform is not None:
        with _building(place):
            returned: Any = stage.transform(dict(given), segment)
        _raise(breach, [*_mutations(place, inputs, given)])
    elif stage.init is None:
        returned = inputs.get(stage.name)
    elif isinstance(stage.init, xr.Dataset):
        returned = stage.init
    else:
        with _building(place):
            returned = stage.init(segment, dict(given))
        _raise(breach, [*_mutations(place, inputs, given)])
    faults = [*type_faults(place, returned)]
    if not faults:
        advance = _advance(returned, stage)
        faults += _name_faults(place, advance.state)
        if stage.check_finite:
            raw = returned.state if isinstance(returned, Advance) else returned
            faults += in_memory_faults(place, raw)
    _raise(breach, faults)
    return advance


def in_memory_faults(place: str, state: xr.Dataset) -> Iterator[Fault]:
    """Find floating variables that are NaN throughout, as far as in memory.

    Parameters
    ----------
    place : str
        Where.
    state : xarray.Dataset
        Lazy variables are left to the first checkpoint.

    Yields
    ------
    Fault
        One for each variable.
    """
    for name, variable in state.data_vars.items():
        lazy = variable.chunks is not None
        if lazy or variable.dtype.kind not in "fc" or not variable.size:
            continue
        if bool(np.isnan(variable.to_numpy()).all()):
            yield Fault(
                place=f"{place}, variable {name!r}",
                problem="is NaN everywhere",
                remedy="fill it, leave it out, or pass check_finite=False",
            )


@contextlib.contextmanager
def _building(place: str) -> Iterator[None]:
    """Refuse to compute on this thread; say where it was tried.

    Dask's configuration is one for all threads: entering and leaving must not
    interleave, and other threads must still be able to compute meanwhile.
    """
    with _LOCK:
        _BUILDERS[threading.get_ident()] = place
        try:
            with dask.config.set(scheduler=_refuse):
                yield
        finally:
            _BUILDERS.pop(threading.get_ident(), None)


_LOCK = threading.RLock()
_BUILDERS: dict[int, str] = {}


def _refuse(dsk: Any, keys: Any, **kwargs: Any) -> Any:
    place = _BUILDERS.get(threading.get_ident())
    if place is None:
        return dask.threaded.get(dsk, keys, **kwargs)
    raise InvalidInputError(
        "a step or init computed while it should only build a graph",
        faults=[
            Fault(
                place=place,
                problem="it called compute, load, values, float or the like on a "
                "lazy field",
                remedy="keep it lazy: xr.apply_ufunc(..., dask='parallelized') or "
                "map_blocks runs NumPy code on each chunk",
            )
        ],
    )


def _advance(returned: xr.Dataset | Advance, stage: Stage) -> Advance:
    if isinstance(returned, xr.Dataset):
        return Advance(state=chunked(returned, stage.chunks))
    return Advance(
        state=chunked(returned.state, stage.chunks),
        exports=returned.exports,
        output=returned.output,
        metrics=returned.metrics,
    )


def type_faults(place: str, returned: object) -> Iterator[Fault]:
    """Say what is not of the type that a step returns.

    Parameters
    ----------
    place : str
        Where.
    returned : object
        What it returned.

    Yields
    ------
    Fault
        One for each part.
    """
    parts: list[tuple[str, object]] = [("return value", returned)]
    if isinstance(returned, Advance):
        parts = [("Advance.state", returned.state)]
        parts += [
            (name, value)
            for name, value in (
                ("Advance.exports", returned.exports),
                ("Advance.output", returned.output),
            )
            if value is not None
        ]
        metrics: object = returned.metrics
        if not isinstance(metrics, Mapping | None):
            yield Fault(
                place=f"{place}, Advance.metrics",
                problem=f"got {type(metrics).__name__}",
                remedy="return a mapping of names to scalars",
            )
        elif metrics is not None:
            yield from _metric_faults(place, metrics)
    for name, value in parts:
        if not isinstance(value, xr.Dataset):
            yield Fault(
                place=f"{place}, {name}",
                problem=f"got {type(value).__name__}, expected xarray.Dataset",
                remedy="return a Dataset, or a climorch.Advance of Datasets",
            )


def _metric_faults(place: str, metrics: Mapping[Any, object]) -> Iterator[Fault]:
    for name, value in metrics.items():
        kind, shape = getattr(value, "dtype", None), getattr(value, "shape", ())
        if kind is None and not isinstance(value, int | float | str):
            # Whatever else float() takes, such as Decimal.
            if hasattr(value, "__float__"):
                continue
            problem = f"got {type(value).__name__}"
        elif isinstance(value, str) or getattr(kind, "kind", "f") not in "biuf":
            problem = f"got {kind if kind is not None else repr(value)}"
        elif shape != ():
            problem = f"has the shape {shape}"
        else:
            continue
        yield Fault(
            place=f"{place}, Advance.metrics {name!r}",
            problem=f"{problem}, expected one number",
            remedy="reduce a field to one value: mean(), or area_mean(field)",
        )


def _mutations(
    place: str, before: Mapping[str, xr.Dataset], after: Mapping[str, xr.Dataset]
) -> Iterator[Fault]:
    for what, dataset in before.items():
        variables = dataset.variables
        now = after[what].variables
        changed = sorted(
            str(name)
            for name in set(variables) | set(now)
            if name not in variables
            or name not in now
            or _differs(variables[name], now[name])
        )
        if changed:
            yield Fault(
                place=f"{place}, argument {what!r}",
                problem=f"it changed {', '.join(changed)} of what it was given",
                remedy="work on a copy: state.copy() or state.assign(...)",
            )


def _own(dataset: xr.Dataset) -> xr.Dataset:
    """Return a copy that a step may do with as it likes.

    Lazy variables are shared, since nobody can write into a graph; arrays in
    memory are copied, since NumPy writes in place.
    """
    return dataset.copy(
        data={
            name: variable.to_numpy().copy() if _in_memory(variable) else variable.data
            for name, variable in dataset.data_vars.items()
        }
    ).assign_coords(
        {
            name: coord.variable.copy()
            for name, coord in dataset.coords.items()
            if name not in dataset.xindexes and _in_memory(coord)
        }
    )


def _differs(before: xr.Variable, after: xr.Variable) -> bool:
    if _in_memory(before) and _in_memory(after):
        return not before.equals(after)
    return before._data is not after._data


def _in_memory(variable: xr.Variable | xr.DataArray) -> bool:
    # A lazy scalar has the chunks ().
    return variable.chunks is None


def _name_faults(place: str, state: xr.Dataset) -> Iterator[Fault]:
    for name in state.variables:
        if not isinstance(name, str) or not name or set(name) & set("/\\\0"):
            yield Fault(
                place=f"{place}, variable {name!r}",
                problem="its name cannot be a folder",
                remedy="use a string without '/', '\\' and NUL",
            )


def _output_faults(
    place: str, output: xr.Dataset | None, segment: Segment
) -> Iterator[Fault]:
    if output is None:
        return
    if "time" not in output.dims or "time" not in output.xindexes:
        yield Fault(
            place=f"{place}, Advance.output",
            problem="has no dimension coordinate 'time'",
            remedy="give the output a 'time' axis of cftime dates in model time",
        )
    elif not output.sizes["time"]:
        yield Fault(
            place=f"{place}, Advance.output",
            problem="has no time step",
            remedy="return output=None in segments without diagnostics",
        )
    else:
        yield from time_faults(f"{place}, Advance.output", output, segment)
    yield from _name_faults(place, output)


def _chunk_faults(stage: Stage, advance: Advance, segment: Segment) -> Iterator[Fault]:
    """Say which chunks are of no dimension of anything, in the first segment."""
    later = isinstance(stage.step, Opaque) and advance.output is None
    if segment.place or later:
        # Outputs of what builds no graph have them too, and may come later.
        return
    parts = (advance.state, advance.exports, advance.output)
    dims = {str(dim) for part in parts if part is not None for dim in part.dims}
    for dim in stage.chunks:
        if dim not in dims:
            yield Fault(
                place=f"stage {stage.name!r}, chunks {dim!r}",
                problem="nothing that it returns has this dimension; there are "
                f"{', '.join(sorted(dims))}",
                remedy="name one of them, or leave it out",
            )


def _raise(message: str, faults: list[Fault]) -> None:
    if faults:
        raise InvalidInputError(message, faults=faults)
