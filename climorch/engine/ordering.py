"""Priorities that change while tasks wait.

A task waits in one of three places. Waiting for its inputs, its priority is
read when it is sent: setting it is enough. Queued on the Dask scheduler, the
heap must be built anew, for it keeps the order of entry. Assigned to a worker,
it must be taken back and sent again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from distributed import Scheduler
    from distributed.scheduler import TaskState

__all__ = ["Order"]


class Order:
    """Priorities by name, and the tasks that go by each.

    Parameters
    ----------
    scheduler : distributed.Scheduler
        Whose tasks.

    Attributes
    ----------
    priorities : dict of str to int
        Simulation, or name of a guest, to its priority; higher runs first.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self.priorities: dict[str, int] = {}
        self._scheduler = scheduler
        # With the first part of the priority that each came with.
        self._members: dict[str, WeakKeyDictionary[TaskState, float]] = {}

    def __len__(self) -> int:
        """Return how many tasks go by the priority of a name."""
        return sum(len(members) for members in self._members.values())

    def join(self, state: TaskState, name: str, first: float) -> None:
        """Let a task go by the priority of a name from now on.

        Parameters
        ----------
        state : TaskState
            The task; one that Dask gave no priority yet is left out.
        name : str
            Whose priority.
        first : float
            First part of its priority without that; lower runs first.
        """
        if state.priority:
            members = self._members.get(name)
            if members is None:
                members = self._members[name] = WeakKeyDictionary()
            first = members.setdefault(state, first)
            first -= self.priorities.get(name, 0)
            state.priority = (first, *state.priority[1:])

    def change(self, priorities: Mapping[str, int]) -> list[TaskState]:
        """Take other priorities.

        Parameters
        ----------
        priorities : mapping of str to int
            All of them.

        Returns
        -------
        list of TaskState
            Tasks that have another priority than the worker was told that
            they are assigned to.
        """
        before, self.priorities = self.priorities, dict(priorities)
        assigned = []
        for name, members in list(self._members.items()):
            if not members:
                del self._members[name]
            elif before.get(name, 0) != self.priorities.get(name, 0):
                for state, first in list(members.items()):
                    self.join(state, name, first)
                    if state.processing_on is not None:
                        assigned.append(state)
                self._requeue(members)
        return assigned

    def _requeue(self, members: Mapping[TaskState, float]) -> None:
        """Build the heap anew of what Dask queues, if any of it is concerned."""
        queued = self._scheduler.queued
        if any(state in members for state in queued):
            tasks = list(queued)
            queued.clear()
            for state in tasks:
                queued.add(state)
