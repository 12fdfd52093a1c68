"""Looks for frozen nodes and stuck tasks, and has their processes killed.

What is frozen or stuck is decided in `policy.watching`; this looks at the Dask
scheduler every few seconds, on its loop, and acts.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, Any

from distributed.comm import get_address_host
from distributed.scheduler import heartbeat_interval

from climorch.engine.nodes import node_name
from climorch.engine.tags import Tag
from climorch.errors import InternalError
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
    """

    def __init__(
        self,
        scheduler: Scheduler,
        watch: Watch,
        *,
        tag_of: Callable[[TaskState], Tag | None],
        tell: Callable[[Mapping[str, Any]], None],
        failed: Callable[[str, Exception], None],
    ) -> None:
        self.reasons: dict[str, str] = {}
        self._scheduler = scheduler
        self._watch = watch
        self._tag_of = tag_of
        self._tell = tell
        self._failed = failed
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
        workers = self._scheduler.workers
        self._vigil, found = look(
            self._vigil,
            [self._sight(worker) for worker in workers.values()],
            counted_s=counted_s(elapsed_s, self._period_s),
            frozen_after_s=frozen_after_s(
                self._watch, heartbeat_interval(len(workers))
            ),
        )
        for verdict in found:
            match verdict:
                case Frozen():
                    reason = f"frozen: no heartbeat for {verdict.silent_s:.1f} s"
                    self._condemn(verdict.worker, reason)
                case Stuck():
                    self._stuck(verdict)

    def _sight(self, worker: WorkerState) -> Sight:
        executing: dict[Hashable, float] = {}
        for state in worker.executing:
            # A worker tells with its next heartbeat that a task has ended.
            if state.processing_on is worker:
                tag = self._tag_of(state)
                if tag is not None and tag.watched is not None:
                    executing[state.key, state.run_id] = tag.watched.limit_s
        return Sight(
            worker=worker.address,
            last_seen=worker.last_seen,
            own_process=not self._is_here(worker),
            executing=executing,
        )

    def _is_here(self, worker: WorkerState) -> bool:
        if worker.address.startswith("inproc://"):
            return True
        # Process ids repeat on other machines.
        here = {get_address_host(listener.contact_address) for listener in self._tcp()}
        return worker.pid == os.getpid() and worker.host in here

    def _tcp(self) -> list[Any]:
        listeners = self._scheduler.listeners
        return [x for x in listeners if not x.contact_address.startswith("inproc://")]

    def _stuck(self, verdict: Stuck) -> None:
        worker = self._scheduler.workers[verdict.worker]
        tag = next(
            self._tag_of(state)
            for state in worker.executing
            if (state.key, state.run_id) == verdict.task
        )
        if tag is None or tag.watched is None:
            raise InternalError(f"{verdict.task} is watched and has no limit")
        seen = tag.watched
        text = (
            f"stuck: {tag.lease}, stage {seen.stage}, segment {seen.segment} has been "
            f"executing on {worker.name} for {verdict.seconds:.0f} s, "
            f"expected < {verdict.limit_s:.0f} s"
        )
        if self._is_here(worker):
            self._tell(
                {
                    "what": "alarm",
                    "message": f"{text}; a node within this process cannot be "
                    "restarted: end the campaign and run it again",
                }
            )
            return
        self._tell(
            {
                "what": "stuck",
                "lease": tag.lease,
                "stage": seen.stage,
                "segment": seen.segment,
                "attempt": seen.attempt,
                "node": node_name(worker.name),
                "message": text,
            }
        )
        self._condemn(worker.address, text)

    def _condemn(self, address: str, reason: str) -> None:
        worker = self._scheduler.workers.get(address)
        if worker is None or address in self.reasons:
            return
        self.reasons[address] = reason
        self._tell({"what": "alarm", "message": f"node {worker.name} is {reason}"})
        kill = asyncio.ensure_future(self._kill(address, reason))
        self._kills.add(kill)
        kill.add_done_callback(self._kills.discard)

    async def _kill(self, address: str, reason: str) -> None:
        """Kill a worker's process through its nanny, which starts another.

        The nanny first, while Dask still knows the worker: one that it does not
        know any more leaves of its own accord when it wakes up, and takes its
        nanny along. Without a nanny that is all that can be done; what such a
        process still writes is fenced by its attempt.
        """
        try:
            outcome = await self._scheduler.restart_workers(
                [address],
                timeout=NANNY_S,
                wait_for_workers=False,
                on_error="return",
                stimulus_id=reason,
            )
        except Exception as error:
            self._failed("watchdog", error)
            return
        if outcome.get(address) != "OK":
            self._tell(
                {
                    "what": "alarm",
                    "message": f"the process of {address} could not be killed from "
                    "here; it is fenced and leaves when it wakes up",
                }
            )
