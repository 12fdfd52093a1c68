"""Coming to a Dask scheduler that stays, and leaving it as it was found.

These functions run on the Dask scheduler. Others work there too, and other campaigns:
what one brought goes with it, also when its driver dies without a word; what all of
them need goes with the last one.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from climorch.engine.holdings import Kept, Standing
from climorch.engine.hosting import Hosting
from climorch.engine.party import Comer
from climorch.errors import NotFoundError

if TYPE_CHECKING:
    from distributed import Scheduler

__all__ = ["answer_offer", "enter", "leave", "standing_of"]

STEALING = "stealing"

# How long the last campaign waits for its workers, which may still compute what
# nobody needs any more.
CLEAR_S = 10.0


class _Door:
    """What is known of a Dask scheduler, whether anybody is there or not."""

    def __init__(self) -> None:
        # One at a time: the first one who comes and the last one who goes change it.
        self.lock = asyncio.Lock()
        self.host: Hosting | None = None
        self.kept: Kept = {}
        self.stopped_stealing = False
        self.leaving: set[asyncio.Task[None]] = set()


_doors: WeakKeyDictionary[Scheduler, _Door] = WeakKeyDictionary()


def _door(scheduler: Scheduler) -> _Door:
    found = _doors.get(scheduler)
    if found is None:
        found = _doors[scheduler] = _Door()
    return found


async def enter(comer: Comer, dask_scheduler: Scheduler) -> None:
    """Let a campaign take part; it is offered workers from now on.

    Parameters
    ----------
    comer : Comer
        Its driver.
    dask_scheduler : distributed.Scheduler
        Given by Dask.

    Raises
    ------
    ConflictError
        If a later driver of the same campaign is there.
    """
    door = _door(dask_scheduler)
    async with door.lock:
        if door.host is None:

            def orphaned(client: str) -> None:
                """Leave in the background: the driver is gone without having left."""
                work = leave(client, dask_scheduler, kept=True)
                task = asyncio.ensure_future(work)
                door.leaving.add(task)
                task.add_done_callback(door.leaving.discard)

            host = Hosting(dask_scheduler, door.kept, orphaned)
            await host.start()
            door.host = host
        stealing = dask_scheduler.extensions.get(STEALING)
        if stealing is not None and STEALING in dask_scheduler.periodic_callbacks:
            # Stolen tasks would leave their lease.
            await stealing.stop()
            door.stopped_stealing = True
        door.host.enter(comer)


async def leave(client: str, dask_scheduler: Scheduler, kept: bool = False) -> None:
    """Take away everything that a campaign brought; again: does nothing.

    Parameters
    ----------
    client : str
        Id of its driver's client: what another campaign brought stays.
    dask_scheduler : distributed.Scheduler
        Given by Dask.
    kept : bool
        Whether its next driver may have the same workers, for a while.
    """
    door = _door(dask_scheduler)
    async with door.lock:
        jobs = [] if door.host is None else door.host.exit(client, kept=kept)
    if jobs:
        await asyncio.wait(jobs, timeout=CLEAR_S)
    async with door.lock:
        host = door.host
        if host is None or len(host.plugin.parties):
            return
        host.stop()
        door.host, door.kept = None, host.holdings.kept
        if door.stopped_stealing:
            door.stopped_stealing = False
            await dask_scheduler.extensions[STEALING].start()


def answer_offer(
    client: str, worker: str, problem: str, dask_scheduler: Scheduler
) -> None:
    """Say whether a campaign takes a worker; see `Hosting.answer`."""
    _host(dask_scheduler).answer(client, worker, problem)


def standing_of(client: str, dask_scheduler: Scheduler) -> Standing:
    """Return what a campaign has; see `Hosting.standing`."""
    return _host(dask_scheduler).standing(client)


def _host(scheduler: Scheduler) -> Hosting:
    host = _door(scheduler).host
    if host is None:
        raise NotFoundError("no campaign is on the Dask scheduler any more")
    return host
