"""A campaign of one model of somebody else, as a user's script.

Its only argument is JSON: ``root``, ``model``, ``segments``, and optionally
``isolated``, ``die_at`` (boundary at or after which the driver dies, once it has
committed a checkpoint) and ``plain`` (file for the last state of the model without
any campaign).
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from climorch import (
    Campaign,
    EverySegments,
    KeepLast,
    LocalSite,
    Policies,
    Scenario,
)
from climorch.storage import commit
from climorch.storage.inflight import Checkpoint
from climorch.storage.layout import Layout
from climorch.storage.manifest import Manifest
from tests.third_party.models import plain, workflow


def die_at(boundary: int) -> None:
    """Let this process be killed as soon as a checkpoint is committed there."""
    promote = commit.promote

    def dying(
        layout: Layout, epoch: int, directory: Path, manifest: Manifest
    ) -> Checkpoint:
        promoted = promote(layout, epoch, directory, manifest)
        if manifest.boundary >= boundary:
            os.kill(os.getpid(), signal.SIGKILL)
        return promoted

    commit.promote = dying


def main() -> None:
    """Run it, or go on."""
    given = json.loads(sys.argv[1])
    model, segments = given["model"], given["segments"]
    if "plain" in given:
        plain(model, segments=segments).to_zarr(given["plain"])
        return
    if "die_at" in given:
        die_at(given["die_at"])
    campaign = Campaign(
        "c",
        root=given["root"],
        policies=Policies(
            checkpointing=EverySegments(count=1), retention=KeepLast(count=10)
        ),
    )
    campaign.submit(
        workflow(model, segments=segments, isolated=given.get("isolated", False)),
        scenario=Scenario("s"),
    )
    status = campaign.run(LocalSite(nodes=1, in_process=True))
    raise SystemExit(0 if status.finished else 3)


if __name__ == "__main__":
    main()
