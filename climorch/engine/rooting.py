"""Blocks on the cluster: where they are, and roots that end their lineage.

A root is a task without inputs: it takes its block from the stash of the node
that holds it, or reads it from the checkpoint. States built on roots forget
everything that came before, on the Dask scheduler and on the workers.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dask.array as da
from dask.base import tokenize

from climorch.engine.keys import futures_in
from climorch.engine.tags import Watched, make_tag
from climorch.engine.worker import RootSpec, load_root
from climorch.intake.fields import field_names, regular_lengths, replaced

if TYPE_CHECKING:
    import xarray as xr
    from distributed import Future

__all__ = [
    "Block",
    "blocks_in",
    "blocks_of",
    "by_holder",
    "even_places",
    "root_dataset",
    "root_tag",
]

# Trees of a checkpoint; exports lie beside the states because DataTree would
# want a child group to align with its parent.
STATE, EXPORTS = "state", "exports"


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One chunk of one field, as a future.

    Attributes
    ----------
    tree, stage, variable : str
        Where it belongs.
    index : tuple of int
        Which block.
    future : Future
        Its values.
    """

    tree: str
    stage: str
    variable: str
    index: tuple[int, ...]
    future: Future[Any]

    @property
    def key(self) -> str:
        """Path of its chunk within a checkpoint."""
        return "/".join([self.array, "c", *map(str, self.index)])

    @property
    def array(self) -> str:
        """Path of its array within a checkpoint."""
        return f"{self.tree}.zarr/{self.stage}/{self.variable}"


def blocks_of(tree: str, stage: str, dataset: xr.Dataset) -> Iterator[Block]:
    """Yield the blocks of a persisted dataset, field by field in C order."""
    futures = {future.key: future for future in futures_in(dataset)}
    for name in field_names(dataset):
        array = dataset.variables[name].data
        for index in itertools.product(*map(range, array.numblocks)):
            yield Block(
                tree=tree,
                stage=stage,
                variable=name,
                index=index,
                future=futures[(array.name, *index)],
            )


def blocks_in(datasets: Mapping[tuple[str, str], xr.Dataset]) -> list[Block]:
    """Return all blocks of datasets by tree and stage."""
    return [
        block
        for (tree, stage), dataset in datasets.items()
        for block in blocks_of(tree, stage, dataset)
    ]


def by_holder(
    blocks: Sequence[Block],
    who_has: Mapping[Any, Sequence[str]],
    names: Mapping[str, str],
) -> dict[str, list[Block]]:
    """Group blocks by the node that holds them.

    Parameters
    ----------
    blocks : sequence of Block
        In any order.
    who_has : mapping of key to addresses
        As the Dask scheduler tells.
    names : mapping of address to node

    Returns
    -------
    dict of str to list of Block
        Blocks that nobody holds any more go with the first holder: Dask
        computes them again there.
    """
    groups: dict[str, list[Block]] = {}
    lost = []
    for block in blocks:
        holders = [names[a] for a in who_has.get(block.future.key, ()) if a in names]
        if holders:
            groups.setdefault(min(holders), []).append(block)
        else:
            lost.append(block)
    if lost:
        groups.setdefault(
            next(iter(groups), next(iter(names.values()), "")), []
        ).extend(lost)
    return groups


def even_places(counts: Sequence[int], nodes: Sequence[str]) -> list[str]:
    """Spread blocks over nodes: neighbours together, each node as many."""
    total = 1
    for count in counts:
        total *= count
    return [nodes[i * len(nodes) // total] for i in range(total)]


def root_dataset(
    dataset: xr.Dataset, specs: Mapping[str, RootSpec], *, salt: tuple[Any, ...]
) -> xr.Dataset:
    """Return a dataset whose fields are roots.

    Parameters
    ----------
    dataset : xarray.Dataset
        Gives dimensions, attributes and everything that is no field.
    specs : mapping of str to RootSpec
        One for each field.
    salt : tuple
        Attempt and boundary: no two attempts share a key.

    Returns
    -------
    xarray.Dataset
        Lazy; place and persist it with `root_tag`.
    """
    fields = {}
    for name, spec in specs.items():
        chunks = tuple(
            regular_lengths(size, chunk)
            for size, chunk in zip(spec.shape, spec.chunk_shape, strict=True)
        )
        # A stable first word: Dask keeps one record per word for ever.
        label = f"root-{tokenize(spec, salt)}"
        graph = {
            (label, *index): (load_root, spec, index)
            for index in itertools.product(*(range(len(c)) for c in chunks))
        }
        array = da.Array(graph, label, chunks, dtype=spec.dtype)
        fields[name] = array
    return replaced(dataset, fields)


def root_tag(
    lease: str,
    datasets: Sequence[xr.Dataset],
    nodes: Sequence[str],
    holders: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    watched: Watched | None = None,
) -> dict[str, Any]:
    """Return the annotation that puts each root where its block is or shall be.

    Parameters
    ----------
    lease : str
        Simulation.
    datasets : sequence of xarray.Dataset
        From `root_dataset`.
    nodes : sequence of str
        Nodes of the lease; blocks whose holder is not known spread over them.
    holders : mapping of chunk path to node, optional
        Who holds which block.
    labels : mapping of Dask name to array path, optional
        Which array each root belongs to.
    watched : Watched or None
        How long it may take to read one; None: nobody looks.
    """
    places: dict[str, tuple[Sequence[int], Sequence[str]]] = {}
    for dataset in datasets:
        for name in field_names(dataset):
            array = dataset.variables[name].data
            spread = even_places(array.numblocks, nodes)
            path = (labels or {}).get(array.name)
            if path is not None and holders is not None:
                indices = itertools.product(*map(range, array.numblocks))
                spread = [
                    holders.get("/".join([path, "c", *map(str, index)]), node)
                    for index, node in zip(indices, spread, strict=True)
                ]
            places[array.name] = (array.numblocks, spread)
    return make_tag(lease, blocks=places, watched=watched)
