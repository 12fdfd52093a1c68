"""A journal in memory: for tests, for the twin, and to check the suite with.

Keeps the whole contract of `JournalPort` except that it ends with the process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from climorch.core.ports import JournalReport, Row, Snapshot, StoredRow
from climorch.errors import (
    BackendError,
    ConflictError,
    Fault,
    InvalidInputError,
    NotAllowedError,
)
from climorch.storage.journal_chain import RawRow, genesis, problem_with, raw_rows
from climorch.storage.lock import LockRow, check_now, may_take_over
from climorch.storage.owner import Owner, is_alive

__all__ = ["MemoryJournal", "MemoryStore"]


class MemoryStore:
    """What outlives a `MemoryJournal`, as a disk does.

    Attributes
    ----------
    failing : str or None
        While set, whatever would write raises `BackendError` with this as its
        reason.
    lock : LockRow
        Epoch, holder and heartbeat.
    rows : list of RawRow
        In the order of their serials; tests may damage them.
    snapshots : dict of int to bytes
        By serial.
    """

    def __init__(self) -> None:
        self.failing: str | None = None
        self.has_ballast = True
        self.lock = LockRow(epoch=0, holder=None, heartbeat_s=0.0)
        self.rows: list[RawRow] = []
        self.snapshots: dict[int, bytes] = {}


_FIRST = genesis("memory", b"")


class MemoryJournal:
    """The journal of one driver over a `MemoryStore`; see `JournalPort`.

    Parameters
    ----------
    store : MemoryStore
        What is there.
    owner : Owner
        Who takes the lock.
    now_s : float
        Its clock, in seconds; finite.
    alive : callable
        Tells whether a process of this machine still runs.

    Raises
    ------
    ConflictError
        If another driver holds it.
    """

    def __init__(
        self,
        store: MemoryStore,
        *,
        owner: Owner,
        now_s: float,
        alive: Callable[[Owner], bool] = is_alive,
    ) -> None:
        check_now(now_s)
        self._store = store
        self._closed = False
        lock = store.lock
        lives = lock.holder is not None and alive(lock.holder)
        if not may_take_over(lock, owner, now_s, lives):
            msg = f"journal in memory: held by {lock.holder}; close that one first"
            raise ConflictError(msg, reason="held", epoch=lock.epoch)
        self._epoch = lock.epoch + 1
        store.lock = LockRow(epoch=self._epoch, holder=owner, heartbeat_s=now_s)

    @property
    def epoch(self) -> int:
        """The number of this driver, from 1."""
        return self._epoch

    @property
    def last_serial(self) -> int:
        """Serial of the newest row; 0 when there is none."""
        return self._store.rows[-1][0] if self._store.rows else 0

    def append(self, rows: Sequence[Row]) -> int:
        """Add rows, all or none; see `JournalPort.append`."""
        self._check_writable("append")
        stored = self._store.rows
        last = _FIRST
        if stored:
            last = last._replace(serial=stored[-1][0], chain=stored[-1][5])
        stored.extend(raw_rows(last, self._epoch, rows))
        return self.last_serial

    def read(self, after: int = 0, *, check: bool = True) -> Iterator[StoredRow]:
        """Stream rows; see `JournalPort.read`. Here they are always whole."""
        self._check_open()
        if after < 0:
            msg = f"journal in memory: read after {after}: expected 0 or more"
            raise InvalidInputError(f"{msg}; pass the last serial seen", after=after)
        return self._stream(after)

    def _stream(self, after: int) -> Iterator[StoredRow]:
        for serial, epoch, kind, payload, now_s, chain in tuple(self._store.rows):
            if serial > after:
                yield StoredRow(
                    serial=serial,
                    epoch=epoch,
                    kind=kind.decode(),
                    payload=payload,
                    now_s=now_s,
                    chain=chain,
                )

    def verify(self) -> JournalReport:
        """Compare every row with the chain; see `JournalPort.verify`."""
        self._check_open()
        chain, epoch = _FIRST.chain, 0
        faults: list[Fault] = []
        bad: list[int] = []
        for raw in self._store.rows:
            if problem := problem_with(chain, epoch, raw):
                remedy = "do not change what is stored"
                place = f"journal in memory, row {raw[0]}"
                faults.append(Fault(place=place, problem=problem, remedy=remedy))
                bad.append(raw[0])
            epoch, chain = raw[1], raw[5]
        return JournalReport(
            rows=len(self._store.rows),
            last_serial=self.last_serial,
            epoch=self._store.lock.epoch,
            faults=tuple(faults),
            bad_serials=tuple(bad),
        )

    def heartbeat(self, now_s: float) -> None:
        """Tell that this driver lives; see `JournalPort.heartbeat`."""
        check_now(now_s)
        self._check_writable("heartbeat")
        lock = self._store.lock
        self._store.lock = LockRow(
            epoch=lock.epoch,
            holder=lock.holder,
            heartbeat_s=max(lock.heartbeat_s, now_s),
        )

    def save_snapshot(self, serial: int, blob: bytes) -> None:
        """Keep an encoded state; see `JournalPort.save_snapshot`."""
        self._check_writable("save a snapshot")
        if not 1 <= serial <= self.last_serial:
            msg = f"snapshot {serial}: no such row, the newest is {self.last_serial}"
            raise InvalidInputError(f"{msg}; pass the last row in it", serial=serial)
        kept = {**self._store.snapshots, serial: blob}
        self._store.snapshots = dict(sorted(kept.items())[-2:])

    def latest_snapshot(self) -> Snapshot | None:
        """Return the newest snapshot; see `JournalPort.latest_snapshot`."""
        self._check_open()
        if not self._store.snapshots:
            return None
        return Snapshot(*max(self._store.snapshots.items()))

    @property
    def has_ballast(self) -> bool:
        """Whether there is space set aside, in name only."""
        return self._store.has_ballast

    def give_up_ballast(self) -> bool:
        """Free the space set aside; return whether there was any."""
        had, self._store.has_ballast = self._store.has_ballast, False
        return had

    def restore_ballast(self) -> bool:
        """Set space aside again; return whether that was possible."""
        if self._store.failing is None:
            self._store.has_ballast = True
        return self._store.has_ballast

    def close(self) -> None:
        """Release the lock; again: does nothing."""
        lock = self._store.lock
        if not self._closed and lock.epoch == self._epoch:
            self._store.lock = LockRow(
                epoch=lock.epoch, holder=None, heartbeat_s=lock.heartbeat_s
            )
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            msg = "journal in memory: closed; open it again"
            raise NotAllowedError(msg, reason="closed")

    def _check_writable(self, doing: str) -> None:
        self._check_open()
        newest = self._store.lock.epoch
        if newest != self._epoch:
            msg = (
                f"journal in memory: superseded: this driver has epoch {self._epoch}, "
                f"the newest is {newest}; stop this driver"
            )
            raise ConflictError(
                msg, reason="superseded", epoch=self._epoch, newest_epoch=newest
            )
        if self._store.failing is not None:
            msg = f"journal in memory: {doing}: {self._store.failing}; try again"
            raise BackendError(msg, reason=self._store.failing)
