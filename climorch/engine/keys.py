"""Keys that belong to one segment of one attempt only.

Dask keeps the first task that it knows under a key, and equal computations get
equal keys: two members would share tasks across their leases, and a retry with
other code would get the old result. So every new task is renamed.

``dask.graph_manipulation.clone`` does that in public, but in 2026.8.0 it does
not look into ``Task`` objects: an array that was sliced comes back with
dependencies that do not exist (its layers' ``clone_value`` knows tuples, lists
and dicts only). Hence the substitution by Dask's own task objects here.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dask.array as da
from dask._task_spec import convert_legacy_graph
from dask.base import clone_key, flatten
from dask.highlevelgraph import HighLevelGraph
from distributed import Future

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["futures_in", "own_keys"]


def futures_in(dataset: xr.Dataset) -> list[Future[Any]]:
    """Return the futures that a dataset is made of, variable by variable.

    Parameters
    ----------
    dataset : xarray.Dataset
        Persisted, or partly so.

    Returns
    -------
    list of Future
        Those that two variables share come once.
    """
    # What `distributed.futures_of` does, which for each object that it meets asks
    # whether it is a Dask collection: milliseconds for a segment.
    arrays = [
        variable._data
        for variable in dataset.variables.values()
        if isinstance(variable._data, da.Array)
    ]
    found = {
        value.key: value
        for array in arrays
        for value in array.dask.values()
        if isinstance(value, Future)
    }
    return list(found.values())


def own_keys(
    arrays: Sequence[da.Array], given: Collection[str], seed: Hashable
) -> list[da.Array]:
    """Return the same arrays under keys that depend on a seed.

    Parameters
    ----------
    arrays : sequence of dask.array.Array
        To be renamed with all tasks that they need.
    given : collection of str
        Names of arrays that keep theirs: they are futures already.
    seed : hashable
        Different for everything that must not share tasks.

    Returns
    -------
    list of dask.array.Array
        In the same order; optimised, so persist them with
        ``optimize_graph=False``.
    """
    # Optimised first, since renamed tasks can no longer be fused as blocks; and
    # all together: alone, each array would fuse, and so repeat, what they share.
    outputs = [key for array in arrays for key in flatten(array.__dask_keys__())]
    merged = HighLevelGraph.merge(*(array.dask for array in arrays))
    graph = dict(da.optimize(merged, outputs))
    words = {_word(key) for key in graph} - set(given)
    new_words = {word: clone_key(word, seed) for word in words}
    names = {key: _renamed(key, new_words) for key in graph if _word(key) in words}
    nodes = convert_legacy_graph(graph)
    renamed = {
        names[key]: node.substitute(names, key=names[key])
        for key, node in nodes.items()
        if key in names
    }
    # Futures stay as they are.
    kept = {key: graph[key] for key in graph if key not in names}
    found = []
    for array in arrays:
        wanted = [_renamed(key, new_words) for key in flatten(array.__dask_keys__())]
        found.append(
            da.Array(
                _needed(renamed, kept, wanted),
                new_words[array.name],
                array.chunks,
                meta=array._meta,
            )
        )
    return found


def _word(key: Any) -> Any:
    return key[0] if isinstance(key, tuple) else key


def _renamed(key: Any, new_words: Mapping[Any, Any]) -> Any:
    if isinstance(key, tuple):
        return (new_words[key[0]], *key[1:])
    return new_words[key]


def _needed(
    renamed: Mapping[Any, Any], kept: Mapping[Any, Any], wanted: list[Any]
) -> dict[Any, Any]:
    """Return the part of a graph that some keys need."""
    part: dict[Any, Any] = {}
    ahead = list(wanted)
    while ahead:
        key = ahead.pop()
        if key in part:
            continue
        if key in kept:
            part[key] = kept[key]
        elif key in renamed:
            part[key] = renamed[key]
            ahead.extend(renamed[key].dependencies)
    return part
