"""Which workers tasks may use: sets that tasks share and that change in place.

A node joins, a lease moves: tens of thousands of tasks may run elsewhere from
then on. Each holds one of a few sets of addresses as its restriction, one for a
lease, one for each node of it that tasks prefer, one for all foreign work. So
only those sets are made anew, never the restrictions of each task.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, WeakValueDictionary

from climorch.engine.tags import ANNOTATION, read_service

if TYPE_CHECKING:
    from distributed.scheduler import TaskState

__all__ = ["NOWHERE", "Place", "Places", "Wishes"]

# An address that no worker has. Dask takes an empty restriction for none at all.
NOWHERE = "climorch://nowhere"


class Place(set[str]):
    """Addresses that the tasks which hold it may use.

    Empty: any. Dask reads restrictions and never changes them.

    Parameters
    ----------
    addresses : iterable of str
        To start with.
    lease : str or None
        Whose; None: of foreign work.
    """

    __slots__ = ("lease",)

    def __init__(
        self, addresses: Iterable[str] = (), *, lease: str | None = None
    ) -> None:
        super().__init__(addresses)
        self.lease = lease

    def become(self, addresses: Iterable[str]) -> None:
        """Take other addresses."""
        wanted = set(addresses)
        self.clear()
        self.update(wanted)


class Places:
    """Leases, the workers that are there, and the sets that follow from them.

    Attributes
    ----------
    leases : dict of str to tuple of str
        Simulation to the names of its nodes.
    free : Place
        Where foreign work may run; empty while there is no lease at all.
    """

    def __init__(self) -> None:
        self.leases: dict[str, tuple[str, ...]] = {}
        self.free = Place()
        self._names: dict[str, str] = {}
        self._addresses: dict[str, set[str]] = {}
        self._tenants: dict[str, set[str]] = {}
        # Weak: a set is there for as long as a task holds it.
        self._made: dict[str, WeakValueDictionary[str | None, Place]] = {}

    def __len__(self) -> int:
        """Return how many sets tasks of leases hold."""
        return sum(len(made) for made in self._made.values())

    def addresses(self, node: str) -> frozenset[str]:
        """Return the workers of a node; more than one only for odd names."""
        return frozenset(self._addresses.get(node, ()))

    def shared(self, address: str) -> bool:
        """Tell whether several simulations hold the node of a worker."""
        return len(self._tenants.get(self._names.get(address, ""), ())) > 1

    def allows(self, restrictions: set[str] | None, address: str) -> bool:
        """Tell whether a task may stay on a worker.

        Parameters
        ----------
        restrictions : set of str or None
            Of the task; any but a `Place` is not ours to judge.
        address : str
            Where it is.
        """
        if not isinstance(restrictions, Place) or not restrictions:
            return True
        if restrictions.lease is None:
            return address in restrictions
        # Not where it prefers to be, but within its lease: it may stay.
        return self._names.get(address) in self.leases.get(restrictions.lease, ())

    def leased(self, node: str) -> bool:
        """Tell whether anybody holds a node."""
        return node in self._tenants

    def competing(self, tasks: Iterable[TaskState]) -> list[TaskState]:
        """Return tasks that wait on a worker among those of others."""
        found = []
        for state in tasks:
            place, worker = state.worker_restrictions, state.processing_on
            lease = place.lease if isinstance(place, Place) else None
            # A node that one simulation holds alone has one order anyway.
            if worker is not None and (lease is None or self.shared(worker.address)):
                found.append(state)
        return found

    def allowed(self, lease: str) -> set[str]:
        """Return the workers that a lease has now."""
        nodes = self.leases.get(lease, ())
        return {a for node in nodes for a in self._addresses.get(node, ())}

    def place(self, lease: str, node: str | None) -> Place:
        """Return the set for tasks of a lease that prefer a node.

        Parameters
        ----------
        lease : str
            Need not exist: its tasks wait for it.
        node : str or None
            Preferred; one that is not of the lease is not heeded.
        """
        made = self._made.get(lease)
        if made is None:
            made = self._made[lease] = WeakValueDictionary()
        if node is not None and node not in self.leases.get(lease, ()):
            node = None
        found = made.get(node)
        if found is None:
            found = made[node] = Place(lease=lease)
            self._fill(found, node)
        return found

    def join(self, address: str, node: str) -> None:
        """Take note of a worker."""
        self._names[address] = node
        self._addresses.setdefault(node, set()).add(address)
        if node in self._tenants:
            self._refresh(self._tenants[node])
        elif self.leases:
            self.free.discard(NOWHERE)
            self.free.add(address)

    def leave(self, address: str) -> str | None:
        """Forget a worker; return its node if that has none left."""
        node = self._names.pop(address, None)
        if node is None:
            return None
        left = self._addresses[node]
        left.discard(address)
        if not left:
            del self._addresses[node]
        self._refresh(self._tenants.get(node, ()))
        self.free.discard(address)
        if self.leases and not self.free:
            self.free.add(NOWHERE)
        return None if left else node

    def assign(self, leases: Mapping[str, tuple[str, ...]]) -> set[str]:
        """Take other leases.

        Parameters
        ----------
        leases : mapping of str to tuple of str
            All of them.

        Returns
        -------
        set of str
            Nodes that somebody got or gave back.
        """
        before, now = self.leases, {name: tuple(n) for name, n in leases.items()}
        changed = {
            name
            for name in before.keys() | now.keys()
            if before.get(name) != now.get(name)
        }
        moved: set[str] = set()
        for name in changed:
            moved |= set(before.get(name, ())) ^ set(now.get(name, ()))
        self.leases = now
        self._tenants = {}
        for name, nodes in now.items():
            for node in nodes:
                self._tenants.setdefault(node, set()).add(name)
        self._refresh(changed)
        free = {a for a, n in self._names.items() if n not in self._tenants}
        self.free.become((free or {NOWHERE}) if now else ())
        for name in [n for n, made in self._made.items() if n not in now and not made]:
            del self._made[name]
        return moved

    def _refresh(self, leases: Iterable[str]) -> None:
        for lease in leases:
            for node, place in list(self._made.get(lease, {}).items()):
                self._fill(place, node)

    def _fill(self, place: Place, node: str | None) -> None:
        allowed = self.allowed(place.lease or "")
        preferred = self._addresses.get(node, set()) if node else set()
        place.become((preferred & allowed) or allowed or {NOWHERE})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """Restrictions that a foreign task brought along."""

    workers: set[str] | None
    hosts: set[str] | None
    loose: bool


class Wishes:
    """What foreign tasks asked for: heeded where that hurts no lease.

    Once nobody has a lease they are as they came.

    Parameters
    ----------
    places : Places
        Where foreign work may run.
    workers_of : callable
        From a host, as Dask was given it, to the addresses of its workers.
    """

    def __init__(
        self, places: Places, workers_of: Callable[[str], Iterable[str]]
    ) -> None:
        self._places = places
        self._workers_of = workers_of
        self._wishes: WeakKeyDictionary[TaskState, _Wish] = WeakKeyDictionary()

    def __len__(self) -> int:
        """Return how many tasks asked for something."""
        return len(self._wishes)

    def place(self, state: TaskState) -> None:
        """Keep a foreign task off the nodes that are leased, but for services."""
        address = read_service((state.annotations or {}).get(ANNOTATION))
        if address is not None:
            # It waits for a process of its own and takes nothing of the node.
            state.worker_restrictions = {address}
            return
        if isinstance(state.worker_restrictions, Place) or state in self._wishes:
            return
        hosts, workers = state.host_restrictions, state.worker_restrictions
        if workers or hosts or state.loose_restrictions:
            wish = _Wish(workers=workers, hosts=hosts, loose=state.loose_restrictions)
            self._wishes[state] = wish
            self._heed(state, wish)
        else:
            state.worker_restrictions = self._places.free

    def refresh(self) -> None:
        """Follow the leases, for the few tasks that asked for something."""
        for state, wish in list(self._wishes.items()):
            self._heed(state, wish)

    def _heed(self, state: TaskState, wish: _Wish) -> None:
        free = self._places.free
        if not free:
            state.worker_restrictions = wish.workers
            state.host_restrictions = wish.hosts
            state.loose_restrictions = wish.loose
            return
        asked = set(wish.workers or ())
        for host in wish.hosts or ():
            asked |= set(self._workers_of(host))
        if wish.workers or wish.hosts:
            allowed = (asked & free) or (free if wish.loose else {NOWHERE})
        else:
            allowed = free
        state.worker_restrictions = Place(allowed)
        # Dask joins hosts with workers, and lets go of both for a loose task.
        state.host_restrictions = None
        state.loose_restrictions = False
