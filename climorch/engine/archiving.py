"""Moves checkpoints and results to the archive and back, beside everything else.

One upload at a time, at a limited rate; what is asked back comes on a way of its own,
and one that takes hours is only looked at from time to time. All on threads of its own,
so an archive that hangs holds nobody up.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable

from climorch.core.state import CampaignState
from climorch.engine.alarms import Alarms
from climorch.engine.services import Services
from climorch.engine.threads import DiskThreads
from climorch.errors import BackendError, ConflictError, CorruptDataError
from climorch.model import commands as c
from climorch.model import events as e
from climorch.policy.archiving import Archive
from climorch.storage.archive import ArchiveStore
from climorch.storage.depot import AwayError, open_depot
from climorch.storage.sizing import physical_bytes

__all__ = ["Archiver", "Transfer", "open_archive"]

logger = logging.getLogger(__name__)

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 300.0

Transfer = c.ArchiveCheckpoint | c.ArchiveResults | c.RecallCheckpoint


class _StoppedError(Exception):
    """The driver leaves in the middle of a transfer."""


def open_archive(
    rules: Archive | None,
    campaign: str,
    *,
    epoch: int = 0,
    state: CampaignState | None = None,
) -> ArchiveStore | None:
    """Open the archive of a campaign, if it has one.

    Parameters
    ----------
    rules : Archive or None
        Where it is.
    campaign : str
        Whose.
    epoch : int
        Of the driver; 0: nothing will be written.
    state : CampaignState or None
        Knows what is there; None: nothing will be read.

    Raises
    ------
    InvalidInputError
        If its URL is none that can be opened here.
    """
    if rules is None:
        return None
    depot = open_depot(rules.url, rules.options, rules.storage_class)
    known = {
        (simulation.name, s.name, there.folder): there.url
        for simulation, s in (state.sets() if state else ())
        for there in s.archived.values()
    }
    return ArchiveStore(depot, campaign, epoch=epoch, known=known)


class Archiver:
    """Carries out what is decided about the archive.

    Parameters
    ----------
    rules : Archive
        How fast, and how often to ask.
    archive : ArchiveStore
        Where.
    services : Services
        The world.
    alarms : Alarms
        Told of an archive that cannot be reached.
    """

    def __init__(
        self, rules: Archive, archive: ArchiveStore, services: Services, alarms: Alarms
    ) -> None:
        self._rules = rules
        self._archive = archive
        self._services = services
        self._alarms = alarms
        self._threads = DiskThreads()
        self._uploading = asyncio.Lock()
        self._leaving = threading.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, command: Transfer) -> None:
        """Begin what a command asks for, or put it in the queue."""
        task = asyncio.create_task(self._do(command))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """End, in the middle of a transfer if need be: it is begun anew then."""
        self._leaving.set()
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _do(self, command: Transfer) -> None:
        try:
            if isinstance(command, c.RecallCheckpoint):
                await self._until_it_works(command, lambda: self._recall(command))
            else:
                # The lock is fair: first come, first served.
                async with self._uploading:
                    await self._until_it_works(command, lambda: self._upload(command))
        except asyncio.CancelledError:
            raise
        except Exception as error:
            logger.exception("archiving=%s", command)
            self._services.lost(error)

    async def _until_it_works(
        self, command: Transfer, once: Callable[[], e.Fact | None]
    ) -> None:
        wait_s, subject = FIRST_WAIT_S, f"archive {command}"
        while True:
            try:
                fact = await self._threads.run(once)
            except _StoppedError:
                return
            except (BackendError, OSError) as error:
                text = f"{command} does not work, trying again: {error}"
                self._alarms.begin(
                    "chore", text, subject=subject, simulation=command.simulation
                )
                if isinstance(command, c.RecallCheckpoint) and not self._told(command):
                    # Nobody knows for how long: what is on the disk goes on.
                    self._services.post(_delayed(command, str(error)))
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)
            else:
                self._alarms.end("chore", subject=subject)
                if fact is not None:
                    logger.info("archive %s", fact)
                    self._services.post(fact)
                    if not isinstance(fact, e.RecallDelayed):
                        return
                # Asked back: it comes in hours.
                await asyncio.sleep(self._rules.poll_s)

    # -- on a thread --------------------------------------------------------------

    def _upload(self, command: c.ArchiveCheckpoint | c.ArchiveResults) -> e.Fact:
        services, begin_s = self._services, time.monotonic()
        if isinstance(command, c.ArchiveResults):
            done = self._archive.put_results(
                services.results, command.simulation, command.stage, pace=self._pace()
            )
            return e.ResultsArchived(
                simulation=command.simulation,
                stage=command.stage,
                bytes=done.bytes if done else 0,
                xxh3=done.xxh3 if done else "",
                url=done.url if done else "",
                seconds=time.monotonic() - begin_s,
            )
        place = command.simulation, command.set, command.boundary
        try:
            checkpoint = services.checkpoints.load(*place)
            put = self._archive.put_checkpoint(checkpoint, pace=self._pace())
        except CorruptDataError as error:
            return e.ArchivingFailed(
                simulation=command.simulation,
                set=command.set,
                boundary=command.boundary,
                message=str(error),
            )
        return e.CheckpointArchived(
            simulation=command.simulation,
            set=command.set,
            boundary=command.boundary,
            bytes=put.bytes,
            xxh3=put.xxh3,
            url=put.url,
            folder=checkpoint.manifest.folder,
            seconds=time.monotonic() - begin_s,
        )

    def _recall(self, command: c.RecallCheckpoint) -> e.Fact | None:
        services, begin_s = self._services, time.monotonic()
        place = command.simulation, command.set, command.folder
        told = self._told(command)
        store, found = services.checkpoints, None
        try:
            if self._archive.ask_back(*place):
                found = self._archive.fetch(store.layout, store.epoch, place)
        except AwayError:
            # Away again between the two.
            found = None
        except (CorruptDataError, ConflictError) as error:
            # Who is superseded cannot journal this.
            return e.RecallFailed(
                simulation=command.simulation,
                set=command.set,
                boundary=command.boundary,
                message=str(error),
            )
        if found is None:
            delayed = _delayed(command, "it was asked back, and comes in hours")
            return None if told else delayed
        return e.CheckpointRecalled(
            simulation=command.simulation,
            set=command.set,
            boundary=command.boundary,
            attempt=found.manifest.attempt,
            bytes=physical_bytes([found]),
            seconds=time.monotonic() - begin_s,
        )

    def _told(self, command: c.RecallCheckpoint) -> bool:
        """Tell whether it is known already that nobody should wait for it."""
        simulation = self._services.state.simulations[command.simulation]
        recall = simulation.sets[command.set].recall
        return recall is not None and recall.delayed

    def _pace(self) -> Callable[[int], None]:
        """Make what holds a transfer to its rate, and ends it when the driver does."""
        begin_s, moved_bytes = time.monotonic(), 0

        def pace(more_bytes: int) -> None:
            nonlocal moved_bytes
            moved_bytes += more_bytes
            due_s = moved_bytes / self._rules.bytes_per_s
            if self._leaving.wait(max(due_s - (time.monotonic() - begin_s), 0.0)):
                raise _StoppedError

        return pace


def _delayed(command: c.RecallCheckpoint, message: str) -> e.RecallDelayed:
    return e.RecallDelayed(
        simulation=command.simulation,
        set=command.set,
        boundary=command.boundary,
        message=message,
    )
