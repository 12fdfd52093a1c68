"""The nursery: a process that starts the processes of models and sees to their end.

It has imported what models need and runs no code of users, so a fork of it is a
fresh interpreter within milliseconds, and it is always there to answer. When
its node is gone, however that died, it kills every group that it started; when
it is gone itself, the kernel kills its children.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import select
import signal
import socket

import numpy as np

from climorch.engine.modelling import serve
from climorch.sites.batch.agent import adopt, end_descendants

__all__ = ["main"]

PR_SET_PDEATHSIG = 1
LOOK_S = 1.0


def main(control: int, parent: int) -> None:
    """Nurse until the node is gone; in a child: serve until it hangs up.

    Parameters
    ----------
    control : int
        Descriptor of a socket of packets, connected to the node.
    parent : int
        Process id of the node.
    """
    # Else each collection in a child would copy every page.
    gc.collect()
    gc.freeze()
    adopt()
    born = _nurse(socket.socket(fileno=control), parent)
    if born is not None:
        with born:
            serve(born)


def _nurse(control: socket.socket, parent: int) -> socket.socket | None:
    """Carry out orders; return a socket only in a new child."""
    groups: set[int] = set()
    # A fork of the node may hold its end of the socket beyond its death, so
    # its process id is looked at too.
    while os.getppid() == parent:
        if not select.select([control], [], [], LOOK_S)[0]:
            continue
        order, descriptors = _order(control)
        match order:
            case ["start"]:
                nursery = os.getpid()
                pid = os.fork()
                if pid == 0:
                    control.close()
                    return _born(descriptors[0], nursery)
                # In the child too: whoever comes first.
                _own_group(pid)
                groups.add(pid)
                answer = str(pid)
            case ["poll", name]:
                answer = _ended(int(name), groups)
            case _:
                break
        for descriptor in descriptors:
            os.close(descriptor)
        try:
            control.send(answer.encode() or b" ")
        except OSError:
            break
    for pid in groups:
        _kill(pid)
    # What models have started in sessions of their own.
    end_descendants(os.getpid())
    return None


def _order(control: socket.socket) -> tuple[list[str], list[int]]:
    try:
        order, descriptors, _, _ = socket.recv_fds(
            control, 64, 1, socket.MSG_CMSG_CLOEXEC
        )
    except ConnectionResetError:
        return [], []
    return order.decode().split(), descriptors


def _born(descriptor: int, nursery: int) -> socket.socket:
    _own_group(0)
    # Not inherited: what a model's helpers leave behind is the model's.
    adopt()
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != nursery:
        # It died before the kernel was told.
        os.kill(os.getpid(), signal.SIGKILL)
    # What a program makes is its owner's and the group's to write, whatever was said.
    os.umask(os.umask(0o077) | 0o002)
    # A node may ignore it, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # Forks share the state that NumPy drew when the nursery imported it: members
    # of an ensemble that forget their seed would all be the same member.
    np.random.seed()  # noqa: NPY002 the old generator is the one that is shared
    return socket.socket(fileno=descriptor)


def _own_group(pid: int) -> None:
    with contextlib.suppress(OSError):
        os.setpgid(pid, pid)


def _kill(pid: int) -> None:
    """Kill a whole group; its leader is not reaped yet, so the number is its own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _ended(pid: int, groups: set[int]) -> str:
    """Return the exit status of a child that ended, with its whole group."""
    if pid not in groups:
        return str(-signal.SIGKILL)
    options = os.WEXITED | os.WNOHANG | os.WNOWAIT
    if os.waitid(os.P_PID, pid, options) is None:
        return ""
    # What it left behind in its group ends with it.
    _kill(pid)
    _, status = os.waitpid(pid, 0)
    groups.discard(pid)
    # All that has come to us are its: who lives has adopted its own.
    end_descendants(os.getpid(), groups)
    return str(os.waitstatus_to_exitcode(status))
