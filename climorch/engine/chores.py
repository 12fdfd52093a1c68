"""What the driver does beside the attempts: publish, delete, ask rules.

Each chore is idempotent and tried until it works; a trouble is told once.
"""

from __future__ import annotations

import asyncio
import logging
import time

from climorch.core.remedying import tries_told
from climorch.engine.alarms import Alarms
from climorch.engine.archiving import Archiver, Transfer
from climorch.engine.ruling import Ruler
from climorch.engine.scoring import Scorer
from climorch.engine.services import Services
from climorch.errors import BackendError, CorruptDataError
from climorch.intake.remedies import evaluate_remedy
from climorch.model import commands as c
from climorch.model.events import CheckpointDeleted, Fact, ResultsPublished
from climorch.storage.checkpoints import TRASH_KEPT_S
from climorch.storage.sizing import freed_by

__all__ = ["Chores"]

logger = logging.getLogger(__name__)

LONGEST_WAIT_S = 60.0
# How long a try may take, in seconds, before somebody is told.
LATE_S = 120.0


class Chores:
    """Runs chores, each as a task of its own.

    Parameters
    ----------
    services : Services
        The world.
    alarms : Alarms
        Told of trouble.
    archiver : Archiver or None
        Does what is about the archive; None: there is none, and nothing to do.
    """

    def __init__(
        self, services: Services, alarms: Alarms, archiver: Archiver | None = None
    ) -> None:
        self.services = services
        self.alarms = alarms
        self._archiver = archiver
        self._scorer, self._ruler = Scorer(services), Ruler(services)
        self._tasks: set[asyncio.Task[None]] = set()
        # Of them those that wait for a rule, which may never answer.
        self._asking: set[asyncio.Task[None]] = set()
        # Of deletions that are under way: once one is renamed, nobody can count it.
        self._freed: dict[c.Command, int] = {}

    def start(self, command: c.Command) -> None:
        """Begin a chore."""
        if isinstance(command, Transfer):
            if self._archiver is not None:
                self._archiver.start(command)
            return
        if isinstance(command, c.EvaluateScore):
            self._scorer.start(command)
            return
        task = asyncio.create_task(self._do(command))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if isinstance(command, c.EvaluateRule):
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)

    async def close(self) -> None:
        """Stop waiting for what does not work; finish what does."""
        await self._scorer.close()
        self._ruler.close()
        for asking in self._asking:
            asking.cancel()
        if self._archiver is not None:
            await self._archiver.close()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=5.0)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)

    async def _do(self, command: c.Command) -> None:
        wait_s = 1.0
        subject = str(command)
        while True:
            try:
                fact = await self._in_time(command, subject)
            except (BackendError, CorruptDataError, OSError) as error:
                text = f"{command} does not work, trying again: {error}"
                name = getattr(command, "simulation", None)
                self.alarms.begin("chore", text, subject=subject, simulation=name)
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)
            except Exception as error:
                logger.exception("chore=%s", command)
                self.services.lost(error)
                return
            else:
                self.alarms.end("chore", subject=subject)
                self.services.post(fact)
                return

    async def _in_time(self, command: c.Command, subject: str) -> Fact:
        """Try once; where that takes long, tell of it and go on waiting."""
        trying = asyncio.ensure_future(self._try(command))
        try:
            done, _ = await asyncio.wait([trying], timeout=LATE_S)
            if not done:
                what = "rule" if isinstance(command, c.EvaluateRule) else "storage"
                text = f"{command} takes long: the {what} is slow, or hangs"
                name = getattr(command, "simulation", None)
                self.alarms.begin("chore", text, subject=subject, simulation=name)
            return await trying
        finally:
            trying.cancel()

    async def _try(self, command: c.Command) -> Fact:
        """Try once; what may block does so on a thread."""
        if isinstance(command, c.EvaluateRule):
            return await self._ruler.fact(command)
        return await self.services.disk.run(self._once, command)

    def _once(self, command: c.Command) -> Fact:
        services = self.services
        match command:
            case c.PublishResults():
                checkpoint = services.checkpoints.load(
                    command.simulation, command.set, command.boundary
                )
                simulation = services.state.simulations[command.simulation]
                services.results.publish(
                    checkpoint, tries=tries_told(simulation.sets[command.set])
                )
                return ResultsPublished(
                    simulation=command.simulation,
                    set=command.set,
                    boundary=command.boundary,
                )
            case c.DeleteCheckpoint():
                return self._delete(command)
            case c.AskRemedy():
                return evaluate_remedy(services.state, services.workflows, command)
            case _:
                raise TypeError(f"no chore: {command}")

    def _delete(self, command: c.DeleteCheckpoint) -> Fact:
        store = self.services.checkpoints
        place = command.simulation, command.set, command.boundary
        found = store.list(*place[:2])
        own = [x for x in found if x.boundary == command.boundary]
        # It may have gone at an earlier try, and another one have taken its place.
        other = any(0 < command.attempt < x.manifest.attempt for x in own)
        if command not in self._freed:
            # Nothing of one that is gone, or whose manifest cannot be read.
            freed = 0 if other else sum(freed_by(x, found) for x in own)
            self._freed[command] = freed
        if not other:
            store.delete(*place)
        # A day else: a lazy reader would see missing chunks as fill values.
        kept_s = 0 if command.at_once else TRASH_KEPT_S
        store.purge_trash(time.time(), older_than_s=kept_s)
        return CheckpointDeleted(
            simulation=command.simulation,
            set=command.set,
            boundary=command.boundary,
            attempt=command.attempt,
            bytes_freed=self._freed.pop(command),
        )
