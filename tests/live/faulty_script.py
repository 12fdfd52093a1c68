"""A campaign as a user's script, armed with the fault of its environment.

Its only argument is JSON: ``root``, and optionally ``nodes_here``, ``segments``,
``work_s``, ``every``, ``keep``, ``heartbeat_s``, ``waiting`` (records that may wait
for the journal), ``ill`` (file: while it is there the journal's disk fails).
"""

from __future__ import annotations

import functools
import json
import logging
import sqlite3
import sys
from pathlib import Path
from typing import Any

from climorch import Campaign, EverySegments, KeepLast, LocalSite, Policies, Scenario
from climorch.engine import keeper
from climorch.storage import journal_writer
from climorch.storage.journal_thread import JournalThread
from climorch.testing.injector import arm
from climorch.testing.models import box_workflow

NAMES = ("s", "t")


def campaign_of(given: dict[str, Any]) -> Campaign:
    """Return the campaign with its simulations submitted."""
    policies = Policies(
        checkpointing=EverySegments(count=given.get("every", 1)),
        retention=KeepLast(count=given.get("keep", 10)),
    )
    campaign = Campaign("c", root=given["root"], policies=policies)
    wf = box_workflow(
        segments=given.get("segments", 6),
        work_s=given.get("work_s", 0.02),
    )
    for name in NAMES:
        campaign.submit(wf, scenario=Scenario(name))
    return campaign


def fail_while(there: Path) -> None:
    """Let every transaction of the journal fail while a file is there."""
    whole = vars(journal_writer)["check_epoch"]

    def check_epoch(*args: Any) -> None:
        if there.exists():
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_WRITE
            error.sqlite_errorname = "SQLITE_IOERR_WRITE"
            raise error
        whole(*args)

    vars(journal_writer)["check_epoch"] = check_epoch


def main() -> None:
    """Run it, or go on."""
    logging.basicConfig(level="INFO")
    given = json.loads(sys.argv[1])
    arm()
    if "heartbeat_s" in given:
        vars(keeper)["JournalThread"] = functools.partial(
            JournalThread, heartbeat_s=given["heartbeat_s"]
        )
    if "ill" in given:
        fail_while(Path(given["ill"]))
    if "waiting" in given:
        vars(keeper)["MOST_WAITING"] = given["waiting"]
    site = LocalSite(nodes=2, in_process=given.get("nodes_here", True))
    status = campaign_of(given).run(site)
    raise SystemExit(0 if status.finished else 3)


if __name__ == "__main__":
    main()
