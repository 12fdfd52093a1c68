"""Leases on the Dask scheduler: who may run where."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import dask
import pytest
from distributed import Client, get_worker

from climorch import LocalSite
from climorch.engine.orders import set_leases
from climorch.engine.plugin import LeasePlugin
from climorch.engine.tags import ANNOTATION, make_tag
from climorch.engine.worker import NodePlugin


def where(index: int) -> str:
    """Name of the node that this runs on."""
    return str(get_worker().name)


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """Three nodes of which ``sim`` leases the first."""
    site = LocalSite(nodes=3, in_process=True)
    address = await site.open()
    async with Client(address, asynchronous=True, set_as_default=False) as client:
        await client.register_plugin(LeasePlugin())
        await client.register_plugin(NodePlugin())
        await site.start_nodes()
        assert (
            await client.run_on_scheduler(set_leases, {"sim": ("node000",)}, {"sim": 1})
            == []
        )
        yield client
    await site.close()


async def test_a_foreign_task_never_runs_on_a_leased_node(client: Client) -> None:
    """Work of others has the nodes that nobody leases."""
    places = await client.gather(client.map(where, range(30), pure=False))

    assert set(places) <= {"node001", "node002"}


async def test_a_tagged_task_runs_on_its_lease_and_nowhere_else(client: Client) -> None:
    """A simulation's work never leaves its nodes, and follows its lease."""
    with dask.annotate(**{ANNOTATION: make_tag("sim")}):
        first = client.map(where, range(20), pure=False)
    assert set(await client.gather(first)) == {"node000"}

    await client.run_on_scheduler(set_leases, {"sim": ("node002",)}, {"sim": 1})
    with dask.annotate(**{ANNOTATION: make_tag("sim")}):
        second = client.map(where, range(20, 40), pure=False)
    assert set(await client.gather(second)) == {"node002"}


def hold(seconds: float) -> None:
    """Keep the core of a node."""
    time.sleep(seconds)


def moment() -> float:
    """When this runs."""
    return time.monotonic()


@pytest.mark.parametrize("important", ["first", "second"])
async def test_the_more_important_simulation_runs_first_on_a_shared_node(
    client: Client, important: str
) -> None:
    """The priority of a simulation, not the order of submission, decides."""
    await client.run_on_scheduler(
        set_leases, dict.fromkeys(("first", "second"), ("node000",)), {important: 5}
    )
    with dask.annotate(**{ANNOTATION: make_tag("first")}):
        held = client.submit(hold, 0.5, pure=False)
    futures = {}
    for name in ("first", "second"):
        with dask.annotate(**{ANNOTATION: make_tag(name)}):
            futures[name] = [client.submit(moment, pure=False) for _ in range(3)]
    await held
    ran = await client.gather(futures)

    (other,) = ran.keys() - {important}
    assert max(ran[important]) < min(ran[other])


async def test_a_task_without_a_lease_waits_for_one(client: Client) -> None:
    """It runs nowhere until its simulation has a node, and then there."""
    with dask.annotate(**{ANNOTATION: make_tag("late")}):
        future = client.submit(where, 1, pure=False)
    # A round trip to the Dask scheduler: it knows of the task by now.
    assert not (await client.who_has([future]))[future.key]

    await client.run_on_scheduler(
        set_leases, {"sim": ("node000",), "late": ("node001",)}, {}
    )

    assert await future == "node001"
