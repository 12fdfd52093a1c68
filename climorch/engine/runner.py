"""Carries out the commands of one set, in order, and answers with facts.

A serial command (start, checkpoint cut) finishes before any later one begins;
segments run beside each other; an abandoned attempt is cancelled at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import TypeGuard

from climorch.core.state import SetState
from climorch.engine import checkpointing
from climorch.engine.attempt import Attempt
from climorch.engine.child import ModelFailedError
from climorch.engine.copying import Copies
from climorch.engine.measuring import measures_of
from climorch.engine.raised import raised_at
from climorch.engine.restoring import bring_states
from climorch.engine.services import Services
from climorch.engine.standing import with_others
from climorch.engine.steps import cause_of
from climorch.engine.telling import line_of
from climorch.engine.worker import clear_attempt
from climorch.errors import CorruptDataError
from climorch.model.commands import (
    BeginCheckpoint,
    BeginCopy,
    SalvageCopy,
    StartAttempt,
    StartSegment,
)
from climorch.model.events import (
    Cause,
    CheckpointFailed,
    CopyFailed,
    Fact,
    RestoreFailed,
    SalvageFailed,
    SegmentFailed,
    SegmentFinished,
)

__all__ = ["SetRunner"]

logger = logging.getLogger(__name__)
tasks_logger = logging.getLogger(f"{__name__}.tasks")

# A stash that is not cleared costs memory; a Dask scheduler may die meanwhile.
CLEAR_S = 10.0
# How long what was cancelled may take, in seconds, before the disk counts as hanging.
HANGS_S = 20.0


class SetRunner:
    """Runs the attempts of one set, one at a time.

    Parameters
    ----------
    services : Services
        The world.
    simulation : str
        Whose set.
    s : SetState
        The set as the orchestrator knows it; only read.
    """

    def __init__(self, services: Services, simulation: str, s: SetState) -> None:
        self.services = services
        self.simulation = simulation
        self.state = s
        self.attempt: Attempt | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        # Ends of attempts: whatever comes, each of them takes away what it left.
        self._ends: set[asyncio.Task[None]] = set()
        self._serial: asyncio.Task[None] | None = None
        # Held over attempts: two of them must not commit side by side.
        self._writing = asyncio.Lock()
        self._copies = Copies(services, simulation)

    def start(self, command: StartAttempt) -> None:
        """Bring the states to the lease."""
        self.attempt = Attempt(self.services, self.simulation, self.state)
        self._spawn(self._start(self.attempt, command), serial=True)

    def segment(self, command: StartSegment) -> None:
        """Compute a segment."""
        if self.attempt is not None:
            self._spawn(self._segment(self.attempt, command))

    def checkpoint(self, command: BeginCheckpoint) -> None:
        """Cut here and write behind."""
        if self.attempt is not None:
            self._spawn(self._cut(self.attempt, command), serial=True)

    def copy(self, command: BeginCopy) -> None:
        """Cut here and let partners hold the states."""
        if self.attempt is not None:
            self._spawn(self._copy(self.attempt, command), serial=True)

    def salvage(self, command: SalvageCopy) -> None:
        """Cancel everything but what is needed to write the newest copy."""
        tasks, self._tasks, self._serial = self._tasks, set(), None
        for task in tasks:
            task.cancel()
        self._spawn(self._salvage(command, tasks))

    def abandon(self) -> None:
        """Cancel everything of the attempt and let go of its states."""
        attempt, self.attempt = self.attempt, None
        self._copies.drop()
        tasks, self._tasks, self._serial = self._tasks, set(), None
        for task in tasks:
            task.cancel()
        if attempt is not None:
            ended = asyncio.create_task(self._end(attempt, tasks))
            self._ends.add(ended)
            ended.add_done_callback(self._ends.discard)

    async def closed(self) -> None:
        """Wait until nothing of this set runs any more, but for a disk that hangs."""
        tasks = self._tasks | self._ends
        if tasks:
            await asyncio.wait(tasks, timeout=HANGS_S)

    async def _end(self, attempt: Attempt, tasks: set[asyncio.Task[None]]) -> None:
        if tasks:
            # A commit goes on to its end, however long that takes. What it may
            # still do is fenced off, what it holds in memory is of no use.
            await asyncio.wait(tasks, timeout=HANGS_S)
        await attempt.release()
        if self.services.cluster.connected:
            # Nodes that are gone have no stash to clear.
            await self._clear(attempt)
        await attempt.sweep()

    async def _clear(self, attempt: Attempt) -> None:
        services = self.services
        # Models of a set that is complete are not wanted again; others serve the
        # next attempt.
        lease = () if self.state.complete else services.lease(self.simulation)
        owners = f"{self.simulation}/{attempt.set.name}/"
        with contextlib.suppress(Exception):
            async with asyncio.timeout(CLEAR_S):
                await _clear(services, attempt.tag, owners, lease)

    def _spawn(
        self, work: Coroutine[None, None, None], *, serial: bool = False
    ) -> None:
        before = self._serial
        task = asyncio.create_task(_after(before, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # Cancelled before its first step, it would never have been begun.
        task.add_done_callback(lambda _: work.close())
        if serial:
            self._serial = task

    async def _start(self, attempt: Attempt, command: StartAttempt) -> None:
        boundary = command.boundary

        async def bring() -> None:
            salvaged = self.state.held.salvaged == boundary
            self.services.post(await bring_states(attempt, command, salvaged=salvaged))

        def failed(error: BaseException) -> RestoreFailed:
            facts = error.facts if isinstance(error, CorruptDataError) else {}
            corrupt = isinstance(error, CorruptDataError) and boundary > 0
            repaired = facts.get("repaired", ())
            return RestoreFailed(
                simulation=self.simulation,
                set=command.set,
                attempt=command.attempt,
                boundary=boundary,
                cause=cause_of(error),
                message=_told(error),
                damaged=corrupt and not repaired,
                repaired=repaired,
            )

        await self._guarded(bring, failed, within_s=self.services.watch.given_up_s)

    async def _segment(self, attempt: Attempt, command: StartSegment) -> None:
        services = self.services
        stage = attempt.set.stage(command.stage)
        begin = services.clock()

        async def compute() -> None:
            try:
                metrics = await attempt.advance(stage, command.segment)
            except ModelFailedError as error:
                raise await with_others(services, attempt.tag, error) from error
            seconds = services.clock() - begin
            paces, usage = await measures_of(attempt, stage.name, seconds)
            tasks_logger.info(
                "segment simulation=%s stage=%s segment=%d attempt=%d seconds=%.3f",
                self.simulation,
                command.stage,
                command.segment,
                command.attempt,
                seconds,
            )
            services.post(
                SegmentFinished(
                    simulation=self.simulation,
                    stage=command.stage,
                    segment=command.segment,
                    attempt=command.attempt,
                    seconds=seconds,
                    nodes=len(services.lease(self.simulation)),
                    metrics=metrics,
                    paces=paces,
                    usage=usage,
                )
            )

        def failed(error: BaseException) -> SegmentFailed:
            return SegmentFailed(
                simulation=self.simulation,
                stage=command.stage,
                segment=command.segment,
                attempt=command.attempt,
                cause=cause_of(error),
                message=_told(error) + _place(error),
                node=error.node if _hung(error) else "",
                stack=error.stack if _hung(error) else "",
            )

        await self._guarded(compute, failed)

    async def _cut(self, attempt: Attempt, command: BeginCheckpoint) -> None:
        def failed(error: BaseException) -> CheckpointFailed:
            cause = cause_of(error)
            # Of the disk, whatever it says: the states are still in memory.
            at_rest = cause in (Cause.CORRUPT, Cause.TRANSIENT)
            return CheckpointFailed(
                simulation=self.simulation,
                set=command.set,
                boundary=command.boundary,
                attempt=command.attempt,
                cause=Cause.STORAGE if at_rest else cause,
                message=_told(error),
            )

        async def write(cut: checkpointing.Cut) -> None:
            async with self._writing:
                await checkpointing.write(attempt, command, cut)
            self._copies.outdated(command.boundary)

        async def cut() -> None:
            if command.held:
                made = self._copies.cut_of(attempt, command.boundary)
            else:
                made = await checkpointing.reroot(attempt, command.boundary)
            self._spawn(self._guarded(lambda: write(made), failed))

        await self._guarded(cut, failed)

    async def _copy(self, attempt: Attempt, command: BeginCopy) -> None:
        failed = partial(_no_copy, CopyFailed, command)

        async def cut() -> None:
            made = await self._copies.cut(attempt, command.boundary)
            held = self._guarded(lambda: self._copies.hold(made, command), failed)
            self._spawn(held)

        await self._guarded(cut, failed)

    async def _salvage(
        self, command: SalvageCopy, before: set[asyncio.Task[None]]
    ) -> None:
        async def write() -> None:
            # They put back the outputs that they had taken.
            if before:
                await asyncio.wait(before)
            async with self._writing:
                await self._copies.salvage(command)

        failed = partial(_no_copy, SalvageFailed, command)
        await self._guarded(write, failed, within_s=self.services.watch.given_up_s)

    async def _guarded(
        self,
        work: Callable[[], Awaitable[None]],
        failed: Callable[[BaseException], Fact],
        *,
        within_s: float = math.inf,
    ) -> None:
        """Do a piece of work; whatever it raises becomes a fact, as does no end."""
        try:
            await _within(work, within_s)
        except asyncio.CancelledError:
            raise
        # A ConflictError among them: if a newer driver took over, the journal
        # refuses the very fact that tells of it, and this driver stops.
        except Exception as error:
            fact = failed(error)
            logger.warning("%s", line_of(fact))
            logger.debug("what failed", exc_info=error)
            self.services.post(fact)


def _no_copy(
    kind: type[CopyFailed | SalvageFailed],
    command: BeginCopy | SalvageCopy,
    error: BaseException,
) -> CopyFailed | SalvageFailed:
    return kind(
        simulation=command.simulation,
        set=command.set,
        boundary=command.boundary,
        attempt=command.attempt,
        message=_told(error),
    )


def _hung(error: BaseException) -> TypeGuard[ModelFailedError]:
    return isinstance(error, ModelFailedError) and error.cause is Cause.HANG


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _place(error: BaseException) -> str:
    at = raised_at(error)
    return f" ({at})" if at else ""


async def _within(work: Callable[[], Awaitable[None]], seconds: float) -> None:
    """Do a piece of work, or give it up: a lost answer is never heard of again."""
    try:
        async with asyncio.timeout(None if seconds == math.inf else seconds) as limit:
            await work()
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise TimeoutError(
            f"no end after {seconds:.0f} s, twice Watch.begin_s and a minute; if it "
            "takes longer where all is well, give a larger one"
        ) from error


async def _clear(
    services: Services, tag: str, owners: str, lease: Sequence[str]
) -> None:
    # Nodes of other campaigns may have models of the same name.
    nodes, clear = list(services.nodes), services.client.run
    await clear(clear_attempt, tag, owners, lease, workers=nodes, on_error="ignore")


async def _after(
    before: asyncio.Task[None] | None, work: Coroutine[None, None, None]
) -> None:
    if before is not None:
        await asyncio.wait([before])
    await work
