"""One process of a model, as its node sees it: start, ask, wait, end.

Whatever goes wrong with it comes out as one error that says whose fault it is.
"""

from __future__ import annotations

import contextlib
import math
import select
import signal
import socket
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import xxhash

from climorch.engine import nursery
from climorch.engine.stacks import innermost, relevant, stack_of
from climorch.engine.wire import (
    Build,
    Built,
    Call,
    Failed,
    HungUpError,
    Work,
    receive,
    send,
)
from climorch.errors import InternalError
from climorch.model.advance import Segment
from climorch.model.events import Cause
from climorch.model.programs import RunPlace

__all__ = ["Child", "Job", "ModelFailedError", "cause_of_signal"]

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
    stack : str
        Where it stood when it was killed because it hung; empty: it was not.
    node : str
        On which node; empty: not said.
    """

    def __init__(
        self, cause: Cause, message: str, stack: str = "", node: str = ""
    ) -> None:
        # All of them: it is pickled by its arguments.
        super().__init__(cause, message, stack, node)
        self.cause = cause
        self.message = message
        self.stack = stack
        self.node = node

    def on(self, node: str) -> ModelFailedError:
        """Return the same with the node on which it happened."""
        return ModelFailedError(self.cause, self.message, self.stack, node)

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
    timeout_s : float
        Longest time for the segment, in seconds; inf: no limit.
    place : RunPlace or None
        Where it runs, if it is a program.
    grace_s : float
        Seconds that it gets to leave when its attempt is over; 0: it is killed.
    """

    owner: str
    attempt: str
    segment: Segment
    code: bytes
    keep: bool
    build_timeout_s: float
    timeout_s: float
    place: RunPlace | None = None
    grace_s: float = 0.0

    @property
    def holds(self) -> bool:
        """Whether its process has the state of the next segment."""
        return self.keep and self.place is None

    @property
    def longest_s(self) -> float:
        """Longest time with a process that is made for it, in seconds."""
        return self.build_timeout_s + self.first_s

    @property
    def first_s(self) -> float:
        """Longest time of the first segment after a build, in seconds.

        Compilers work there, where a model is kept; a step that is not has them
        in each of its segments.
        """
        return self.timeout_s + (self.build_timeout_s if self.holds else 0.0)

    @property
    def simulation(self) -> str:
        """Whose segment it is."""
        return self.owner.partition("/")[0]


@dataclass(slots=True)
class Child:
    """The process of one stage.

    Attributes
    ----------
    lock : Lock
        Held by the segment that uses it.
    home, process, digest
        Its nursery, itself, and of which code it is; None: not started.
    holds : tuple or None
        Attempt and `Segment.place` that its state is for.
    busy : str
        Attempt that uses it; empty: none.
    over : bool
        Whether that attempt was abandoned.
    grace_s : float
        Of what it does, as of `Job`.
    """

    lock: threading.Lock = field(default_factory=threading.Lock)
    home: nursery.Nursery | None = None
    process: nursery.Process | None = None
    digest: int = 0
    holds: tuple[str, int] | None = None
    busy: str = ""
    over: bool = False
    grace_s: float = 0.0

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

    def stop(self) -> None:
        """End what it does without waiting for that: it may have time to leave."""
        process = self.process
        if process is None:
            return
        if not self.grace_s:
            process.kill()
            return
        process.terminate()
        later = threading.Timer(self.grace_s, process.kill)
        later.daemon = True
        later.start()

    def ready(self, job: Job, user: object) -> bool:
        """Have a process of this code; return whether it was made now.

        Parameters
        ----------
        job : Job
            What it is for.
        user : object
            Who answers for the nursery; see `nursery.join`.
        """
        digest = xxhash.xxh3_64_intdigest(job.code)
        if self.process is not None and self.home is not None:
            if self.digest == digest and self.home.poll(self.process) is None:
                return False
            self.end()
        self.home = nursery.join(user)
        self.process, self.digest = self.home.start(), digest
        # Who abandons it sets this first and looks for a process then.
        if self.over:
            raise ModelFailedError(Cause.NODE_LOST, f"{job.attempt} is over")
        build = Build(
            code=job.code, path=tuple(sys.path), segment=job.segment, owner=job.owner
        )
        answer = self.answer(job, build, job.build_timeout_s)
        if not isinstance(answer, Built):
            raise InternalError(f"a {type(answer).__name__} came for a build")
        return True

    def answer(self, job: Job, message: Build | Work, limit_s: float) -> Any:
        """Send a message and wait for its answer.

        Parameters
        ----------
        job : Job
            What it is about.
        message : Build or Work
            What is sent.
        limit_s : float
            Longest wait, in seconds; inf: no limit.

        Raises
        ------
        ModelFailedError
            If none comes, or one that says so.
        """
        first = isinstance(message, Build)
        place = f"{job.owner}, {'build' if first else f'segment {job.segment.index}'}"
        return self.exchange(place, message, limit_s)

    def exchange(self, place: str, message: Build | Work | Call, limit_s: float) -> Any:
        """Send a message and wait for its answer.

        Parameters
        ----------
        place : str
            What it is about, for errors.
        message, limit_s
            As for `answer`.

        Raises
        ------
        ModelFailedError
            If none comes, or one that says so.
        """
        process, home = self.process, self.home
        if process is None or home is None:
            raise InternalError(f"{place} has no process")
        process.sock.settimeout(STALL_S)
        until_s = time.monotonic() + limit_s
        answer = None
        try:
            send(process.sock, message)
            while answer is None and (left_s := until_s - time.monotonic()) > 0:
                # Looked at before the socket is: what it said before it ended counts.
                ended = home.poll(process) is not None
                if _readable(process.sock, 0.0 if ended else min(LOOK_S, left_s)):
                    answer = receive(process.sock, writable=False)
                elif ended:
                    # Somebody else holds its end of the socket open.
                    break
        except HungUpError:
            until_s = math.inf
        except TimeoutError:
            until_s = 0.0
        if answer is None and time.monotonic() >= until_s:
            raise _hang(place, limit_s, process.pid)
        if answer is None:
            raise _death(place, _status(home, process))
        if isinstance(answer, Failed):
            raise ModelFailedError(answer.cause, f"{place}: {answer.message}")
        return answer


def _hang(place: str, limit_s: float, pid: int) -> ModelFailedError:
    """Say where a model stands that does not answer, before it is killed."""
    stack = relevant(stack_of(pid))
    waited_s = limit_s if math.isfinite(limit_s) else STALL_S
    told = f"{place}: no answer within {waited_s:g} s; it was killed"
    at = innermost(stack)
    return ModelFailedError(
        Cause.HANG, f"{told}; it stood at {at}" if at else told, stack
    )


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
    cause = cause_of_signal(-status)
    if cause is Cause.MEMORY:
        told += "; give the node more memory if it was full"
    return ModelFailedError(cause, told)


def cause_of_signal(number: int) -> Cause:
    """Say which retry budget a signal draws on that ended a process."""
    match number:
        case signal.SIGKILL:
            # It is what the kernel sends when memory runs out.
            return Cause.MEMORY
        case signal.SIGTERM | signal.SIGINT | signal.SIGHUP:
            return Cause.NODE_LOST
        case _:
            return Cause.MODEL
