"""Where all stages of a simulation stand when a model of one of them hung.

Asked of their workers, which answer since none of them is to blame; a node whose
worker hangs is looked at by `watchdog`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from climorch.engine import stacks
from climorch.engine.child import ModelFailedError
from climorch.engine.inquest import ASK_S, LONGEST, Seen, look_at, told
from climorch.engine.services import Services
from climorch.engine.worker import NAME, NodePlugin
from climorch.model.causes import Cause

if TYPE_CHECKING:
    from distributed import Worker

__all__ = ["with_others"]


async def with_others(
    services: Services, attempt: str, error: ModelFailedError
) -> ModelFailedError:
    """Add to a model that hung where all others of its simulation stand.

    Stages that wait for each other look alike; only both stacks tell.

    Parameters
    ----------
    services : Services
        The world.
    attempt : str
        Tag of the attempt, which begins with the simulation.
    error : ModelFailedError
        What happened; of another cause it comes back as it is.
    """
    if error.cause is not Cause.HANG or not services.cluster.connected:
        return error
    simulation = attempt.partition("/")[0]
    lease = set(services.lease(simulation))
    names = {a: node for a, node in services.nodes.items() if node in lease}
    found: Mapping[str, list[Seen]] = {}
    with suppress(TimeoutError, OSError):
        async with asyncio.timeout(ASK_S):
            found = await services.client.run(
                _look_here, f"{simulation}/", workers=list(names), on_error="ignore"
            )
    text = told({names[address]: seen for address, seen in found.items()})
    own = f"{error.node}, killed:\n{error.stack}" if error.stack else ""
    stack = "\n\n".join(part for part in (own, text) if part)[:LONGEST]
    return ModelFailedError(error.cause, error.message, stack, error.node)


async def _look_here(owners: str, dask_worker: Worker) -> list[Seen]:
    """Look at the models of some owners; runs on their worker, on its loop."""
    plugin = dask_worker.plugins.get(NAME)
    children = plugin.children if isinstance(plugin, NodePlugin) else None
    if children is None:
        return []
    pids = [p for owner, p in children.pids().items() if owner.startswith(owners)]
    found = await asyncio.to_thread(look_at, pids)
    if dask_worker.nanny:
        # Else its process has others' tasks too.
        stack = await asyncio.to_thread(lambda: stacks.relevant(stacks.own()))
        found.append(Seen(name="", condition="answers", stack=stack))
    return found
