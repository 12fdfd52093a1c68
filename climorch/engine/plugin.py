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

    def __init__(self) -> None:
        self.leases: dict[str, tuple[str, ...]] = {}
        self.priorities: dict[str, int] = {}
        self.errors: list[str] = []
        self.scheduler: Scheduler | None = None
        self._names: dict[str, str] = {}

    async def start(self, scheduler: Scheduler) -> None:
        """Take note of the workers that are there already."""
        self.scheduler = scheduler
        for address in list(scheduler.workers):
            self.add_worker(scheduler, address)

    @_latched
    def add_worker(self, scheduler: Scheduler, worker: str) -> None:
        """Tell the driver of a node and let waiting tasks have it."""
        state = scheduler.workers[worker]
        name = str(state.name)
        self._names[worker] = name
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
        return [w for w in workers if str(w.name) not in leased]

    def update(
        self, leases: Mapping[str, tuple[str, ...]], priorities: Mapping[str, int]
    ) -> None:
        """Take new leases and place all tasks accordingly."""
        self.leases = {name: tuple(nodes) for name, nodes in leases.items()}
        self.priorities = dict(priorities)
        if self.scheduler is not None:
            self._place_again(self.scheduler)

    def _leased(self) -> set[str]:
        return {node for nodes in self.leases.values() for node in nodes}

    def _stamp(self, state: TaskState) -> None:
        tag = (state.annotations or {}).get(ANNOTATION)
        if tag is None:
            leased = self._leased()
            free = {a for a, name in self._names.items() if name not in leased}
            if leased:
                state.worker_restrictions = free or {NOWHERE}
            return
        nodes = self.leases.get(tag["lease"], ())
        allowed = {a for a, name in self._names.items() if name in nodes}
        wanted = placed_on(tag, state.key)
        preferred = {a for a in allowed if self._names[a] == wanted}
        state.worker_restrictions = preferred or allowed or {NOWHERE}
        state.resource_restrictions = {tag["kind"]: 1} if tag["kind"] else {}
        priority = -self.priorities.get(tag["lease"], 0)
        if state.priority:
            state.priority = (priority, *state.priority[1:])

    def _place_again(self, scheduler: Scheduler) -> None:
        """Stamp what has not run yet and let go of what waits for a node."""
        for state in scheduler.tasks.values():
            if state.state not in ("memory", "processing", "erred", "forgotten"):
                self._stamp(state)
        waiting = [
            state
            for state in scheduler.unrunnable
            if (state.worker_restrictions or set()) & set(scheduler.workers)
        ]
        if waiting:
            scheduler.transitions(
                {state.key: "waiting" for state in waiting}, "climorch-rescue"
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
