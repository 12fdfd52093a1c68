"""A campaign as a user's script, with a place to die in.

Its only argument is JSON: ``root``, and optionally ``nodes_here``, ``nodes``,
``simulations``, ``segments``, ``work_s``, ``every``, ``alarms`` (file for them),
``die`` (function to die in), ``call``, ``after``, ``address`` (of an existing Dask
scheduler), ``most`` (workers that it takes there), ``gang`` (nodes of a simulation),
``copies`` (whether to partners, and rarely to the disk), ``lose`` (boundary at whose
copy a node is killed), ``archive`` and ``bytes_per_s`` (its address and rate), ``go``
(it begins once that file is there).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from climorch import (
    Alarm,
    Campaign,
    CheckpointStrategy,
    DaskSite,
    EverySegments,
    KeepLast,
    LocalSite,
    Policies,
    Scenario,
)
from climorch.engine.copying import Copies, Copy
from climorch.model.commands import BeginCopy
from climorch.policy.partnering import PartnerCopy
from climorch.rules import Archive
from climorch.testing.faults import die_in, kill_node, until
from climorch.testing.models import box_workflow


def lose_node(site: LocalSite, boundary: int) -> None:
    """Let a node be killed as soon as the copy of a boundary is held."""
    hold = Copies.hold

    async def holding(self: Copies, copy: Copy, command: BeginCopy) -> None:
        await hold(self, copy, command)
        if command.boundary == boundary:
            kill_node(site, "node001")

    Copies.hold = holding  # type: ignore[method-assign]  # on purpose


def main() -> None:
    """Run it, or go on."""
    given = json.loads(sys.argv[1])
    if "die" in given:
        die_in(given["die"], call=given["call"], after=given.get("after", False))
    strategy: CheckpointStrategy = EverySegments(count=given.get("every", 1))
    if given.get("copies"):
        strategy = PartnerCopy(disk=EverySegments(count=99), most_overhead=1.0)
    policies = Policies(
        checkpointing=strategy,
        retention=KeepLast(count=10),
        archive=Archive(url=given["archive"], bytes_per_s=given["bytes_per_s"])
        if "archive" in given
        else None,
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
        segments=given.get("segments", 6),
        work_s=given.get("work_s", 0.02),
        nodes=given.get("gang", 1),
        chunk=8 // given.get("gang", 2),
    )
    for name in given.get("simulations", "st"):
        campaign.submit(wf, scenario=Scenario(name))
    site: LocalSite | DaskSite = LocalSite(
        nodes=given.get("nodes", 2), in_process=given.get("nodes_here", False)
    )
    if "lose" in given and isinstance(site, LocalSite):
        lose_node(site, given["lose"])
    if "address" in given:
        site = DaskSite(given["address"], nodes=given.get("most"))
    if "go" in given:
        until(Path(given["go"]).exists, what="the file to begin at")
    try:
        status = campaign.run(site)
    except SystemExit:
        # After SIGTERM; a script may look at what is left before it goes.
        status = campaign.status()
    raise SystemExit(0 if status.finished else 3)


if __name__ == "__main__":
    main()
