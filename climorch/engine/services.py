"""What an attempt needs of its driver, in one value."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from climorch.core.state import CampaignState
from climorch.engine.cluster import Cluster
from climorch.engine.threads import DiskThreads
from climorch.model.events import Fact
from climorch.model.workflow import Workflow
from climorch.policy.watching import Watch
from climorch.storage.checkpoints import CheckpointStore
from climorch.storage.results import ResultStore

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["Services"]


@dataclass(frozen=True, kw_only=True)
class Services:
    """Handles on the world.

    Attributes
    ----------
    cluster : Cluster
        The present session with a Dask scheduler.
    checkpoints, results
        The stores of this campaign and epoch.
    identity : str
        Of this campaign: no other has it, also where names are the same.
    epoch : int
        Of this driver.
    state : CampaignState
        The orchestrator's; only read.
    workflows : mapping of str to Workflow
        Where functions bind, by workflow name.
    post : callable
        Takes a fact to the orchestrator.
    lost : callable
        Told when a newer driver has taken over.
    may_commit : callable
        Returns once the journal can be appended to: nothing irrevocable is
        done before.
    clock : callable
        Monotonic seconds.
    watch : Watch
        When a task counts as stuck.
    disk : DiskThreads
        Where all that waits for a disk is done.
    """

    cluster: Cluster
    checkpoints: CheckpointStore
    results: ResultStore
    identity: str
    epoch: int
    state: CampaignState
    workflows: Mapping[str, Workflow]
    post: Callable[[Fact], None]
    lost: Callable[[BaseException], None]
    may_commit: Callable[[], Awaitable[None]]
    watch: Watch
    disk: DiskThreads
    clock: Callable[[], float] = time.monotonic

    @property
    def client(self) -> Client:
        """Client of the present session, asynchronous, on the driver's loop."""
        return self.cluster.client

    @property
    def nodes(self) -> dict[str, str]:
        """Address of each worker to the name of its node."""
        return self.cluster.nodes

    def lease(self, simulation: str) -> tuple[str, ...]:
        """Nodes that a simulation holds now."""
        return self.state.simulations[simulation].lease

    def cores(self, simulation: str) -> int:
        """Cores of the nodes that a simulation holds and that are up; 1 at least."""
        up, lease = self.state.nodes, self.lease(simulation)
        return max(sum(up[node].cores for node in lease if node in up), 1)
