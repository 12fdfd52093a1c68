"""A driver on a thread of its own, and the journal it holds.

The event loop, the Dask scheduler and the driver live on one thread; the
user's script keeps the main one, with its signals.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import signal
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Any

from climorch.core.orchestrator import Orchestrator
from climorch.core.progress import Policies
from climorch.core.site_ports import Site
from climorch.core.state import CampaignState
from climorch.engine.driver import Driver, DriverSpec
from climorch.engine.keeper import RecordKeeper
from climorch.engine.leaving import leave
from climorch.errors import BackendError, Fault, InvalidInputError
from climorch.model.commands import Record, decode_record
from climorch.model.events import Fact, StopRequested
from climorch.storage import durable
from climorch.storage.journal import SqliteJournal
from climorch.storage.owner import this_process

__all__ = ["Run", "open_journal", "read_records", "read_state"]

logger = logging.getLogger(__name__)

JOURNAL = "journal.sqlite"

# How long an end waits for a disk that hangs, in seconds.
HANGS_S = 10.0


def open_journal(root: Path, campaign: str) -> SqliteJournal:
    """Open the journal of a campaign as its one driver.

    Raises
    ------
    InvalidInputError
        If the folder cannot be written or holds something else.
    ConflictError
        If another driver holds it.
    """
    folder = root / campaign
    try:
        durable.make_directories(folder)
        probe = folder / ".writable"
        durable.write_durably(probe, b"")
        durable.remove_file(probe)
    except OSError as error:
        raise InvalidInputError(
            "the campaign's folder cannot be used",
            faults=[
                Fault(
                    place=f"root {str(root)!r}",
                    problem=f"{folder} is not writable: {error.strerror}",
                    remedy="choose a root that you may write, on a file system "
                    "that every node sees",
                )
            ],
        ) from error
    return SqliteJournal.open(
        folder / JOURNAL, campaign=campaign, owner=this_process(), now_s=time.time()
    )


def read_records(root: Path, campaign: str) -> list[tuple[Record, float]]:
    """Return all records of a journal with their times; none without one."""
    path = root / campaign / JOURNAL
    if not path.exists():
        return []
    with ExitStack() as stack:
        reader = SqliteJournal.open_readonly(path)
        stack.callback(reader.close)
        return [(decode_record(row.payload), row.now_s) for row in reader.read()]


def read_state(root: Path, campaign: str) -> CampaignState:
    """Replay a journal without holding it."""
    orchestrator = Orchestrator(Policies())
    orchestrator.replay(read_records(root, campaign))
    return orchestrator.state


class Run:
    """A campaign that runs in the background.

    Made by ``Campaign.start``.
    """

    def __init__(self, spec: DriverSpec, site: Site, keeper: RecordKeeper) -> None:
        self._spec = spec
        self._site = site
        self._keeper = keeper
        self._driver: Driver | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._error: BaseException | None = None
        self._ready = threading.Event()
        self._signalled: signal.Signals | None = None
        self._task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(
            target=self._main, name=f"climorch-{spec.campaign}", daemon=True
        )
        self._thread.start()
        self._ready.wait()

    @property
    def alive(self) -> bool:
        """Whether the driver still runs."""
        return self._thread.is_alive()

    def wait(
        self, timeout_s: float | None = None, *, handle_signals: bool = False
    ) -> bool:
        """Wait for the end.

        Parameters
        ----------
        timeout_s : float or None
            Longest wait, in seconds.
        handle_signals : bool
            Whether SIGINT and SIGTERM stop the run cleanly meanwhile; only on
            the main thread.

        Returns
        -------
        bool
            Whether it has ended.

        Raises
        ------
        ClimorchError
            What ended it, if it did not end by itself.
        KeyboardInterrupt, SystemExit
            If a signal that it handled ended it before the work was done.
        """
        with ExitStack() as stack:
            if handle_signals and threading.current_thread() is threading.main_thread():
                self._take_signals(stack)
            deadline = None if timeout_s is None else time.monotonic() + timeout_s
            while self._thread.is_alive():
                # Short waits: a join without end would not let signals in.
                left = 0.2 if deadline is None else deadline - time.monotonic()
                if left <= 0:
                    return False
                self._thread.join(min(left, 0.2))
        if self._error is not None:
            raise self._error
        leave(self._signalled, self._spec.campaign, self._left())
        return True

    def _left(self) -> int:
        """Count the simulations that want to go on, as the driver left them."""
        if self._driver is None:
            return 0
        simulations = self._driver.orchestrator.state.simulations
        return sum(s.wants_nodes for s in simulations.values())

    def stop(self, *, wait: bool = True) -> None:
        """Checkpoint everything at its next boundary and end.

        Parameters
        ----------
        wait : bool
            Whether to return only once it has ended.
        """
        self.post(StopRequested())
        if wait:
            self.wait()

    def kill(self) -> None:
        """End at once; what is not checkpointed is lost."""
        if self._task is not None:
            self._soon(self._task.cancel)

    def post(self, *facts: Fact) -> None:
        """Hand facts to the driver.

        Parameters
        ----------
        *facts : Fact
            In order.

        Raises
        ------
        BackendError
            If the driver has ended.
        """
        driver, there = self._driver, self.alive
        if driver is not None and there:
            there = all(self._soon(driver.post, fact) for fact in facts)
        if driver is None or not there:
            raise BackendError("the driver has ended; start the campaign again")

    def _soon(self, call: Callable[..., Any], *args: object) -> bool:
        """Let the driver's thread call something; tell whether it still does."""
        if self._loop is None or not self.alive:
            return False
        try:
            self._loop.call_soon_threadsafe(call, *args)
        except RuntimeError:
            # Its loop was closed since: a thread ends when it likes.
            return False
        return True

    def look(self) -> None:
        """Let the driver look into its inbox now; nothing once it has ended."""
        if self._driver is not None:
            self._driver.lookout.inbox.look()

    def bind(self, workflows: Mapping[str, Any]) -> None:
        """Let the driver find the functions of more workflows.

        Parameters
        ----------
        workflows : mapping of str to Workflow
            By name.
        """
        if self._driver is not None:
            self._driver.workflows.update(workflows)

    def state(self) -> CampaignState:
        """Return a copy of what the driver knows."""
        loop, driver = self._loop, self._driver
        if loop is None or driver is None or not self.alive:
            return read_state(self._spec.root, self._spec.campaign)

        async def snapshot(driver: Driver = driver) -> CampaignState:
            return copy.deepcopy(driver.orchestrator.state)

        try:
            return asyncio.run_coroutine_threadsafe(snapshot(), loop).result(30.0)
        except (TimeoutError, RuntimeError):
            return read_state(self._spec.root, self._spec.campaign)

    def facts(self) -> list[tuple[Record, float]]:
        """Return every record of the journal with its time, oldest first."""
        return read_records(self._spec.root, self._spec.campaign)

    def _main(self) -> None:
        try:
            asyncio.run(self._drive())
        except asyncio.CancelledError:
            logger.warning("campaign=%s was ended at once", self._spec.campaign)
        except BaseException as error:
            self._error = error
            logger.debug("campaign=%s ended", self._spec.campaign, exc_info=error)
        finally:
            self._ready.set()
            self._keeper.release(HANGS_S)

    async def _drive(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._driver = Driver(self._spec, self._site, self._keeper)
        self._ready.set()
        await self._driver.run()

    def _take_signals(self, stack: ExitStack) -> None:
        def stop(number: int, frame: FrameType | None) -> None:
            if self._signalled is not None:
                logger.warning("second signal: leaving at once")
                self.kill()
            elif self.alive:
                self._signalled = signal.Signals(number)
                logger.warning(
                    "signal=%s: checkpointing at the next boundaries, then leaving; "
                    "once more to leave at once",
                    self._signalled.name,
                )
                # A second signal may have come while this one was told.
                if self._driver is not None:
                    self._soon(self._driver.post, StopRequested())

        for number in (signal.SIGINT, signal.SIGTERM):
            before: Callable[..., Any] | int | None = signal.signal(number, stop)
            stack.callback(signal.signal, number, before)
