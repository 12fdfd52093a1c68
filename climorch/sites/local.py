"""Nodes on this machine: processes under nannies, or threads for tests."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
from collections.abc import Sequence
from typing import Any

import dask
from distributed import Nanny, Scheduler, Worker
from distributed.utils import get_mp_context

from climorch.errors import BackendError, Fault, InvalidInputError
from climorch.model.kinds import checks_kinds
from climorch.model.resources import parse_bytes
from climorch.sites.importable import require_guard
from climorch.sites.settings import DASK_SETTINGS, WORKER_ENVIRONMENT
from climorch.sites.spans import keep_spans_small

__all__ = ["LocalSite"]

logger = logging.getLogger(__name__)

# How long to wait before a node that did not start is tried again, in seconds;
# doubled each time up to the longest.
AGAIN_S, LONGEST_AGAIN_S = 0.5, 60.0
# Where Dask's pages listen that nobody has asked for: they need no key.
PAGES = "127.0.0.1:0"


class LocalSite:
    """Nodes on this machine.

    A node that dies is started again under its name; one that does not start is
    tried again. Where none of them starts, the site is not open.

    Parameters
    ----------
    nodes : int
        How many, >= 1.
    threads : int
        Cores for compute per node; one more thread is for I/O.
    memory : int or str
        Memory per node, bytes or text such as ``"4 GiB"``; 0: no limit.
    in_process : bool or int
        Whether nodes are workers in this process: hundreds of them start in a
        second, and none can be killed. A number: so many, the first ones, and
        the others are processes.
    dashboard : str or None
        Address of Dask's dashboard such as ``"127.0.0.1:8787"``; None: none. It needs
        no key, so ``":8787"`` shows it to all who reach this machine.
    """

    @checks_kinds
    def __init__(
        self,
        *,
        nodes: int = 1,
        threads: int = 1,
        memory: int | str = 0,
        in_process: bool | int = False,
        dashboard: str | None = None,
    ) -> None:
        faults = [
            Fault(
                place=f"LocalSite.{name}",
                problem=f"got {value!r}, expected >= 1",
                remedy="ask for at least one",
            )
            for name, value in (("nodes", nodes), ("threads", threads))
            if value < 1
        ]
        # True is 1 too: the whole site or one node.
        here = nodes * in_process if isinstance(in_process, bool) else in_process
        if not 0 <= here <= max(nodes, 0):
            faults.append(
                Fault(
                    place="LocalSite.in_process",
                    problem=f"got {in_process!r}, expected True, False or 0 to {nodes}",
                    remedy="say how many of the nodes are in this process",
                )
            )
        if faults:
            raise InvalidInputError("this site cannot be made", faults=faults)
        self.nodes = nodes
        self.threads = threads
        self.memory_bytes = parse_bytes(memory)
        self.nodes_here = here
        self.dashboard = dashboard
        self._scheduler: Scheduler | None = None
        self._workers: dict[str, Worker | Nanny] = {}
        self._starting: list[asyncio.Task[None]] = []
        self._closing = asyncio.Event()
        self._pruning: asyncio.Task[None] | None = None
        self._settings = contextlib.ExitStack()

    @property
    def most_nodes(self) -> int:
        """Most nodes that it can ever have."""
        return self.nodes

    @property
    def node_memory_bytes(self) -> int:
        """Memory per node; 0: no limit."""
        return self.memory_bytes

    @property
    def node_cores(self) -> int:
        """Cores for compute per node."""
        return self.threads

    @property
    def node_scratch_bytes(self) -> int:
        """0: not known; all nodes share the disks of this machine."""
        return 0

    @property
    def shared(self) -> bool:
        """False: the Dask scheduler is the site's own."""
        return False

    @property
    def patience_s(self) -> float:
        """How long a new Dask scheduler may fail to start, in seconds."""
        return 10.0

    @property
    def security(self) -> None:
        """None: nothing leaves this machine."""
        return

    @property
    def scheduler(self) -> Scheduler | None:
        """The Dask scheduler while the site is open, to look at."""
        return self._scheduler

    async def open(self) -> str:
        """Start a Dask scheduler without nodes; return its address.

        Raises
        ------
        InvalidInputError
            If each node process would run the script that is being run.
        """
        all_here = self.nodes_here == self.nodes
        if not all_here:
            require_guard()
        settings = _settings(here=bool(self.nodes_here))
        self._settings.enter_context(dask.config.set(settings))
        self._settings.enter_context(_quiet())
        if not all_here:
            _preload()
        # Dask takes lists of protocols and hosts, and does not declare it.
        addresses: dict[str, Any] = (
            {"protocol": "inproc://"}
            if all_here
            else {"protocol": ["tcp://", "inproc://"], "host": ["127.0.0.1", None]}
        )
        self._scheduler = Scheduler(
            **addresses,
            port=0,
            dashboard=self.dashboard is not None,
            dashboard_address=self.dashboard or PAGES,
        )
        await self._scheduler
        self._pruning = asyncio.create_task(keep_spans_small(self._scheduler))
        # The driver is in this process: it needs no socket to the scheduler.
        return str(self._scheduler.listeners[-1].contact_address)

    async def start_nodes(self) -> None:
        """Start all nodes; return once one of them is up.

        Raises
        ------
        BackendError
            If none of them starts.
        """
        self._closing = asyncio.Event()
        loop = asyncio.get_running_loop()
        firsts: list[asyncio.Future[None]] = []
        # Nobody waits for the slowest: each node joins when it is up.
        for number in range(self.nodes):
            name, first = f"node{number:03d}", loop.create_future()
            firsts.append(first)
            here = number < self.nodes_here
            starting = self._bring_up(name, first, here=here)
            self._starting.append(asyncio.create_task(starting))
        try:
            await _one_of(firsts)
        finally:
            # The errors of the others are told where they are tried again.
            for first in firsts:
                first.cancel()

    async def _bring_up(
        self, name: str, first: asyncio.Future[None], *, here: bool
    ) -> None:
        """Start a node; try again until it is up or the site is closed."""
        wait_s = AGAIN_S
        while True:
            node = self._workers[name] = self._node(name, here=here)
            try:
                await node
            except Exception as error:
                logger.error(  # noqa: TRY400 Dask has told the stack
                    "node=%s did not start: %s; trying again in %g s",
                    name,
                    _cause_of(error),
                    wait_s,
                )
                if not first.done():
                    first.set_exception(error)
            else:
                if not first.done():
                    first.set_result(None)
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), wait_s)
                return
            wait_s = min(2 * wait_s, LONGEST_AGAIN_S)

    def _node(self, name: str, *, here: bool) -> Worker | Nanny:
        if self._scheduler is None:
            raise InvalidInputError("open the site before starting nodes")
        kind: type[Worker] | type[Nanny] = Worker if here else Nanny
        extra: dict[str, Any] = {} if here else {"silence_logs": logging.ERROR}
        # By the first address: nodes here and processes must reach each other.
        return kind(
            self._scheduler.address,
            name=name,
            nthreads=self.threads + 1,
            resources={"cpu": self.threads, "io": 1},
            memory_limit=self.memory_bytes,
            dashboard=False,
            dashboard_address=PAGES,
            **extra,
        )

    def pid(self, node: str) -> int | None:
        """Return the process id of a node.

        Parameters
        ----------
        node : str
            Its name.

        Returns
        -------
        int or None
            None within this process, or while it starts again.
        """
        worker = self._workers[node]
        found: int | None = worker.pid if isinstance(worker, Nanny) else None
        return found

    async def close(self) -> None:
        """Stop all nodes and the Dask scheduler; nothing is left behind."""
        self._closing.set()
        try:
            # A node that is closed while it starts would stay behind.
            await asyncio.gather(*self._starting, return_exceptions=True)
            await asyncio.gather(
                *(worker.close() for worker in self._workers.values()),
                return_exceptions=True,
            )
            if self._pruning is not None:
                self._pruning.cancel()
            if self._scheduler is not None:
                await self._scheduler.close()
        finally:
            self._pruning = None
            self._workers = {}
            self._starting = []
            self._scheduler = None
            self._settings.close()


async def _one_of(firsts: Sequence[asyncio.Future[None]]) -> None:
    """Wait until a first try succeeds, or all of them have failed."""
    waited: set[asyncio.Future[None]] = set(firsts)
    error: BaseException | None = None
    while waited:
        done, waited = await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        for first in done:
            error = first.exception()
            if error is None:
                return
    # Without an end it would wait for them for ever.
    raise BackendError(f"no node starts: {_cause_of(error)}") from error


def _cause_of(error: BaseException | None) -> str:
    """Say what is behind an error: Dask says only that a nanny failed."""
    while error is not None:
        behind = error.__cause__ or error.__context__
        if behind is None:
            break
        error = behind
    return f"{type(error).__name__}: {error}"


def _preload() -> None:
    """Let node processes be forked from one that has imported everything.

    Importing this library takes seconds of a core: once, not for each node, nor
    for each that replaces a lost one.
    """
    # Dask sets its own list, once, which would else replace ours.
    get_mp_context()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["distributed", "climorch.engine.worker"])


def _settings(*, here: bool) -> dict[str, Any]:
    """Return Dask's settings, where nodes are in this process or not."""
    settings: dict[str, Any] = dict(DASK_SETTINGS)
    if here:
        # Hundreds of monitors in one process would eat the core.
        settings |= {
            "distributed.worker.memory.monitor-interval": "60s",
            "distributed.admin.system-monitor.interval": "60s",
            "distributed.admin.tick.interval": "500ms",
        }
    settings["distributed.nanny.pre-spawn-environ"] = WORKER_ENVIRONMENT
    return settings


@contextlib.contextmanager
def _quiet() -> Any:
    """Keep Dask's own chatter about starting and stopping out of the log."""
    logger = logging.getLogger("distributed")
    names = [logger, *(logging.getLogger(f"distributed.{n}") for n in _CHATTY)]
    before = [(log, log.level) for log in names]
    for log in names:
        log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for log, level in before:
            log.setLevel(level)


_CHATTY = ("scheduler", "nanny", "worker", "core", "client", "comm", "batched", "http")
