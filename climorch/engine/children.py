"""The processes of models on one node: who has which, and what state it holds.

A live model's process stays between segments and carries the attempt and the
number of the segment that its state is for: only where they are the ones that
are asked for, it goes on without being given the state. An isolated step has a
process for one segment.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from climorch.engine import nursery
from climorch.engine.child import GRACE_S, Child, Job, ModelFailedError
from climorch.engine.outline import distinct
from climorch.engine.wire import Done, Work
from climorch.errors import InternalError
from climorch.model.advance import Advance
from climorch.model.events import Cause

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Children", "Told"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a segment took.

    Attributes
    ----------
    built, loaded : bool
        Whether a process was made; whether it was given the state.
    build_s, run_s : float
        Seconds to make it; to load, run and dump.
    cpu_s, memory_bytes : float, int
        CPU seconds of the process and of what it started; the most memory that it
        had, with the largest of what it started.
    program_s : float
        Seconds of these that a program ran.
    """

    built: bool
    loaded: bool
    build_s: float
    run_s: float
    cpu_s: float = 0.0
    memory_bytes: int = 0
    program_s: float = 0.0

    def __str__(self) -> str:
        return (
            f"built={self.built} loaded={self.loaded} build_s={self.build_s:.3f} "
            f"run_s={self.run_s:.3f} program_s={self.program_s:.3f}"
        )


class Children:
    """The processes of one node; each method may be called on any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._children: dict[str, Child] = {}
        # Attempts that are over: what of them still waits must not begin.
        self._over: deque[str] = deque(maxlen=1000)
        self._closed = False

    def run(
        self,
        job: Job,
        state: Callable[[], xr.Dataset],
        inputs: Callable[[], Mapping[str, xr.Dataset]],
    ) -> tuple[Advance, Told]:
        """Advance by a segment.

        Parameters
        ----------
        job : Job
            Which.
        state, inputs : callable
            Return what the step is given; the state is asked for only where
            the process does not hold it.

        Returns
        -------
        advance : Advance
            In memory, read-only.
        told : Told
            What it took.

        Raises
        ------
        ModelFailedError
            If it raised, died, or took too long; its process is gone then.
        BackendError
            If no process can be started.
        """
        with self._lock:
            child = self._children.setdefault(job.owner, Child())
        with child.lock:
            with self._lock:
                if self._closed or job.attempt in self._over:
                    raise ModelFailedError(Cause.NODE_LOST, f"{job.attempt} is over")
                child.busy, child.over = job.attempt, False
                child.grace_s = job.grace_s
            try:
                found = self._advance(child, job, state, inputs)
            except BaseException:
                child.busy = ""
                child.end()
                raise
            child.busy = ""
            if not job.keep:
                child.end(GRACE_S)
            return found

    def abandon(self, attempt: str) -> None:
        """End what works for an attempt; idle processes stay for the next one."""
        with self._lock:
            self._over.append(attempt)
            busy = [c for c in self._children.values() if c.busy == attempt]
        for child in busy:
            child.over = True
            child.stop()

    def end(self, owners: str) -> None:
        """End idle processes whose owner's name begins so.

        Parameters
        ----------
        owners : str
            Beginning of their names; empty: all.
        """
        with self._lock:
            found = [c for name, c in self._children.items() if name.startswith(owners)]
        for child in found:
            # Who holds the lock computes; its attempt is abandoned by name.
            if child.lock.acquire(blocking=False):
                try:
                    child.end(GRACE_S)
                finally:
                    child.lock.release()

    def close(self) -> None:
        """End everything; nothing may be started afterwards."""
        with self._lock:
            self._closed = True
            attempts = {c.busy for c in self._children.values() if c.busy}
        for attempt in attempts:
            self.abandon(attempt)
        self.end("")
        for child in self._children.values():
            # Killed above: its thread gives it up at once.
            with child.lock:
                child.end()
        nursery.leave(self)

    def pids(self) -> dict[str, int]:
        """Return the process ids of what runs, by owner."""
        with self._lock:
            return {
                name: child.process.pid
                for name, child in self._children.items()
                if child.process is not None
            }

    def _advance(
        self,
        child: Child,
        job: Job,
        state: Callable[[], xr.Dataset],
        inputs: Callable[[], Mapping[str, xr.Dataset]],
    ) -> tuple[Advance, Told]:
        begin_s = time.monotonic()
        built = child.ready(job, self)
        built_s = time.monotonic()
        here = (job.attempt, job.segment.place)
        loaded = not job.holds or child.holds != here
        # Not known until it has answered.
        child.holds = None
        limit_s = job.first_s if built else job.timeout_s
        work = Work(
            state=state() if loaded else None,
            inputs={name: distinct(given) for name, given in inputs().items()},
            segment=job.segment,
            place=job.place,
        )
        answer = child.answer(job, work, limit_s)
        if not isinstance(answer, Done):
            raise InternalError(f"a {type(answer).__name__} came for a segment")
        child.holds = (job.attempt, job.segment.place + 1)
        return answer.advance, Told(
            built=built,
            loaded=loaded,
            build_s=built_s - begin_s,
            run_s=time.monotonic() - built_s,
            cpu_s=answer.cpu_s,
            memory_bytes=answer.memory_bytes,
            program_s=answer.program_s,
        )
