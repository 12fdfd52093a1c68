"""What each node of a lease takes for its share of a segment.

Tasks of one name do the same with different blocks. So nodes are compared name by
name, and it does not matter that one was given more tasks than another. Blocks
that are dearer than others look like a slow node here; whether the same place was
always dearer is looked at in `policy.straggling`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from climorch.engine.nodes import node_name
from climorch.engine.tags import ANNOTATION, PACED
from climorch.engine.usages import Usages

if TYPE_CHECKING:
    from distributed import Scheduler

__all__ = ["Done", "Paces", "equal_shares"]


@dataclass(slots=True)
class Done:
    """Tasks that a node has done, and the seconds that they took together."""

    tasks: int = 0
    seconds: float = 0.0


class Paces:
    """Notes what tasks took, by simulation and stage, until it is asked for.

    Parameters
    ----------
    failed : callable
        Told of an exception, with where it came from.

    Attributes
    ----------
    usages : Usages
        What the same tasks used.
    """

    def __init__(self, failed: Callable[[str, Exception], None]) -> None:
        self._failed = failed
        self.usages = Usages()
        self._leases: dict[str, tuple[str, ...]] = {}
        self._done: dict[tuple[str, str], dict[Any, dict[str, Done]]] = {}

    def __len__(self) -> int:
        """Return how many names of tasks are remembered."""
        return sum(len(names) for names in self._done.values())

    def follow(self, leases: Mapping[str, tuple[str, ...]]) -> None:
        """Forget what was computed on a lease that is another now.

        Parameters
        ----------
        leases : mapping of str to tuple of str
            Simulation to its nodes.
        """
        for place in list(self._done):
            if leases.get(place[0]) != self._leases.get(place[0]):
                del self._done[place]
        self._leases = dict(leases)
        self.usages.follow(leases)

    def note(
        self,
        annotation: object,
        key: Any,
        node: str,
        startstops: Iterable[Mapping[str, Any]],
    ) -> None:
        """Remember a task that has ended.

        Parameters
        ----------
        annotation : object
            What the task carries; anybody may have written it.
        key : object
            Of the task.
        node : str
            Where it ran.
        startstops : iterable of mapping
            What Dask says of its times.
        """
        if not isinstance(annotation, Mapping):
            return
        simulation, stage = annotation.get("lease"), annotation.get(PACED)
        if not isinstance(stage, str) or not isinstance(simulation, str):
            return
        if node not in self._leases.get(simulation, ()):
            return
        name = key[0] if isinstance(key, tuple) else key
        done = self._done.setdefault((simulation, stage), {}).setdefault(name, {})
        found = done.setdefault(node, Done())
        found.tasks += 1
        found.seconds += sum(
            x["stop"] - x["start"] for x in startstops if x["action"] == "compute"
        )

    def ended(self, scheduler: Scheduler, key: Any, told: Mapping[str, Any]) -> None:
        """Remember a task of which a worker says that it has ended.

        Parameters
        ----------
        scheduler : distributed.Scheduler
            Whose task.
        key : object
            Of the task.
        told : mapping
            What Dask tells plugins of the transition.
        """
        try:
            self._ended(scheduler, key, told)
        except Exception as error:
            self._failed("transition", error)

    def take(self, simulation: str, stage: str) -> dict[str, float]:
        """Return what nodes took since this was last asked, and forget it.

        Parameters
        ----------
        simulation, stage : str
            Whose.

        Returns
        -------
        dict of str to float
            As `equal_shares`.
        """
        return equal_shares(self._done.pop((simulation, stage), {}).values())

    def _ended(self, scheduler: Scheduler, key: Any, told: Mapping[str, Any]) -> None:
        state = scheduler.tasks.get(key)
        worker = scheduler.workers.get(told.get("worker", ""))
        if state is not None and state.annotations and worker is not None:
            annotation = state.annotations.get(ANNOTATION)
            startstops = told.get("startstops") or ()
            self.note(annotation, key, node_name(worker.name), startstops)
            self.usages.note(annotation, startstops)


def equal_shares(done: Iterable[Mapping[str, Done]]) -> dict[str, float]:
    """Say what each node would take for an equal share of some tasks.

    Parameters
    ----------
    done : iterable of mapping of str to Done
        For each name of tasks what each node did. Names that only one node
        had tell nothing about the others and do not count.

    Returns
    -------
    dict of str to float
        Node to seconds; empty where nothing can be compared.
    """
    took: dict[str, float] = {}
    usual: dict[str, float] = {}
    whole = 0.0
    for nodes in done:
        if len(nodes) < 2:
            continue
        mean = fmean(d.seconds / d.tasks for d in nodes.values())
        for node, d in nodes.items():
            took[node] = took.get(node, 0.0) + d.seconds
            usual[node] = usual.get(node, 0.0) + d.tasks * mean
            whole += d.tasks * mean
    share = whole / max(len(took), 1)
    return {node: s / usual[node] * share for node, s in took.items() if usual[node]}
