"""Coming to a Dask scheduler and leaving it as it was found.

These functions run on the Dask scheduler. Where it is an existing cluster's,
others work there too: one campaign at a time may place tasks, and whatever it
brought goes with it, also when its driver dies without a word.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from climorch.engine import worker
from climorch.engine.plugin import NAME, LeasePlugin
from climorch.engine.tags import TOPIC
from climorch.errors import ConflictError

if TYPE_CHECKING:
    from distributed import Scheduler

__all__ = ["enter", "leave", "orphaned"]

STEALING = "stealing"

# Mark on the Dask scheduler: we switched stealing off, so we switch it on again.
STOPPED = "climorch_stopped_stealing"

_leaving: set[asyncio.Task[None]] = set()


async def enter(former: Sequence[str], dask_scheduler: Scheduler) -> None:
    """Make room for a campaign.

    Parameters
    ----------
    former : sequence of str
        Ids of clients that this driver had before: after a broken connection
        the Dask scheduler may believe in them for a while.

    Raises
    ------
    ConflictError
        If another driver places its tasks here now.
    """
    loop = asyncio.get_running_loop()
    await asyncio.gather(*(task for task in _leaving if task.get_loop() is loop))
    known = dask_scheduler.plugins.get(NAME)
    if isinstance(known, LeasePlugin):
        if known.owner in dask_scheduler.clients and known.owner not in former:
            raise ConflictError(
                f"another campaign runs on the Dask scheduler at "
                f"{dask_scheduler.address}; wait for it, or use another cluster"
            )
        await leave(known.owner, dask_scheduler)
    stealing = dask_scheduler.extensions.get(STEALING)
    if stealing is not None and STEALING in dask_scheduler.periodic_callbacks:
        # Stolen tasks would leave their lease.
        await stealing.stop()
        setattr(dask_scheduler, STOPPED, True)


async def leave(owner: str, dask_scheduler: Scheduler) -> None:
    """Take away everything that a campaign brought; again: does nothing.

    Parameters
    ----------
    owner : str
        Id of its driver's client: what another campaign brought stays.
    """
    plugin = dask_scheduler.plugins.get(NAME)
    if isinstance(plugin, LeasePlugin):
        if plugin.owner != owner:
            return
        client = dask_scheduler.clients.get(owner)
        if client is not None:
            # Before the resources that they use.
            dask_scheduler.client_releases_keys(
                keys=[task.key for task in client.wants_what],
                client=owner,
                stimulus_id="climorch-leave",
            )
        dask_scheduler.remove_plugin(NAME)
        plugin.leave()
    if getattr(dask_scheduler, STOPPED, False):
        delattr(dask_scheduler, STOPPED)
        await dask_scheduler.extensions[STEALING].start()
    if worker.NAME in dask_scheduler.worker_plugins:
        await dask_scheduler.unregister_worker_plugin(None, worker.NAME)
    # No public call forgets the events of a topic; they would stay for ever.
    dask_scheduler._broker.truncate(TOPIC)


def orphaned(owner: str, scheduler: Scheduler) -> None:
    """Leave in the background: the driver is gone without having left."""
    task = asyncio.get_running_loop().create_task(leave(owner, scheduler))
    _leaving.add(task)
    task.add_done_callback(_leaving.discard)
