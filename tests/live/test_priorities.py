"""A new priority orders what waits, wherever it waits, and disturbs nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from distributed import Future

from climorch import Campaign, Scenario
from climorch.engine.ordering import Order
from climorch.engine.plugin import NAME, LeasePlugin
from climorch.engine.tags import make_guest_tag, make_tag
from climorch.model import events as e
from climorch.testing.faults import until, until_record
from climorch.testing.models import box_workflow
from tests.live.cases import here, policies
from tests.live.lease_cases import (
    GATES,
    RAN,
    Cluster,
    cluster,
    gated,
    note,
    ran,
    soon,
)
from tests.live.test_enforcement import NoRecall

# Submitted within a tenth of a second, tasks have no order of their own.
BEFORE = {"a": 1}
AFTER = {"a": 1, "b": 5}


async def hold_all(c: Cluster, threads: int) -> list[Future[Any]]:
    """Keep all threads of free nodes busy until the gate opens."""
    held = [c.client.submit(gated, "g", f"held{i}", pure=False) for i in range(threads)]
    await soon(lambda: len(ran("held")) == threads, "all threads are busy")
    return held


def submit(c: Cluster, name: str, tag: Any, count: int) -> list[Future[Any]]:
    """Tasks of one name, in order."""
    return [c.tagged(tag, note, f"{name}{i}") for i in range(count)]


async def on_a_shared_node(c: Cluster) -> bool:
    """Two simulations share a node; the later one becomes more important."""
    both = dict.fromkeys(("a", "b"), ("node000",))
    await c.lease(both, BEFORE)
    held = c.tagged(make_tag("a"), gated, "g", "held")
    await soon(lambda: ran("held"), "the core is busy")
    futures = [f for name in "ab" for f in submit(c, name, make_tag(name), 4)]
    await c.known(*futures)
    await c.lease(both, AFTER)
    GATES["g"].set()
    await c.client.gather([held, *futures])
    assert ran("held") == ["held"]
    return ran() == ["held", *ran("b"), *ran("a")]


async def of_guests_on_free_nodes(c: Cluster) -> bool:
    """Named foreign work shares the nodes that are left."""
    sim = {"sim": ("node000",)}
    await c.lease(sim, BEFORE)
    held = await hold_all(c, 4)
    futures = [f for n in "ab" for f in submit(c, n, make_guest_tag(n), 10)]
    await c.known(*futures)
    await c.lease(sim, AFTER)
    GATES["g"].set()
    await c.client.gather([*held, *futures])
    assert len(ran("held")) == 4
    by_node = {
        node: [label[0] for label, place in RAN if place == node and label[0] in "ab"]
        for node in ("node001", "node002")
    }
    # Two threads per node: at the turn the last and the first may change places.
    return all(
        "a" not in labels[: labels.count("b") - 2] for labels in by_node.values()
    )


async def of_guests_in_the_queue(c: Cluster) -> bool:
    """Dask queues what has more tasks than the cluster has threads."""
    await c.lease({}, BEFORE)
    held = await hold_all(c, 6)
    futures = []
    for name in "ab":
        labels = [f"{name}{i}" for i in range(40)]
        futures += c.mapped(make_guest_tag(name), note, labels)
    await c.known(*futures)
    assert len(c.scheduler.queued) == 80
    await c.lease({}, AFTER)
    GATES["g"].set()
    await c.client.gather([*held, *futures])
    first = {label[0] for label in [x for x in ran() if x[0] in "ab"][:30]}
    assert len(first) == 1
    return first == {"b"}


Waiting = Callable[[Cluster], Awaitable[bool]]


@pytest.mark.parametrize(
    "waiting", [on_a_shared_node, of_guests_on_free_nodes, of_guests_in_the_queue]
)
async def test_a_new_priority_orders_what_waits(waiting: Waiting) -> None:
    """Assigned or queued, the more important runs first; what runs goes on."""
    async with cluster() as c:
        assert await waiting(c)
        assert c.plugin.errors == []


@pytest.mark.parametrize("waiting", [on_a_shared_node, of_guests_on_free_nodes])
async def test_without_recall_a_worker_keeps_its_order(waiting: Waiting) -> None:
    """A worker orders by the priority that a task was sent with."""
    async with cluster(NoRecall) as c:
        assert not await waiting(c)


async def test_without_a_new_heap_the_queue_keeps_its_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Dask's heap keeps the priority that a task was queued with."""

    def not_at_all(self: Order, members: Mapping[Any, float]) -> None:
        pass

    monkeypatch.setattr(Order, "_requeue", not_at_all)
    async with cluster() as c:
        assert not await of_guests_in_the_queue(c)


async def test_a_task_that_waits_for_its_input_follows_too() -> None:
    """Its priority is read when it is sent, which is after the change."""
    async with cluster() as c:
        both = dict.fromkeys(("a", "b"), ("node000",))
        await c.lease(both, BEFORE)
        first = c.tagged(make_tag("a"), gated, "g", "first")
        await soon(lambda: ran("first"), "it runs")
        futures = [
            c.tagged(make_tag(name), after, first, name) for name in ("a", "a", "b")
        ]
        await soon(
            lambda: all(c.state(f) == "waiting" for f in futures), "they wait for it"
        )
        await c.lease(both, AFTER)
        GATES["g"].set()
        await c.client.gather(futures)

        assert ran() == ["first", "b", "a", "a"]


def after(given: Any, label: str) -> str:
    """Leave a note once an input is there."""
    return note(label)


async def test_a_priority_that_comes_and_goes_leaves_the_first_order() -> None:
    """Priorities are set, not added up."""
    async with cluster() as c:
        both = dict.fromkeys(("a", "b"), ("node000",))
        await c.lease(both, BEFORE)
        held = c.tagged(make_tag("a"), gated, "g", "held")
        await soon(lambda: ran("held"), "the core is busy")
        futures = [f for name in "ab" for f in submit(c, name, make_tag(name), 3)]
        await c.known(*futures)
        for priority in (5, -3, 0):
            await c.lease(both, {**BEFORE, "b": priority})
        GATES["g"].set()
        await c.client.gather([held, *futures])

        assert ran() == ["held", *ran("a"), *ran("b")]


def test_prioritize_reaches_what_runs(tmp_path: Path) -> None:
    """A user's new priority is on the Dask scheduler before the next segments."""
    campaign = Campaign("c", root=tmp_path, policies=policies())
    campaign.submit(box_workflow(segments=200, work_s=0.02), scenario=Scenario("s"))
    site = here()
    run = campaign.start(site)
    until_record(tmp_path, "c", e.SegmentFinished, run=run)
    scheduler = site.scheduler
    assert scheduler is not None
    plugin = scheduler.plugins[NAME]
    assert isinstance(plugin, LeasePlugin)
    assert plugin.priorities == {"s": 0}

    campaign.prioritize("s", priority=9)

    until(lambda: plugin.priorities == {"s": 9}, what="the plugin is told")
    run.kill()
    run.wait()
