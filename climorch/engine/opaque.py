"""A segment of a step that is no graph: one task on one node, then its blocks.

The task gets the blocks of state and inputs, lets the process of the model
compute, and keeps the result on its node. The driver learns its outline only
and builds the stage's fields from tasks that cut blocks out of it, so that
roots, checkpoints and readers find what they find for every other stage.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import dask
import dask.array as da
from dask._task_spec import List, Task, TaskRef
from dask.base import flatten, tokenize
from dask.highlevelgraph import HighLevelGraph
from distributed import futures_of, get_worker

from climorch.engine.child import Job, ModelFailedError
from climorch.engine.children import Told
from climorch.engine.keys import own_keys
from climorch.engine.nodes import node_name
from climorch.engine.opaque_jobs import job_of
from climorch.engine.outline import Outline, joined, outlined, own_fields
from climorch.engine.services import Services
from climorch.engine.steps import in_flight, is_held, settle
from climorch.engine.tags import LIGHT, Watched, annotating, make_tag
from climorch.engine.took import Took
from climorch.engine.worker import children_here, freeze
from climorch.errors import InternalError
from climorch.intake.contract import accepted
from climorch.model.advance import Advance, Segment
from climorch.model.stages import Opaque
from climorch.model.workflow import Stage

if TYPE_CHECKING:
    import xarray as xr
    from distributed import Client, Future

__all__ = ["advance_opaque", "is_opaque"]

tasks_logger = logging.getLogger(f"{__name__}.tasks")

STATE, EXPORTS, OUTPUT = "state", "exports", "output"
# Among what a step is given, its state: no stage has this name.
OWN = ""
# A node that has not ended a model so many times later is stuck itself.
SLACK = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A dataset as a task is given it: its outline; blocks come beside it.

    Attributes
    ----------
    outline : Outline
        Without what Dask holds.
    counts : dict of name to tuple of int
        Number of blocks per dimension of each field.
    """

    outline: Outline
    counts: dict[Any, tuple[int, ...]]

    def dataset(self, blocks: Mapping[Any, Sequence[Any]]) -> xr.Dataset:
        """Put the dataset together."""
        return self.outline.filled(
            {
                name: joined(field, self.counts[name], blocks[name])
                for name, field in self.outline.fields.items()
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a segment gave, on the node that computed it.

    Attributes
    ----------
    parts : dict of str to Dataset
        State, exports and output, as far as there are any.
    metrics : dict of str to float
        Scalars.
    told : Told
        What it took.
    """

    parts: dict[str, xr.Dataset]
    metrics: dict[str, float]
    told: Told

    def __sizeof__(self) -> int:
        """Bytes, so that Dask knows what its node holds."""
        return int(sum(part.nbytes for part in self.parts.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """An outcome without its large arrays."""

    parts: dict[str, Outline]
    metrics: dict[str, float]
    told: Told


def is_opaque(stage: Stage) -> bool:
    """Whether the step of a stage runs in a process of its own."""
    return isinstance(stage.step, Opaque)


async def advance_opaque(
    services: Services,
    attempt: str,
    stage: Stage,
    segment: Segment,
    state: xr.Dataset,
    inputs: Mapping[str, xr.Dataset],
    output_chunk: int | None,
    watched: Watched,
) -> tuple[dict[str, Any], Advance, Took]:
    """Compute a segment and return it as fields that are cut out of it.

    Parameters
    ----------
    services : Services
        The world.
    attempt : str
        Its tag, which begins with the simulation.
    stage : Stage
        Which.
    segment : Segment
        What to advance.
    state, inputs
        What the step is given, lazy.
    output_chunk : int or None
        Chunk length of outputs along time; None: the whole segment.
    watched : Watched
        How long the segment may take by what others of its stage took.

    Returns
    -------
    tag : dict
        Where the tasks of the fields run.
    advance : Advance
        Lazy, with keys that nobody else has.
    took : Took
        Its node and the seconds that the model ran; what that used.

    Raises
    ------
    ModelFailedError
        If the model fails.
    InvalidInputError
        If what it returns breaks the contract.
    """
    client = services.client
    job = job_of(services, attempt, stage, segment, watched.limit_s)
    node = _place(services, job.simulation, stage)
    seed = (attempt, stage.name, segment.place)
    run = await asyncio.to_thread(_graph, job, {OWN: state, **inputs}, seed)
    run = _persisted(client, run, job, node, watched)
    tag = make_tag(job.simulation, node=node, kind=LIGHT)
    description = await _described(client, run, tag, seed)
    told = description.told
    tasks_logger.info(
        "model owner=%s segment=%d node=%s %s", job.owner, segment.index, node, told
    )
    advance = _lazy(run, description, stage, output_chunk)
    return tag, accepted(stage, state, advance, segment), _took(node, told)


def _took(node: str, told: Told) -> Took:
    return Took(
        paces={node: told.run_s}, cpu_s=told.cpu_s, memory_bytes=told.memory_bytes
    )


def _place(services: Services, simulation: str, stage: Stage) -> str:
    """Choose the node of a model: the same while the lease is, each its own."""
    workflow = services.workflows[services.state.simulations[simulation].plan.workflow]
    models = [s.name for s in workflow.stages if is_opaque(s)]
    lease = services.lease(simulation)
    return lease[models.index(stage.name) % len(lease)]


def _graph(
    job: Job, given: Mapping[str, xr.Dataset], seed: tuple[Any, ...]
) -> da.Array:
    """Return an array whose one block is the outcome."""
    lazy = {
        name: {n: v.data for n, v in dataset.variables.items() if v.chunks is not None}
        for name, dataset in given.items()
    }
    arrays = [array for fields in lazy.values() for array in fields.values()]
    described = {
        name: Given(
            outline=outlined(dataset, lazy[name]),
            counts={n: array.numblocks for n, array in lazy[name].items()},
        )
        for name, dataset in given.items()
    }
    refs = List(
        *(
            List(
                *(
                    List(*(TaskRef(key) for key in flatten(a.__dask_keys__())))
                    for a in fields.values()
                )
            )
            for fields in lazy.values()
        )
    )
    name = f"model-{tokenize(seed)}"
    layer: dict[Any, Any] = {(name,): Task((name,), run_model, job, described, refs)}
    graph = HighLevelGraph.from_collections(name, layer, dependencies=arrays)
    whole = da.Array(graph, name, (), dtype=object)
    held = {array.name for array in arrays if is_held(array)}
    return own_keys([whole], held, seed)[0]


def _persisted(
    client: Client, run: da.Array, job: Job, node: str, watched: Watched
) -> da.Array:
    # The node looks at its model itself; this is for the node.
    watched = replace(watched, limit_s=SLACK * job.longest_s)
    tag = make_tag(job.simulation, node=node, watched=watched)
    with dask.annotate(**annotating(tag)):
        (held,) = client.persist([run], optimize_graph=False)
    found: da.Array = held
    return found


async def _described(
    client: Client, run: da.Array, tag: Mapping[str, Any], seed: tuple[Any, ...]
) -> Description:
    outcome: Future[Outcome] = futures_of(run)[0]
    with dask.annotate(**annotating(tag)):
        future = client.submit(
            describe, outcome, key=f"describe-{tokenize(seed)}", pure=False
        )
    with in_flight([outcome, future]):
        await settle([future])
        (description,) = await client.gather([future])
    if not isinstance(description, Description):
        raise InternalError(f"a segment is described by {type(description).__name__}")
    return description


def _lazy(
    run: da.Array, description: Description, stage: Stage, output_chunk: int | None
) -> Advance:
    """Return an outcome with its fields in the chunks of the stage."""
    chunks = dict(stage.chunks)
    if output_chunk:
        chunks_of_output = {**chunks, "time": output_chunk}
    else:
        chunks_of_output = {n: c for n, c in chunks.items() if n != "time"}
    parts = {
        name: _cut(run, name, outline, chunks_of_output if name == OUTPUT else chunks)
        for name, outline in description.parts.items()
    }
    return Advance(
        state=parts[STATE],
        exports=parts.get(EXPORTS),
        output=parts.get(OUTPUT),
        metrics=description.metrics,
    )


def _cut(
    run: da.Array,
    part: str,
    outline: Outline,
    wanted: Mapping[str, int],
) -> xr.Dataset:
    """Return a part of the outcome with its fields in chunks."""
    arrays = {}
    for name, field in outline.fields.items():
        # The name of the outcome is that of this segment of this attempt.
        label = f"cut-{tokenize(run.name, part, name)}"
        chunks = field.chunks(wanted)
        graph: dict[Any, Any] = dict(run.dask)
        for index, place in zip(
            itertools.product(*(range(len(lengths)) for lengths in chunks)),
            _places(chunks),
            strict=True,
        ):
            key = (label, *index)
            graph[key] = Task(key, cut, TaskRef((run.name,)), part, name, place)
        arrays[name] = da.Array(graph, label, chunks, dtype=field.dtype)
    return outline.filled(arrays)


def _places(
    chunks: tuple[tuple[int, ...], ...],
) -> itertools.product[tuple[slice, ...]]:
    return itertools.product(
        *(
            [
                slice(end - length, end)
                for end, length in zip(
                    itertools.accumulate(lengths), lengths, strict=True
                )
            ]
            for lengths in chunks
        )
    )


def run_model(
    job: Job,
    given: Mapping[str, Given],
    blocks: Sequence[Sequence[Sequence[Any]]],
) -> Outcome:
    """Let the process of a model compute a segment; a task.

    Parameters
    ----------
    job : Job
        What.
    given : mapping of str to Given
        Its state and inputs.
    blocks : sequence
        Of each dataset, of each of its fields: the blocks.
    """
    found = {
        name: dict(zip(dataset.outline.fields, of_dataset, strict=True))
        for (name, dataset), of_dataset in zip(given.items(), blocks, strict=True)
    }
    try:
        advance, told = children_here().run(
            job,
            lambda: given[OWN].dataset(found[OWN]),
            lambda: {n: g.dataset(found[n]) for n, g in given.items() if n != OWN},
        )
    except ModelFailedError as error:
        raise error.on(node_name(get_worker().name)) from None
    parts = {STATE: advance.state, EXPORTS: advance.exports, OUTPUT: advance.output}
    return Outcome(
        parts={name: part for name, part in parts.items() if part is not None},
        metrics=dict(advance.metrics or {}),
        told=told,
    )


def describe(outcome: Outcome) -> Description:
    """Return what the driver needs to know of an outcome; a task."""
    return Description(
        parts={
            name: outlined(part, own_fields(part))
            for name, part in outcome.parts.items()
        },
        metrics=outcome.metrics,
        told=outcome.told,
    )


def cut(outcome: Outcome, part: str, name: str, place: tuple[slice, ...]) -> Any:
    """Return a block of an outcome, read-only; a task."""
    return freeze(outcome.parts[part].variables[name].to_numpy()[place])
