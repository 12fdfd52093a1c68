"""What holds on the Dask scheduler whoever submits: leases, places, rescue.

Own the nodes, not the tasks: a tagged task runs on the nodes of its lease and
nowhere else, a foreign one never on a leased node. Dask swallows exceptions in
hooks, so they are latched here and told to the driver. Hooks do no I/O.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from distributed import Scheduler, SchedulerPlugin

from climorch.engine.labels import Labels
from climorch.engine.lending import Lending
from climorch.engine.nodes import loss_reason, node_name
from climorch.engine.ordering import Order
from climorch.engine.overfull import Overfull
from climorch.engine.pacing import Paces
from climorch.engine.party import Change, Comer, Parties, Party
from climorch.engine.placing import Places, Wishes
from climorch.engine.recall import Recaller, can_run, decide_anew
from climorch.engine.tags import Tag
from climorch.engine.trimming import trim
from climorch.engine.watchdog import Watchdog
from climorch.model.causes import Cause
from climorch.policy.watching import Watch

if TYPE_CHECKING:
    from distributed.scheduler import TaskState, WorkerState

__all__ = ["NAME", "LeasePlugin"]

NAME = "climorch-leases"

F = TypeVar("F", bound=Callable[..., Any])


def _latched(hook: F) -> F:
    """Tell the driver of an exception instead of letting Dask swallow it."""

    @functools.wraps(hook)
    def call(self: LeasePlugin, *args: Any, **kwargs: Any) -> Any:
        try:
            return hook(self, *args, **kwargs)
        except Exception as error:
            self.failed(hook.__name__, error)
            raise

    return call  # type: ignore[return-value]  # wraps keeps the signature


class LeasePlugin(SchedulerPlugin):
    """Places tasks by lease; see the module.

    Parameters
    ----------
    watch : Watch or None
        When nodes are frozen and tasks stuck, for the one campaign that has the
        Dask scheduler to itself; None: the defaults.
    holder : callable or None
        Where several campaigns `enter`: from a worker to the identity of its own.
    on_change : callable
        Told of what joins and goes: a worker, or a client.

    Attributes
    ----------
    places : Places
        Leases and the workers that they mean now.
    parties : Parties
        The campaigns.
    errors : list of str
        Exceptions of hooks.
    """

    name = NAME
    idempotent = True

    def __init__(
        self,
        watch: Watch | None = None,
        *,
        holder: Callable[[str], str | None] | None = None,
        on_change: Callable[[Change, str], None] = lambda change, what: None,
    ) -> None:
        self.watch = watch or Watch()
        self._holder = holder
        self._on_change = on_change
        self.places = Places()
        self.parties = Parties(holder)
        self._overfull = Overfull()
        self.errors: list[str] = []

    async def start(self, scheduler: Scheduler) -> None:
        """Take note of the workers and tasks that are there already."""
        self._scheduler = scheduler
        self._wishes = Wishes(self.places, functools.partial(_workers_of, scheduler))
        self._order = Order(scheduler)
        self._lending = Lending(scheduler)
        self._recaller = Recaller(scheduler, self.failed)
        self._labels = Labels(self.parties.tell)
        if self._holder is None:
            self.enter("", None)
        for address in list(scheduler.workers):
            self.add_worker(scheduler, address)
        self._stamp_all(scheduler.tasks.values(), self.parties.by(""))

    def enter(self, client: str, comer: Comer | None) -> None:
        """Let a campaign place its tasks; None: it has the Dask scheduler to itself."""
        party = Party(self._scheduler, Paces(self.failed), client, comer)
        party.watchdog = Watchdog(
            self._scheduler,
            self.watch if comer is None else comer.watch,
            tag_of=self._labels.of,
            tell=party.tell,
            failed=self.failed,
            ours=lambda worker: self.parties.at(worker) is party,
        )
        self.parties.add(client, party)
        party.watchdog.start()

    @property
    def priorities(self) -> Mapping[str, int]:
        """Simulation, or name of a guest, to its priority; higher runs first."""
        return self._order.priorities

    @property
    def recalled(self) -> int:
        """How many tasks workers were asked to give back and have not answered."""
        return self._recaller.pending

    def kept(self) -> dict[str, int]:
        """Count what is remembered of tasks: it goes when Dask forgets them."""
        return {
            "places": len(self.places),
            "wishes": len(self._wishes),
            "members": len(self._order),
            "paces": self.parties.paced(),
        }

    async def close(self) -> None:
        """Stop watching."""
        for party in self.parties:
            party.watchdog.stop()

    def failed(self, where: str, error: Exception) -> None:
        """Keep an exception of ours and tell the driver, who stops."""
        text = f"{where}: {type(error).__name__}: {error}"
        self.errors.append(text)
        self.parties.tell({"what": "error", "message": text})

    @_latched
    def add_worker(self, scheduler: Scheduler, worker: str) -> None:
        """Tell the driver of a node and let waiting tasks have it."""
        self._joined(scheduler.workers[worker])
        self._on_change(Change.JOINED, worker)
        # Dask itself sends to the worker what waits for it, once this returns.
        self._wishes.refresh()

    @_latched
    def remove_worker(
        self, scheduler: Scheduler, worker: str, *, stimulus_id: str, **kwargs: Any
    ) -> None:
        """Tell the driver that a node is gone and rescue its tasks."""
        reason = self.parties.reason(worker, loss_reason(stimulus_id))
        self._left(worker, *self._overfull.verdict(worker, reason))
        self._on_change(Change.GONE, worker)
        self._recaller.gone(worker)
        self._lending.gone(worker)
        self._wishes.refresh()
        self._rescue()

    @_latched
    def log_event(self, topic: str, msg: Any) -> None:
        """Hear which workers go because of their memory."""
        self._overfull.hear(topic, msg)

    @_latched
    def update_graph(
        self, scheduler: Scheduler, *, client: str, tasks: list[Any], **kwargs: Any
    ) -> None:
        """Stamp new tasks before Dask decides where they run."""
        trim()
        known = scheduler.tasks
        party = self.parties.by(client)
        self._stamp_all((known[key] for key in tasks if key in known), party)

    def transition(
        self, key: Any, start: str, finish: str, *args: Any, **kwargs: Any
    ) -> None:
        """Note what a task took that has ended: one of five calls per task."""
        if finish == "memory" and start == "processing":
            self.parties.ended(self._scheduler, key, kwargs)

    @_latched
    def valid_workers_downscaling(
        self, scheduler: Scheduler, workers: list[WorkerState]
    ) -> list[WorkerState]:
        """Offer only nodes that nobody leases for closing."""
        return self._offered(workers)

    @_latched
    def remove_client(self, scheduler: Scheduler, client: str) -> None:
        """Take a campaign's part away once its driver is gone."""
        if self.parties.by(client) is not None:
            self._on_change(Change.ORPHANED, client)

    def update(
        self,
        leases: Mapping[str, tuple[str, ...]],
        priorities: Mapping[str, int],
        client: str = "",
    ) -> None:
        """Take new leases and priorities of a campaign; tasks follow them at once."""
        party = self.parties.present(client)
        has = self.places.addresses
        party.take(leases, priorities, lambda n: self.parties.serves(party, has(n)))
        party.paces.follow(leases)
        self._follow()

    def admit(self, worker: str) -> None:
        """Tell a campaign of a worker that it holds from now on."""
        party, state = self.parties.at(worker), self._scheduler.workers[worker]
        if party is not None:
            if self.parties.deprive(node_name(state.name), party):
                self._follow()
            self._lending.lend(worker)
            party.joined(state)

    def dismiss(self, client: str, workers: Iterable[str]) -> None:
        """Take away what a campaign has brought, whose workers these were."""
        party = self.parties.remove(client)
        if party is not None:
            party.watchdog.stop()
            self._follow()
        for worker in workers:
            self._lending.take_back(worker)

    def close_down(self) -> None:
        """Give the Dask scheduler back as it was found."""
        for client in self.parties.clients():
            self.dismiss(client, list(self._scheduler.workers))
        self._recaller.close()

    def _follow(self) -> None:
        """Let all tasks follow the leases and priorities of all campaigns."""
        was_free = not self.places.free
        moved = self.places.assign(self.parties.leases())
        self._wishes.refresh()
        misplaced = _misplaced(self._scheduler, self.places, moved)
        raised = self.places.competing(self._order.change(self.parties.priorities()))
        if was_free and self.places.free:
            self._unqueue()
        self._recaller.recall([*misplaced, *raised])
        self._rescue()

    def _joined(self, worker: WorkerState) -> None:
        self.places.join(worker.address, node_name(worker.name))
        if self._holder is None:
            self.admit(worker.address)

    def _left(self, worker: str, cause: Cause, reason: str) -> None:
        name, party = self.places.leave(worker), self.parties.at(worker)
        if name is not None and party is not None:
            party.lost(worker, name, cause, reason)

    def _offered(self, workers: list[WorkerState]) -> list[WorkerState]:
        return [w for w in workers if not self.places.leased(node_name(w.name))]

    def _stamp_all(self, tasks: Iterable[TaskState], party: Party | None) -> None:
        for state, tag in self._labels.each(tasks):
            if not isinstance(tag, Tag):
                self._place_foreign(state, tag)
            elif party is None:
                # A label alone gives nobody a lease.
                self._place_foreign(state, None)
            else:
                self._place_tagged(state, tag, party.named(tag.lease))

    def _place_tagged(self, state: TaskState, tag: Tag, lease: str) -> None:
        """Hold a task to its lease, whatever else it asks for."""
        state.worker_restrictions = self.places.place(lease, tag.place(state.key))
        state.host_restrictions = None
        state.loose_restrictions = False
        state.resource_restrictions = {tag.kind: 1} if tag.kind else {}
        self._order.join(state, lease, 0.0)

    def _place_foreign(self, state: TaskState, guest: str | None) -> None:
        """Hold a task to the nodes that nobody leases."""
        self._wishes.place(state)
        if guest is not None and state.priority:
            self._order.join(state, guest, state.priority[0])

    def _unqueue(self) -> None:
        """Place what is queued: Dask takes from there for any node."""
        decide_anew(self._scheduler, self._scheduler.queued, "climorch-lease")

    def _rescue(self) -> None:
        """Let go of tasks that waited for a node and have one now."""
        scheduler = self._scheduler
        waiting = [s for s in scheduler.unrunnable if can_run(scheduler, s)]
        decide_anew(scheduler, waiting, "climorch-rescue")


def _misplaced(
    scheduler: Scheduler, places: Places, moved: Iterable[str]
) -> list[TaskState]:
    """Return tasks on nodes that changed hands which they may not use now."""
    found = []
    for node in moved:
        for address in places.addresses(node):
            worker = scheduler.workers.get(address)
            found += [
                state
                for state in (worker.processing if worker is not None else ())
                if not places.allows(state.worker_restrictions, address)
            ]
    return found


def _workers_of(scheduler: Scheduler, host: str) -> Iterable[str]:
    found = scheduler.host_info.get(scheduler.coerce_hostname(host))
    return found["addresses"] if found else ()
