"""What drivers may do to each other on one Dask scheduler: nothing."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask
import pytest
from distributed import Client, LocalCluster, Scheduler

from climorch import ConflictError, NotFoundError
from climorch.engine import guest, hosting, party, worker
from climorch.engine.orders import set_leases, take_measures
from climorch.engine.tags import ANNOTATION, make_tag
from climorch.storage.marks import open_marks
from tests.live.lease_cases import soon, where
from tests.live.outside import cluster


@dataclass
class Driver:
    """What a driver does on a Dask scheduler, by hand."""

    client: Client
    comer: party.Comer
    heard: list[Any]
    answered: int = 0

    async def take(self, count: int) -> list[str]:
        """Accept all that is offered; return the nodes once there are so many."""
        end_s = time.monotonic() + 30
        while len(self.joined()) < count:
            assert time.monotonic() < end_s
            new, self.answered = self.offers()[self.answered :], len(self.offers())
            for offer in new:
                await self.answer(offer["address"], offer["problem"])
            # A wait between two looks: each decides anew.
            await asyncio.sleep(0.005)
        return self.joined()

    def joined(self) -> list[str]:
        """All nodes that it was told of."""
        return [m["node"] for m in self.heard if m["what"] == "joined"]

    def offers(self) -> list[Any]:
        """All that it was offered."""
        return [m for m in self.heard if m["what"] == "offered"]

    async def answer(self, address: str, problem: str = "") -> None:
        """Say whether it takes a worker."""
        await self.client.run_on_scheduler(
            guest.answer_offer, self.client.id, address, problem
        )

    async def lease(self, **leases: tuple[str, ...]) -> None:
        """Tell who holds which nodes."""
        told = await self.client.run_on_scheduler(
            set_leases, leases, {}, client=self.client.id
        )
        assert told == []

    def work(self, lease: str, count: int) -> list[Any]:
        """Submit tasks of a simulation, which say where they run."""
        with dask.annotate(**{ANNOTATION: make_tag(lease)}):
            return self.client.map(where, range(count), pure=False)


@asynccontextmanager
async def driver(
    theirs: LocalCluster, folder: Path, identity: str, **more: Any
) -> AsyncIterator[Driver]:
    """Come as a campaign; leave without a word."""
    folder = folder / f"{identity}{more.get('epoch', 1)}"
    folder.mkdir()
    heard: list[Any] = []
    address = theirs.scheduler_address
    async with Client(address, asynchronous=True, set_as_default=False) as client:
        topic = party.topic_of(client.id, shared=True)
        client.subscribe_topic(topic, lambda event: heard.append(event[1]))
        while not heard:
            await client.log_event(topic, {"what": "ready"})
            await asyncio.sleep(0.02)
        comer = party.Comer(
            client=client.id,
            identity=identity,
            place=str(open_marks(folder)),
            who=f"campaign {identity}",
            **{"epoch": 1, "most": None, **more},
        )
        await client.run_on_scheduler(guest.enter, comer)
        yield Driver(client=client, comer=comer, heard=heard)


async def test_each_computes_on_its_own_workers_only(tmp_path: Path) -> None:
    """Leases and simulations of the same names do not meet."""
    with cluster(2) as theirs:
        async with (
            driver(theirs, tmp_path, "A", most=1) as a,
            driver(theirs, tmp_path, "B", most=1) as b,
        ):
            (own,), (other,) = await a.take(1), await b.take(1)
            assert {own, other} == {"0", "1"}
            # The second one claims what is not its own, too.
            await a.lease(s=(own,))
            await b.lease(s=(own, other))
            got = [await d.client.gather(d.work("s", 6)) for d in (a, b)]
            assert set(got[0]) == {own}
            assert set(got[1]) == {other}
            used = await b.client.run_on_scheduler(
                take_measures, "s", "air", client=b.client.id
            )
            assert used[0] == {}


async def test_who_takes_no_part_has_no_lease(tmp_path: Path) -> None:
    """A label that anybody may write gives nobody the nodes of a campaign."""
    with cluster(2) as theirs:
        async with (
            driver(theirs, tmp_path, "A", most=1) as a,
            Client(
                theirs.scheduler_address, asynchronous=True, set_as_default=False
            ) as stranger,
        ):
            (own,) = await a.take(1)
            await a.lease(s=(own,))
            with dask.annotate(**{ANNOTATION: make_tag("s")}):
                futures = stranger.map(where, range(6), pure=False)
            assert set(await stranger.gather(futures)) == {"0", "1"} - {own}
            with pytest.raises(NotFoundError, match="is not here any more"):
                await stranger.run_on_scheduler(set_leases, {}, {}, client=stranger.id)
            with pytest.raises(NotFoundError, match="is not here any more"):
                await stranger.run_on_scheduler(
                    take_measures, "s", "air", client=stranger.id
                )


async def test_a_later_driver_of_a_campaign_takes_its_workers_over(
    tmp_path: Path,
) -> None:
    """The one before, which may have been held, can do nothing any more."""
    with cluster(1) as theirs:
        async with driver(theirs, tmp_path, "A") as before:
            (node,) = await before.take(1)
            await before.lease(s=(node,))
            async with driver(theirs, tmp_path, "A", epoch=2) as later:
                assert await later.take(1) == [node]
                with pytest.raises(NotFoundError):
                    await before.lease(s=(node,))
                with pytest.raises(ConflictError, match="has taken over from this"):
                    await before.client.run_on_scheduler(guest.enter, before.comer)
                await before.answer(later.offers()[0]["address"], "late")
                await later.lease(s=(node,))
                assert await later.client.gather(later.work("s", 2)) == [node] * 2


async def test_a_worker_that_changed_hands_under_its_name_is_the_new_owner_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while the one before believes that it still leases that node."""
    monkeypatch.setattr(hosting, "KEPT_S", 0.0)
    with cluster(1) as theirs:
        scheduler = theirs.scheduler
        async with driver(theirs, tmp_path, "A", most=1) as a:
            (node,) = await a.take(1)
            await a.lease(s=(node,))
            async with driver(theirs, tmp_path, "B", most=1) as b:
                await b.client.run_on_scheduler(restarted)
                await b.take(1)
                waiting = a.work("s", 1)
                await b.lease(s=(node,))
                assert await b.client.gather(b.work("s", 2)) == [node] * 2
                await soon(
                    functools.partial(waits, scheduler, waiting[0].key), "it waits"
                )


async def restarted(dask_scheduler: Scheduler) -> None:
    """Take the worker for one that has just come, which A does not get again."""
    host = guest._door(dask_scheduler).host
    assert host is not None
    (address,) = dask_scheduler.workers
    host.holdings.gone(address, 0.0, keep_s=0.0)
    host.holdings.kept.clear()
    host.holdings.join(address, "0")
    host.holdings._workers[address].unfit.add("A")
    host.look()


def waits(scheduler: Scheduler, key: Any) -> bool:
    """Whether a task has no worker."""
    state = scheduler.tasks.get(key)
    return state is not None and state.state == "no-worker"


FAILS: list[tuple[Callable[..., Any], str]] = [
    (lambda *_: 1 / 0, "cannot be made a node: "),
    (lambda *_: "cannot write there", "cannot write there"),
]


@pytest.mark.parametrize(("mark", "problem"), FAILS)
async def test_what_cannot_be_made_a_node_is_declined_and_cleared(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mark: Callable[..., Any],
    problem: str,
) -> None:
    """Then another campaign may have it."""
    with cluster(1) as theirs, monkeypatch.context() as patched:
        patched.setattr(hosting, "leave_mark", mark)
        async with driver(theirs, tmp_path, "A") as a:
            await soon(a.offers, "an offer")
            (offer,) = a.offers()
            assert offer["problem"].startswith(problem)
            patched.undo()
            await a.answer(offer["address"], offer["problem"])
            async with driver(theirs, tmp_path, "B") as b:
                assert await b.take(1) == ["0"]
                standing = await a.client.run_on_scheduler(
                    guest.standing_of, a.client.id
                )
                assert standing.unfit == 1
                assert standing.others == {"campaign B": 1}


async def test_one_that_does_not_show_in_time_that_it_can_write_is_declined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that hangs there hangs for others too."""
    monkeypatch.setattr(hosting, "ANSWER_S", 0.0)
    with cluster(1) as theirs:
        async with driver(theirs, tmp_path, "A") as a:
            await soon(a.offers, "an offer")
            assert "has not shown within 0 s" in a.offers()[0]["problem"]


async def test_the_last_one_takes_along_what_all_need(tmp_path: Path) -> None:
    """While another one is there all of it stays."""
    with cluster(2) as theirs:
        scheduler = theirs.scheduler
        async with driver(theirs, tmp_path, "A", most=1) as a:
            await a.take(1)
            async with driver(theirs, tmp_path, "B", most=1) as b:
                await b.take(1)
                await b.client.run_on_scheduler(guest.leave, b.client.id)
                assert "climorch-leases" in scheduler.plugins
                plugins = await a.client.run(lambda dask_worker: dask_worker.plugins)
                assert sum(worker.NAME in found for found in plugins.values()) == 1
            await a.client.run_on_scheduler(guest.leave, a.client.id)
            assert "climorch-leases" not in scheduler.plugins
            with pytest.raises(NotFoundError, match="no campaign is on the Dask"):
                await a.client.run_on_scheduler(guest.standing_of, a.client.id)
