"""A thread of its own for the journal, so that a slow disk stops nobody else.

Decides which submissions share a transaction (all that wait, up to a bound) and
when the heartbeat is written. Ignores what to do when the disk fails: the
caller's future fails, the caller has kept its rows and submits them again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, TypeVar

from climorch.core.ports import JournalPort, Row
from climorch.errors import (
    BackendError,
    ClimorchError,
    InvalidInputError,
    NotAllowedError,
)

__all__ = ["HEARTBEAT_S", "JournalThread"]

logger = logging.getLogger(__name__)

HEARTBEAT_S = 15.0
"""Default time between two heartbeats, in seconds."""

MAX_ROWS = 4096

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Append:
    """Rows that go into one transaction, and who waits for them."""

    rows: tuple[Row, ...]
    future: Future[int] = field(default_factory=Future)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """Something else to be done in the thread; leaves its outcome itself."""

    work: Callable[[], None]
    rows: tuple[Row, ...] = ()


class JournalThread:
    """Appends to a journal in the background, in the order of submission.

    The journal is not closed with it. A heartbeat is also due while nothing is
    submitted; after `close`, or on a hanging disk, there is none.

    Parameters
    ----------
    journal : JournalPort
        Not to be written to by others meanwhile.
    now : callable
        The driver's clock, in seconds; by default that of the machine, UTC.
    heartbeat_s : float
        Time between two heartbeats, in seconds, > 0; see `SILENCE_S` in
        `climorch.storage.lock`.
    max_rows : int
        Rows that one transaction has at most, >= 1; a submission that has more
        gets one of its own.
    on_heartbeat_error : callable or None
        Told, in this thread, of each heartbeat that failed: a `ConflictError`
        means that a newer driver has taken over. What it raises is logged.

    Raises
    ------
    InvalidInputError
        If `heartbeat_s` or `max_rows` is out of range.
    """

    def __init__(
        self,
        journal: JournalPort,
        *,
        now: Callable[[], float] = time.time,
        heartbeat_s: float = HEARTBEAT_S,
        max_rows: int = MAX_ROWS,
        on_heartbeat_error: Callable[[ClimorchError], None] | None = None,
    ) -> None:
        if not heartbeat_s > 0 or max_rows < 1:
            msg = (
                f"journal thread: heartbeat_s={heartbeat_s}, max_rows={max_rows}: "
                "expected > 0 and >= 1; leave them out for the defaults"
            )
            raise InvalidInputError(msg, heartbeat_s=heartbeat_s, max_rows=max_rows)
        self._journal = journal
        self._now = now
        self._heartbeat_s = heartbeat_s
        self._max_rows = max_rows
        self._on_heartbeat_error = on_heartbeat_error
        self._work: deque[_Append | _Call] = deque()
        self._waiting_rows = 0
        self._changed = threading.Condition()
        self._closing = False
        # A daemon: a hanging file system must not keep the interpreter from ending.
        self._thread = threading.Thread(
            target=self._serve, name="climorch-journal", daemon=True
        )
        self._thread.start()

    @property
    def waiting_rows(self) -> int:
        """Rows submitted whose transaction has not ended: what a crash may lose."""
        return self._waiting_rows

    def submit(self, rows: Sequence[Row]) -> Future[int]:
        """Ask for rows to be appended, all in one transaction.

        Parameters
        ----------
        rows : sequence of Row
            In order; none: the future tells when all before are written.

        Returns
        -------
        Future of int
            Serial of the last of `rows`, once they are durable. Fails as
            `JournalPort.append` does, together with all that shared the
            transaction: the rows are not written then, and not kept here, so
            submit them again. Cancelled before its transaction began, its rows
            are left out.

        Raises
        ------
        NotAllowedError
            If the thread was closed.
        """
        append = _Append(rows=tuple(rows))
        self._put(append)
        return append.future

    def call(self, function: Callable[[JournalPort], T]) -> Future[T]:
        """Ask for a function to be called in the thread, after all submitted.

        Parameters
        ----------
        function : callable
            Given the journal: to save a snapshot, for one.

        Returns
        -------
        Future
            What it returns or raises.

        Raises
        ------
        NotAllowedError
            If the thread was closed.
        """
        future: Future[T] = Future()

        def work() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(function(self._journal))
                except Exception as error:
                    future.set_exception(error)

        self._put(_Call(work=work))
        return future

    def close(self, timeout_s: float | None = None) -> None:
        """Write all that was submitted, and end the thread.

        Parameters
        ----------
        timeout_s : float or None
            How long to wait, in seconds; None: without end.

        Raises
        ------
        BackendError
            If the disk hangs for longer than that.
        """
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            msg = (
                f"journal thread: {self._waiting_rows} rows not written after "
                f"{timeout_s} s; check the storage: the thread goes on trying"
            )
            raise BackendError(msg, reason="hang", waiting_rows=self._waiting_rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _put(self, work: _Append | _Call) -> None:
        with self._changed:
            if self._closing:
                msg = "journal thread: closed; start another one"
                raise NotAllowedError(msg, reason="closed")
            self._work.append(work)
            self._waiting_rows += len(work.rows)
            self._changed.notify()

    def _serve(self) -> None:
        due = time.monotonic() + self._heartbeat_s
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._work or self._closing,
                    timeout=max(due - time.monotonic(), 0.0),
                )
                if self._closing and not self._work:
                    return
                work = self._take()
            if isinstance(work, _Call):
                work.work()
            elif work:
                self._append(work)
            if time.monotonic() >= due:
                self._beat()
                due = time.monotonic() + self._heartbeat_s

    def _take(self) -> list[_Append] | _Call:
        """Take the next call, or all appends before it as far as they fit."""
        group: list[_Append] = []
        size = 0
        while self._work:
            first = self._work[0]
            size += len(first.rows)
            if group and (isinstance(first, _Call) or size > self._max_rows):
                break
            self._work.popleft()
            if isinstance(first, _Call):
                return first
            group.append(first)
        return group

    def _append(self, group: list[_Append]) -> None:
        wanted = [one for one in group if one.future.set_running_or_notify_cancel()]
        rows = [row for one in wanted for row in one.rows]
        error: Exception | None = None
        serial = 0
        if wanted:
            try:
                serial = self._journal.append(rows) - len(rows)
            except Exception as raised:
                logger.warning(
                    "event=append_failed rows=%d error=%s", len(rows), raised
                )
                error = raised
        with self._changed:
            self._waiting_rows -= sum(len(one.rows) for one in group)
        for one in wanted:
            serial += len(one.rows)
            if error is None:
                one.future.set_result(serial)
            else:
                one.future.set_exception(error)

    def _beat(self) -> None:
        try:
            self._journal.heartbeat(self._now())
        except ClimorchError as error:
            logger.warning("event=heartbeat_failed error=%s", error)
            if self._on_heartbeat_error is not None:
                self._tell(self._on_heartbeat_error, error)

    def _tell(
        self, callback: Callable[[ClimorchError], None], error: ClimorchError
    ) -> None:
        try:
            callback(error)
        except Exception:
            # Should the thread end here, every later submission would wait forever.
            logger.exception("event=heartbeat_callback_failed")
