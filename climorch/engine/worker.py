"""What lives on each node: the stash, the I/O thread, and tasks that use them.

The stash keeps the blocks of a checkpoint's states until the roots built on
them have taken them over, so that re-rooting moves and copies nothing.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from distributed import Worker, WorkerPlugin, get_worker
from distributed.core import Status

from climorch.engine import stacks
from climorch.engine.checking import Findings, look_over
from climorch.engine.children import Children
from climorch.engine.metering import METRIC, Meter
from climorch.engine.nodes import missing_resources, node_name
from climorch.engine.tags import ANNOTATION, IO
from climorch.engine.trimming import trim
from climorch.errors import InternalError
from climorch.model.codec import Codec, CodecTrial
from climorch.model.numerics import Checks
from climorch.storage.chunks import ChunkJob, ChunkReceipt, read_chunk, write_chunks
from climorch.storage.manifest import Manifest, read_manifest
from climorch.storage.trials import Piece, try_codecs

__all__ = [
    "NAME",
    "NodePlugin",
    "RootSpec",
    "StateNotDurableError",
    "Written",
    "children_here",
    "clear_attempt",
    "freeze",
    "load_root",
    "node_here",
    "stash_blocks",
    "take_copy",
    "write_blocks",
]

NAME = "climorch-node"

# How often a worker that was left looks whether our last task has ended.
TAKE_BACK_S = 0.1


class StateNotDurableError(Exception):
    """A block was lost before the checkpoint that holds it was committed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RootSpec:
    """Where a root finds its blocks.

    Attributes
    ----------
    tag : str
        Name of the stash entry: attempt and boundary.
    directory : str
        Final name of the checkpoint.
    array : str
        Path of the Zarr array within it.
    dtype : str
        NumPy type of the blocks.
    shape, chunk_shape : tuple of int
        Of the whole array and of its chunks.
    """

    tag: str
    directory: str
    array: str
    dtype: str
    shape: tuple[int, ...]
    chunk_shape: tuple[int, ...]

    def key(self, index: Sequence[int]) -> str:
        """Return the path of a chunk within the checkpoint."""
        return "/".join([self.array, "c", *map(str, index)])

    def block_shape(self, index: Sequence[int]) -> tuple[int, ...]:
        """Return the shape of a block; the last ones may be smaller."""
        return tuple(
            min(chunk, size - i * chunk)
            for i, chunk, size in zip(index, self.chunk_shape, self.shape, strict=True)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What one write task did.

    Attributes
    ----------
    receipts : tuple of ChunkReceipt
        One for each block.
    found : Findings
        What is not as it must be.
    cpu_s : float
        CPU seconds of the writing thread.
    tried : tuple of CodecTrial
        What other codecs make of what was written.
    """

    receipts: tuple[ChunkReceipt, ...]
    found: Findings
    cpu_s: float
    tried: tuple[CodecTrial, ...] = ()


class NodePlugin(WorkerPlugin):
    """Adds the stash, the I/O thread and the processes of models to a worker."""

    name = NAME

    def __init__(self) -> None:
        self.stash: dict[str, dict[str, np.ndarray[Any, Any]]] = {}
        self._given: dict[str, float] = {}
        # Made on the node: it cannot be sent there.
        self.children: Children | None = None
        self._worker: Worker | None = None
        self._meter = Meter()

    @property
    def given(self) -> tuple[str, ...]:
        """Resources that the worker had not, until it is left."""
        return tuple(self._given)

    def setup(self, worker: Worker) -> None:
        """Give the worker its own thread for I/O, and resources if it has none."""
        self.stash = {}
        if worker.nanny:
            # It may ask this process where it stands, and kills it with its helpers.
            stacks.listen()
            stacks.lead_group()
            # Its process is its own, so that what that uses is what the node uses.
            self._worker, self._meter = worker, Meter()
            # Another dict: a heartbeat that goes through the old one would fail.
            worker.metrics = {**worker.metrics, METRIC: self._meter.read}
        state = worker.state
        self._given = missing_resources(state.nthreads, state.total_resources)
        # The Dask scheduler learns of them from its own plugin, which makes them
        # by the same rule: before any task, and without a message.
        state.total_resources.update(self._given)
        state.available_resources.update(self._given)
        self.children = Children()
        worker.executors[IO] = ThreadPoolExecutor(1, thread_name_prefix="climorch-io")

    def transition(self, key: Any, start: str, finish: str, **kwargs: Any) -> None:
        """Note for whom the node works now."""
        if finish != "executing" or self._worker is None:
            return
        task = self._worker.state.tasks.get(key)
        label = ((task and task.annotations) or {}).get(ANNOTATION)
        lease = label.get("lease") if isinstance(label, dict) else None
        if isinstance(lease, str):
            self._meter.works_for(lease)

    async def teardown(self, worker: Worker) -> None:
        """Let go of everything; no process of a model stays behind."""
        worker.metrics = {k: v for k, v in worker.metrics.items() if k != METRIC}
        self._worker = None
        self.stash.clear()
        executor = worker.executors.pop(IO, None)
        if executor is not None:
            executor.shutdown(wait=False, cancel_futures=True)
        if self.children is not None:
            await asyncio.to_thread(self.children.close)
        given, self._given = self._given, {}
        if given:
            worker.loop.add_callback(_take_back, worker, tuple(given))


async def _take_back(worker: Worker, given: Sequence[str]) -> None:
    """Remove resources of a worker once nothing that runs uses them.

    A cancelled task runs to its end and gives its resources back then: the
    worker would break if they were gone.
    """
    state = worker.state
    while any(t.resource_restrictions for t in state.executing | state.long_running):
        if worker.status is not Status.running:
            return
        await asyncio.sleep(TAKE_BACK_S)
    if NAME not in worker.plugins:
        for resource in given:
            del state.total_resources[resource]
            del state.available_resources[resource]


def freeze(block: Any) -> Any:
    """Return a view of a block that nobody can write into."""
    if not isinstance(block, np.ndarray):
        block = np.asarray(block)
    view = block.view()
    view.flags.writeable = False
    return view


def _plugin() -> NodePlugin:
    plugin = get_worker().plugins[NAME]
    if not isinstance(plugin, NodePlugin):
        raise TypeError(f"plugin {NAME} is a {type(plugin).__name__}")
    return plugin


def stash_blocks(tag: str, keys: Sequence[str], blocks: Sequence[Any]) -> int:
    """Keep blocks for the roots that will ask for them; return how many."""
    trim()
    kept = _plugin().stash.setdefault(tag, {})
    for key, block in zip(keys, blocks, strict=True):
        kept[key] = freeze(block)
    return len(keys)


def take_copy(blocks: Sequence[Any]) -> int:
    """Have blocks on this node, where Dask keeps them; return their bytes."""
    return sum(int(np.asarray(block).nbytes) for block in blocks)


def load_root(spec: RootSpec, index: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Return a block from the stash, else from the committed checkpoint.

    Raises
    ------
    StateNotDurableError
        If it is in neither: its holder died before the commit.
    CorruptDataError
        If the checkpoint's chunk is not what was written.
    """
    key = spec.key(index)
    stash = _plugin().stash
    kept = stash.get(spec.tag)
    if kept is not None:
        block = kept.pop(key, None)
        if not kept:
            stash.pop(spec.tag, None)
        if block is not None:
            return block
    try:
        manifest = _manifest(spec.directory)
    except FileNotFoundError:
        raise StateNotDurableError(
            f"block {key} of {spec.directory} was lost before its checkpoint was "
            f"committed; the attempt starts anew from the checkpoint before"
        ) from None
    return read_chunk(
        Path(spec.directory) / key,
        manifest.entries[key],
        spec.dtype,
        spec.chunk_shape,
        spec.block_shape(index),
        _codecs(spec.directory)[spec.array],
    )


@functools.lru_cache(maxsize=4)
def _codecs(directory: str) -> dict[str, Codec]:
    """Return how each array is compressed: the manifest knows, whoever wrote it."""
    return {
        f"{tree}.zarr/{stage}/{spec.name}": spec.codec
        for tree, stages in _manifest(directory).arrays.items()
        for stage, specs in stages.items()
        for spec in specs
    }


@functools.lru_cache(maxsize=4)
def _manifest(directory: str) -> Manifest:
    # A committed checkpoint never changes under its name.
    return read_manifest(Path(directory))


def write_blocks(
    directory: str,
    writer: str,
    params_digest: str,
    jobs: Sequence[ChunkJob],
    checks: Mapping[str, Checks],
    pieces: Mapping[str, Piece],
    blocks: Sequence[Any],
) -> Written:
    """Write blocks into an in-flight checkpoint; runs on the I/O thread."""
    begin = time.thread_time()
    receipts = write_chunks(
        directory, jobs, blocks, writer=writer, params_digest=params_digest
    )
    return Written(
        receipts=tuple(receipts),
        found=look_over([job.key for job in jobs], blocks, checks),
        tried=tuple(
            trial
            for job, block in zip(jobs, blocks, strict=True)
            if job.key in pieces
            for trial in try_codecs(pieces[job.key], block, job.codec)
        ),
        cpu_s=time.thread_time() - begin,
    )


async def clear_attempt(
    tag: str, owners: str, lease: Sequence[str], dask_worker: Worker
) -> None:
    """Let go of what an attempt has on this node; runs on the worker's loop.

    Parameters
    ----------
    tag : str
        Of the attempt.
    owners : str
        Beginning of the names of its models.
    lease : sequence of str
        Nodes where these may be wanted again: elsewhere they end.
    """
    plugin = dask_worker.plugins.get(NAME)
    if not isinstance(plugin, NodePlugin):
        return
    for kept in [name for name in plugin.stash if name.startswith(f"{tag}/")]:
        plugin.stash.pop(kept)
    children = plugin.children
    if children is not None:
        children.abandon(tag)
        if dask_worker.name not in lease:
            await asyncio.to_thread(children.end, owners)


def children_here() -> Children:
    """Return the processes of models of the node that this task runs on."""
    children = _plugin().children
    if children is None:
        raise InternalError("the node's plugin was not set up")
    return children


def node_here() -> tuple[str, bool]:
    """Return the node that this task runs on, and whether a nanny looks after it."""
    worker = get_worker()
    return node_name(worker.name), worker.nanny is not None
