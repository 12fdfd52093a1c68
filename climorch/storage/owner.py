"""Which process holds something, and whether it still runs.

Decides what tells one process from every other one, also after a reboot and
after its id was given to another process.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

from climorch.errors import InvalidInputError

__all__ = ["MAX_PID", "Owner", "is_alive", "this_process"]

MAX_PID = 2**31 - 1
"""Largest process id there can be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """One process of one boot of one machine.

    Attributes
    ----------
    host : str
        Name of the machine, unique among those that share the file system.
    boot_id : str
        Changes with each boot of the machine.
    pid : int
        Process id, from 1 to 2**31 - 1.
    start_ticks : int
        When the process started, in clock ticks since the boot; tells it from
        a later one with the same id. 0: not known.
    namespace : str
        The pid namespace: in two containers the same id means two processes.
    """

    host: str
    boot_id: str
    pid: int
    start_ticks: int = 0
    namespace: str = ""

    def __post_init__(self) -> None:
        """Check the fields, so that an owner that exists can be asked after."""
        if not self.host or not 0 < self.pid <= MAX_PID:
            msg = (
                f"owner: host {self.host!r}, pid {self.pid}: expected a name and a "
                f"process id from 1 to {MAX_PID}; use this_process()"
            )
            raise InvalidInputError(msg, host=self.host, pid=self.pid)


def this_process(proc: Path = Path("/proc")) -> Owner:
    """Describe the calling process.

    Parameters
    ----------
    proc : Path
        Where procfs is mounted. Where there is none, boots and reused process
        ids cannot be told apart.

    Returns
    -------
    Owner
        A machine that calls itself ``localhost`` gets its boot id as part of
        its name, since others may do so too.
    """
    boot_id = _text(proc / "sys/kernel/random/boot_id").strip()
    host = socket.gethostname()
    if host.startswith("localhost"):
        host = f"{host}-{boot_id}"
    try:
        namespace = os.readlink(proc / "self/ns/pid")
    except OSError:
        namespace = ""
    pid = os.getpid()
    started = _process_state(proc, pid)
    return Owner(
        host=host,
        boot_id=boot_id,
        pid=pid,
        start_ticks=started[1] if started else 0,
        namespace=namespace,
    )


def is_alive(owner: Owner, proc: Path = Path("/proc")) -> bool:
    """Ask the kernel whether a process of this machine still runs.

    Parameters
    ----------
    owner : Owner
        A process of the caller's pid namespace.
    proc : Path
        Where procfs is mounted.

    Returns
    -------
    bool
        False if there is none with that id, if it is a zombie, or if the id
        belongs to a process that started at another time. True in doubt.
    """
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # It exists and belongs to somebody else.
    # Under hidepid the kernel hides other users' processes: no news is "alive".
    found = _process_state(proc, owner.pid)
    if found is None:
        return True
    state, start_ticks = found
    if state in "ZX":
        return False
    return 0 in (owner.start_ticks, start_ticks) or start_ticks == owner.start_ticks


def _process_state(proc: Path, pid: int) -> tuple[str, int] | None:
    """Return state letter and start in ticks of a process (proc(5), 3 and 22)."""
    # The name in field 2 may hold blanks and brackets: count from the last one.
    fields = _text(proc / str(pid) / "stat").rpartition(")")[2].split()
    if len(fields) < 20:
        return None
    return fields[0], int(fields[19])


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
