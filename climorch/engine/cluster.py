"""The site as the driver uses it: one session with a Dask scheduler after another.

A session ends when its Dask scheduler dies: futures are gone and workers do
not come back by themselves. All its nodes are then lost, what lived on them is
abandoned, and the site is opened again. The driver goes on deciding meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from distributed import Client
from distributed.comm import CommClosedError

from climorch.core.site_ports import LaunchingSite, Site
from climorch.engine.alarms import Alarms
from climorch.engine.herald import hearing, part
from climorch.engine.lodging import Lodging, Who
from climorch.engine.orders import set_leases
from climorch.engine.party import topic_of
from climorch.engine.plugin import LeasePlugin
from climorch.engine.worker import NodePlugin
from climorch.errors import BackendError, InternalError, InvalidInputError
from climorch.model import events as e
from climorch.policy.watching import Watch
from climorch.sites.settings import setting_faults

__all__ = ["Cluster"]

logger = logging.getLogger(__name__)

# How often to look whether the connection stands; a look costs microseconds.
LOOK_S = 0.2
RETRY_S = 0.5
# At the start a wrong address is likelier than a scheduler that went away.
FIRST_S = 30.0
# A dying Dask scheduler need not answer.
LEAVE_S = 10.0


class Cluster:
    """Client and nodes of the present session.

    Parameters
    ----------
    site : Site
        Opened, and opened again.
    post : callable
        Takes facts about nodes.
    fail : callable
        Told what ends the campaign.
    alarms : Alarms
        Told while there is no Dask scheduler.
    let_go : callable
        Ends what lives on the nodes; returns once it has ended.
    watch : Watch
        When nodes are frozen and tasks stuck.
    who : Who
        The driver, for other campaigns on the same Dask scheduler.

    Attributes
    ----------
    nodes : dict of str to str
        Address of a worker to the name of its node.
    """

    def __init__(
        self,
        site: Site,
        *,
        post: Callable[[e.Fact], None],
        fail: Callable[[BaseException], None],
        alarms: Alarms,
        let_go: Callable[[], Awaitable[None]],
        watch: Watch,
        who: Who,
    ) -> None:
        self.site = site
        self.nodes: dict[str, str] = {}
        self._post = post
        self._fail = fail
        self._alarms = alarms
        self._let_go = let_go
        self._watch = watch
        # What the Dask scheduler was told last, and need not be told again.
        self._told: tuple[Mapping[str, tuple[str, ...]], Mapping[str, int]] = ({}, {})
        self._client: Client | None = None
        # A client connects again by itself, to a scheduler that knows nothing:
        # the session is the connection, not the client.
        self._stream: Any = None
        self._listens = False
        # Where other campaigns may be.
        self._lodging = Lodging(who, site, watch, alarms) if site.shared else None
        self._broken = asyncio.Event()
        self._keeping: asyncio.Task[None] | None = None
        self._herald = hearing(site, post, alarms, lambda: self.nodes.values())

    @property
    def client(self) -> Client:
        """Client of the present session.

        Raises
        ------
        CommClosedError
            While there is no Dask scheduler.
        """
        if self._client is None:
            raise CommClosedError("there is no Dask scheduler at the moment")
        return self._client

    @property
    def connected(self) -> bool:
        """Whether there is a session and its Dask scheduler was there just now."""
        client, stream = self._client, self._stream
        if client is None or stream is None:
            return False
        return not stream.comm.closed() and client.scheduler_comm is stream

    def start(self) -> None:
        """Open the first session, and another one whenever it ends."""
        self._keeping = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """End the session, however it stands; let go of the site."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait([self._keeping])
        await self._let_go()
        await self._end()
        if self._lodging is not None:
            await asyncio.to_thread(self._lodging.close)
        await self.site.close()

    async def tell_leases(
        self, leases: Mapping[str, tuple[str, ...]], priorities: Mapping[str, int]
    ) -> None:
        """Let the Dask scheduler know who holds which nodes.

        Raises
        ------
        InternalError
            If a hook on the Dask scheduler failed.
        """
        if self._client is None or not self._listens:
            # Its nodes are lost: a new session begins without leases.
            return
        if self._told == (leases, priorities):
            return
        self._told = (leases, priorities)
        try:
            errors = await self._client.run_on_scheduler(
                set_leases, leases, priorities, client=self._client.id
            )
        except (OSError, KeyError) as error:
            # Gone; or it took us for gone and has removed the plugin.
            logger.debug("leases were not heard", exc_info=error)
            self._broken.set()
            return
        if errors:
            raise InternalError(f"hooks on the Dask scheduler failed: {errors}")

    async def _keep(self) -> None:
        try:
            await self._open_within(min(FIRST_S, self.site.patience_s))
            while True:
                await self._until_broken()
                begin = time.monotonic()
                self._alarms.begin(
                    "scheduler",
                    "the Dask scheduler is gone, with all nodes; going on from the "
                    "newest checkpoints as soon as there is another one",
                )
                nodes, self.nodes = self.nodes, {}
                for node in sorted(set(nodes.values())):
                    self._post(e.NodeLost(node=node, reason="Dask scheduler gone"))
                await self._let_go()
                await self._end()
                await part(self.site)
                await self._open_within(self.site.patience_s)
                logger.info("session=again seconds=%.3f", time.monotonic() - begin)
        except Exception as error:
            self._fail(error)

    async def _until_broken(self) -> None:
        while self.connected and not self._broken.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._broken.wait(), LOOK_S)

    async def _open_within(self, patience_s: float) -> None:
        """Open a session; try again while there is nothing to connect to."""
        end = time.monotonic() + patience_s
        while True:
            try:
                await self._open()
            except (BackendError, OSError) as error:
                await self._end()
                await part(self.site)
                if time.monotonic() >= end:
                    raise BackendError(
                        f"no Dask scheduler with nodes for {patience_s:g} s: {error}; "
                        "what is committed is safe: see to it, then run the script "
                        "again"
                    ) from error
                self._alarms.begin("scheduler", f"waiting for one: {error}")
                await asyncio.sleep(RETRY_S)
            else:
                self._alarms.end("scheduler")
                return

    async def _open(self) -> None:
        self._broken.clear()
        site = self.site
        client = self._client = Client(
            await site.open(),
            asynchronous=True,
            set_as_default=False,
            security=site.security,
        )
        await client
        self._stream = client.scheduler_comm
        await _check(client, shared=site.shared)
        ear = await _subscribed(client, shared=site.shared)
        if self._lodging is None:
            await client.register_plugin(LeasePlugin(self._watch))
            await client.register_plugin(NodePlugin())
        else:
            ear.offered = functools.partial(self._lodging.offered, client)
            await self._lodging.come_in(client)
            await self._lodging.settle(client)
        # Only now: a node that is leased before it has its plugin would fail.
        self._listens = True
        self._told = ({}, {})
        ear.listen(lambda message: self._hear(client, message))
        await site.start_nodes()

    async def _end(self) -> None:
        connected = self.connected
        client, self._client, self._stream = self._client, None, None
        self.nodes, self._listens = {}, False
        if client is not None:
            with contextlib.suppress(Exception):
                if self._lodging is not None and connected:
                    async with asyncio.timeout(LEAVE_S):
                        await self._lodging.leave(client)
            with contextlib.suppress(Exception):
                await client.close(LEAVE_S)

    def _hear(self, client: Client, message: Mapping[str, Any]) -> None:
        """Turn what the plugin tells into facts."""
        if client is not self._client:
            return
        match message["what"]:
            case "joined":
                self.nodes[message["address"]] = message["node"]
                ends_s = self._herald.deadline_s(message["node"])
                self._post(_joined(message, self.site, ends_s))
                self._herald.joined(message["node"])
            case "lost":
                self.nodes.pop(message["address"], None)
                self._post(
                    e.NodeLost(
                        node=message["node"],
                        reason=message["reason"],
                        cause=e.Cause[message["cause"]],
                    )
                )
            case "stuck":
                self._post(_stuck(message))
            case "alarm":
                self._alarms.begin("node", message["message"])
            case "mistagged":
                logger.warning("%s", message["message"])
            case "error":
                self._fail(
                    InternalError(
                        f"a hook on the Dask scheduler failed: {message['message']}; "
                        "placement can no longer be trusted"
                    )
                )


def _joined(
    message: Mapping[str, Any], site: Site, deadline_s: float | None
) -> e.NodeJoined:
    """Return what the plugin tells of a node, with what the site knows of it."""
    node = message["node"]
    return e.NodeJoined(
        node=node,
        cores=message["cores"],
        memory_bytes=message["memory"],
        deadline_s=deadline_s,
        scratch_bytes=site.node_scratch_bytes,
        job=site.job_of(node) if isinstance(site, LaunchingSite) else "",
    )


def _stuck(message: Mapping[str, Any]) -> e.SegmentFailed:
    return e.SegmentFailed(
        simulation=message["lease"],
        stage=message["stage"],
        segment=message["segment"],
        attempt=message["attempt"],
        cause=e.Cause[message["cause"]],
        message=message["message"],
        node=message["node"],
        stack=message["stack"],
    )


class _Ear:
    """Hears the plugin; keeps what it tells until somebody listens."""

    def __init__(self) -> None:
        self.ready = asyncio.Event()
        self._held: list[Mapping[str, Any]] = []
        self._to: Callable[[Mapping[str, Any]], None] = self._held.append
        # Answered at once: what is not taken is not heard of.
        self.offered: Callable[[Mapping[str, Any]], None] = self._held.append

    def __call__(self, event: tuple[float, Mapping[str, Any]]) -> None:
        if event[1]["what"] == "ready":
            self.ready.set()
        elif event[1]["what"] == "offered":
            self.offered(event[1])
        else:
            self._to(event[1])

    def listen(self, to: Callable[[Mapping[str, Any]], None]) -> None:
        """Hand on what was told and what will be."""
        self._to = to
        for message in self._held:
            to(message)


async def _subscribed(client: Client, *, shared: bool) -> _Ear:
    ear, topic = _Ear(), topic_of(client.id, shared=shared)
    client.subscribe_topic(topic, ear)
    # The subscription travels in a batch of its own time: a node that joined
    # before it arrived would never be heard of. Call until there is an echo.
    while not ear.ready.is_set():
        await client.log_event(topic, {"what": "ready"})
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ear.ready.wait(), 0.02)
    return ear


async def _check(client: Client, *, shared: bool) -> None:
    """Check a Dask scheduler, before anything is changed there."""
    try:
        faults = await client.run_on_scheduler(setting_faults, shared=shared)
    except ImportError as error:
        raise InvalidInputError(
            f"the Dask scheduler does not find what campaigns need ({error}); "
            "install the same climorch for it and for its workers"
        ) from error
    if faults:
        raise InvalidInputError("Dask is not set as it must be", faults=faults)
