"""Resources that workers of an existing cluster are lent for a campaign."""

from __future__ import annotations

from typing import TYPE_CHECKING

from climorch.engine.nodes import missing_resources

if TYPE_CHECKING:
    from distributed import Scheduler

__all__ = ["Lending"]


class Lending:
    """Notes on the Dask scheduler what `NodePlugin` gives workers, and undoes it.

    Parameters
    ----------
    scheduler : distributed.Scheduler
        Whose workers.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._given: dict[str, dict[str, float]] = {}

    def lend(self, worker: str) -> None:
        """Note what a worker lacks; it is given by the worker's own plugin."""
        state = self._scheduler.workers[worker]
        given = missing_resources(state.nthreads, state.resources)
        # Not `Scheduler.add_resources`: it forgets what foreign tasks use now.
        for resource, quantity in given.items():
            state.resources[resource] = quantity
            state.used_resources[resource] = 0
            self._scheduler.resources.setdefault(resource, {})[worker] = quantity
        if given:
            self._given[worker] = given

    def gone(self, worker: str) -> None:
        """Forget a worker that Dask has forgotten."""
        self._given.pop(worker, None)

    def take_back(self, worker: str) -> None:
        """Undo it for a worker; nothing where it is gone or was lent nothing."""
        given, state = self._given.pop(worker, {}), self._scheduler.workers.get(worker)
        if state is None:
            return
        for resource in given:
            del state.resources[resource]
            del state.used_resources[resource]
            del self._scheduler.resources[resource][worker]
