"""A site on a batch system: a Dask scheduler here, nodes within batch jobs.

Ignores how jobs come and go, `JobKeeper` does that, and how nodes are kept: an
agent does, on each of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import math
import sys
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import dask
from distributed import Scheduler
from distributed.security import Security

from climorch.core.site_ports import UNKNOWN_NODES, SiteNews
from climorch.errors import BackendError, Fault, InvalidInputError
from climorch.model.programs import stays_in_job
from climorch.model.ranges import range_faults
from climorch.sites.batch import agent
from climorch.sites.batch.calls import run
from climorch.sites.batch.certificates import security_from
from climorch.sites.batch.jobs import Dialect, Job, JobRequest
from climorch.sites.batch.keeper import JobKeeper
from climorch.sites.batch.preflight import preflight
from climorch.sites.batch.rendezvous import Rendezvous
from climorch.sites.batch.renewal import Need, Renewal
from climorch.sites.settings import DASK_SETTINGS
from climorch.sites.spans import keep_spans_small

__all__ = ["BatchSite", "Manner", "least_faults"]

logger = logging.getLogger(__name__)

# How often the agents' notes are read, and they are shown that the driver lives.
NOTICE_S = 1.0
BEAT_S = 5.0
# Longest time that an agent takes to end once it has looked, in seconds.
AGENT_ENDS_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a site deals with its batch system and with its nodes.

    Attributes
    ----------
    poll_s : float
        Seconds between two questions.
    timeout_s : float
        Seconds that a command may take.
    grace_s : float
        Seconds that a node has after a warning which says no number.
    patience_s : float
        How long nodes wait for another driver, in seconds.
    look_s : float
        Seconds between two looks of each node into the folder.
    secure : bool
        Whether all that Dask sends is encrypted and only ours are let in.
    interface : str
        Network interface of the nodes and of this machine; empty: the default one.

    Raises
    ------
    InvalidInputError
        With every number that is out of its range.
    """

    poll_s: float = 60.0
    timeout_s: float = 60.0
    grace_s: float = 30.0
    patience_s: float = 900.0
    look_s: float = 5.0
    secure: bool = True
    interface: str = ""

    def __post_init__(self) -> None:
        least = {"poll_s": 0.1, "timeout_s": 1.0, "patience_s": 1.0, "look_s": 0.01}
        faults = least_faults(self, {**least, "grace_s": 0.0})
        if faults:
            raise InvalidInputError("no site can be kept so", faults=faults)


class BatchSite:
    """Nodes of a batch system; derive from it to name the dialect and the options.

    Parameters
    ----------
    dialect : Dialect
        Commands of the batch system.
    request : JobRequest
        What each job is like; its log and command are filled in.
    wanted : Renewal
        How many jobs are to be there.
    folder : str or Path
        Seen by this machine and by all nodes under the same path; they meet in a
        folder below it, named as the jobs are.
    manner : Manner or None
        How to deal with both; None: as usual.
    """

    def __init__(
        self,
        dialect: Dialect,
        request: JobRequest,
        wanted: Renewal,
        folder: str | Path,
        manner: Manner | None,
    ) -> None:
        self.manner = manner = manner or Manner()
        home = Path(folder).expanduser().resolve() / request.tag
        self.meeting = Rendezvous(home)
        self.keeper = JobKeeper(
            dialect,
            replace(request, log=self.meeting.log, command=_command(home)),
            wanted,
            run=functools.partial(run, timeout_s=manner.timeout_s),
            poll_s=manner.poll_s,
        )
        self._security: Security | None = None
        self._scheduler: Scheduler | None = None
        self._settings = contextlib.ExitStack()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def most_nodes(self) -> int:
        """Most nodes that are asked for at a time."""
        return self.keeper.wanted.jobs * self.keeper.request.nodes

    @property
    def node_memory_bytes(self) -> int:
        """Memory per node; 0: what the batch system gives."""
        return self.keeper.request.memory_bytes

    @property
    def node_cores(self) -> int:
        """Cores for compute per node."""
        return self.keeper.request.cores

    @property
    def node_scratch_bytes(self) -> int:
        """0: not known."""
        return 0

    @property
    def shared(self) -> bool:
        """False: the Dask scheduler is the site's own."""
        return False

    @property
    def patience_s(self) -> float:
        """How long a new Dask scheduler may fail to start, in seconds."""
        return 30.0

    @property
    def security(self) -> Security | None:
        """Certificates of the present session; None: nothing is encrypted."""
        return self._security

    @property
    def launcher(self) -> str:
        """What starts programs with MPI on the nodes of a job."""
        return self.keeper.dialect.launcher

    @property
    def job_nodes(self) -> int:
        """Nodes of a job, where the launcher reaches no further."""
        return self.keeper.request.nodes if self._stays else UNKNOWN_NODES

    def job_of(self, node: str) -> str:
        """Return the job of a node, where the launcher reaches no further."""
        return node.partition(".")[2] if self._stays else ""

    @property
    def _stays(self) -> bool:
        return stays_in_job(self.launcher)

    @property
    def jobs(self) -> tuple[Job, ...]:
        """Jobs that are not over, as they were told last."""
        return tuple(self.keeper.known.values())

    @property
    def ended(self) -> tuple[Job, ...]:
        """The newest jobs that are over, each with its cause."""
        return tuple(self.keeper.ended)

    def expect(self, need: tuple[int, float] | None) -> None:
        """Ask for no more jobs than are needed: so many nodes, until then."""
        nodes, until_s = need or (self.most_nodes, math.inf)
        self.keeper.needed = Need(
            jobs=math.ceil(nodes / self.keeper.request.nodes), until_s=until_s
        )

    def listen(self, news: SiteNews) -> None:
        """Tell when nodes go, and of trouble, from now on."""
        self.keeper.bulletin.news = news

    def preflight(self) -> list[Fault]:
        """Return what is wrong before the campaign starts, each with its remedy.

        Asks the batch system whether it would take a job, and submits none. What
        only the nodes can show is not looked at.
        """
        keeper = self.keeper
        return asyncio.run(
            preflight(keeper.dialect, keeper.request, self.meeting.folder, keeper.run)
        )

    async def open(self) -> str:
        """Start a Dask scheduler; nodes that wait for one come to it.

        Raises
        ------
        BackendError
            If it cannot be started.
        InvalidInputError
            If the folder cannot be used, or there is nothing to encrypt with.
        """
        self._settings.enter_context(dask.config.set(DASK_SETTINGS))
        await asyncio.to_thread(self.meeting.prepare)
        certificate = self._make_certificate() if self.manner.secure else None
        try:
            self._scheduler = Scheduler(
                protocol="tls://" if self.manner.secure else "tcp://",
                interface=self.manner.interface or None,
                security=self._security,
                port=0,
                dashboard=False,
                # Its pages need no key: nobody from outside is to see them.
                dashboard_address="127.0.0.1:0",
            )
            await self._scheduler
        except OSError as error:
            raise BackendError(f"no Dask scheduler can be started: {error}") from error
        request = self.keeper.request
        self.meeting.announce(
            epoch=uuid.uuid4().hex,
            address=self._scheduler.address,
            certificate=certificate,
            cores=request.cores,
            memory_bytes=request.memory_bytes,
            interface=self.manner.interface,
            warn_s=request.warn_s,
            grace_s=self.manner.grace_s,
            patience_s=self.manner.patience_s,
            look_s=self.manner.look_s,
        )
        return str(self._scheduler.address)

    async def start_nodes(self) -> None:
        """Keep so many jobs; those of an earlier driver are taken over."""
        if self._scheduler is None:
            raise InvalidInputError("open the site before starting nodes")
        self.keeper.again()
        self._tasks = [
            asyncio.create_task(self.keeper.keep()),
            asyncio.create_task(self._attend()),
            asyncio.create_task(keep_spans_small(self._scheduler)),
        ]

    async def part(self) -> None:
        """End the Dask scheduler; nodes wait for another one."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        scheduler, self._scheduler = self._scheduler, None
        if scheduler is not None:
            await scheduler.close()
        self._settings.close()

    async def close(self) -> None:
        """Give all nodes back and end the Dask scheduler."""
        await self.part()
        with contextlib.suppress(OSError):
            await asyncio.to_thread(self.meeting.leave)
        await self.keeper.end(patience_s=self.manner.look_s + AGENT_ENDS_S)

    def _make_certificate(self) -> str:
        """Make a key for this session; return the path of key and certificate."""
        try:
            made = Security.temporary()
        except ImportError as error:
            raise InvalidInputError(
                "encryption needs the package cryptography: install climorch[tls], or "
                "say secure=False where nobody else is on the network"
            ) from error
        text = f"{made.tls_scheduler_cert}\n{made.tls_scheduler_key}\n"
        path = str(self.meeting.keep_secret("session.pem", text))
        self._security = security_from(path)
        return path

    async def _attend(self) -> None:
        """Read the agents' notes, and show them that the driver lives."""
        beaten_s = time.monotonic()
        while True:
            await asyncio.sleep(NOTICE_S)
            try:
                for notice in await asyncio.to_thread(self.meeting.notices):
                    logger.warning("node=%s goes why=%s", notice.node, notice.why)
                    end_s = time.time() + notice.left_s
                    self.keeper.ends.warn(
                        notice.node, end_s, notice.why, recalled=notice.recalled
                    )
                if time.monotonic() - beaten_s >= BEAT_S:
                    await asyncio.to_thread(self.meeting.beat)
                    beaten_s = time.monotonic()
            except OSError as error:
                text = f"{self.meeting.folder}: {error.strerror}"
                self.keeper.trouble("folder", text)
            else:
                self.keeper.trouble("folder", "")


def least_faults(
    given: object, least: Mapping[str, float], *, place: str = ""
) -> list[Fault]:
    """Return which numbers of an object are too small, or no numbers.

    Parameters
    ----------
    given : object
        With an attribute for each.
    least : mapping of str to float
        Name to the least value.
    place : str
        As for `range_faults`.
    """
    wanted = [
        (name, bound <= getattr(given, name) < math.inf, f"at least {bound:g}")
        for name, bound in least.items()
    ]
    return range_faults(given, wanted, remedy="give a plain number", place=place)


def _command(folder: Path) -> tuple[str, ...]:
    """Return what starts the agent, which starts nodes by what follows."""
    here, there = sys.executable, str(Path(agent.__file__).resolve())
    return (here, there, str(folder), here, "-m", "climorch.sites.batch.node")
