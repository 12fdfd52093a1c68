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
# How long a transaction may take, in seconds, before the disk counts as hanging and
# the driver goes on without it.
PATIENCE_S = 10.0


class RecordKeeper:
    """The journal as the driver sees it.

    Parameters
    ----------
    journal : JournalPort
        Open; closed by `close`.
    identity : str
        Of its campaign.
    """

    def __init__(self, journal: JournalPort, *, identity: str = "") -> None:
        self.epoch = journal.epoch
        self.identity = identity
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

    def release(self, timeout_s: float | None = None) -> None:
        """Let go of the thread and of the lock; again: does nothing.

        Parameters
        ----------
        timeout_s : float or None
            Longest wait for a disk that hangs, in seconds; then the lock stays
            with this process. None: without end.
        """
        try:
            self._thread.close(timeout_s)
        except BackendError as error:
            logger.warning("%s", error)
        else:
            self._journal.close()

    def _heartbeat_failed(self, error: ClimorchError) -> None:
        # In the journal's thread. A disk that fails shows at the next append.
        if isinstance(error, ConflictError):
            self.on_takeover(error)

    async def _land(self) -> None:
        """Append all that waits; where that fails or hangs, go on trying beside."""
        count = len(self._waiting)
        if not count:
            return
        landing = asyncio.wrap_future(self._thread.submit(self._waiting))
        await asyncio.wait([landing], timeout=PATIENCE_S)
        if landing.done():
            trouble = self._landed(landing, count)
        else:
            trouble = f"its disk has not answered for {PATIENCE_S:g} s"
        if trouble:
            self._tell(trouble)
            self._retrying = asyncio.create_task(self._retry(landing, count))

    def _landed(self, landing: asyncio.Future[int], count: int) -> str:
        """Let go of rows that landed; return why they did not."""
        try:
            landing.result()
        except BackendError as error:
            return str(error)
        del self._waiting[:count]
        if not self._waiting:
            self._writable.set()
        return ""

    def _tell(self, why: str, more: str = "") -> None:
        self._writable.clear()
        self.trouble = (
            f"the journal cannot be written ({why}); {len(self._waiting)} records "
            f"wait, nothing is committed or deleted meanwhile{more}"
        )
        logger.warning("%s", self.trouble)

    async def _retry(self, landing: asyncio.Future[int], count: int) -> None:
        try:
            await self._until_landed(landing, count)
        except ClimorchError as error:
            # Not of the disk: a newer driver has taken over, for one.
            self.on_takeover(error)
            return
        finally:
            self._retrying = None
        self._thread.call(_restore_ballast)
        self.on_recovery()

    async def _until_landed(self, landing: asyncio.Future[int], count: int) -> None:
        while True:
            # Never twice: what hangs may land yet.
            await asyncio.wait([landing])
            trouble = self._landed(landing, count)
            if trouble:
                # In its own thread: this, too, may hang.
                freed = await asyncio.wrap_future(self._thread.call(_give_up_ballast))
                self._tell(trouble, "; the ballast file was given up" if freed else "")
                await asyncio.sleep(RETRY_S)
            if not self._waiting:
                self.trouble = ""
                return
            count = len(self._waiting)
            landing = asyncio.wrap_future(self._thread.submit(self._waiting))


def _give_up_ballast(journal: JournalPort) -> bool:
    return journal.give_up_ballast()


def _restore_ballast(journal: JournalPort) -> bool:
    return journal.restore_ballast()


def _rows(records: Sequence[Record], now_s: float) -> list[Row]:
    return [
        Row(kind=type(r).__name__, payload=encode_record(r), now_s=now_s)
        for r in records
    ]
