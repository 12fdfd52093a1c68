"""Which campaign has which worker of a Dask scheduler that several share.

Decides who is offered a worker, and remembers who has it. A worker serves one
campaign at a time: asked by it, held by it, and left by it until nothing of that
runs there any more. Knows no Dask and no clock. Ties go by the order of arrival.
"""

from __future__ import annotations

import enum
from collections import Counter
from dataclasses import dataclass, field

from climorch.errors import ConflictError

__all__ = ["Holdings", "Kept", "Stand", "Standing", "Tenant"]


# Name of a worker to the campaign that it is kept for, and until when.
Kept = dict[str, tuple[str, float]]


class Stand(enum.Enum):
    """Where a worker stands."""

    FREE = "free"
    ASKED = "asked"
    HELD = "held"
    LEAVING = "leaving"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """A campaign on the Dask scheduler.

    Attributes
    ----------
    identity : str
        Of the campaign, the same for all of its drivers.
    epoch : int
        Of its driver, higher for a later one.
    most : int or None
        Most workers that it takes; None: all that are free.
    who : str
        Name of the campaign, its user, process and machine, in words.
    """

    identity: str
    epoch: int
    most: int | None
    who: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a campaign has, and why it has no more.

    Attributes
    ----------
    held : int
        Workers that it has.
    pending : int
        Workers that are being looked at, or that a campaign is just leaving.
    kept_s : float
        Seconds until no worker is kept any more for a campaign whose driver
        went away; 0: none is.
    others : dict of str to int
        What other campaigns have, by who they are.
    unfit : int
        Workers that cannot serve it.
    """

    held: int
    pending: int
    kept_s: float
    others: dict[str, int]
    unfit: int

    def told(self) -> str:
        """Say it in words."""
        words = [f"it has {self.held}"]
        words += [f"{count} held by {who}" for who, count in self.others.items()]
        if self.kept_s:
            words.append(
                f"some kept {self.kept_s:.0f} s more for a campaign whose driver "
                "went away"
            )
        if self.pending:
            words.append(f"{self.pending} looked at, or busy with what came before")
        if self.unfit:
            words.append(f"{self.unfit} that cannot write its folder")
        return ", ".join(words)


@dataclass(slots=True, kw_only=True)
class _Worker:
    name: str
    stand: Stand = Stand.FREE
    # Identity of who asked for it, holds it or leaves it.
    whose: str = ""
    # Those whom it cannot serve.
    unfit: set[str] = field(default_factory=set)


class Holdings:
    """Workers, campaigns, and who has what; see the module.

    Parameters
    ----------
    kept : dict of str to (str, float)
        What is kept from before: name of a worker to the campaign that may have it
        again, and until when, seconds of the clock of `exit`.

    Attributes
    ----------
    kept : dict of str to (str, float)
        What is kept now.
    """

    def __init__(self, kept: Kept | None = None) -> None:
        self.kept: Kept = dict(kept or {})
        self._workers: dict[str, _Worker] = {}
        self._tenants: dict[str, Tenant] = {}

    def enter(self, tenant: Tenant) -> None:
        """Let a campaign take part; one of its drivers that was there has exited.

        Parameters
        ----------
        tenant : Tenant
            Who.

        Raises
        ------
        ConflictError
            If a driver of the same campaign is there.
        """
        known = self._tenants.get(tenant.identity)
        if known is not None:
            raise ConflictError(f"{known.who} takes part already")
        self._tenants[tenant.identity] = tenant

    def tenant(self, identity: str) -> Tenant | None:
        """Return a campaign that takes part."""
        return self._tenants.get(identity)

    def exit(self, identity: str, now_s: float, *, keep_s: float = 0.0) -> list[str]:
        """Take everything back from a campaign.

        Parameters
        ----------
        identity : str
            Of the campaign.
        now_s : float
            Clock of the Dask scheduler, in seconds.
        keep_s : float
            For how long its workers are kept for it, in seconds; 0: not.

        Returns
        -------
        list of str
            Addresses of workers that have to be cleared of it, see `cleared`.
        """
        if self._tenants.pop(identity, None) is None:
            return []
        left = []
        for address, worker in self._workers.items():
            worker.unfit.discard(identity)
            if worker.whose != identity or worker.stand is Stand.LEAVING:
                continue
            if worker.stand is Stand.HELD and keep_s:
                self.kept[worker.name] = identity, now_s + keep_s
            worker.stand = Stand.LEAVING
            left.append(address)
        return left

    def join(self, address: str, name: str) -> None:
        """Take note of a worker; again: nothing changes."""
        self._workers.setdefault(address, _Worker(name=name))

    def gone(self, address: str, now_s: float, *, keep_s: float) -> None:
        """Forget a worker; one that comes under its name is kept for who had it.

        Parameters
        ----------
        address : str
            Of the worker.
        now_s : float
            As of `exit`.
        keep_s : float
            For how long, in seconds.
        """
        worker = self._workers.pop(address, None)
        if worker is not None and worker.stand is Stand.HELD:
            self.kept[worker.name] = worker.whose, now_s + keep_s

    def offers(self, now_s: float) -> list[tuple[str, str]]:
        """Ask campaigns below their number whether they want free workers.

        Parameters
        ----------
        now_s : float
            As of `exit`.

        Returns
        -------
        list of (str, str)
            Address of a worker and the campaign that is asked: who had it before,
            else who has fewest. `accept` or `decline` answers.
        """
        self.kept = {n: kept for n, kept in self.kept.items() if kept[1] > now_s}
        counts = Counter(
            worker.whose
            for worker in self._workers.values()
            if worker.stand in (Stand.ASKED, Stand.HELD)
        )
        found = []
        free = [(a, w) for a, w in self._workers.items() if w.stand is Stand.FREE]
        # What is kept first: it counts in what else its campaign may have.
        for address, worker in sorted(free, key=lambda f: f[1].name not in self.kept):
            identity = self._next_for(worker, counts)
            if identity is not None:
                worker.stand, worker.whose = Stand.ASKED, identity
                counts[identity] += 1
                found.append((address, identity))
        return found

    def _next_for(self, worker: _Worker, counts: Counter[str]) -> str | None:
        wanting = [
            identity
            for identity, tenant in self._tenants.items()
            if identity not in worker.unfit
            and (tenant.most is None or counts[identity] < tenant.most)
        ]
        kept_for = self.kept.get(worker.name, ("", 0.0))[0]
        if kept_for in wanting:
            return kept_for
        if kept_for and kept_for not in self._tenants:
            # Its driver may come back.
            return None
        return min(wanting, key=lambda identity: counts[identity], default=None)

    def accept(self, address: str, identity: str) -> bool:
        """Let a campaign that was asked have a worker; return whether it has it."""
        worker = self._workers.get(address)
        if worker is None or (worker.stand, worker.whose) != (Stand.ASKED, identity):
            return False
        worker.stand = Stand.HELD
        self.kept.pop(worker.name, None)
        return True

    def decline(self, address: str, identity: str) -> bool:
        """Leave a worker to others; return whether it has to be cleared."""
        worker = self._workers.get(address)
        if worker is None or (worker.stand, worker.whose) != (Stand.ASKED, identity):
            return False
        worker.stand = Stand.LEAVING
        worker.unfit.add(identity)
        if self.kept.get(worker.name, ("",))[0] == identity:
            del self.kept[worker.name]
        return True

    def cleared(self, address: str) -> None:
        """Let others have a worker on which nothing of a campaign is left."""
        worker = self._workers.get(address)
        if worker is not None and worker.stand is Stand.LEAVING:
            worker.stand, worker.whose = Stand.FREE, ""

    def stand(self, address: str) -> Stand | None:
        """Return where a worker stands; None: it is not known."""
        worker = self._workers.get(address)
        return None if worker is None else worker.stand

    def holder(self, address: str) -> str | None:
        """Return the campaign that holds a worker, if one does."""
        worker = self._workers.get(address)
        held = worker is not None and worker.stand is Stand.HELD
        return worker.whose if worker is not None and held else None

    def held(self, identity: str) -> list[str]:
        """Return the addresses of the workers of a campaign."""
        return [a for a in self._workers if self.holder(a) == identity]

    def again_s(self, now_s: float) -> float | None:
        """Return in how many seconds a worker is kept no more; None: none is."""
        ends = [until_s - now_s for _, until_s in self.kept.values()]
        return max(min(ends), 0.0) if ends else None

    def standing(self, identity: str, now_s: float) -> Standing:
        """Return what a campaign has, and why it has no more.

        Parameters
        ----------
        identity : str
            Of the campaign.
        now_s : float
            As of `exit`.
        """
        workers = self._workers.values()
        others: Counter[str] = Counter()
        for worker in workers:
            tenant = self._tenants.get(worker.whose)
            if worker.stand is Stand.HELD and worker.whose != identity:
                others[worker.whose if tenant is None else tenant.who] += 1
        names = {w.name for w in workers if w.stand is Stand.FREE}
        kept = [
            until_s - now_s
            for name, (whose, until_s) in self.kept.items()
            if name in names and whose not in self._tenants
        ]
        return Standing(
            held=len(self.held(identity)),
            pending=sum(w.stand in (Stand.ASKED, Stand.LEAVING) for w in workers),
            kept_s=max([0.0, *kept]),
            others=dict(others),
            unfit=sum(identity in w.unfit for w in workers),
        )
