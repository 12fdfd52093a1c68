"""The campaigns on a Dask scheduler: what each has brought, and which is meant.

Simulations of two campaigns may have the same name. A task is of the campaign whose
client submitted it, a worker of the one that holds it; a campaign that has the Dask
scheduler to itself has every task with a label, and every worker.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from climorch.engine.pacing import Paces
from climorch.engine.tags import TOPIC
from climorch.engine.watchdog import Watchdog
from climorch.policy.watching import Watch

if TYPE_CHECKING:
    from distributed import Scheduler

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
    topic : str
        Under which its driver is told.
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
        *,
        paces: Paces,
        topic: str = TOPIC,
        comer: Comer | None = None,
    ) -> None:
        self.paces = paces
        self.topic = topic
        self.comer = comer
        self.leases: dict[str, tuple[str, ...]] = {}
        self.priorities: dict[str, int] = {}
        self._scheduler = scheduler
        self._prefix = "" if comer is None else f"{comer.identity}/"

    def named(self, simulation: str) -> str:
        """Return the name of a simulation among those of all campaigns."""
        return f"{self._prefix}{simulation}"

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
