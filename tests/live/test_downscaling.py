"""A cluster that scales itself down does not close leased nodes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import dask
from distributed import Client, Scheduler, SpecCluster, Worker

from climorch.engine.orders import set_leases, take_leave
from climorch.engine.plugin import LeasePlugin
from climorch.sites.settings import DASK_SETTINGS
from tests.live.lease_cases import soon, where
from tests.live.test_enforcement import NoProtection


@asynccontextmanager
async def adaptive(
    plugin: LeasePlugin,
) -> AsyncIterator[tuple[Client, Scheduler]]:
    """Three idle nodes; the first is leased; then the cluster wants none."""
    worker = {"cls": Worker, "options": {"nthreads": 2, "dashboard": False}}
    with dask.config.set({**DASK_SETTINGS, "distributed.scheduler.validate": True}):
        async with (
            SpecCluster(
                workers={name: dict(worker) for name in ("a", "b", "c")},
                scheduler={
                    "cls": Scheduler,
                    "options": {
                        "protocol": "inproc://",
                        "dashboard": False,
                        "dashboard_address": ":0",
                    },
                },
                asynchronous=True,
            ) as cluster,
            Client(cluster, asynchronous=True, set_as_default=False) as client,
        ):
            await client.wait_for_workers(3, timeout=30)
            await client.register_plugin(plugin)
            await client.run_on_scheduler(set_leases, {"sim": ("a",)}, {})
            cluster.adapt(minimum=0, interval="20ms", wait_count=1)
            scheduler = cluster.scheduler
            assert isinstance(scheduler, Scheduler)
            yield client, scheduler


async def test_adaptive_scaling_closes_only_nodes_that_nobody_leases() -> None:
    """All nodes are idle: the free ones go; the leased one goes with its lease."""
    async with adaptive(LeasePlugin()) as (client, scheduler):
        await soon(lambda: set(scheduler.aliases) == {"a"}, "free nodes are closed")
        assert scheduler.workers_to_close(target=0) == []

        await client.run_on_scheduler(set_leases, {}, {})
        await soon(lambda: not scheduler.workers, "the last node is closed")


async def test_without_protection_the_leased_node_is_closed_too() -> None:
    """Nothing else keeps Dask from closing an idle node."""
    async with adaptive(NoProtection()) as (_, scheduler):
        await soon(lambda: not scheduler.workers, "all nodes are closed")


async def test_a_scheduler_that_is_left_is_as_it_was_found() -> None:
    """Foreign work runs on all nodes again, and nodes are offered for closing."""
    async with adaptive(LeasePlugin()) as (client, scheduler):
        assert "climorch-watch" in {t.get_name() for t in asyncio.all_tasks()}
        before = client.submit(where, 0, workers=["a"], pure=False)
        await soon(lambda: before.key in scheduler.tasks, "it is known")
        found = set(scheduler.plugins)

        await client.run_on_scheduler(take_leave)

        assert await before == "a"
        assert found - set(scheduler.plugins) == {"climorch-leases"}
        tasks = {task.get_name() for task in asyncio.all_tasks()}
        assert "climorch-watch" not in tasks
        assert "steal-response" not in scheduler.stream_handlers
