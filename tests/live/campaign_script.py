"""A campaign as a user's script, with a place to die in.

``campaign_script.py ROOT [--in-process] [--segments N] [--die TARGET:CALL[:after]]``
"""

from __future__ import annotations

import argparse

from climorch import Campaign, EverySegments, KeepLast, LocalSite, Policies, Scenario
from climorch.testing.faults import die_in
from climorch.testing.models import box_workflow


def main() -> None:
    """Run it, or go on."""
    parser = argparse.ArgumentParser()
    parser.add_argument("root")
    parser.add_argument("--in-process", action="store_true")
    parser.add_argument("--segments", type=int, default=6)
    parser.add_argument("--work", type=float, default=0.02)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--die", default="")
    given = parser.parse_args()
    if given.die:
        target, call, *after = given.die.split(":")
        die_in(target, call=int(call), after=bool(after))
    policies = Policies(
        checkpointing=EverySegments(count=given.every), retention=KeepLast(count=10)
    )
    campaign = Campaign("c", root=given.root, policies=policies)
    wf = box_workflow(segments=given.segments, work_s=given.work)
    campaign.submit(wf, scenario=Scenario("s"))
    campaign.submit(wf, scenario=Scenario("t"))
    site = LocalSite(nodes=2, in_process=given.in_process)
    status = campaign.run(site)
    raise SystemExit(0 if status.finished else 3)


if __name__ == "__main__":
    main()
