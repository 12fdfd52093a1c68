"""Semaphores of nodes that were killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys

from climorch import Campaign, EverySegments, LocalSite, Policies, Scenario
from climorch.model import events as e
from climorch.testing.faults import kill_node, until_record
from climorch.testing.models import box_workflow

if __name__ == "__main__":
    root = sys.argv[1]
    campaign = Campaign(
        "c", root=root, policies=Policies(checkpointing=EverySegments())
    )
    campaign.submit(box_workflow(segments=4, work_s=0.1), scenario=Scenario("s"))
    site = LocalSite(nodes=1)
    run = campaign.start(site)
    until_record(root, "c", e.CheckpointCommitted, run=run)
    kill_node(site, "node000")
    run.wait()
    raise SystemExit(0 if campaign.status().finished else 3)
"""


@pytest.mark.live
def test_a_node_that_is_killed_after_it_wrote_leaves_none(
    tmp_path: Path, project_root: Path
) -> None:
    """At the end of the script Python's resource tracker has nothing to say."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    ran = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "root")],
        env={**os.environ, "PYTHONPATH": str(project_root)},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    assert "leaked" not in ran.stderr
