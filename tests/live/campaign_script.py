"""A campaign as a user's script, with a place to die in.

Its only argument is JSON: ``root``, and optionally ``nodes_here``, ``nodes``,
``simulations``, ``segments``, ``work_s``, ``every``, ``alarms`` (file for them),
``die`` (function to die in), ``call``, ``after``, ``address`` (of an existing Dask
scheduler).
"""

from __future__ import annotations

import json
import sys

from climorch import (
    Alarm,
    Campaign,
    DaskSite,
    EverySegments,
    KeepLast,
    LocalSite,
    Policies,
    Scenario,
)
from climorch.testing.faults import die_in
from climorch.testing.models import box_workflow


def main() -> None:
    """Run it, or go on."""
    given = json.loads(sys.argv[1])
    if "die" in given:
        die_in(given["die"], call=given["call"], after=given.get("after", False))
    policies = Policies(
        checkpointing=EverySegments(count=given.get("every", 1)),
        retention=KeepLast(count=10),
    )

    def note(alarm: Alarm) -> None:
        with open(given["alarms"], "a", encoding="utf-8") as file:
            print(alarm.kind, alarm.event, alarm.text, file=file, flush=True)

    campaign = Campaign(
        "c",
        root=given["root"],
        policies=policies,
        on_alarm=note if "alarms" in given else None,
    )
    wf = box_workflow(
        segments=given.get("segments", 6), work_s=given.get("work_s", 0.02)
    )
    for name in given.get("simulations", "st"):
        campaign.submit(wf, scenario=Scenario(name))
    site: LocalSite | DaskSite = LocalSite(
        nodes=given.get("nodes", 2), in_process=given.get("nodes_here", False)
    )
    if "address" in given:
        site = DaskSite(given["address"])
    status = campaign.run(site)
    raise SystemExit(0 if status.finished else 3)


if __name__ == "__main__":
    main()
