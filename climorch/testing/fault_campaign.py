"""The campaign of the fault matrix, as a user's script.

Two simulations of two coupled stages, two nodes each. Its only argument is JSON:
``root``, ``strategy`` (one of `STRATEGIES`), ``segments``, ``work_s``, ``memory`` (of
each node, 0: no limit), ``address`` (of a Dask scheduler; empty: nodes of its own).
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from climorch.campaign import Campaign
from climorch.core.ports import Site
from climorch.core.progress import Policies
from climorch.model.pace import CheckpointStrategy
from climorch.model.scenario import Scenario
from climorch.policy.checkpointing import Daly, EverySegments, EveryWall, ModelCalendar
from climorch.policy.limits import Limits
from climorch.policy.partnering import PartnerCopy
from climorch.policy.recovery import DEFAULT_BUDGETS, RecoveryPolicy
from climorch.policy.retention import KeepLast
from climorch.policy.watching import Watch
from climorch.sites.dask import DaskSite
from climorch.sites.local import LocalSite
from climorch.testing.fault_model import faulty_workflow
from climorch.testing.injector import arm

__all__ = [
    "FROZEN_S",
    "LEFT",
    "MEMBERS",
    "NAME",
    "NODES",
    "STRATEGIES",
    "Strategy",
    "campaign_of",
]

NAME = "faults"
NODES = 4
MEMBERS = ("m0", "m1")
LEFT = "threads-left.json"
"""File in the root that tells which threads the driver left."""

FROZEN_S = 4.0
"""Silence after which a node is taken for frozen, far below the default: cells wait
for it."""


_NO_CAP = Limits(most_overhead=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """When the campaign checkpoints, and how far apart that can be.

    Attributes
    ----------
    when : CheckpointStrategy
        The strategy.
    segments, seconds : float
        Longest interval: so many segments, and so many seconds more.
    limits : Limits
        Caps above it.
    """

    when: CheckpointStrategy
    segments: float = 0.0
    seconds: float = 0.0
    limits: Limits = _NO_CAP


STRATEGIES: Mapping[str, Strategy] = {
    "EverySegments": Strategy(when=EverySegments(count=2), segments=2),
    # Its own interval is a quarter of an hour here: the cap on exposure binds, as it
    # does for most simulations at the default settings.
    "Daly": Strategy(
        when=Daly(),
        seconds=1.0,
        limits=Limits(most_overhead=1.0, most_exposure_s=15 / 7),
    ),
    "EveryWall": Strategy(when=EveryWall(seconds=0.8), seconds=0.8),
    "PartnerCopy": Strategy(
        when=PartnerCopy(disk=EverySegments(count=4), most_overhead=1.0), segments=4
    ),
    "combined": Strategy(
        when=EverySegments(count=3)
        | EveryWall(seconds=1.0)
        | ModelCalendar(every="4YS"),
        segments=3,
    ),
}
"""Name to strategy."""


def campaign_of(
    root: str | Path, *, strategy: str, segments: int, work_s: float
) -> Campaign:
    """Return the campaign with its simulations submitted.

    Parameters
    ----------
    root : path
        Folder of all campaigns.
    strategy : str
        One of `STRATEGIES`.
    segments : int
        Of each simulation.
    work_s : float
        Seconds that each block of a segment takes.
    """
    chosen = STRATEGIES[strategy]
    quick = {
        cause: replace(budget, first_delay_s=min(budget.first_delay_s, 0.2))
        for cause, budget in DEFAULT_BUDGETS.items()
    }
    policies = Policies(
        checkpointing=chosen.when,
        limits=chosen.limits,
        retention=KeepLast(count=2),
        recovery=RecoveryPolicy(budgets=quick),
        watch=Watch(frozen_s=FROZEN_S),
    )
    campaign = Campaign(NAME, root=root, policies=policies)
    wf = faulty_workflow(segments=segments, work_s=work_s)
    for name in MEMBERS:
        campaign.submit(wf, scenario=Scenario(name, params={"name": name}))
    return campaign


def main() -> None:
    """Run it, or go on; tell which threads are left."""
    logging.basicConfig(level="WARNING")
    given = json.loads(sys.argv[1])
    address, memory = given.pop("address", ""), given.pop("memory", 0)
    arm()
    before = {thread.name for thread in threading.enumerate()}
    site: Site = (
        DaskSite(address, min_nodes=NODES)
        if address
        else LocalSite(nodes=NODES, memory=memory)
    )
    status = campaign_of(**given).run(site)
    left = [t.name for t in threading.enumerate() if t.name not in before]
    (Path(given["root"]) / LEFT).write_text(json.dumps(left))
    raise SystemExit(0 if status.finished else 3)


if __name__ == "__main__":
    main()
