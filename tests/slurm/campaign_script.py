"""A campaign on Slurm as a user's script.

Its only argument is JSON: ``root``, ``folder``, ``segments``, ``work_s`` and
``walltime_s``; ``names`` of the simulations, one letter each, ``nodes``, and
``enough``: once that file is there the simulations end, before their last segment.
"""

from __future__ import annotations

import functools
import json
import sys
from pathlib import Path

from climorch import Campaign, EverySegments, KeepLast, Policies, Scenario
from climorch.rules import Course, Until
from climorch.sites.slurm import Manner, SlurmSite
from climorch.testing.models import box_workflow

EVERY = 5


def there(course: Course, *, path: str) -> tuple[bool, str]:
    """Say whether a file is there: the answer is journaled, and so the end is too."""
    return Path(path).exists(), f"after {course.segments} segments"


def main() -> None:
    """Run it, or go on."""
    given = json.loads(sys.argv[1])
    policies = Policies(
        checkpointing=EverySegments(count=EVERY), retention=KeepLast(count=10)
    )
    campaign = Campaign("c", root=given["root"], policies=policies)
    until = None
    if "enough" in given:
        condition = functools.partial(there, path=given["enough"])
        until = Until(condition=condition, every=EVERY)
    workflow = box_workflow(
        segments=given["segments"], work_s=given["work_s"], until=until
    )
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
