"""The processes of models on one node: who has which, and what state it holds.

A live model's process stays between segments and carries the attempt and the
number of the segment that its state is for: only where they are the ones that
are asked for, it goes on without being given the state. An isolated step has a
process for one segment.
"""

from __future__ import annotations

import contextlib
import logging
import math
import select
import signal
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import xxhash

from climorch.engine import nursery
from climorch.engine.outline import distinct
from climorch.engine.wire import (
    Build,
    Built,
    Done,
    Failed,
    HungUpError,
    Work,
    receive,
    send,
)
from climorch.errors import InternalError
from climorch.model.advance import Advance, Segment
from climorch.model.events import Cause

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Children", "Job", "ModelFailedError", "Told"]

logger = logging.getLogger(__name__)

# Between two looks whether a silent process still runs.
LOOK_S = 0.5
# For a process to leave by itself, so that it can write what it has buffered.
GRACE_S = 2.0
# Within a message: the arrays are there before it begins.
STALL_S = 60.0


class ModelFailedError(Exception):
    """A step in a process of its own failed.

    Parameters
    ----------
    cause : Cause
        Whose retry budget it draws on.
    message : str
        What happened, with the model's traceback if it raised.
    """

    def __init__(self, cause: Cause, message: str) -> None:
        super().__init__(cause, message)
        self.cause = cause
        self.message = message

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A segment of a step in a process of its own.

    Attributes
    ----------
    owner : str
        Simulation, set and stage, joined by ``/``.
    attempt : str
        Tag of the attempt.
    segment : Segment
        What to advance.
    code : bytes
        The declaration, pickled by cloudpickle.
    keep : bool
        Whether the process stays for the next segment.
    build_timeout_s : float
        Longest time to build, in seconds.
    timeout_s : float or None
        Longest time for the segment, in seconds; None: no limit.
    """

    owner: str
    attempt: str
    segment: Segment
    code: bytes
    keep: bool
    build_timeout_s: float
    timeout_s: float | None

    @property
    def simulation(self) -> str:
        """Whose segment it is."""
        return self.owner.partition("/")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a segment took.

    Attributes
    ----------
    built, loaded : bool
        Whether a process was made; whether it was given the state.
    build_s, run_s : float
        Seconds to make it; to load, run and dump.
    """

    built: bool
    loaded: bool
    build_s: float
    run_s: float


@dataclass(slots=True)
class _Child:
    """The process of one stage.

    Attributes
    ----------
    lock : Lock
        Held by the segment that uses it.
    home, process, digest
        Its nursery, itself, and of which code it is; None: not started.
    holds : tuple or None
        Attempt and number of the segment that its state is for.
    busy : str
        Attempt that uses it; empty: none.
    """

    lock: threading.Lock = field(default_factory=threading.Lock)
    home: nursery.Nursery | None = None
    process: nursery.Process | None = None
    digest: int = 0
    holds: tuple[str, int] | None = None
    busy: str = ""

    def end(self, grace_s: float = 0.0) -> None:
        """End its process: politely within the grace, then by force."""
        process, self.process, self.holds = self.process, None, None
        if process is None or self.home is None:
            return
        with contextlib.suppress(OSError):
            # It leaves by itself if it only waits for the next message.
            process.sock.shutdown(socket.SHUT_RDWR)
        until_s = time.monotonic() + grace_s
        while self.home.poll(process) is None:
            if time.monotonic() >= until_s:
                process.kill()
                until_s = float("inf")
            time.sleep(0.005)
        process.sock.close()


class Children:
    """The processes of one node; each method may be called on any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._children: dict[str, _Child] = {}
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
            child = self._children.setdefault(job.owner, _Child())
        with child.lock:
            with self._lock:
                self._refuse_over(job)
                child.busy = job.attempt
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
        """Kill what works for an attempt; idle processes stay for the next one."""
        with self._lock:
            self._over.append(attempt)
            busy = [c.process for c in self._children.values() if c.busy == attempt]
        for process in busy:
            if process is not None:
                process.kill()

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

    def _refuse_over(self, job: Job) -> None:
        if self._closed or job.attempt in self._over:
            raise ModelFailedError(Cause.NODE_LOST, f"{job.attempt} is over")

    def _advance(
        self,
        child: _Child,
        job: Job,
        state: Callable[[], xr.Dataset],
        inputs: Callable[[], Mapping[str, xr.Dataset]],
    ) -> tuple[Advance, Told]:
        begin_s = time.monotonic()
        built = self._ready(child, job)
        built_s = time.monotonic()
        here = (job.attempt, job.segment.index)
        loaded = not job.keep or child.holds != here
        # Not known until it has answered.
        child.holds = None
        limit_s = job.timeout_s
        if limit_s is not None and built:
            limit_s += job.build_timeout_s
        work = Work(
            state=state() if loaded else None,
            inputs={name: distinct(given) for name, given in inputs().items()},
            segment=job.segment,
        )
        answer = self._answer(child, job, work, limit_s)
        if not isinstance(answer, Done):
            raise InternalError(f"a {type(answer).__name__} came for a segment")
        child.holds = (job.attempt, job.segment.index + 1)
        return answer.advance, Told(
            built=built,
            loaded=loaded,
            build_s=built_s - begin_s,
            run_s=time.monotonic() - built_s,
        )

    def _ready(self, child: _Child, job: Job) -> bool:
        """Have a process of this code; return whether it was made now."""
        digest = xxhash.xxh3_64_intdigest(job.code)
        if child.process is not None and child.home is not None:
            if child.digest == digest and child.home.poll(child.process) is None:
                return False
            child.end()
        child.home = nursery.join(self)
        process = child.home.start()
        with self._lock:
            child.process, child.digest = process, digest
            self._refuse_over(job)
        build = Build(code=job.code, path=tuple(sys.path), segment=job.segment)
        answer = self._answer(child, job, build, job.build_timeout_s)
        if not isinstance(answer, Built):
            raise InternalError(f"a {type(answer).__name__} came for a build")
        return True

    def _answer(
        self, child: _Child, job: Job, message: Build | Work, limit_s: float | None
    ) -> Any:
        """Send a message and wait for its answer.

        Raises
        ------
        ModelFailedError
            If none comes, or one that says so.
        """
        process, home = child.process, child.home
        if process is None or home is None:
            raise InternalError(f"{job.owner} has no process")
        first = isinstance(message, Build)
        place = f"{job.owner}, {'build' if first else f'segment {job.segment.index}'}"
        process.sock.settimeout(STALL_S)
        until_s = math.inf if limit_s is None else time.monotonic() + limit_s
        answer = None
        try:
            send(process.sock, message)
            del message
            while answer is None and time.monotonic() < until_s:
                # Looked at before the socket is: what it said before it ended counts.
                ended = home.poll(process) is not None
                if _readable(process.sock, 0.0 if ended else LOOK_S):
                    answer = receive(process.sock, writable=False)
                elif ended:
                    # Somebody else holds its end of the socket open.
                    break
        except HungUpError:
            until_s = math.inf
        except TimeoutError:
            until_s = 0.0
        if answer is None and time.monotonic() >= until_s:
            raise ModelFailedError(
                Cause.HANG, f"{place}: no answer within {limit_s} s; it was killed"
            )
        if answer is None:
            raise _death(place, _status(home, process))
        if isinstance(answer, Failed):
            raise ModelFailedError(answer.cause, f"{place}: {answer.message}")
        return answer


def _readable(sock: socket.socket, wait_s: float) -> bool:
    """Wait for something to read."""
    # Not `select.select`: a busy node has more descriptors than that knows.
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(wait_s * 1000))


def _status(home: nursery.Nursery, process: nursery.Process) -> int:
    """Return how a process ended that has hung up; one that lingers is killed."""
    until_s = time.monotonic() + GRACE_S
    while (status := home.poll(process)) is None:
        if time.monotonic() >= until_s:
            process.kill()
        time.sleep(0.005)
    return status


def _death(place: str, status: int) -> ModelFailedError:
    """Say whose fault the end of a process is."""
    if status >= 0:
        told = f"{place}: the model's process left with status {status}"
        return ModelFailedError(Cause.MODEL, told)
    name = signal.strsignal(-status)
    told = f"{place}: the model's process was ended by signal {-status} ({name})"
    match -status:
        case signal.SIGKILL:
            # It is what the kernel sends when memory runs out.
            return ModelFailedError(
                Cause.MEMORY, f"{told}; give the node more memory if it was full"
            )
        case signal.SIGTERM | signal.SIGINT | signal.SIGHUP:
            return ModelFailedError(Cause.NODE_LOST, told)
        case _:
            return ModelFailedError(Cause.MODEL, told)
