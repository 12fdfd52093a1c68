"""What holds on the Dask scheduler whoever submits: leases, places, rescue.

Own the nodes, not the tasks: a tagged task runs on the nodes of its lease and
nowhere else, a foreign one never on a leased node. Dask swallows exceptions in
hooks, so they are latched here and told to the driver. Hooks do no I/O.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from distributed import Scheduler, SchedulerPlugin

from climorch.engine.nodes import missing_resources, node_name
from climorch.engine.tags import ANNOTATION, COMPUTE, TOPIC, placed_on

if TYPE_CHECKING:
    from distributed.scheduler import TaskState, WorkerState

__all__ = ["NAME", "LeasePlugin", "set_leases"]

NAME = "climorch-leases"

# An address that no worker has: a task restricted to it waits for a rescue.
NOWHERE = "climorch://nowhere"

F = TypeVar("F", bound=Callable[..., Any])


def _latched(hook: F) -> F:
    """Tell the driver of an exception instead of letting Dask swallow it."""

    @functools.wraps(hook)
    def call(self: LeasePlugin, *args: Any, **kwargs: Any) -> Any:
        try:
            return hook(self, *args, **kwargs)
        except Exception as error:
            text = f"{hook.__name__}: {type(error).__name__}: {error}"
            self.errors.append(text)
            if self.scheduler is not None:
                self.scheduler.log_event(TOPIC, {"what": "error", "message": text})
            raise

    return call  # type: ignore[return-value]  # wraps keeps the signature


class LeasePlugin(SchedulerPlugin):
    """Places tasks by lease; see the module.

    Parameters
    ----------
    owner : str
        Id of the driver's client.
    on_orphaned : callable or None
        Told the client and the Dask scheduler once that client is gone.

    Attributes
    ----------
    leases : dict of str to tuple of str
        Simulation to the names of its nodes.
    priorities : dict of str to int
        Simulation to its priority; higher runs first where nodes are shared.
    errors : list of str
        Exceptions of hooks.
    """

    name = NAME
    idempotent = True

    def __init__(
        self,
        owner: str = "",
        on_orphaned: Callable[[str, Scheduler], None] | None = None,
    ) -> None:
        self.owner = owner
        self.leases: dict[str, tuple[str, ...]] = {}
        self.priorities: dict[str, int] = {}
        self.errors: list[str] = []
        self.scheduler: Scheduler | None = None
        self._on_orphaned = on_orphaned
        self._names: dict[str, str] = {}
        # What we changed, to undo it: resources by address, places by key.
        self._given: dict[str, dict[str, float]] = {}
        self._places: dict[Any, set[str] | None] = {}

    async def start(self, scheduler: Scheduler) -> None:
        """Take note of the workers that are there already."""
        self.scheduler = scheduler
        for address in list(scheduler.workers):
            self.add_worker(scheduler, address)

    @_latched
    def add_worker(self, scheduler: Scheduler, worker: str) -> None:
        """Tell the driver of a node and let waiting tasks have it."""
        state = scheduler.workers[worker]
        name = node_name(state.name)
        self._names[worker] = name
        self._give_resources(scheduler, worker)
        scheduler.log_event(
            TOPIC,
            {
                "what": "joined",
                "node": name,
                "address": worker,
                "cores": int(state.resources.get(COMPUTE, state.nthreads)),
                "memory": int(state.memory_limit or 0),
            },
        )
        self._place_again(scheduler)

    @_latched
    def remove_worker(
        self, scheduler: Scheduler, worker: str, *, stimulus_id: str, **kwargs: Any
    ) -> None:
        """Tell the driver that a node is gone and rescue its tasks."""
        name = self._names.pop(worker, None)
        self._given.pop(worker, None)
        if name is not None and name not in self._names.values():
            scheduler.log_event(
                TOPIC,
                {
                    "what": "lost",
                    "node": name,
                    "address": worker,
                    "reason": stimulus_id,
                },
            )
        self._place_again(scheduler)

    @_latched
    def update_graph(
        self, scheduler: Scheduler, *, tasks: list[Any], **kwargs: Any
    ) -> None:
        """Stamp new tasks before Dask decides where they run."""
        for key in tasks:
            state = scheduler.tasks.get(key)
            if state is not None:
                self._stamp(state)

    @_latched
    def valid_workers_downscaling(
        self, scheduler: Scheduler, workers: list[WorkerState]
    ) -> list[WorkerState]:
        """Offer only nodes that nobody leases for closing."""
        leased = self._leased()
        return [w for w in workers if self._names.get(w.address) not in leased]

    @_latched
    def remove_client(self, scheduler: Scheduler, client: str) -> None:
        """Leave a Dask scheduler that others use once the driver is gone."""
        if client == self.owner and self._on_orphaned is not None:
            self._on_orphaned(client, scheduler)

    def update(
        self, leases: Mapping[str, tuple[str, ...]], priorities: Mapping[str, int]
    ) -> None:
        """Take new leases and place all tasks accordingly."""
        self.leases = {name: tuple(nodes) for name, nodes in leases.items()}
        self.priorities = dict(priorities)
        if self.scheduler is not None:
            self._place_again(self.scheduler)

    def withdraw(self) -> None:
        """Undo what was changed: places of foreign tasks, resources of workers."""
        scheduler = self.scheduler
        if scheduler is None:
            return
        self.leases = {}
        for key, places in self._places.items():
            state = scheduler.tasks.get(key)
            if state is not None:
                state.worker_restrictions = places
        self._places = {}
        self._let_wait_again(scheduler, list(scheduler.unrunnable))
        for address, given in self._given.items():
            worker = scheduler.workers[address]
            for resource in given:
                del worker.resources[resource]
                del worker.used_resources[resource]
                del scheduler.resources[resource][address]
        self._given = {}

    def _give_resources(self, scheduler: Scheduler, worker: str) -> None:
        """Note what `NodePlugin` gives a worker that offers no resources."""
        state = scheduler.workers[worker]
        given = missing_resources(state.nthreads, state.resources)
        # Not `Scheduler.add_resources`: it forgets what foreign tasks use now.
        for resource, quantity in given.items():
            state.resources[resource] = quantity
            state.used_resources[resource] = 0
            scheduler.resources.setdefault(resource, {})[worker] = quantity
        if given:
            self._given[worker] = given

    def _leased(self) -> set[str]:
        return {node for nodes in self.leases.values() for node in nodes}

    def _stamp(self, state: TaskState) -> None:
        tag = (state.annotations or {}).get(ANNOTATION)
        if tag is None:
            leased = self._leased()
            free = {a for a, name in self._names.items() if name not in leased}
            if leased:
                places = self._places.setdefault(state.key, state.worker_restrictions)
                if places and not (state.loose_restrictions and not places & free):
                    free &= places
                state.worker_restrictions = free or {NOWHERE}
            elif state.key in self._places:
                state.worker_restrictions = self._places.pop(state.key)
            return
        nodes = self.leases.get(tag["lease"], ())
        allowed = {a for a, name in self._names.items() if name in nodes}
        wanted = placed_on(tag, state.key)
        preferred = {a for a in allowed if self._names[a] == wanted}
        state.worker_restrictions = preferred or allowed or {NOWHERE}
        state.resource_restrictions = {tag["kind"]: 1}
        priority = -self.priorities.get(tag["lease"], 0)
        if state.priority:
            state.priority = (priority, *state.priority[1:])

    def _place_again(self, scheduler: Scheduler) -> None:
        """Stamp what has not run yet and let go of what waits for a node."""
        self._places = {k: p for k, p in self._places.items() if k in scheduler.tasks}
        for state in scheduler.tasks.values():
            if state.state not in ("memory", "processing", "erred", "forgotten"):
                self._stamp(state)
        waiting = [
            state
            for state in scheduler.unrunnable
            if (state.worker_restrictions or set()) & set(scheduler.workers)
        ]
        self._let_wait_again(scheduler, waiting)

    @staticmethod
    def _let_wait_again(scheduler: Scheduler, tasks: list[TaskState]) -> None:
        if tasks:
            scheduler.transitions(
                {state.key: "waiting" for state in tasks}, "climorch-rescue"
            )


def set_leases(
    leases: Mapping[str, tuple[str, ...]],
    priorities: Mapping[str, int],
    dask_scheduler: Scheduler,
) -> list[str]:
    """Give the plugin new leases; runs on the Dask scheduler.

    Returns
    -------
    list of str
        Exceptions of hooks so far; the driver stops on any.
    """
    plugin = dask_scheduler.plugins[NAME]
    if not isinstance(plugin, LeasePlugin):
        raise TypeError(f"plugin {NAME} is a {type(plugin).__name__}")
    plugin.update(leases, priorities)
    return plugin.errors
