"""The example of a campaign on Slurm."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.slurm.mini import MiniSlurm

pytestmark = [pytest.mark.slurm, pytest.mark.usefixtures("slurm")]


def run(project_root: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    """Run it as a user does."""
    return subprocess.run(
        [sys.executable, "examples/slurm_campaign.py", *argv],
        cwd=project_root,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )


def test_the_example_runs_and_finds_its_work_done(
    slurm: MiniSlurm, project_root: Path, tmp_path: Path
) -> None:
    """The second time no job is submitted."""
    argv = ["--folder", str(tmp_path), "--nodes", "2", "--members", "1"]
    argv += ["--poll", "1", "--walltime", "600"]
    first = run(project_root, *argv)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "finished: True" in first.stdout
    jobs = slurm.call("squeue", "-h", "--states=all", "--name=ensemble", "-o", "%A")
    assert len(jobs.split()) >= 2
    again = run(project_root, *argv)
    assert "finished: True" in again.stdout
    after = slurm.call("squeue", "-h", "--states=all", "--name=ensemble", "-o", "%A")
    assert after == jobs


def test_a_look_ahead_says_what_is_wrong(
    slurm: MiniSlurm, project_root: Path, tmp_path: Path
) -> None:
    """And submits nothing."""
    argv = ["--folder", str(tmp_path), "--check"]
    assert run(project_root, *argv).returncode == 0
    wrong = run(project_root, *argv, "--partition", "nowhere")
    assert wrong.returncode == 1
    assert "invalid partition specified: nowhere" in wrong.stdout
