"""Careless foreign work and wrong labels: leases hold, nothing crashes.

Each rule is tried twice: as it is, and switched off, when the same misuse must
succeed; else the test would show nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest
from distributed import Scheduler
from distributed.scheduler import TaskState

from climorch.engine.plugin import LeasePlugin
from climorch.engine.recall import Recaller
from climorch.engine.tags import make_tag
from tests.live.lease_cases import (
    GATES,
    Cluster,
    cluster,
    gated,
    note,
    ran,
    soon,
    where,
)

LEASED = "node000"
FREE = {"node001", "node002"}


class NoForeignRule(LeasePlugin):
    """Foreign work runs anywhere."""

    def _place_foreign(self, state: TaskState, guest: str | None) -> None:
        pass


class NoLeaseRule(LeasePlugin):
    """Tagged work runs anywhere."""

    def _place_tagged(self, state: TaskState, tag: Any, lease: str) -> None:
        pass


class Silent(Recaller):
    """Asks for nothing."""

    def recall(self, tasks: Iterable[TaskState]) -> None:
        pass


class NoRecall(LeasePlugin):
    """What a worker was given stays there."""

    async def start(self, scheduler: Scheduler) -> None:
        await super().start(scheduler)
        self._recaller = Silent(scheduler, self.failed)


class NoUnqueue(LeasePlugin):
    """What Dask queues is not looked at."""

    def _unqueue(self) -> None:
        pass


class NoRescue(LeasePlugin):
    """What waits for a node goes on waiting."""

    def _rescue(self) -> None:
        pass


class NoProtection(LeasePlugin):
    """Leased nodes are offered for closing."""

    def _offered(self, workers: list[Any]) -> list[Any]:
        return workers


async def foreign_work(c: Cluster) -> bool:
    """Many tasks of somebody who has never heard of leases."""
    await c.lease({"sim": (LEASED,)})
    return LEASED in await c.client.gather(c.client.map(where, range(30), pure=False))


async def pinned_to_a_leased_node(c: Cluster) -> bool:
    """A task that insists on a node that is leased: it waits."""
    await c.lease({"sim": (LEASED,)})
    future = c.client.submit(where, 0, workers=[LEASED], pure=False)
    await c.known(future)
    return c.state(future) != "no-worker"


async def pinned_loosely(c: Cluster) -> bool:
    """One that would like a leased node and takes others."""
    await c.lease({"sim": (LEASED,)})
    future = c.client.submit(
        where, 0, workers=[LEASED], allow_other_workers=True, pure=False
    )
    return bool(await future == LEASED)


async def loose_while_all_is_leased(c: Cluster) -> bool:
    """One that takes any node, while every node is leased."""
    await c.lease({"sim": (LEASED, *sorted(FREE))})
    future = c.client.submit(
        where, 0, workers=[LEASED], allow_other_workers=True, pure=False
    )
    await c.known(future)
    return c.state(future) != "no-worker"


async def pinned_to_the_host(c: Cluster) -> bool:
    """Tasks that insist on the machine that all nodes are on."""
    await c.lease({"sim": (LEASED,)})
    host = next(iter(c.scheduler.workers.values())).host
    tasks = c.client.map(where, range(30), workers=[host], pure=False)
    return LEASED in set(await c.client.gather(tasks))


async def with_resources(c: Cluster) -> bool:
    """Tasks that ask for a core as simulations do."""
    await c.lease({"sim": (LEASED,)})
    tasks = c.client.map(where, range(30), resources={"cpu": 1}, pure=False)
    return LEASED in set(await c.client.gather(tasks))


async def before_the_lease(c: Cluster) -> bool:
    """Tasks that a worker of the node has and has not begun."""
    held = [
        c.client.submit(gated, "g", f"held{i}", workers=[LEASED], pure=False)
        for i in range(2)
    ]
    await soon(lambda: len(ran("held")) == 2, "both threads are busy")
    waiting = c.client.map(
        note,
        [f"later{i}" for i in range(4)],
        workers=[LEASED, "node001"],
        pure=False,
    )
    await c.known(*waiting)
    assert any(len(w.processing) > 2 for w in c.scheduler.workers.values())
    await c.lease({"sim": (LEASED,)})
    GATES["g"].set()
    # What had begun was not disturbed.
    assert await c.client.gather(held) == [LEASED] * 2
    assert len(ran("held")) == 2
    return LEASED in await c.client.gather(waiting)


async def queued_before_the_lease(c: Cluster) -> bool:
    """Tasks that Dask queues, since there are more than cores."""
    held = c.client.map(gated, ["g"] * 60, [f"q{i}" for i in range(60)], pure=False)
    await soon(lambda: len(ran("q")) == 6, "all threads are busy")
    assert c.scheduler.queued
    await c.lease({"sim": (LEASED,)})
    GATES["g"].set()
    places = await c.client.gather(held)
    return bool(places.count(LEASED) > 2)


async def lost_results(c: Cluster) -> bool:
    """Results that were made before the lease and are lost must be made again."""
    futures = c.client.map(where, range(20), pure=False)
    places = await c.client.gather(futures)
    lost = [f for f, place in zip(futures, places, strict=True) if place == "node001"]
    assert lost
    await c.lease({"sim": (LEASED, "node002")})
    await c.leave("node001")
    # No node is left for them: they wait.
    await c.known(*lost)
    return any(c.state(future) != "no-worker" for future in lost)


WRONG = {
    "text": "sim",
    "list": ["sim"],
    "number": 7,
    "empty": {},
    "no kind": {"lease": "sim"},
    "no lease": {"kind": "cpu"},
    "lease of another type": {"lease": 3, "kind": "cpu"},
    "nothing for a lease": {"lease": "", "kind": "cpu"},
    "unknown kind": {"lease": "sim", "kind": "gpu"},
    "kind of another type": {"lease": "sim", "kind": ["cpu"]},
}


def wrongly_tagged(tag: Any) -> Callable[[Cluster], Awaitable[bool]]:
    """A label that says no lease is foreign work."""

    async def misuse(c: Cluster) -> bool:
        await c.lease({"sim": (LEASED,)})
        futures = [c.tagged(tag, where, i) for i in range(12)]
        return LEASED in await c.client.gather(futures)

    return misuse


async def tagged_elsewhere(c: Cluster) -> bool:
    """A label with a pin of its own: the lease counts, not the pin."""
    await c.lease({"sim": (LEASED,)})
    pinned = c.tagged(
        make_tag("sim"), where, 0, workers=["node001"], allow_other_workers=True
    )
    free = [c.tagged(make_tag("sim"), where, i) for i in range(9)]
    return set(await c.client.gather([pinned, *free])) != {LEASED}


async def of_nobody(c: Cluster) -> bool:
    """A label with a name that has no lease: it waits, it runs nowhere."""
    await c.lease({"sim": (LEASED,)})
    future = c.tagged(make_tag("nobody"), where, 0)
    await c.known(future)
    return c.state(future) != "no-worker"


async def after_the_lease(c: Cluster) -> bool:
    """Tasks of a lease that has moved, which the worker has not begun."""
    await c.lease({"sim": (LEASED,)})
    held = c.tagged(make_tag("sim"), gated, "g", "held")
    await soon(lambda: ran("held"), "the core is busy")
    waiting = [c.tagged(make_tag("sim"), where, i) for i in range(4)]
    await c.known(*waiting)
    await c.lease({"sim": ("node001",)})
    # Those are done before the one that holds the old node is.
    moved = {c.state(f) == "memory" for f in waiting}
    if isinstance(c.plugin, NoRecall):
        assert moved == {False}
    else:
        assert set(await c.client.gather(waiting)) == {"node001"}
    GATES["g"].set()
    assert await held == LEASED
    assert ran("held") == ["held"]
    return LEASED in await c.client.gather(waiting)


async def asked_for_all(c: Cluster) -> bool:
    """Somebody asks which three of three nodes may go."""
    await c.lease({"sim": (LEASED,), "other": ("node001",)})
    offered = c.scheduler.workers_to_close(n=3, attribute="name")
    assert "node002" in offered
    return set(offered) != {"node002"}


MISUSES: list[Any] = [
    *(
        pytest.param(misuse, NoForeignRule, id=misuse.__name__)
        for misuse in (
            foreign_work,
            pinned_to_a_leased_node,
            pinned_loosely,
            loose_while_all_is_leased,
            pinned_to_the_host,
            with_resources,
            lost_results,
        )
    ),
    *(
        pytest.param(wrongly_tagged(tag), NoForeignRule, id=f"tag: {name}")
        for name, tag in WRONG.items()
    ),
    pytest.param(before_the_lease, NoRecall, id="before_the_lease"),
    pytest.param(queued_before_the_lease, NoUnqueue, id="queued_before_the_lease"),
    pytest.param(tagged_elsewhere, NoLeaseRule, id="tagged_elsewhere"),
    pytest.param(of_nobody, NoLeaseRule, id="of_nobody"),
    pytest.param(after_the_lease, NoRecall, id="after_the_lease"),
    pytest.param(asked_for_all, NoProtection, id="asked_for_all"),
]


@pytest.mark.parametrize(("misuse", "without"), MISUSES)
async def test_a_lease_holds_against_misuse(
    misuse: Callable[[Cluster], Awaitable[bool]], without: type[LeasePlugin]
) -> None:
    """Whatever others submit, leased nodes do their simulation's work alone."""
    async with cluster() as c:
        assert not await misuse(c)
        assert c.plugin.errors == []


@pytest.mark.parametrize(("misuse", "without"), MISUSES)
async def test_without_its_rule_the_same_misuse_succeeds(
    misuse: Callable[[Cluster], Awaitable[bool]], without: type[LeasePlugin]
) -> None:
    """Each rule is what prevents its misuse, and nothing else is."""
    async with cluster(without) as c:
        assert await misuse(c)
