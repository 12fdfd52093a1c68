"""What the core asks of where nodes come from: a protocol for each thing a site can.

All of them are sites; what else one can is looked at where it matters.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from climorch.model.supply import SiteTold

__all__ = [
    "UNKNOWN_NODES",
    "ExpectingSite",
    "LaunchingSite",
    "SharedSite",
    "Site",
    "SiteNews",
    "StandingSite",
]

# More than any machine has: a site that cannot say refuses no simulation.
UNKNOWN_NODES = 2**31
"""What a site answers that does not know how many nodes it can have."""


class Site(Protocol):
    """Where nodes come from.

    A site has one Dask scheduler, with the settings that campaigns need, and
    workers that are its nodes, with the resources ``cpu`` (cores for compute)
    and ``io`` (1), one thread for each. Where it makes them itself, a node that
    dies is replaced under its name or by another one, for as long as the site
    is open. It may be opened again after it was closed.
    """

    @property
    def most_nodes(self) -> int:
        """Most nodes that it can ever have, or `UNKNOWN_NODES`."""

    @property
    def node_memory_bytes(self) -> int:
        """Memory per node; 0: no limit or not known."""

    @property
    def node_cores(self) -> int:
        """Cores for compute per node; 0: not known."""

    @property
    def node_scratch_bytes(self) -> int:
        """Disk of its own per node; 0: no limit or not known."""

    @property
    def shared(self) -> bool:
        """Whether the Dask scheduler stays, for others: we clean up after us."""

    @property
    def patience_s(self) -> float:
        """How long to wait for a Dask scheduler that went away, in seconds."""

    @property
    def security(self) -> object:
        """Certificates for its Dask scheduler as Dask takes them; None: none."""

    async def open(self) -> str:
        """Find or make a Dask scheduler and return its address.

        Raises
        ------
        BackendError
            If there is none now; it is asked again for `patience_s`.
        """

    async def start_nodes(self) -> None:
        """Ask for the nodes; they join when they are up."""

    async def close(self) -> None:
        """Let go of nodes and Dask scheduler; leave nothing of ours behind."""


class SiteNews(Protocol):
    """What a site tells by itself, whenever it learns of it; on the event loop."""

    def goes(
        self, node: str, at_s: float | None, why: str, *, recalled: bool = False
    ) -> None:
        """Say when a node goes, whether it has joined already or not.

        Parameters
        ----------
        node : str
            Name under which it joins.
        at_s : float or None
            UTC seconds; None: it stays.
        why : str
            In words.
        recalled : bool
            Whether nothing may be begun there any more.
        """

    def trouble(self, subject: str, message: str) -> None:
        """Say what is wrong with where nodes come from; no message: it is over.

        The subject tells troubles apart.
        """

    def stands(self, told: SiteTold) -> None:
        """Say what is asked for and does not come; of nothing: all came."""


@runtime_checkable
class ExpectingSite(Protocol):
    """A site that asks for nodes by itself, and need not where none is needed."""

    def expect(self, need: tuple[int, float] | None) -> None:
        """Take how many nodes are needed, and until when in UTC seconds.

        None: nobody knows, so all of them for as long as may be.
        """


@runtime_checkable
class StandingSite(Site, Protocol):
    """A site whose nodes outlive its Dask scheduler, and go at known times."""

    def listen(self, news: SiteNews) -> None:
        """Tell from now on when nodes go, and of trouble."""

    async def part(self) -> None:
        """End the Dask scheduler; the nodes wait for another one."""


@runtime_checkable
class LaunchingSite(Protocol):
    """A site that says how programs with MPI are started on its nodes."""

    @property
    def launcher(self) -> str:
        """Name or path of a program: ``mpiexec``, ``srun`` or ``jsrun``."""

    @property
    def job_nodes(self) -> int:
        """Most nodes that the launcher reaches at a time, or `UNKNOWN_NODES`."""

    def job_of(self, node: str) -> str:
        """Return the job within which the launcher stays; empty: it reaches all."""


@runtime_checkable
class SharedSite(Protocol):
    """What a site says beyond `Site` where a Dask scheduler has several campaigns."""

    @property
    def nodes(self) -> int | None:
        """Most nodes that a campaign takes; None: all that are free."""

    @property
    def min_nodes(self) -> int:
        """Nodes without which it does not start, >= 0."""
