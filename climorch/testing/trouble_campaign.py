"""A small campaign as a user's script, on a storage that gets into trouble.

Run by `climorch.testing.trouble_cells` in a process of its own. Its only argument is
JSON: ``root``, ``nodes``, ``segments``, ``work_s``.
"""

from __future__ import annotations

import json
import logging
import sys

from climorch.campaign import Campaign
from climorch.core import alarms
from climorch.core.progress import Policies
from climorch.engine import chores, keeper
from climorch.model.scenario import Scenario
from climorch.policy.checkpointing import EverySegments
from climorch.policy.retention import KeepLast
from climorch.sites.local import LocalSite
from climorch.testing.models import box_workflow

__all__ = ["NAME", "SIMULATIONS", "campaign_of"]

NAME = "ill"
SIMULATIONS = ("s", "t")
# Minutes by default, which nobody waits for here.
_PATIENCE_S = 1.0


def campaign_of(root: str, *, segments: int, work_s: float) -> Campaign:
    """Return the campaign with its simulations submitted.

    Parameters
    ----------
    root : str
        Folder of all campaigns.
    segments : int
        Of each stage.
    work_s : float
        Seconds that each block of a segment takes.
    """
    policies = Policies(
        checkpointing=EverySegments(count=1), retention=KeepLast(count=2)
    )
    campaign = Campaign(NAME, root=root, policies=policies)
    wf = box_workflow(segments=segments, work_s=work_s)
    for name in SIMULATIONS:
        campaign.submit(wf, scenario=Scenario(name))
    return campaign


def main() -> None:
    """Run it, or go on."""
    logging.basicConfig(level="INFO")
    given = json.loads(sys.argv[1])
    for module, name in (
        (alarms, "LATE_S"),
        (chores, "LATE_S"),
        (keeper, "PATIENCE_S"),
    ):
        vars(module)[name] = _PATIENCE_S
    nodes = given.pop("nodes")
    status = campaign_of(**given).run(LocalSite(nodes=nodes))
    raise SystemExit(0 if status.finished else 3)


if __name__ == "__main__":
    main()
