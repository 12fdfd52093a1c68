"""A program with MPI on nodes of Slurm: started by srun, struck with its node."""

from __future__ import annotations

from pathlib import Path

import pytest

from climorch import Campaign, Scenario
from climorch.model import commands as c
from climorch.model.commands import Record
from climorch.programs import Command
from climorch.testing.faults import committed_twice, until
from climorch.testing.programs import found_in
from mpi_model import cells_of, compiled, expected, workflow_of
from tests.live.cases import policies, records
from tests.slurm.mini import MiniSlurm
from tests.slurm.test_slurm import busy, none_left, site

pytestmark = [pytest.mark.slurm, pytest.mark.usefixtures("slurm")]

YEARS, KAPPA, STEPS = 6, 0.1, 20


def step_of(program: Path) -> Command:
    """Two ranks, started by what the site names; twenty steps of 50 ms a segment."""
    return Command(
        argv=[str(program), "old.bin", "new.bin", str(STEPS), "${params.kappa}", "50"],
        restart={"new.bin": "old.bin"},
        ranks=2,
        # MPICH asks for this one; what Slurm does by default its centre says.
        options=["--mpi=pmi2"],
    )


def running(root: Path, segment: int) -> Path | None:
    """Return the run folder of a segment once it is in the midst of it."""
    for log in (root / "c" / "runs" / "s" / "heat").glob(f"{segment}-*/log.txt"):
        if f"step {segment * STEPS + 10} of" in log.read_text():
            return log.parent
    return None


def newest_lease(found: list[Record]) -> str:
    """Return the node of the only simulation."""
    leases = [r.nodes for r in found if isinstance(r, c.SetLease) and r.nodes]
    return leases[-1][0]


def test_a_node_that_crashes_takes_its_ranks_along(
    slurm: MiniSlurm, tmp_path: Path
) -> None:
    """The segment is computed on another node: every bit is NumPy's."""
    program = compiled(tmp_path)
    if program is None:
        pytest.skip("mpicc and cc are needed: Debian's gcc, and mpich from PyPI")
    root, step = tmp_path / "root", step_of(program)
    made = Campaign("c", root=root, policies=policies())
    scenario = Scenario("s", params={"kappa": KAPPA})
    made.submit(workflow_of(step, YEARS), scenario=scenario)
    run = made.start(site(tmp_path / "meet"))
    folder = until(lambda: running(root, 2), what="the third segment", timeout_s=120)
    there = found_in(folder)
    assert sum(one.name == "heat" for one in there) == 2
    assert any(one.name == "srun" for one in there)
    host = newest_lease(records(made)).partition(".")[0]
    assert host in busy(slurm).values()
    slurm.crash(host)
    until(lambda: not found_in(folder), what="the ranks' end")
    assert run.wait(timeout_s=200.0)

    found = cells_of(made.checkpoints("s")[0])
    assert found.tobytes() == expected(YEARS, KAPPA).tobytes()
    assert committed_twice(records(made)) == []
    slurm.start_node(host)
    until(lambda: none_left(slurm), what="an empty queue")
