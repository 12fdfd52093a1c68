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
from climorch.engine.metering import METRIC
from climorch.engine.nodes import loss_reason, node_name
from climorch.engine.ordering import Order
from climorch.engine.overfull import Overfull
from climorch.engine.pacing import Paces
from climorch.engine.placing import Places, Wishes
from climorch.engine.recall import Recaller, can_run, decide_anew
from climorch.engine.tags import ANNOTATION, COMPUTE, TOPIC, Tag
from climorch.engine.trimming import trim
from climorch.engine.watchdog import Watchdog
from climorch.errors import InternalError
from climorch.model.causes import Cause
from climorch.model.usage import Usage
from climorch.policy.watching import Watch

if TYPE_CHECKING:
    from distributed.scheduler import TaskState, WorkerState

__all__ = ["NAME", "LeasePlugin", "set_leases", "take_leave", "take_measures"]

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
        When nodes are frozen and tasks stuck; None: the defaults.
    owner : str
        Id of the driver's client.
    on_orphaned : callable or None
        Told the client and the Dask scheduler once that client is gone.

    Attributes
    ----------
    places : Places
        Leases and the workers that they mean now.
    paces : Paces
        What tasks of segments took on each node.
    errors : list of str
        Exceptions of hooks.
    """

    name = NAME
    idempotent = True

    def __init__(
        self,
        watch: Watch | None = None,
        *,
        owner: str = "",
        on_orphaned: Callable[[str, Scheduler], None] | None = None,
    ) -> None:
        self.watch = watch or Watch()
        self.owner = owner
        self._on_orphaned = on_orphaned
        self.places = Places()
        self._overfull = Overfull()
        self.errors: list[str] = []

    async def start(self, scheduler: Scheduler) -> None:
        """Take note of the workers and tasks that are there already."""
        self._scheduler = scheduler
        self.paces = Paces(self.failed)
        self._wishes = Wishes(self.places, functools.partial(_workers_of, scheduler))
        self._order = Order(scheduler)
        self._lending = Lending(scheduler)
        self._recaller = Recaller(scheduler, self.failed)
        self._labels = Labels(self._tell)
        self._watchdog = Watchdog(
            scheduler,
            self.watch,
            tag_of=self._labels.of,
            tell=self._tell,
            failed=self.failed,
        )
        for address in list(scheduler.workers):
            self.add_worker(scheduler, address)
        self._stamp_all(scheduler.tasks.values())
        self._watchdog.start()

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
            "paces": len(self.paces),
        }

    async def close(self) -> None:
        """Stop watching."""
        self._watchdog.stop()

    def failed(self, where: str, error: Exception) -> None:
        """Keep an exception of ours and tell the driver, who stops."""
        text = f"{where}: {type(error).__name__}: {error}"
        self.errors.append(text)
        self._tell({"what": "error", "message": text})

    @_latched
    def add_worker(self, scheduler: Scheduler, worker: str) -> None:
        """Tell the driver of a node and let waiting tasks have it."""
        self._joined(scheduler.workers[worker])
        # Dask itself sends to the worker what waits for it, once this returns.
        self._wishes.refresh()

    @_latched
    def remove_worker(
        self, scheduler: Scheduler, worker: str, *, stimulus_id: str, **kwargs: Any
    ) -> None:
        """Tell the driver that a node is gone and rescue its tasks."""
        reason = self._watchdog.reason(worker, loss_reason(stimulus_id))
        self._left(worker, *self._overfull.verdict(worker, reason))
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
        self, scheduler: Scheduler, *, tasks: list[Any], **kwargs: Any
    ) -> None:
        """Stamp new tasks before Dask decides where they run."""
        trim()
        known = scheduler.tasks
        self._stamp_all(known[key] for key in tasks if key in known)

    def transition(
        self, key: Any, start: str, finish: str, *args: Any, **kwargs: Any
    ) -> None:
        """Note what a task took that has ended: one of five calls per task."""
        if finish == "memory" and start == "processing":
            self.paces.ended(self._scheduler, key, kwargs)

    @_latched
    def valid_workers_downscaling(
        self, scheduler: Scheduler, workers: list[WorkerState]
    ) -> list[WorkerState]:
        """Offer only nodes that nobody leases for closing."""
        return self._offered(workers)

    @_latched
    def remove_client(self, scheduler: Scheduler, client: str) -> None:
        """Leave a Dask scheduler that others use once the driver is gone."""
        if client == self.owner and self._on_orphaned is not None:
            self._on_orphaned(client, scheduler)

    def update(
        self, leases: Mapping[str, tuple[str, ...]], priorities: Mapping[str, int]
    ) -> None:
        """Take new leases and priorities; tasks follow them at once.

        Parameters
        ----------
        leases : mapping of str to tuple of str
            Simulation to the names of its nodes.
        priorities : mapping of str to int
            As the attribute.
        """
        was_free = not self.places.free
        moved = self.places.assign(leases)
        self.paces.follow(leases)
        self._wishes.refresh()
        misplaced = self._misplaced(moved)
        raised = self.places.competing(self._order.change(priorities))
        if was_free and self.places.free:
            self._unqueue()
        self._recaller.recall([*misplaced, *raised])
        self._rescue()

    def leave(self) -> None:
        """Give the Dask scheduler back as it was found."""
        self.update({}, {})
        self._watchdog.stop()
        self._recaller.close()
        self._lending.take_back()

    def _tell(self, message: Mapping[str, Any]) -> None:
        self._scheduler.log_event(TOPIC, dict(message))

    def _joined(self, worker: WorkerState) -> None:
        name = node_name(worker.name)
        self._lending.lend(worker.address)
        self.places.join(worker.address, name)
        self._tell(
            {
                "what": "joined",
                "node": name,
                "address": worker.address,
                "cores": int(worker.resources.get(COMPUTE, worker.nthreads)),
                "memory": int(worker.memory_limit or 0),
            }
        )

    def _left(self, worker: str, cause: Cause, reason: str) -> None:
        name = self.places.leave(worker)
        if name is not None:
            told = {"node": name, "address": worker, "reason": reason}
            self._tell({"what": "lost", "cause": cause.name, **told})

    def _offered(self, workers: list[WorkerState]) -> list[WorkerState]:
        return [w for w in workers if not self.places.leased(node_name(w.name))]

    def _stamp_all(self, tasks: Iterable[TaskState]) -> None:
        # Most tasks of a graph carry the very same object.
        read: dict[int, Tag | str | None] = {}
        for state in tasks:
            annotation = (state.annotations or {}).get(ANNOTATION)
            if annotation is None:
                self._place_foreign(state, None)
                continue
            tag = read.get(id(annotation), "")
            if tag == "":
                tag = read[id(annotation)] = self._labels.read(annotation)
            if isinstance(tag, Tag):
                self._place_tagged(state, tag)
            else:
                self._place_foreign(state, tag)

    def _place_tagged(self, state: TaskState, tag: Tag) -> None:
        """Hold a task to its lease, whatever else it asks for."""
        state.worker_restrictions = self.places.place(tag.lease, tag.place(state.key))
        state.host_restrictions = None
        state.loose_restrictions = False
        state.resource_restrictions = {tag.kind: 1} if tag.kind else {}
        self._order.join(state, tag.lease, 0.0)

    def _place_foreign(self, state: TaskState, guest: str | None) -> None:
        """Hold a task to the nodes that nobody leases."""
        self._wishes.place(state)
        if guest is not None and state.priority:
            self._order.join(state, guest, state.priority[0])

    def _unqueue(self) -> None:
        """Place what is queued: Dask takes from there for any node."""
        decide_anew(self._scheduler, self._scheduler.queued, "climorch-lease")

    def _misplaced(self, moved: Iterable[str]) -> list[TaskState]:
        """Return tasks on nodes that changed hands which they may not use now."""
        found = []
        for node in moved:
            for address in self.places.addresses(node):
                worker = self._scheduler.workers.get(address)
                found += [
                    state
                    for state in (worker.processing if worker is not None else ())
                    if not self.places.allows(state.worker_restrictions, address)
                ]
        return found

    def _rescue(self) -> None:
        """Let go of tasks that waited for a node and have one now."""
        scheduler = self._scheduler
        waiting = [s for s in scheduler.unrunnable if can_run(scheduler, s)]
        decide_anew(scheduler, waiting, "climorch-rescue")


def _workers_of(scheduler: Scheduler, host: str) -> Iterable[str]:
    found = scheduler.host_info.get(scheduler.coerce_hostname(host))
    return found["addresses"] if found else ()


def _plugin(scheduler: Scheduler) -> LeasePlugin:
    plugin = scheduler.plugins[NAME]
    if not isinstance(plugin, LeasePlugin):
        raise InternalError(f"plugin {NAME} is a {type(plugin).__name__}")
    return plugin


def set_leases(
    leases: Mapping[str, tuple[str, ...]],
    priorities: Mapping[str, int],
    dask_scheduler: Scheduler,
) -> list[str]:
    """Give the plugin new leases; runs on the Dask scheduler.

    Parameters
    ----------
    leases : mapping of str to tuple of str
        Simulation to the names of its nodes.
    priorities : mapping of str to int
        Simulation or guest to its priority.
    dask_scheduler : distributed.Scheduler
        Given by Dask.

    Returns
    -------
    list of str
        Exceptions of hooks so far; the driver stops on any.
    """
    plugin = _plugin(dask_scheduler)
    plugin.update(leases, priorities)
    return plugin.errors


def take_measures(
    simulation: str, stage: str, dask_scheduler: Scheduler
) -> tuple[dict[str, float], Usage]:
    """Take what a segment took and used; runs on the Dask scheduler.

    Parameters
    ----------
    simulation, stage : str
        Whose.
    dask_scheduler : distributed.Scheduler
        Given by Dask.

    Returns
    -------
    paces : dict of str to float
        As `Paces.take`.
    usage : Usage
        As `Usages.take`.
    """
    paces = _plugin(dask_scheduler).paces
    told = {
        node_name(worker.name): worker.metrics.get(METRIC) or {}
        for worker in dask_scheduler.workers.values()
    }
    usage = paces.usages.take(simulation, stage, told)
    return paces.take(simulation, stage), usage


def take_leave(dask_scheduler: Scheduler) -> None:
    """Remove the plugin from a Dask scheduler that goes on without it.

    What foreign tasks had asked for holds again.

    Parameters
    ----------
    dask_scheduler : distributed.Scheduler
        Given by Dask.
    """
    if NAME in dask_scheduler.plugins:
        _plugin(dask_scheduler).leave()
        dask_scheduler.remove_plugin(NAME)
