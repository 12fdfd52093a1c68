"""Who may write: one driver at a time, and never one that was superseded.

Decides when a driver may take the journal from the one that holds it, and
raises the epoch when it does. Two independent guards: the lock row keeps a
second driver from starting, the epoch (checked inside each transaction)
keeps a paused old driver from committing after it was taken over, even where
the first guard was wrong about a clock or a process.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from climorch.errors import ConflictError, CorruptDataError, InvalidInputError
from climorch.storage.owner import MAX_PID, Owner, is_alive, this_process

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


def read_lock(db: sqlite3.Connection, place: str) -> LockRow:
    """Read the lock row.

    Parameters
    ----------
    db : sqlite3.Connection
        Of a journal.
    place : str
        The journal's name in messages.

    Returns
    -------
    LockRow
        As of the transaction that is open, else of now.

    Raises
    ------
    CorruptDataError
        If the row is missing or not readable.
    """
    found = db.execute(
        "SELECT epoch, heartbeat_s, held, host, boot_id, pid, start_ticks, namespace"
        " FROM driver"
    ).fetchone()
    match found:
        case (int(epoch), float(heartbeat_s), 0, *_):
            return LockRow(epoch=epoch, holder=None, heartbeat_s=heartbeat_s)
        case (
            int(epoch),
            float(heartbeat_s),
            1,
            str(host),
            str(boot_id),
            int(pid),
            int(ticks),
            str(namespace),
        ) if host and 0 < pid <= MAX_PID:
            holder = Owner(
                host=host,
                boot_id=boot_id,
                pid=pid,
                start_ticks=ticks,
                namespace=namespace,
            )
            return LockRow(epoch=epoch, holder=holder, heartbeat_s=heartbeat_s)
        case _:
            msg = f"{place}: no readable lock row; go back to a copy of the file"
            raise CorruptDataError(msg, place=place)


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
    row = read_lock(db, place)
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
    row = read_lock(db, place)
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


def release(db: sqlite3.Connection, epoch: int) -> None:
    """Give the lock up if `epoch` still holds it; the epoch itself stays."""
    db.execute("UPDATE driver SET held=0 WHERE epoch=?", (epoch,))
