"""A node's hand on its nursery: start, look at and kill the processes of models.

One nursery serves all nodes of a process; it starts with the first model and
ends with the last node.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass, field

from climorch.errors import BackendError
from climorch.sites.settings import WORKER_ENVIRONMENT

__all__ = ["Nursery", "Process", "join", "leave"]

# Importing takes seconds, and much longer on a crowded machine.
ANSWER_S = 300.0
END_S = 10.0

# The path first: it may be what brings this library.
PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[3]); "
    "from climorch.engine.nursing import main; "
    "main(int(sys.argv[1]), int(sys.argv[2]))"
)


@dataclass(slots=True, kw_only=True)
class Process:
    """The process of a model.

    Attributes
    ----------
    pid : int
        Its process id, and that of its group.
    sock : socket
        Connected to it.
    status : int or None
        How it ended, as `subprocess` tells it; None: not known to have ended.
    lock : Lock
        Held while its number is used or given up.
    """

    pid: int
    sock: socket.socket
    status: int | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def kill(self) -> None:
        """Kill it with its group, at once and without waiting for its end."""
        with self.lock:
            # Not reaped before it was polled: until then the number is its own.
            if self.status is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.pid, signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to leave; what it has started is its own to ask."""
        with self.lock:
            if self.status is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.pid, signal.SIGTERM)


class Nursery:
    """A nursery in a process group of its own; see `nursing`."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(ANSWER_S)
        self._control = ours
        self._lock = threading.Lock()
        self.alive = True
        with theirs:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    PROGRAM,
                    str(theirs.fileno()),
                    str(os.getpid()),
                    json.dumps([str(entry) for entry in sys.path]),
                ],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                process_group=0,
                # One thread where a node would have one: the same bits in a node
                # of this process, and a fork never meets another thread.
                env={**WORKER_ENVIRONMENT, **os.environ},
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def start(self) -> Process:
        """Start a process for a model.

        Raises
        ------
        BackendError
            If the nursery is gone.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                pid = int(self._ask("start", theirs))
            except BaseException:
                ours.close()
                raise
        return Process(pid=pid, sock=ours)

    def poll(self, process: Process) -> int | None:
        """Return how a process ended, as `subprocess` tells it; None: it runs."""
        with process.lock:
            if process.status is None:
                try:
                    answer = self._ask(f"poll {process.pid}")
                except BackendError:
                    # The kernel has killed it, but not what it had started: its
                    # group, whose number nobody else gets while a member lives.
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.killpg(process.pid, signal.SIGKILL)
                    answer = str(-signal.SIGTERM)
                process.status = int(answer) if answer else None
            return process.status

    def close(self) -> None:
        """End it with all that it started."""
        with self._lock:
            self.alive = False
            self._control.close()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _ask(self, order: str, given: socket.socket | None = None) -> str:
        with self._lock:
            try:
                if given is None:
                    self._control.send(order.encode())
                else:
                    socket.send_fds(self._control, [order.encode()], [given.fileno()])
                answer = self._control.recv(64)
            except OSError:
                answer = b""
            if not answer:
                self.alive = False
                raise BackendError(
                    "the process that starts models is gone; the segment is tried "
                    "again with a new one"
                )
            return answer.decode().strip()


_lock = threading.Lock()
_users: set[int] = set()
_nurseries: list[Nursery] = []


def join(user: object) -> Nursery:
    """Return the nursery of this process; `leave` when it is not needed any more.

    Parameters
    ----------
    user : object
        Who needs it.
    """
    with _lock:
        _users.add(id(user))
        for gone in [n for n in _nurseries if not n.alive]:
            gone.close()
            _nurseries.remove(gone)
        if not _nurseries:
            _nurseries.append(Nursery())
        return _nurseries[-1]


def leave(user: object) -> None:
    """Do without; the last one ends the nursery."""
    with _lock:
        _users.discard(id(user))
        if not _users:
            while _nurseries:
                _nurseries.pop().close()
