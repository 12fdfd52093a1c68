"""A checkpoint as the engine makes it: re-root at once, write behind.

The states are stashed on their holders and the attempt goes on with roots
built on the stash, within milliseconds. Writing, verifying and the commit
follow while the next segments compute.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, ParamSpec, TypeVar

import msgspec

from climorch.core.remedying import in_force
from climorch.core.state import SetState
from climorch.engine.attempt import Attempt, persist_all, reading
from climorch.engine.checking import Findings, count_not_finite, refuse_unsound
from climorch.engine.giving_up import give_up
from climorch.engine.outputs import Staged
from climorch.engine.rooting import (
    EXPORTS,
    STATE,
    blocks_in,
    root_dataset,
    root_tag,
)
from climorch.engine.services import Services
from climorch.engine.trying import pieces_of
from climorch.engine.worker import (
    RootSpec,
    Written,
    stash_blocks,
)
from climorch.engine.writing import holders_of, on_holders, write_grouped
from climorch.errors import BackendError, CorruptDataError
from climorch.intake.calendar import model_time
from climorch.intake.fields import field_names
from climorch.intake.planning import params_digest
from climorch.model.codec import CodecTrial
from climorch.model.commands import BeginCheckpoint
from climorch.model.events import CheckpointCommitted
from climorch.model.workflow import storing_of
from climorch.storage.checkpoints import CheckpointRequest, InFlight
from climorch.storage.chunks import ChunkReceipt

if TYPE_CHECKING:
    import xarray as xr

logger = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")

__all__ = ["Cut", "count_now", "reroot", "write"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """The states of a set at a boundary, held until they are durable.

    Attributes
    ----------
    datasets : mapping of (tree, stage) to Dataset
        As they were before re-rooting.
    stall_s : float
        Seconds that the attempt could not go on.
    """

    datasets: Mapping[tuple[str, str], xr.Dataset]
    stall_s: float


async def count_now(attempt: Attempt) -> dict[str, int]:
    """Return per array of the present states how many values are not finite."""
    blocks = blocks_in({(STATE, n): d for n, d in attempt.states.items()})
    counts: dict[str, int] = {}
    groups = await holders_of(attempt.services, attempt.simulation, blocks)
    for found in await on_holders(
        attempt.services,
        attempt.simulation,
        groups,
        count_not_finite,
        lambda node, group: ([block.key for block in group],),
    ):
        for array, bad in found.items():
            counts[array] = counts.get(array, 0) + bad
    return counts


async def reroot(attempt: Attempt, boundary: int) -> Cut:
    """Cut the lineage of an attempt at a boundary; see the module.

    Where it was cut there already, the roots themselves are the cut.
    """
    services = attempt.services
    begin = services.clock()
    datasets = attempt.present()
    if attempt.rooted_at == boundary:
        return Cut(datasets=datasets, stall_s=0.0)
    blocks = blocks_in(datasets)
    stash = f"{attempt.tag}/{boundary}"
    groups = await holders_of(services, attempt.simulation, blocks)
    await on_holders(
        services,
        attempt.simulation,
        groups,
        stash_blocks,
        lambda node, group: (stash, [block.key for block in group]),
    )
    final = services.checkpoints.final_path(
        attempt.simulation, attempt.set.name, boundary, _model_time(attempt, boundary)
    )
    rooted = {
        where: root_dataset(
            dataset,
            _specs(dataset, where, stash, str(final)),
            salt=(attempt.tag, boundary, *where),
        )
        for where, dataset in datasets.items()
    }
    holders = {b.key: node for node, group in groups.items() for b in group}
    labels = {
        dataset.variables[name].data.name: f"{tree}.zarr/{stage}/{name}"
        for (tree, stage), dataset in rooted.items()
        for name in field_names(dataset)
    }
    tag = root_tag(
        attempt.simulation,
        list(rooted.values()),
        services.lease(attempt.simulation),
        holders,
        labels,
        watched=reading(attempt),
    )
    attempt.reroot(persist_all(services, rooted, tag))
    attempt.rooted_at = boundary
    return Cut(datasets=datasets, stall_s=services.clock() - begin)


def _model_time(attempt: Attempt, boundary: int):  # type: ignore[no-untyped-def]  # cftime has no stubs
    return model_time(attempt.set.commons[boundary], attempt.set.stages[0].calendar)


def _specs(
    dataset: xr.Dataset, where: tuple[str, str], stash: str, directory: str
) -> dict[str, RootSpec]:
    tree, stage = where
    specs = {}
    for name in field_names(dataset):
        array = dataset.variables[name].data
        specs[name] = RootSpec(
            tag=stash,
            directory=directory,
            array=f"{tree}.zarr/{stage}/{name}",
            dtype=array.dtype.str,
            shape=array.shape,
            chunk_shape=tuple(max(lengths[0], 1) for lengths in array.chunks),
        )
    return specs


async def write(attempt: Attempt, command: BeginCheckpoint, cut: Cut) -> None:
    """Write a cut, commit it and post the fact.

    A cancellation before the commit leaves an in-flight folder that the next
    attempt takes its chunks from; one during the commit waits for its end.

    Raises
    ------
    NotFiniteError, OutOfBoundsError
        If a state has gained NaN or infinities, or is not as its stage wants it.
    BackendError, CorruptDataError, ConflictError
        If it cannot be written or committed; the one before stays.
    """
    services, begin = attempt.services, attempt.services.clock()
    request = await _requested(attempt, command, cut)
    begun: list[InFlight] = []
    over = threading.Event()

    def make() -> None:
        begun.append(services.checkpoints.begin(request))
        if over.is_set():
            # Nobody waits for it any more; to give it up twice does nothing.
            services.checkpoints.abandon(begun[0])

    staged: dict[tuple[str, int], Staged] = {}
    try:
        await _to_its_end(services, make)
        in_flight = begun[0]
        filled = await _fill(attempt, cut, in_flight, staged)
        receipts = filled.receipts
        await services.may_commit()
        fact = _fact(attempt, command, cut, filled)
        loop = asyncio.get_running_loop()

        def commit() -> None:
            _commit(services, in_flight, receipts)
            done = msgspec.structs.replace(fact, seconds=services.clock() - begin)
            # From the thread: it has happened even if this task is cancelled.
            loop.call_soon_threadsafe(services.post, done)

        await _to_its_end(services, commit)
    except BaseException as error:
        over.set()
        for left in begun:
            kept = await _to_its_end(services, give_up, services, left, staged, error)
            attempt.outputs.put_back(kept)
        raise
    logger.info(
        "checkpoint simulation=%s set=%s boundary=%d attempt=%d seconds=%.3f "
        "bytes_written=%d bytes_linked=%d stall_s=%.3f cpu_s=%.3f",
        command.simulation,
        command.set,
        command.boundary,
        command.attempt,
        services.clock() - begin,
        fact.bytes_written,
        fact.bytes_linked,
        cut.stall_s,
        filled.cpu_s,
    )


async def _requested(
    attempt: Attempt, command: BeginCheckpoint, cut: Cut
) -> CheckpointRequest:
    """Bring outputs home from a checkpoint that failed, then say what is to be done."""
    await attempt.outputs.gather()
    outputs = attempt.outputs.due(attempt.set.segments_at[command.boundary])
    disk = attempt.services.disk
    return await disk.run(_request, attempt, command, cut, outputs)


def _request(
    attempt: Attempt,
    command: BeginCheckpoint,
    cut: Cut,
    outputs: Mapping[str, tuple[int, ...]],
) -> CheckpointRequest:
    """Say what is to be written; looks for the checkpoint to link from."""
    return CheckpointRequest(
        simulation=command.simulation,
        set=command.set,
        boundary=command.boundary,
        model_time=_model_time(attempt, command.boundary),
        attempt=command.attempt,
        params_digest=params_digest(
            attempt.plan, command.set, in_force(_state(attempt), command.boundary)
        ),
        states={s: d for (tree, s), d in cut.datasets.items() if tree == STATE},
        exports={s: d for (tree, s), d in cut.datasets.items() if tree == EXPORTS},
        segments=attempt.set.segments_at[command.boundary],
        previous=attempt.services.checkpoints.newest(command.simulation, command.set),
        full=command.full,
        outputs=outputs,
        finite=_limits(attempt, cut),
        storing=storing_of(attempt.stages.values()),
    )


def _state(attempt: Attempt) -> SetState:
    state = attempt.services.state
    return state.simulations[attempt.simulation].sets[attempt.set.name]


def _limits(attempt: Attempt, cut: Cut) -> dict[str, int]:
    """Return of each array how many values may be NaN or infinite."""
    return {
        (array := f"{STATE}.zarr/{stage}/{name}"): attempt.not_finite.get(array, 0)
        for (tree, stage), dataset in cut.datasets.items()
        if tree == STATE and attempt.stages[stage].check_finite
        for name in field_names(dataset)
    }


class _Filled(NamedTuple):
    """What is in a checkpoint, CPU seconds that it took, what was tried."""

    receipts: list[ChunkReceipt]
    cpu_s: float
    tried: tuple[CodecTrial, ...]


async def _fill(
    attempt: Attempt,
    cut: Cut,
    in_flight: InFlight,
    staged: dict[tuple[str, int], Staged],
) -> _Filled:
    """Write all chunks and take the outputs."""
    services = attempt.services
    blocks = blocks_in(cut.datasets)
    checks = {
        f"{STATE}.zarr/{name}": stage.checks
        for name, stage in attempt.stages.items()
        if stage.checks is not None
    }
    written: list[Written] = await write_grouped(
        services,
        attempt.simulation,
        str(in_flight.directory),
        [(in_flight.jobs[b.tree, b.stage, b.variable, b.index], b) for b in blocks],
        params_digest=in_flight.request.params_digest,
        checks=checks,
        pieces=pieces_of(in_flight, cut.datasets),
    )
    found = Findings()
    for w in written:
        found.add(w.found)
    refuse_unsound(in_flight.request.finite, checks, found)
    receipts = [receipt for w in written for receipt in w.receipts]
    cpu_s = sum(w.cpu_s for w in written)
    staged |= await attempt.outputs.take(dict(in_flight.request.segments))
    for (stage, segment), output in staged.items():
        receipts += await _to_its_end(
            services,
            services.checkpoints.add_outputs,
            in_flight,
            stage,
            segment,
            output.output.directory,
            output.receipts,
        )
        cpu_s += output.cpu_s
    tried = tuple(trial for w in written for trial in w.tried)
    return _Filled(receipts, cpu_s, tried)


def _commit(
    services: Services, in_flight: InFlight, receipts: Sequence[ChunkReceipt]
) -> None:
    try:
        services.checkpoints.commit(in_flight, receipts)
    except BackendError:
        # What failed may have come after the rename, which alone counts.
        request = in_flight.request
        try:
            found = services.checkpoints.load(
                request.simulation, request.set, request.boundary
            ).manifest
        except (BackendError, CorruptDataError):
            found = None
        if found is None or (found.epoch, found.attempt) != (
            services.epoch,
            request.attempt,
        ):
            raise


async def _to_its_end(
    services: Services, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Do work on the disk; a cancellation waits until it is over."""
    task = asyncio.ensure_future(services.disk.run(work, *args, **kwargs))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _fact(
    attempt: Attempt,
    command: BeginCheckpoint,
    cut: Cut,
    filled: _Filled,
) -> CheckpointCommitted:
    services, receipts = attempt.services, filled.receipts
    fresh = [r for r in receipts if not r.linked]
    old = [r for r in receipts if r.linked and not r.salvaged]
    return CheckpointCommitted(
        simulation=command.simulation,
        set=command.set,
        boundary=command.boundary,
        attempt=command.attempt,
        seconds=0.0,
        cost_s=cut.stall_s + filled.cpu_s / services.cores(command.simulation),
        bytes_state=sum(d.nbytes for d in cut.datasets.values()),
        bytes_written=sum(r.length for r in fresh),
        bytes_linked=sum(r.length for r in old),
        bytes_salvaged=sum(r.length for r in receipts if r.salvaged),
        independent=not old,
        tried=filled.tried,
    )
