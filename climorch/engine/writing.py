"""Tasks that work on blocks where they lie: one per node, none moves data."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dask

from climorch.engine.rooting import Block, by_holder
from climorch.engine.services import Services
from climorch.engine.steps import in_flight, settle
from climorch.engine.tags import COMPUTE, IO, annotating, make_tag
from climorch.engine.worker import Written, write_blocks
from climorch.model.numerics import Checks
from climorch.storage.chunks import ChunkJob
from climorch.storage.trials import Piece

if TYPE_CHECKING:
    from distributed import Future

__all__ = ["holders_of", "on_holders", "write_grouped"]


async def holders_of(
    services: Services, simulation: str, blocks: Sequence[Block]
) -> dict[str, list[Block]]:
    """Group blocks by the node of the lease that holds them."""
    lease = set(services.lease(simulation))
    names = {a: n for a, n in services.nodes.items() if n in lease}
    who_has = await services.client.who_has([block.future for block in blocks])
    return by_holder(blocks, who_has, names)


async def on_holders(
    services: Services,
    simulation: str,
    groups: dict[str, list[Block]],
    function: Callable[..., Any],
    arguments: Callable[[str, list[Block]], tuple[Any, ...]],
    *,
    kind: str = COMPUTE,
) -> list[Any]:
    """Run ``function(*arguments, blocks)`` once on each holder of blocks.

    Parameters
    ----------
    services, simulation
        The world and whose lease.
    groups : dict of str to list of Block
        From `holders_of`.
    function : callable
        Its last argument are the blocks' values.
    arguments : callable
        Node and blocks to the arguments before.
    kind : str
        Resource that each task takes one of.

    Returns
    -------
    list
        One result per node, in the order of the groups.
    """
    futures: list[Future[Any]] = []
    for node, blocks in groups.items():
        tag = make_tag(simulation, kind=kind, node=node)
        extra = {"executor": IO} if kind == IO else {}
        with dask.annotate(**annotating(tag), **extra):
            futures.append(
                services.client.submit(
                    function,
                    *arguments(node, blocks),
                    [block.future for block in blocks],
                    key=f"{function.__name__}-{uuid.uuid4().hex}",
                )
            )
    with in_flight(futures):
        await settle(futures)
        results: list[Any] = await services.client.gather(futures)
    return results


async def write_grouped(
    services: Services,
    simulation: str,
    directory: str,
    jobs: Sequence[tuple[ChunkJob, Block]],
    *,
    params_digest: str,
    checks: Mapping[str, Checks] | None = None,
    pieces: Mapping[str, Piece] | None = None,
) -> list[Written]:
    """Write blocks into a directory, each on the I/O thread of its holder."""
    if not jobs:
        return []
    job_of = {block.key: job for job, block in jobs}
    groups = await holders_of(services, simulation, [block for _, block in jobs])
    return await on_holders(
        services,
        simulation,
        groups,
        write_blocks,
        lambda node, blocks: (
            directory,
            node,
            params_digest,
            [job_of[block.key] for block in blocks],
            checks or {},
            pieces or {},
        ),
        kind=IO,
    )
