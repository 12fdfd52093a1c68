"""Nodes under a lease plugin, and work that tells where and when it ran."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import dask
from distributed import Client, Future, Scheduler, Worker, get_worker

from climorch import LocalSite
from climorch.engine.orders import set_leases
from climorch.engine.plugin import NAME, LeasePlugin
from climorch.engine.tags import ANNOTATION
from climorch.engine.worker import NodePlugin

# In-process nodes share them: a task waits at its gate until a test opens it.
GATES: defaultdict[str, threading.Event] = defaultdict(threading.Event)
RAN: list[tuple[str, str]] = []


def where(index: int) -> str:
    """Name of the node that this runs on."""
    return str(get_worker().name)


def note(label: str) -> str:
    """Leave a note that this ran; return where."""
    RAN.append((label, str(get_worker().name)))
    return str(get_worker().name)


def gated(gate: str, label: str) -> str:
    """Leave a note, then wait until the gate is open."""
    place = note(label)
    assert GATES[gate].wait(240)
    return place


def ran(prefix: str = "") -> list[str]:
    """Labels that ran so far, in order."""
    return [label for label, _ in list(RAN) if label.startswith(prefix)]


async def soon(found: Callable[[], Any], what: str) -> None:
    """Wait for a condition on the scheduler's loop."""
    end_s = time.monotonic() + 30
    while not found():
        if time.monotonic() > end_s:
            raise TimeoutError(what)
        # A wait between two looks: each decides anew.
        await asyncio.sleep(0.005)


@dataclass(frozen=True)
class Cluster:
    """In-process nodes, a client and the plugin."""

    client: Client
    scheduler: Scheduler
    site: LocalSite

    @property
    def plugin(self) -> LeasePlugin:
        """The plugin as it lives on the Dask scheduler."""
        plugin = self.scheduler.plugins[NAME]
        assert isinstance(plugin, LeasePlugin)
        return plugin

    async def lease(
        self,
        leases: Mapping[str, tuple[str, ...]],
        priorities: Mapping[str, int] | None = None,
    ) -> None:
        """Set leases and wait until workers have given back what they must."""
        told = await self.client.run_on_scheduler(set_leases, leases, priorities or {})
        assert told == []
        await soon(lambda: not self.plugin.recalled, "workers answer")
        await self.known()

    def tagged(self, tag: Any, work: Any, *args: Any, **kwargs: Any) -> Future[Any]:
        """Submit a task with a label."""
        with dask.annotate(**{ANNOTATION: tag}):
            return self.client.submit(work, *args, pure=False, **kwargs)

    def mapped(self, tag: Any, work: Any, arguments: Any) -> list[Future[Any]]:
        """Submit many tasks of one group with a label."""
        with dask.annotate(**{ANNOTATION: tag}):
            return self.client.map(work, arguments, pure=False)

    def state(self, future: Future[Any]) -> str:
        """State of a task on the Dask scheduler."""
        known = self.scheduler.tasks.get(future.key)
        return "unknown" if known is None else known.state

    async def known(self, *futures: Future[Any]) -> None:
        """Wait until tasks are placed, and workers know all that they were sent."""
        await soon(
            lambda: all(
                self.state(f) not in ("unknown", "released", "waiting") for f in futures
            ),
            "tasks are known",
        )
        here = {worker.address: worker for worker in Worker._instances}
        await soon(
            lambda: all(
                state.key in (known := here[worker.address].state.tasks)
                and known[state.key].run_id == state.run_id
                for worker in self.scheduler.workers.values()
                for state in list(worker.processing)
            ),
            "workers know their tasks",
        )

    async def leave(self, node: str) -> None:
        """Let a node die."""
        address = self.scheduler.aliases[node]
        await self.scheduler.remove_worker(address, stimulus_id="died", close=True)


@asynccontextmanager
async def cluster(
    plugin: type[LeasePlugin] = LeasePlugin, *, nodes: int = 3, threads: int = 1
) -> AsyncIterator[Cluster]:
    """Nodes named node000 and so on; Dask checks itself at every transition."""
    GATES.clear()
    RAN.clear()
    site = LocalSite(nodes=nodes, in_process=True, threads=threads)
    with dask.config.set({"distributed.scheduler.validate": True}):
        address = await site.open()
    scheduler = site.scheduler
    assert scheduler is not None
    assert scheduler.validate
    try:
        async with Client(address, asynchronous=True, set_as_default=False) as client:
            await client.register_plugin(plugin())
            await client.register_plugin(NodePlugin())
            await site.start_nodes()
            await client.wait_for_workers(nodes, timeout=30)
            yield Cluster(client=client, scheduler=scheduler, site=site)
            scheduler.validate_state()
    finally:
        for gate in GATES.values():
            gate.set()
        await site.close()
