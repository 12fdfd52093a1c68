"""Nodes of a Dask cluster that is there already, and stays.

Given as the address of its Dask scheduler, or as a cluster object such as those
of LocalCluster, dask-jobqueue, dask-mpi or dask-kubernetes. Its workers are not
ours: they have any names, come and go, and are started again by whoever runs
them, or by the cluster object where that can scale.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from distributed import rpc

from climorch.core.site_ports import UNKNOWN_NODES
from climorch.errors import BackendError, Fault, InvalidInputError
from climorch.model.resources import parse_bytes
from climorch.sites.settings import DASK_SETTINGS

if TYPE_CHECKING:
    from distributed.security import Security

__all__ = ["DaskSite"]

logger = logging.getLogger(__name__)

# How often a cluster is asked for the nodes that it should have.
SCALE_S = 5.0
# A Dask scheduler that does not answer for so long is taken for gone.
ANSWER_S = 5.0


class DaskSite:
    """An existing Dask cluster.

    Dask must be set as campaigns need it before the cluster is made, see
    `SETTINGS`; a campaign says what is wrong before it starts. climorch must be
    installed for the Dask scheduler and its workers. Several campaigns, of one
    user or of several, may run there at the same time: each has workers of its
    own, that see its folder and may write there. Others may submit work of their
    own, which has the nodes that no simulation holds.

    Parameters
    ----------
    address_or_cluster : str or cluster object
        ``"tcp://host:8786"``, or an object with ``scheduler_address``.
    nodes : int or None
        Most nodes that this campaign takes; what is left is for others. A cluster
        that can scale is kept at no fewer. None: as many as the cluster was made
        with or adapts to, else all that come and are free, and a simulation that
        needs more waits instead of being refused.
    min_nodes : int
        Workers that it must have before it starts, >= 0. Where others have them,
        it is refused and told who.
    memory : int or str
        Memory per node, bytes or text such as ``"4 GiB"``; 0: not known before
        they join.
    patience_s : float
        How long to wait for a Dask scheduler that died, in seconds, >= 0. An
        outside supervisor starts it, and workers, again: they do not rejoin by
        themselves.
    security : distributed.Security or None
        Certificates; None: those of the cluster object.

    Raises
    ------
    InvalidInputError
        With everything that is wrong with the arguments.
    """

    SETTINGS: ClassVar[Mapping[str, Any]] = DASK_SETTINGS
    """For ``dask.config.set`` before the cluster is made."""

    def __init__(
        self,
        address_or_cluster: Any,
        *,
        nodes: int | None = None,
        min_nodes: int = 1,
        memory: int | str = 0,
        patience_s: float = 600.0,
        security: Security | None = None,
    ) -> None:
        faults = list(_faults(address_or_cluster, nodes, min_nodes, patience_s))
        if faults:
            raise InvalidInputError("this site cannot be made", faults=faults)
        self.nodes = nodes
        self.min_nodes = min_nodes
        self.memory_bytes = parse_bytes(memory)
        self._cluster = address_or_cluster
        self._patience_s = patience_s
        self._security = security
        self._scaling: asyncio.Task[None] | None = None

    @property
    def most_nodes(self) -> int:
        """Most nodes that it can ever have, or `UNKNOWN_NODES`."""
        wanted = self._wanted()
        if wanted is not None:
            return wanted
        most = getattr(getattr(self._cluster, "_adaptive", None), "maximum", math.inf)
        return int(most) if math.isfinite(most) else UNKNOWN_NODES

    @property
    def node_memory_bytes(self) -> int:
        """Memory per node; 0: not known."""
        return self.memory_bytes

    @property
    def node_cores(self) -> int:
        """0: not known before they join."""
        return 0

    @property
    def node_scratch_bytes(self) -> int:
        """0: Dask does not tell."""
        return 0

    @property
    def shared(self) -> bool:
        """True: the Dask scheduler stays and may have other users."""
        return True

    @property
    def patience_s(self) -> float:
        """How long to wait for a Dask scheduler that died, in seconds."""
        return self._patience_s

    @property
    def security(self) -> Security | None:
        """Certificates for its Dask scheduler; None: none."""
        if self._security is not None:
            return self._security
        found: Security | None = getattr(self._cluster, "security", None)
        return found

    async def open(self) -> str:
        """Return the address of the Dask scheduler once enough workers are there.

        Raises
        ------
        BackendError
            If it does not answer, or has fewer than ``min_nodes`` workers.
        """
        address = self._address()
        await self._scale()
        there = await self._workers_at(address)
        if there < self.min_nodes:
            raise BackendError(
                f"{there} of at least {self.min_nodes} workers are at {address}; "
                "start more, or lower DaskSite(min_nodes=...)"
            )
        return address

    async def start_nodes(self) -> None:
        """Keep a cluster that can scale at its number of nodes."""
        if self._wanted() is not None and hasattr(self._cluster, "scale"):
            self._scaling = asyncio.create_task(self._keep_scaled())

    async def close(self) -> None:
        """Stop asking for nodes; the cluster stays as it is."""
        task, self._scaling = self._scaling, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    def _address(self) -> str:
        if isinstance(self._cluster, str):
            return self._cluster
        address = self._cluster.scheduler_address
        if not address:
            raise BackendError("the cluster object has no Dask scheduler now")
        return str(address)

    def _wanted(self) -> int | None:
        """Return how many nodes the cluster is to have; None: it decides."""
        if self.nodes is not None:
            return self.nodes
        if getattr(self._cluster, "_adaptive", None) is not None:
            return None
        planned = getattr(self._cluster, "plan", None)
        return len(planned) if planned else None

    async def _workers_at(self, address: str) -> int:
        arguments: dict[str, Any] = {}
        if self.security is not None:
            arguments = self.security.get_connection_args("client")
        try:
            async with asyncio.timeout(ANSWER_S):
                async with rpc(address, connection_args=arguments) as scheduler:
                    return int((await scheduler.identity(n_workers=0))["n_workers"])
        except OSError as error:
            raise BackendError(
                f"no Dask scheduler answers at {address} ({type(error).__name__})"
            ) from error

    async def _scale(self) -> None:
        wanted = self._wanted()
        if wanted is None or not hasattr(self._cluster, "scale"):
            return
        # Clusters of others may block, or raise whatever they like.
        try:
            # Never down: its other users may need what is there.
            most = max(wanted, len(getattr(self._cluster, "plan", ())))
            result = await asyncio.to_thread(self._cluster.scale, most)
            if inspect.isawaitable(result):
                await result
        except Exception as error:
            logger.warning("the cluster does not scale to nodes=%d: %s", wanted, error)

    async def _keep_scaled(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            while True:
                await asyncio.sleep(SCALE_S)
                await self._scale()


def _faults(cluster: Any, nodes: int | None, min_nodes: int, patience_s: float) -> Any:
    if isinstance(cluster, str):
        if "://" not in cluster:
            yield Fault(
                place="DaskSite.address_or_cluster",
                problem=f"got {cluster!r}, expected an address with its protocol",
                remedy="write it as 'tcp://host:8786'",
            )
    elif not hasattr(cluster, "scheduler_address"):
        yield Fault(
            place="DaskSite.address_or_cluster",
            problem=f"a {type(cluster).__name__} has no scheduler_address",
            remedy="give an address, or a cluster object of Dask",
        )
    if nodes is not None and nodes < max(min_nodes, 1):
        yield Fault(
            place="DaskSite.nodes",
            problem=f"got {nodes}, expected at least 1 and min_nodes={min_nodes}",
            remedy="ask for more, or leave it out",
        )
    for name, value in (("min_nodes", min_nodes), ("patience_s", patience_s)):
        if not value >= 0:
            yield Fault(
                place=f"DaskSite.{name}",
                problem=f"got {value!r}, expected >= 0",
                remedy="give a number that is not negative",
            )
