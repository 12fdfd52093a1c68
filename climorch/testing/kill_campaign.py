"""A small campaign as a user's script: a spin-up, two coupled stages, a branch.

Run by `climorch.testing.kill_matrix` in a process of its own. Its only argument is
JSON: ``root``, ``nodes``, ``members``, ``segments``, ``work_s``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import replace

from climorch.campaign import Campaign
from climorch.core.progress import Policies
from climorch.model.edits import AddSimulation, Committed
from climorch.model.scenario import Scenario
from climorch.model.span import Span
from climorch.model.workflow import Workflow
from climorch.policy.checkpointing import EverySegments
from climorch.policy.retention import KeepLast
from climorch.policy.watching import Watch
from climorch.sites.local import LocalSite
from climorch.testing.injector import arm
from climorch.testing.models import box_workflow

__all__ = ["FUTURE", "NAME", "campaign_of"]

NAME = "fire"
FUTURE = 2
_SPINUP = 2
# Far below the default, since tests wait for it.
_FROZEN_S = 5.0


def _branch(committed: Committed) -> Iterable[AddSimulation]:
    yield AddSimulation(
        template="future", scenario=Scenario(f"{committed.simulation}-future")
    )


def _future(start: int, work_s: float) -> Workflow:
    wf = Workflow("future")
    span = Span(
        f"{start}-01-01", f"{start + FUTURE}-01-01", every="1YS", calendar="noleap"
    )
    for stage in box_workflow(segments=FUTURE, work_s=work_s).stages:
        wf.stages.append(replace(stage, init=None, span=span))
    return wf


def campaign_of(root: str, *, members: int, segments: int, work_s: float) -> Campaign:
    """Return the campaign with its simulations submitted.

    Parameters
    ----------
    root : str
        Folder of all campaigns.
    members : int
        Simulations; each gives rise to one more.
    segments : int
        Of the coupled phase.
    work_s : float
        Seconds that each block of a segment takes.
    """
    policies = Policies(
        checkpointing=EverySegments(count=1),
        retention=KeepLast(count=2),
        watch=Watch(frozen_s=_FROZEN_S),
    )
    campaign = Campaign(NAME, root=root, policies=policies)
    wf = box_workflow(
        segments=segments,
        spinup=_SPINUP,
        work_s=work_s,
        templates=(_future(2000 + segments, work_s),),
    )
    wf.rule("branch", when="sea", then=_branch)
    for member in range(members):
        campaign.submit(wf, scenario=Scenario(f"m{member}"))
    return campaign


def main() -> None:
    """Run it, or go on."""
    given = json.loads(sys.argv[1])
    arm()
    nodes = given.pop("nodes")
    status = campaign_of(**given).run(LocalSite(nodes=nodes))
    raise SystemExit(0 if status.finished else 3)


if __name__ == "__main__":
    main()
