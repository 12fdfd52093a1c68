"""Looks for frozen nodes and stuck tasks, and has their processes killed.

What is frozen or stuck is decided in `policy.watching`; this looks at the Dask
scheduler every few seconds, on its loop, and acts. Before anything is killed, all
that computes for the same simulation is asked where it stands.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Coroutine, Hashable, Mapping
from typing import TYPE_CHECKING, Any

from distributed.comm import get_address_host
from distributed.scheduler import heartbeat_interval

from climorch.engine import inquest, stacks
from climorch.engine.nodes import node_name
from climorch.engine.tags import COMPUTE, Tag, Watched
from climorch.errors import InternalError
from climorch.model.causes import Cause
from climorch.policy.watching import (
    Frozen,
    Sight,
    Stuck,
    Vigil,
    Watch,
    counted_s,
    frozen_after_s,
    look,
    period_s,
)

if TYPE_CHECKING:
    from distributed import Scheduler
    from distributed.scheduler import TaskState, WorkerState

__all__ = ["Watchdog"]

NAME = "climorch-watch"

# A nanny first asks, then kills after 4 s, then waits 5 s for the end. One that
# takes longer is frozen itself, or cut off.
NANNY_S = 15.0


class Watchdog:
    """Watches the workers of a Dask scheduler.

    Parameters
    ----------
    scheduler : distributed.Scheduler
        Whose workers; this runs on its loop.
    watch : Watch
        The rules.
    tag_of : callable
        From a task to its label; None: foreign work, which is not watched.
    tell : callable
        Takes a message for the driver.
    failed : callable
        Told of an exception, with where it came from.
    ours : callable or None
        Whether a worker, by its address, is one to be watched; None: all are.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        watch: Watch,
        *,
        tag_of: Callable[[TaskState], Tag | None],
        tell: Callable[[Mapping[str, Any]], None],
        failed: Callable[[str, Exception], None],
        ours: Callable[[str], bool] | None = None,
    ) -> None:
        self.reasons: dict[str, str] = {}
        self._scheduler = scheduler
        self._watch = watch
        self._tag_of = tag_of
        self._tell = tell
        self._failed = failed
        self._ours = ours
        self._vigil = Vigil()
        self._period_s = period_s(watch)
        self._looked_s = time.monotonic()
        self._again: asyncio.Task[None] | None = None
        self._kills: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Look again and again from now on."""
        self._again = asyncio.create_task(self._keep_looking(), name=NAME)

    def stop(self) -> None:
        """Look no more."""
        if self._again is not None:
            self._again.cancel()
        for kill in self._kills:
            kill.cancel()

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(self._period_s)
            self.check()

    def check(self) -> None:
        """Look once; an exception is told to the driver."""
        try:
            self._check(time.monotonic())
        except Exception as error:
            self._failed("watchdog", error)

    def reason(self, worker: str, otherwise: str) -> str:
        """Return why a worker is gone, if it was killed from here."""
        return self.reasons.pop(worker, otherwise)

    def _check(self, now_s: float) -> None:
        elapsed_s, self._looked_s = now_s - self._looked_s, now_s
        # Workers of all others count in how often one is heard of.
        interval_s = heartbeat_interval(len(self._scheduler.workers))
        self._vigil, found = look(
            self._vigil,
            [self._sight(worker) for worker in _those(self._scheduler, self._ours)],
            counted_s=counted_s(elapsed_s, self._period_s),
            frozen_after_s=frozen_after_s(self._watch, interval_s),
        )
        for verdict in found:
            match verdict:
                case Frozen():
                    self._frozen(verdict)
                case Stuck():
                    self._stuck(verdict)

    def _sight(self, worker: WorkerState) -> Sight:
        executing: dict[Hashable, float] = {}
        given: dict[Hashable, float] = {}
        for state in worker.processing:
            tag = self._tag_of(state)
            if tag is None or tag.watched is None:
                continue
            # A worker tells with its next heartbeat that a task has begun or ended.
            known = executing if state in worker.executing else given
            known[state.key, state.run_id] = tag.watched.limit_s
        return Sight(
            worker=worker.address,
            last_seen=worker.last_seen,
            # A worker forgets nothing that it executes; the Dask scheduler does.
            kept={} if _computes(worker, self._tag_of) else given,
            own_process=not _is_here(self._scheduler, worker),
            executing=executing,
            given=given,
        )

    def _frozen(self, verdict: Frozen) -> None:
        worker = self._scheduler.workers.get(verdict.worker)
        if worker is not None and worker.address not in self.reasons:
            reason = f"frozen: no heartbeat for {verdict.silent_s:.1f} s"
            self.reasons[worker.address] = reason
            self._spawn(self._end_frozen(worker, reason))

    async def _end_frozen(self, worker: WorkerState, reason: str) -> None:
        """Kill a silent worker; if it can say where it loops, its segment hung.

        One that is stopped, or waits for a device, cannot: then it is the node.
        """
        tag = _watched_on(worker, self._tag_of)
        name = node_name(worker.name)
        if tag is not None and tag.watched is not None:
            found = await self._survey(tag, worker)
            seen, stack = tag.watched, inquest.told(found)
            if any(not process.name and process.stack for process in found[name]):
                reason = (
                    f"stuck: {_segment(tag, seen)} holds Python's interpreter lock on "
                    f"{name}, {reason}{inquest.worth_telling(stack)}"
                )
                self._tell_stuck(tag.lease, seen, name, reason, stack)
        await self._condemn(worker, reason)

    def _stuck(self, verdict: Stuck) -> None:
        worker = self._scheduler.workers[verdict.worker]
        tag = next(
            self._tag_of(state)
            for state in worker.processing
            if (state.key, state.run_id) == verdict.task
        )
        if tag is None or tag.watched is None:
            raise InternalError(f"{verdict.task} is watched and has no limit")
        seen = tag.watched
        does = (
            f"{tag.lease} has been reading a checkpoint"
            if seen.reads
            else f"{_segment(tag, seen)} has been executing"
        )
        text = (
            f"stuck: {does} on {worker.name} for {verdict.seconds:.0f} s, "
            f"expected < {verdict.limit_s:.0f} s"
        )
        if _is_here(self._scheduler, worker):
            where = inquest.worth_telling(stacks.relevant(stacks.own()))
            self._tell(
                {
                    "what": "alarm",
                    "message": f"{text}{where}; a node within this process cannot be "
                    "restarted: end the campaign and run it again",
                }
            )
        elif worker.address not in self.reasons:
            self.reasons[worker.address] = text
            self._spawn(self._end_stuck(worker, tag, seen, text))

    async def _end_stuck(
        self, worker: WorkerState, tag: Tag, seen: Watched, text: str
    ) -> None:
        stack = inquest.told(await self._survey(tag, worker))
        text += inquest.worth_telling(stack)
        self._tell_stuck(tag.lease, seen, node_name(worker.name), text, stack)
        await self._condemn(worker, text)

    async def _survey(
        self, tag: Tag, worker: WorkerState
    ) -> dict[str, list[inquest.Seen]]:
        """Ask where a worker stands, and then all others of the same simulation.

        Stages that wait for each other look alike; only both stacks tell.
        """
        others = [
            other
            for other in _those(self._scheduler, self._ours)
            if other is not worker
            and any(
                (label := self._tag_of(state)) is not None
                and label.lease == tag.lease
                and label.watched is not None
                for state in other.processing
            )
        ]
        asked = {node_name(w.name): w for w in (worker, *others)}
        return await inquest.survey(self._scheduler, asked)

    def _tell_stuck(
        self, lease: str, seen: Watched, node: str, text: str, stack: str
    ) -> None:
        self._tell(
            {
                "what": "stuck",
                "lease": lease,
                "stage": seen.stage,
                "segment": seen.segment,
                "attempt": seen.attempt,
                # A read waits for the storage; a model that hangs is to blame itself.
                "cause": (Cause.STORAGE if seen.reads else Cause.HANG).name,
                "node": node,
                "message": text,
                "stack": stack,
            }
        )

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        async def to_its_end() -> None:
            try:
                await work
            except Exception as error:
                self._failed("watchdog", error)

        kill = asyncio.ensure_future(to_its_end())
        self._kills.add(kill)
        kill.add_done_callback(self._kills.discard)

    async def _condemn(self, worker: WorkerState, reason: str) -> None:
        self.reasons[worker.address] = reason
        self._tell({"what": "alarm", "message": f"node {worker.name} is {reason}"})
        if not await inquest.kill(self._scheduler, worker):
            await self._kill(worker.address, reason)

    async def _kill(self, address: str, reason: str) -> None:
        """Kill what could not be killed at once, politely; or remove it.

        The nanny first, while Dask still knows the worker: one that it does not
        know any more leaves of its own accord when it wakes up, and takes its
        nanny along. Without a nanny that is all that can be done; what such a
        process still writes is fenced by its attempt.
        """
        outcome = await self._scheduler.restart_workers(
            [address],
            timeout=NANNY_S,
            wait_for_workers=False,
            on_error="return",
            stimulus_id=reason,
        )
        if outcome.get(address) != "OK":
            self._tell(
                {
                    "what": "alarm",
                    "message": f"the process of {address} could not be killed from "
                    "here; it is fenced and leaves when it wakes up",
                }
            )


def _those(
    scheduler: Scheduler, ours: Callable[[str], bool] | None
) -> list[WorkerState]:
    """Return the workers that are watched."""
    return [w for a, w in scheduler.workers.items() if ours is None or ours(a)]


def _computes(worker: WorkerState, tag_of: Callable[[TaskState], Tag | None]) -> bool:
    """Whether a worker executes anything that is known and takes a core."""
    return any(
        tag is None or tag.kind == COMPUTE for tag in map(tag_of, worker.executing)
    )


def _watched_on(
    worker: WorkerState, tag_of: Callable[[TaskState], Tag | None]
) -> Tag | None:
    """Return the label of a segment that a worker computes, or may."""
    for state in (*worker.executing, *worker.processing):
        tag = tag_of(state)
        if tag is not None and tag.watched is not None:
            return tag
    return None


def _segment(tag: Tag, seen: Watched) -> str:
    return f"{tag.lease}, stage {seen.stage}, segment {seen.segment}"


def _is_here(scheduler: Scheduler, worker: WorkerState) -> bool:
    """Whether a worker is in the process of its Dask scheduler."""
    if worker.address.startswith("inproc://"):
        return True
    contacts = [listener.contact_address for listener in scheduler.listeners]
    tcp = [contact for contact in contacts if not contact.startswith("inproc://")]
    # Process ids repeat on other machines.
    here = {get_address_host(contact) for contact in tcp}
    return worker.pid == os.getpid() and worker.host in here
