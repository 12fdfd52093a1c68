"""A campaign on Slurm as a user's script.

Its only argument is JSON: ``root``, ``folder``, ``segments``, ``work_s`` and
``walltime_s``; ``names`` of the simulations, one letter each, and ``nodes``.
"""

from __future__ import annotations

import json
import sys

from climorch import Campaign, EverySegments, KeepLast, Policies, Scenario
from climorch.sites.slurm import Manner, SlurmSite
from climorch.testing.models import box_workflow


def main() -> None:
    """Run it, or go on."""
    given = json.loads(sys.argv[1])
    policies = Policies(
        checkpointing=EverySegments(count=5), retention=KeepLast(count=10)
    )
    campaign = Campaign("c", root=given["root"], policies=policies)
    workflow = box_workflow(segments=given["segments"], work_s=given["work_s"])
    for name in given.get("names", "st"):
        campaign.submit(workflow, scenario=Scenario(name))
    site = SlurmSite(
        "c",
        folder=given["folder"],
        nodes=given.get("nodes", 2),
        cores=4,
        walltime_s=given["walltime_s"],
        warn_s=20.0,
        start_s=25.0,
        manner=Manner(poll_s=1.0, look_s=1.0, patience_s=60.0),
    )
    raise SystemExit(0 if campaign.run(site).finished else 3)


if __name__ == "__main__":
    main()
