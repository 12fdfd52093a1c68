"""A site of PBS by real qsub, qstat and qdel: those that Debian has for Slurm."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from climorch.core.site_ports import Site
from climorch.sites.pbs import TORQUE, PBSSite
from climorch.sites.slurm import Manner
from climorch.testing.faults import until
from climorch.testing.site_suite import SiteSuite
from tests.slurm.mini import MiniSlurm
from tests.slurm.test_slurm import busy, campaign, check, finished, none_left

pytestmark = [pytest.mark.slurm, pytest.mark.usefixtures("slurm", "commands")]


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let qsub read its input, as others do."""
    if shutil.which("qsub") is None:
        pytest.skip("no qsub: install Debian's slurm-wlm-torque")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "qsub").symlink_to(Path(__file__).with_name("qsub_shim.sh"))
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")


def site(folder: Path, nodes: int = 2) -> PBSSite:
    """One host per node, asked every second."""
    return PBSSite(
        "c",
        folder=folder,
        nodes=nodes,
        cores=4,
        walltime_s=600.0,
        start_s=25.0,
        flavour=TORQUE,
        manner=Manner(poll_s=1.0, look_s=1.0, patience_s=60.0),
    )


@pytest.mark.benchmark
class TestConformance(SiteSuite):
    """Nodes that qsub gets are nodes like any others."""

    @pytest.fixture
    def make_site(self, tmp_path: Path) -> Callable[[int], Site]:
        return lambda nodes: site(tmp_path, nodes)


def test_a_campaign_lives_on_jobs_of_qsub(slurm: MiniSlurm, tmp_path: Path) -> None:
    """One is deleted, and replaced; the bits are those of an undisturbed run."""
    made = campaign(tmp_path / "root", segments=40, work_s=0.2)
    run = made.start(site(tmp_path / "meet"))
    until(lambda: finished(run, "s") > 5, what="the first segments")
    jobs = busy(slurm)
    assert len(jobs) == 2
    slurm.call("qdel", next(iter(jobs)))
    assert run.wait(timeout_s=200.0)

    check(made, segments=40)
    told = slurm.call("squeue", "-h", "--states=all", "--name=c", "-o", "%A").split()
    assert len(told) >= 3
    until(lambda: none_left(slurm), what="an empty queue")
