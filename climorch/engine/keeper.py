"""Records to journal rows and back, and what happens while rows cannot land.

While the disk refuses rows, records wait here in order; nothing irrevocable is
done meanwhile, computing goes on.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version

from climorch.core.ports import JournalPort, Row
from climorch.errors import BackendError, ClimorchError, ConflictError
from climorch.model.commands import Record, decode_record, encode_record
from climorch.model.events import CampaignOpened, DriverStarted, Fact
from climorch.storage.journal_thread import JournalThread

__all__ = ["RecordKeeper"]

logger = logging.getLogger(__name__)

# About 300 MB of records: hours of a large campaign.
MOST_WAITING = 1_000_000
RETRY_S = 1.0


class RecordKeeper:
    """The journal as the driver sees it.

    Parameters
    ----------
    journal : JournalPort
        Open; closed by `close`.
    """

    def __init__(self, journal: JournalPort) -> None:
        self.epoch = journal.epoch
        self.trouble = ""
        self.on_recovery: Callable[[], None] = lambda: None
        self.on_takeover: Callable[[BaseException], None] = lambda error: None
        self._journal = journal
        self._thread = JournalThread(journal, on_heartbeat_error=self._heartbeat_failed)
        self._waiting: list[Row] = []
        self._writable = asyncio.Event()
        self._writable.set()
        self._retrying: asyncio.Task[None] | None = None

    def replayed(self) -> Iterator[tuple[Record, float]]:
        """Yield every record with the time of its row, oldest first."""
        for row in self._journal.read():
            yield decode_record(row.payload), row.now_s

    def opening_facts(self, campaign: str) -> list[Fact]:
        """Return the facts that a driver begins with."""
        facts: list[Fact] = []
        if self._journal.last_serial == 0:
            facts.append(CampaignOpened(campaign=campaign, version=version("climorch")))
        facts.append(
            DriverStarted(epoch=self.epoch, host=socket.gethostname(), pid=os.getpid())
        )
        return facts

    async def append(self, records: Sequence[Record], *, now_s: float) -> bool:
        """Journal records; return whether they, and all before, are durable.

        Raises
        ------
        ConflictError
            If a newer driver has taken over.
        BackendError
            If more records wait than memory may take.
        """
        self._waiting += _rows(records, now_s)
        if self._retrying is None:
            await self._land()
        if len(self._waiting) > MOST_WAITING:
            raise BackendError(
                f"{len(self._waiting)} records wait for the journal: {self.trouble}"
            )
        return not self._waiting

    async def writable(self) -> None:
        """Return once every record so far is durable."""
        await self._writable.wait()

    async def close(self) -> None:
        """Write what waits, stop the thread, release the lock."""
        if self._retrying is not None:
            self._retrying.cancel()
            self._retrying = None
        await asyncio.to_thread(self.release)

    def release(self) -> None:
        """Let go of the thread and of the lock; again: does nothing."""
        self._thread.close()
        self._journal.close()

    def _heartbeat_failed(self, error: ClimorchError) -> None:
        # In the journal's thread. A disk that fails shows at the next append.
        if isinstance(error, ConflictError):
            self.on_takeover(error)

    async def _land(self) -> None:
        rows = list(self._waiting)
        if not rows:
            return
        try:
            await asyncio.wrap_future(self._thread.submit(rows))
        except BackendError as error:
            self._writable.clear()
            freed = await asyncio.to_thread(self._journal.give_up_ballast)
            self.trouble = (
                f"the journal cannot be written ({error}); {len(rows)} records wait, "
                f"nothing is committed or deleted meanwhile"
                + ("; the ballast file was given up" if freed else "")
            )
            logger.warning("%s", self.trouble)
            if self._retrying is None:
                self._retrying = asyncio.create_task(self._retry())
        else:
            del self._waiting[: len(rows)]
            if not self._waiting:
                self._writable.set()

    async def _retry(self) -> None:
        while self._waiting:
            await self._land()
            if self._waiting:
                await asyncio.sleep(RETRY_S)
        self._retrying = None
        self.trouble = ""
        await asyncio.to_thread(self._journal.restore_ballast)
        self.on_recovery()


def _rows(records: Sequence[Record], now_s: float) -> list[Row]:
    return [
        Row(kind=type(r).__name__, payload=encode_record(r), now_s=now_s)
        for r in records
    ]
