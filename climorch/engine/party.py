"""The campaigns on a Dask scheduler: what each has brought, and which is meant.

Simulations of two campaigns may have the same name. A task is of the campaign whose
client submitted it, a worker of the one that holds it; a campaign that has the Dask
scheduler to itself has every task with a label, and every worker.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from climorch.engine.nodes import node_name
from climorch.engine.pacing import Paces
from climorch.engine.tags import COMPUTE, TOPIC
from climorch.engine.watchdog import Watchdog
from climorch.errors import NotFoundError
from climorch.model.causes import Cause
from climorch.policy.watching import Watch

if TYPE_CHECKING:
    from distributed import Scheduler
    from distributed.scheduler import WorkerState

__all__ = ["Change", "Comer", "Parties", "Party", "topic_of"]


class Change(enum.Enum):
    """What happens to a Dask scheduler that several campaigns share."""

    JOINED = "a worker has joined"
    GONE = "a worker is gone"
    ORPHANED = "the client of a driver is gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comer:
    """A driver that comes to a Dask scheduler which several campaigns share.

    Attributes
    ----------
    client : str
        Id of its client.
    identity : str
        Of its campaign; see `Tenant`, as for the next three.
    epoch : int
        Its number.
    most : int or None
        Most workers that it takes.
    who : str
        In words.
    place : str
        Where nodes leave their marks, as the driver sees it.
    watch : Watch
        When its nodes are frozen and its tasks stuck.
    """

    client: str
    identity: str
    epoch: int
    most: int | None
    who: str
    place: str
    watch: Watch = field(default_factory=Watch)


def topic_of(client: str, *, shared: bool) -> str:
    """Return the topic under which a driver is told of its nodes.

    Parameters
    ----------
    client : str
        Id of its client.
    shared : bool
        Whether other campaigns may be on the Dask scheduler.
    """
    return f"{TOPIC}-{client}" if shared else TOPIC


class Party:
    """One campaign on a Dask scheduler.

    Parameters
    ----------
    scheduler : distributed.Scheduler
        That it is on.
    paces : Paces
        What its tasks took.
    client : str
        Id of its driver's client.
    comer : Comer or None
        Who it is; None: it has the Dask scheduler to itself.

    Attributes
    ----------
    watchdog : Watchdog
        Looks at its workers.
    leases : dict of str to tuple of str
        Simulation to the names of its nodes.
    priorities : dict of str to int
        Simulation, or name of a guest, to its priority.
    """

    watchdog: Watchdog

    def __init__(
        self,
        scheduler: Scheduler,
        paces: Paces,
        client: str,
        comer: Comer | None,
    ) -> None:
        self.paces = paces
        self.topic = topic_of(client, shared=comer is not None)
        self.comer = comer
        self.leases: dict[str, tuple[str, ...]] = {}
        self.priorities: dict[str, int] = {}
        self._scheduler = scheduler
        self._prefix = "" if comer is None else f"{comer.identity}/"

    def named(self, simulation: str) -> str:
        """Return the name of a simulation among those of all campaigns."""
        return f"{self._prefix}{simulation}"

    def take(
        self,
        leases: Mapping[str, tuple[str, ...]],
        priorities: Mapping[str, int],
        has: Callable[[str], bool],
    ) -> None:
        """Take other leases, of nodes that it has, and priorities.

        Parameters
        ----------
        leases, priorities
            As the attributes.
        has : callable
            Whether it has a node: its driver may not know yet that one is gone.
        """
        self.leases = {
            simulation: tuple(node for node in nodes if has(node))
            for simulation, nodes in leases.items()
        }
        self.priorities = dict(priorities)

    def joined(self, worker: WorkerState) -> None:
        """Tell its driver of a node."""
        self.tell(
            {
                "what": "joined",
                "node": node_name(worker.name),
                "address": worker.address,
                "cores": int(worker.resources.get(COMPUTE, worker.nthreads)),
                "memory": int(worker.memory_limit or 0),
            }
        )

    def lost(self, worker: str, node: str, cause: Cause, reason: str) -> None:
        """Tell its driver that a node is gone, and why."""
        told = {"node": node, "address": worker, "reason": reason}
        self.tell({"what": "lost", "cause": cause.name, **told})

    def tell(self, message: Mapping[str, Any]) -> None:
        """Tell its driver."""
        self._scheduler.log_event(self.topic, dict(message))


class Parties:
    """All campaigns on a Dask scheduler.

    Parameters
    ----------
    holder : callable or None
        From the address of a worker to the identity of who holds it; None: one
        campaign has the Dask scheduler to itself.
    """

    def __init__(self, holder: Callable[[str], str | None] | None = None) -> None:
        self._holder = holder
        self._of: dict[str, Party] = {}

    def __iter__(self) -> Iterator[Party]:
        """Yield them in the order in which they came."""
        return iter(list(self._of.values()))

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._of)

    def clients(self) -> list[str]:
        """Return the ids of their drivers' clients."""
        return list(self._of)

    def add(self, client: str, party: Party) -> None:
        """Take note of a campaign."""
        self._of[client] = party

    def remove(self, client: str) -> Party | None:
        """Forget a campaign; return it, if it was there."""
        return self._of.pop(client, None)

    def by(self, client: str) -> Party | None:
        """Return the campaign whose client did something; None: of none."""
        if self._holder is None:
            return next(iter(self._of.values()), None)
        return self._of.get(client)

    def present(self, client: str) -> Party:
        """Return the campaign of a client, as `by`.

        Raises
        ------
        NotFoundError
            If it is not here, or no more.
        """
        party = self.by(client)
        if party is None:
            raise NotFoundError(f"the campaign of client {client} is not here any more")
        return party

    def called(self, identity: str | None) -> Party | None:
        """Return the campaign with an identity; None: it is not there."""
        for party in self._of.values():
            if party.comer is not None and party.comer.identity == identity:
                return party
        return None

    def at(self, worker: str) -> Party | None:
        """Return the campaign that a worker serves; None: it serves none."""
        if self._holder is None:
            return next(iter(self._of.values()), None)
        identity = self._holder(worker)
        return None if identity is None else self.called(identity)

    def serves(self, party: Party, workers: Iterable[str]) -> bool:
        """Tell whether a campaign has one of some workers, or all there are."""
        return self._holder is None or any(self.at(w) is party for w in workers)

    def ended(self, scheduler: Scheduler, key: Any, told: Mapping[str, Any]) -> None:
        """Note a task that has ended, see `Paces.ended`, for whose worker did it."""
        party = self.at(told.get("worker", ""))
        if party is not None:
            party.paces.ended(scheduler, key, told)

    def reason(self, worker: str, otherwise: str) -> str:
        """Return why a worker is gone, if its campaign had it killed."""
        party = self.at(worker)
        return otherwise if party is None else party.watchdog.reason(worker, otherwise)

    def tell(self, message: Mapping[str, Any]) -> None:
        """Tell all drivers."""
        for party in self._of.values():
            party.tell(message)

    def paced(self) -> int:
        """Count what is remembered of how long tasks took."""
        return sum(len(party.paces) for party in self._of.values())

    def deprive(self, node: str, owner: Party) -> bool:
        """Take a node from all but its owner; return whether anybody had leased it.

        Parameters
        ----------
        node : str
            Its name, under which another worker may have been there before.
        owner : Party
            Who has it now.
        """
        deprived = False
        for party in self._of.values():
            if party is not owner:
                for simulation, nodes in party.leases.items():
                    if node in nodes:
                        left = tuple(other for other in nodes if other != node)
                        party.leases[simulation] = left
                        deprived = True
        return deprived

    def leases(self) -> dict[str, tuple[str, ...]]:
        """Return the leases of all, by names that differ between campaigns."""
        return {
            party.named(simulation): nodes
            for party in self._of.values()
            for simulation, nodes in party.leases.items()
        }

    def priorities(self) -> dict[str, int]:
        """Return the priorities of all; of a guest the highest that one gives it."""
        found: dict[str, int] = {}
        for party in self._of.values():
            for name, priority in party.priorities.items():
                found[party.named(name)] = priority
                found[name] = max(priority, found.get(name, priority))
        return found
