"""Work of a dead node goes on elsewhere; what asked for nodes gets them back."""

from __future__ import annotations

import pytest
from distributed import Future, Worker

from climorch.engine.plugin import LeasePlugin
from climorch.engine.tags import make_tag
from tests.live.lease_cases import GATES, Cluster, cluster, gated, ran, soon, where
from tests.live.test_enforcement import NoRescue

LEASE = {"sim": ("node000", "node001")}


async def pinned(c: Cluster, count: int = 4) -> list[Future[str]]:
    """Tasks that prefer a node and wait there for its core."""
    await c.lease(LEASE)
    held = c.tagged(make_tag("sim", node="node000"), gated, "g", "held")
    await soon(lambda: ran("held"), "the core is busy")
    futures = [
        c.tagged(make_tag("sim", node="node000"), where, i) for i in range(count)
    ]
    await c.known(*futures)
    on = {c.scheduler.tasks[f.key].processing_on for f in futures}
    assert {str(w.name) for w in on if w is not None} == {"node000"}
    return [held, *futures]


async def test_tasks_of_a_dead_node_run_on_the_rest_of_its_lease() -> None:
    """What it had begun as well as what it had not."""
    async with cluster() as c:
        futures = await pinned(c)
        GATES["g"].set()
        await c.leave("node000")

        assert set(await c.client.gather(futures)) == {"node001"}
        assert c.plugin.errors == []


async def test_without_rescue_they_wait_for_ever() -> None:
    """Dask goes on waiting for the address that is gone."""
    async with cluster(NoRescue) as c:
        _, *futures = await pinned(c)
        GATES["g"].set()
        await c.leave("node000")

        await soon(
            lambda: all(c.state(f) == "no-worker" for f in futures),
            "they wait",
        )
        c.plugin.update(LEASE, {})
        assert all(c.state(f) == "no-worker" for f in futures)


@pytest.mark.parametrize("plugin", [LeasePlugin, NoRescue])
async def test_with_no_node_left_they_wait_for_the_next(
    plugin: type[LeasePlugin],
) -> None:
    """They run once their simulation has another node; without rescue never."""
    async with cluster(plugin) as c:
        futures = await pinned(c)
        GATES["g"].set()
        await c.leave("node000")
        await c.leave("node001")
        await soon(
            lambda: all(c.state(f) == "no-worker" for f in futures),
            "they wait",
        )

        await c.lease({"sim": ("node002",)})

        if plugin is NoRescue:
            assert all(c.state(f) == "no-worker" for f in futures)
        else:
            assert set(await c.client.gather(futures)) == {"node002"}


async def test_a_node_that_comes_back_is_of_its_lease_at_once() -> None:
    """By name: its address is another one."""
    async with cluster() as c:
        futures = await pinned(c)
        GATES["g"].set()
        await c.leave("node000")
        await c.leave("node001")
        await soon(
            lambda: all(c.state(f) == "no-worker" for f in futures),
            "they wait",
        )
        async with Worker(
            c.scheduler.address,
            name="node000",
            nthreads=2,
            resources={"cpu": 1, "io": 1},
            dashboard=False,
        ):
            assert set(await c.client.gather(futures)) == {"node000"}
            foreign = c.client.map(where, range(10), pure=False)
            assert set(await c.client.gather(foreign)) == {"node002"}


async def test_foreign_work_waits_while_all_is_leased_and_then_runs() -> None:
    """With another free node, or with the end of the leases."""
    async with cluster() as c:
        await c.lease({"sim": ("node000", "node001", "node002")})
        first = c.client.submit(where, 0, pure=False)
        await c.known(first)
        assert c.state(first) == "no-worker"
        await c.lease({"sim": ("node000", "node001")})
        assert await first == "node002"

        await c.leave("node002")
        second = c.client.submit(where, 0, pure=False)
        await c.known(second)
        assert c.state(second) == "no-worker"
        await c.lease({})
        assert await second in {"node000", "node001"}


async def test_what_a_foreign_task_asked_for_holds_again_after_the_lease() -> None:
    """A pin to a node, to a host and a loose one are as they were submitted."""
    async with cluster() as c:
        await c.lease({"sim": ("node000",)})
        host = next(iter(c.scheduler.workers.values())).host
        pin = c.client.submit(where, 0, workers=["node000"], pure=False)
        loose = c.client.submit(
            where, 0, workers=["node000"], allow_other_workers=True, pure=False
        )
        hosted = c.client.submit(where, 0, workers=[host], pure=False)
        await c.known(pin, loose, hosted)
        asked = [c.scheduler.tasks[f.key] for f in (pin, loose, hosted)]
        await c.lease({})

        assert await pin == "node000"
        address = {c.scheduler.aliases["node000"]}
        found = [
            (s.worker_restrictions, s.host_restrictions, s.loose_restrictions)
            for s in asked
        ]
        assert found == [
            (address, None, False),
            (address, None, True),
            (None, {host}, False),
        ]


async def test_nothing_is_kept_of_tasks_that_are_forgotten() -> None:
    """Neither sets of addresses, nor wishes, nor priorities."""
    async with cluster() as c:
        await c.lease(LEASE)
        futures = [
            c.tagged(make_tag("sim", node="node001"), where, i) for i in range(9)
        ]
        pin = c.client.submit(where, 0, workers=["node002"], pure=False)
        await c.client.gather([pin, *futures])
        assert c.plugin.kept() == {"places": 1, "wishes": 1, "members": 9, "paces": 0}

        del futures, pin
        await soon(lambda: not c.scheduler.tasks, "tasks are forgotten")
        # Dask's log of transitions is what still holds them.
        await soon(
            lambda: not any(c.plugin.kept().values()),
            "nothing is kept",
        )
