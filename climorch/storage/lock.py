"""Who may write: one driver at a time, and never one that was superseded.

Decides when a driver may take the journal from the one that holds it, and
raises the epoch when it does. Two independent guards: the lock row keeps a
second driver from starting, the epoch (checked inside each transaction)
keeps a paused old driver from committing after it was taken over, even where
the first guard was wrong about a clock or a process.
"""

from __future__ import annotations

import math
import os
import socket
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from climorch.errors import ConflictError, InvalidInputError

__all__ = [
    "SILENCE_S",
    "LockRow",
    "Owner",
    "acquire",
    "check_epoch",
    "check_now",
    "is_alive",
    "may_take_over",
    "read_lock",
    "release",
    "renew",
    "this_process",
]

SILENCE_S = 90.0
"""Silence of a holder on another machine after which it is given up, seconds.

Six missed heartbeats at the default of one in 15 s.
"""

_MAX_PID = 2**31 - 1


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
        if not self.host or not 0 < self.pid <= _MAX_PID:
            msg = (
                f"owner: host {self.host!r}, pid {self.pid}: expected a name and a "
                f"process id from 1 to {_MAX_PID}; use this_process()"
            )
            raise InvalidInputError(msg, host=self.host, pid=self.pid)


@dataclass(frozen=True, slots=True, kw_only=True)
class LockRow:
    """What the journal says about its driver.

    Attributes
    ----------
    epoch : int
        Number of the newest driver; 0: there has been none.
    holder : Owner or None
        That driver while it holds the journal.
    heartbeat_s : float
        Its clock when it was last heard of, in seconds.
    """

    epoch: int
    holder: Owner | None
    heartbeat_s: float


def may_take_over(row: LockRow, owner: Owner, now_s: float, alive: bool) -> bool:
    """Decide whether a driver may take the journal.

    Parameters
    ----------
    row : LockRow
        What the journal says.
    owner : Owner
        Who wants it.
    now_s : float
        The clock of `owner`, in seconds. Against the heartbeat of another
        machine it errs by the difference of their clocks; the epoch keeps
        that harmless.
    alive : bool
        Whether the holder's process still runs; only looked at where both are
        in the same pid namespace of the same boot.

    Returns
    -------
    bool
        True if nobody holds it, if the holder's machine was booted since, if
        its process is dead, or if it is elsewhere and has been silent for
        `SILENCE_S` or longer.
    """
    holder = row.holder
    if holder is None:
        return True
    if holder.host == owner.host and holder.boot_id != owner.boot_id:
        return True
    if _can_see(owner, holder):
        return not alive
    return now_s - row.heartbeat_s >= SILENCE_S


def _can_see(owner: Owner, other: Owner) -> bool:
    """Return whether a process id of `other` means the same to `owner`."""
    return (owner.host, owner.boot_id, owner.namespace) == (
        other.host,
        other.boot_id,
        other.namespace,
    )


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


def check_now(now_s: float) -> None:
    """Refuse a clock that would make a lock eternal or void.

    Parameters
    ----------
    now_s : float
        The driver's clock, in seconds.

    Raises
    ------
    InvalidInputError
        If it is not finite.
    """
    if not math.isfinite(now_s):
        msg = f"journal: now_s is {now_s!r}, expected a finite number of seconds"
        raise InvalidInputError(f"{msg}; pass the driver's clock", now_s=now_s)


def read_lock(db: sqlite3.Connection) -> LockRow:
    """Read the lock row.

    Parameters
    ----------
    db : sqlite3.Connection
        Of a journal.

    Returns
    -------
    LockRow
        As of the transaction that is open, else of now.
    """
    epoch, held, heartbeat_s, host, boot_id, pid, ticks, namespace = db.execute(
        "SELECT epoch, held, heartbeat_s, host, boot_id, pid, start_ticks, namespace"
        " FROM driver"
    ).fetchone()
    holder = None
    if held:
        holder = Owner(
            host=host, boot_id=boot_id, pid=pid, start_ticks=ticks, namespace=namespace
        )
    return LockRow(epoch=epoch, holder=holder, heartbeat_s=heartbeat_s)


def acquire(
    db: sqlite3.Connection,
    owner: Owner,
    now_s: float,
    *,
    alive: Callable[[Owner], bool],
    place: str,
) -> int:
    """Take the lock and raise the epoch, inside the caller's transaction.

    Parameters
    ----------
    db : sqlite3.Connection
        Of a journal, with a writing transaction open.
    owner : Owner
        Who takes it.
    now_s : float
        Its clock, in seconds.
    alive : callable
        Tells whether a process of this machine still runs.
    place : str
        The journal's name in messages.

    Returns
    -------
    int
        The new epoch.

    Raises
    ------
    ConflictError
        If another driver holds it (``facts["reason"]`` is ``"held"``).
    """
    row = read_lock(db)
    holder = row.holder
    seen = holder is not None and _can_see(owner, holder)
    lives = holder is not None and seen and alive(holder)
    if holder is not None and not may_take_over(row, owner, now_s, lives):
        raise _held(row, holder, now_s, here=seen, place=place)
    epoch = row.epoch + 1
    db.execute(
        "UPDATE driver SET epoch=?, held=1, heartbeat_s=?, host=?, boot_id=?, pid=?,"
        " start_ticks=?, namespace=?",
        (
            epoch,
            now_s,
            owner.host,
            owner.boot_id,
            owner.pid,
            owner.start_ticks,
            owner.namespace,
        ),
    )
    return epoch


def _held(
    row: LockRow, holder: Owner, now_s: float, *, here: bool, place: str
) -> ConflictError:
    """Name the holder and what to do about it."""
    silent_s = now_s - row.heartbeat_s
    wait_s = None if here else SILENCE_S - silent_s
    if wait_s is None:
        remedy = "stop that process, or close its campaign"
    else:
        remedy = f"stop it there, or if it is dead try again in {wait_s:.0f} s"
    msg = (
        f"{place}: held by process {holder.pid} on host {holder.host!r} (epoch "
        f"{row.epoch}, last heard of {silent_s:.0f} s ago); {remedy}"
    )
    return ConflictError(
        msg,
        reason="held",
        host=holder.host,
        pid=holder.pid,
        epoch=row.epoch,
        heartbeat_s=row.heartbeat_s,
        retry_after_s=wait_s,
    )


def check_epoch(db: sqlite3.Connection, epoch: int, place: str) -> None:
    """Refuse to go on, inside the caller's transaction, if superseded.

    Parameters
    ----------
    db : sqlite3.Connection
        Of a journal, with a writing transaction open.
    epoch : int
        The caller's.
    place : str
        The journal's name in messages.

    Raises
    ------
    ConflictError
        If a newer driver has taken over (``facts["reason"]`` is
        ``"superseded"``).
    """
    row = read_lock(db)
    if row.epoch != epoch:
        by = "nobody now" if row.holder is None else f"host {row.holder.host!r}"
        msg = (
            f"{place}: superseded: this driver has epoch {epoch}, the newest is "
            f"{row.epoch}, held by {by}; stop this driver, its work goes on there"
        )
        raise ConflictError(
            msg, reason="superseded", epoch=epoch, newest_epoch=row.epoch
        )


def renew(db: sqlite3.Connection, now_s: float) -> None:
    """Write the heartbeat, inside the caller's transaction; it never goes back."""
    db.execute("UPDATE driver SET heartbeat_s=max(heartbeat_s, ?)", (now_s,))


def release(db: sqlite3.Connection) -> None:
    """Give the lock up, inside the caller's transaction; the epoch stays."""
    db.execute("UPDATE driver SET held=0")
