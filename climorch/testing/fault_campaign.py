"""The campaign of the fault matrix, as a user's script.

Two simulations of two coupled stages, two nodes each. Its only argument is JSON:
``root``, ``strategy`` (one of `STRATEGIES`), ``segments``, ``work_s``, ``memory`` (of
each node, 0: no limit), ``address`` (of a Dask scheduler; empty: nodes of its own),
and the fields of a `Variant`.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from climorch.campaign import Campaign
from climorch.core import fold_nodes
from climorch.core.progress import Policies
from climorch.core.site_ports import Site
from climorch.engine import stacks
from climorch.model.pace import CheckpointStrategy
from climorch.model.scenario import Scenario
from climorch.policy import reliability
from climorch.policy.checkpointing import Daly, EverySegments, EveryWall, ModelCalendar
from climorch.policy.limits import Limits
from climorch.policy.partnering import PartnerCopy
from climorch.policy.quarantine import Quarantine
from climorch.policy.recovery import DEFAULT_BUDGETS, RecoveryPolicy
from climorch.policy.retention import KeepLast
from climorch.policy.watching import Watch
from climorch.sites.dask import DaskSite
from climorch.sites.local import LocalSite
from climorch.testing.fault_model import faulty_workflow
from climorch.testing.injector import arm
from climorch.testing.misdeeds import Misdeed, misbehaving

__all__ = [
    "FROZEN_S",
    "LEFT",
    "NAME",
    "NODES",
    "STRATEGIES",
    "Strategy",
    "Variant",
    "campaign_of",
]

NAME = "faults"
NODES = 4
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """What some faults need to be otherwise.

    Attributes
    ----------
    members : int
        How many simulations, m0, m1 and so on.
    side_by_side : bool
        Whether coupled stages compute a segment at the same time.
    hang_s : float
        Budget of each segment and each read, in seconds, and silence condemns
        nobody: whoever holds the interpreter's lock is silent too; 0: as usual.
    quarantine : bool
        Whether mishaps are counted by seconds instead of days.
    misdeed : mapping
        Fields of the `Misdeed` that is done; empty: none.
    marks : str
        Folder in which its strikes are counted.
    """

    members: int = 2
    side_by_side: bool = False
    hang_s: float = 0.0
    quarantine: bool = False
    misdeed: Mapping[str, Any] = field(default_factory=dict)
    marks: str = ""

    @property
    def calm(self) -> Variant:
        """What an undisturbed campaign has to be like, to be compared with."""
        return Variant(members=self.members, side_by_side=self.side_by_side)


# Nodes that went within this time, in seconds, went together.
_TOGETHER_S = 0.05
_QUARANTINE = Quarantine(node_after=2, most_nodes=0.25, alone_after=4)


def campaign_of(
    root: str | Path,
    *,
    strategy: str,
    segments: int,
    work_s: float,
    variant: Variant | None = None,
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
    variant : Variant or None
        What is otherwise than usual.
    """
    chosen, other = STRATEGIES[strategy], variant or Variant()
    quick = {
        cause: replace(budget, first_delay_s=min(budget.first_delay_s, 0.2))
        for cause, budget in DEFAULT_BUDGETS.items()
    }
    policies = Policies(
        checkpointing=chosen.when,
        limits=chosen.limits,
        retention=KeepLast(count=2),
        recovery=RecoveryPolicy(
            budgets=quick,
            quarantine=_QUARANTINE if other.quarantine else Quarantine(),
        ),
        watch=Watch(frozen_s=FROZEN_S),
    )
    if other.hang_s:
        limits = dict.fromkeys(("air", "sea"), other.hang_s)
        watch = Watch(limits_s=limits, read_s=other.hang_s)
        policies = replace(policies, watch=watch)
    campaign = Campaign(NAME, root=root, policies=policies)
    wf = faulty_workflow(
        segments=segments, work_s=work_s, side_by_side=other.side_by_side
    )
    if other.misdeed:
        wf = misbehaving(wf, Misdeed(**other.misdeed), other.marks)
    for name in (f"m{i}" for i in range(other.members)):
        campaign.submit(wf, scenario=Scenario(name, params={"name": name}))
    return campaign


def main() -> None:
    """Run it, or go on; tell which threads are left."""
    logging.basicConfig(level="WARNING")
    given = json.loads(sys.argv[1])
    address, memory = given.pop("address", ""), given.pop("memory", 0)
    variant = Variant(**given.pop("variant"))
    arm()
    # Whoever looks at a cell that does not end can ask where it stands.
    stacks.listen("driver")
    if variant.quarantine:
        for module in (reliability, fold_nodes):
            vars(module)["TOGETHER_S"] = _TOGETHER_S
    before = {thread.name for thread in threading.enumerate()}
    site: Site = (
        DaskSite(address, min_nodes=NODES)
        if address
        else LocalSite(nodes=NODES, memory=memory)
    )
    status = campaign_of(**given, variant=variant).run(site)
    left = [t.name for t in threading.enumerate() if t.name not in before]
    (Path(given["root"]) / LEFT).write_text(json.dumps(left))
    raise SystemExit(0 if status.finished else 3)


if __name__ == "__main__":
    main()
