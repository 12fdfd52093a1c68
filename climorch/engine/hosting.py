"""The part of a shared Dask scheduler that gives its workers to campaigns.

Runs there, on its one loop, so that a decision is taken at once: who has which worker
is a table (`holdings`). What has to be done on a worker, to make it a node or to clear
it of a campaign, is done one thing after another for each worker. While it is cleared
nobody has it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distributed.core import Status, rpc
from distributed.protocol import pickle

from climorch.engine.holdings import Holdings, Kept, Standing, Tenant
from climorch.engine.nodes import node_name
from climorch.engine.party import Change, Comer, Party
from climorch.engine.plugin import LeasePlugin
from climorch.engine.worker import NAME, NodePlugin
from climorch.errors import ConflictError
from climorch.storage.marks import leave_mark, remove_mark

if TYPE_CHECKING:
    from distributed import Scheduler, Worker

__all__ = ["KEPT_S", "Hosting"]

# How long the workers of a driver that went away without a word are kept for the next
# one of its campaign, and a worker that died for who had it.
KEPT_S = 20.0
# How long a worker may take to show that it can write. Slow disks are not refused.
ANSWER_S = 60.0
# How often a worker that is left looks whether the last task has ended.
LOOK_S = 0.05


class Hosting:
    """Gives workers to campaigns, each to one at a time, and takes them back.

    Parameters
    ----------
    scheduler : distributed.Scheduler
        Whose workers.
    kept : dict
        What is kept for whom from before, see `Holdings.kept`.
    on_orphaned : callable
        Told the client of a driver that is gone.
    now : callable
        Monotonic seconds.

    Attributes
    ----------
    holdings : Holdings
        Who has what.
    plugin : LeasePlugin
        Places the tasks of all campaigns.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        kept: Kept,
        on_orphaned: Callable[[str], None],
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.holdings = Holdings(kept)
        self.plugin = LeasePlugin(holder=self.holdings.holder, on_change=self._changed)
        self._scheduler = scheduler
        self._on_orphaned = on_orphaned
        self._now = now
        # By worker: the newest thing that is done there.
        self._jobs: dict[str, asyncio.Task[None]] = {}
        self._again: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Place tasks from now on."""
        await self.plugin.start(self._scheduler)
        self._scheduler.add_plugin(self.plugin)

    def stop(self) -> None:
        """Give the Dask scheduler back; nobody is there any more."""
        if self._again is not None:
            self._again.cancel()
        self._scheduler.remove_plugin(self.plugin.name)
        self.plugin.close_down()

    def enter(self, comer: Comer) -> None:
        """Let a campaign take part; a driver of it that was there has to go.

        Raises
        ------
        ConflictError
            If that is a later one.
        """
        known = self.holdings.tenant(comer.identity)
        if known is not None and known.epoch > comer.epoch:
            raise ConflictError(f"{known.who} has taken over from this driver")
        if known is not None:
            former = self.plugin.parties.called(comer.identity)
            if former is not None and former.comer is not None:
                self.exit(former.comer.client, kept=True)
        self.holdings.enter(
            Tenant(
                identity=comer.identity,
                epoch=comer.epoch,
                most=comer.most,
                who=comer.who,
            )
        )
        self.plugin.enter(comer.client, comer)
        self.look()

    def exit(self, client: str, *, kept: bool) -> list[asyncio.Task[None]]:
        """Take everything back from a campaign.

        Parameters
        ----------
        client : str
            Id of its driver's client.
        kept : bool
            Whether its next driver may have the same workers, for a while.

        Returns
        -------
        list of asyncio.Task
            What clears its workers; others have each once that has ended.
        """
        party = self.plugin.parties.by(client)
        if party is None or party.comer is None:
            return []
        known = self._scheduler.clients.get(client)
        if known is not None:
            # Before the resources that they use.
            self._scheduler.client_releases_keys(
                keys=[task.key for task in known.wants_what],
                client=client,
                stimulus_id="climorch-leave",
            )
        now_s = self._now()
        left = self.holdings.exit(
            party.comer.identity, now_s, keep_s=KEPT_S if kept else 0.0
        )
        self.plugin.dismiss(client, left)
        # No public call forgets the events of a topic; they would stay for ever.
        self._scheduler._broker.truncate(party.topic)
        return [self._clear(address, party.comer) for address in left]

    def answer(self, client: str, worker: str, problem: str) -> None:
        """Hear from a campaign whether it takes a worker that it was offered.

        Parameters
        ----------
        client : str
            Id of its driver's client.
        worker : str
            Address.
        problem : str
            Why not; empty: it takes it.
        """
        party = self.plugin.parties.by(client)
        if party is None or party.comer is None:
            return
        if not problem:
            if self.holdings.accept(worker, party.comer.identity):
                self.plugin.admit(worker)
        elif self.holdings.decline(worker, party.comer.identity):
            self._clear(worker, party.comer)
        self.look()

    def standing(self, client: str) -> Standing:
        """Return what a campaign has, and why it has no more."""
        party = self.plugin.parties.by(client)
        comer = None if party is None else party.comer
        identity = "" if comer is None else comer.identity
        return self.holdings.standing(identity, self._now())

    def look(self) -> None:
        """Offer what is free, and look again once something is kept no more."""
        now_s = self._now()
        for address, identity in self.holdings.offers(now_s):
            party = self.plugin.parties.called(identity)
            if party is not None and party.comer is not None:
                self._next(address, self._offer(address, party, party.comer))
        if self._again is not None:
            self._again.cancel()
        again_s = self.holdings.again_s(now_s)
        if again_s is not None:
            loop = asyncio.get_running_loop()
            self._again = loop.call_later(again_s + LOOK_S, self.look)

    def _changed(self, change: Change, what: str) -> None:
        match change:
            case Change.JOINED:
                worker = self._scheduler.workers[what]
                self.holdings.join(what, node_name(worker.name))
                self.look()
            case Change.GONE:
                self.holdings.gone(what, self._now(), keep_s=KEPT_S)
                self.look()
            case Change.ORPHANED:
                self._on_orphaned(what)

    async def _offer(self, address: str, party: Party, comer: Comer) -> None:
        """Make a node of a worker; tell the campaign, which looks at its mark."""
        worker = self._scheduler.workers.get(address)
        if worker is None:
            return
        name = node_name(worker.name)
        user = -1
        try:
            async with asyncio.timeout(ANSWER_S):
                problem, user = await self._on(address, prepare, comer.place, name)
        except TimeoutError:
            problem = f"has not shown within {ANSWER_S:.0f} s that it can write"
        except Exception as error:
            problem = f"cannot be made a node: {type(error).__name__}: {error}"
        told = {"node": name, "address": address, "user": user, "problem": problem}
        party.tell({"what": "offered", **told})

    def _clear(self, address: str, comer: Comer) -> asyncio.Task[None]:
        return self._next(address, self._cleared(address, comer))

    async def _cleared(self, address: str, comer: Comer) -> None:
        worker = self._scheduler.workers.get(address)
        if worker is not None:
            try:
                await self._on(address, let_go, comer.place, node_name(worker.name))
            except Exception as error:
                # It dies, or has nothing of ours: Dask tells which.
                self._scheduler.log_event("all", {"climorch-clear": str(error)})
        self.holdings.cleared(address)
        if len(self.plugin.parties):
            self.look()

    def _next(
        self, address: str, work: Coroutine[None, None, None]
    ) -> asyncio.Task[None]:
        """Do something on a worker after all else that is done there."""
        before = self._jobs.get(address)

        async def in_turn() -> None:
            if before is not None:
                await asyncio.wait([before])
            await work

        job = self._jobs[address] = asyncio.ensure_future(in_turn())

        def ended(done: asyncio.Task[None]) -> None:
            if self._jobs.get(address) is done:
                del self._jobs[address]
            error = None if done.cancelled() else done.exception()
            if isinstance(error, Exception):
                self.plugin.failed("hosting", error)

        job.add_done_callback(ended)
        return job

    async def _on(self, address: str, function: Callable[..., Any], *args: Any) -> Any:
        """Run a function on the loop of a worker."""
        async with rpc(
            address, connection_args=self._scheduler.connection_args
        ) as worker:
            answer = await worker.run(
                function=pickle.dumps(function), args=pickle.dumps(args)
            )
        if answer["status"] != "OK":
            raise RuntimeError(answer.get("exception_text", answer["status"]))
        return answer["result"]


async def prepare(place: str, name: str, dask_worker: Worker) -> tuple[str, int]:
    """Make a node of a worker that can write a campaign's folder; runs there.

    Parameters
    ----------
    place, name : str
        Where it leaves its mark, and what that is called.
    dask_worker : distributed.Worker
        Given by Dask.

    Returns
    -------
    problem : str
        Why it is none; empty: it is one.
    user : int
        Number of the user that started it.
    """
    problem = await asyncio.to_thread(leave_mark, Path(place), name)
    if not problem:
        answer = await dask_worker.plugin_add(plugin=NodePlugin(), name=NAME)
        if answer["status"] != "OK":
            problem = f"cannot be made a node: {answer.get('exception_text', '')}"
    return problem, os.getuid()


async def let_go(place: str, name: str, dask_worker: Worker) -> None:
    """Clear a worker of a campaign; returns once nothing of it runs there.

    Parameters
    ----------
    place, name, dask_worker
        As of `prepare`.
    """
    plugin = dask_worker.plugins.get(NAME)
    given = plugin.given if isinstance(plugin, NodePlugin) else ()
    if plugin is not None:
        await dask_worker.plugin_remove(name=NAME)
    await asyncio.to_thread(remove_mark, Path(place), name)
    state = dask_worker.state
    while dask_worker.status is Status.running and (
        any(resource in state.total_resources for resource in given)
        or any(t.resource_restrictions for t in state.executing | state.long_running)
    ):
        await asyncio.sleep(LOOK_S)
