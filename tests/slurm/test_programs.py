"""A program with MPI on nodes of Slurm: started by srun, struck with its node."""

from __future__ import annotations

from pathlib import Path

import pytest

from climorch import Campaign, Resources, Scenario, Span, Workflow
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.commands import Record
from climorch.programs import Command
from climorch.sites.batch.hosts import expand
from climorch.testing.faults import committed_twice, until
from climorch.testing.programs import found_in
from mpi_model import cells_of, compiled, expected, first_state, workflow_of
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


def wide(step: Command, years: int, nodes: int) -> Workflow:
    """Return a workflow of the model alone, on several nodes."""
    made = Workflow(f"wide-{nodes}")
    end = f"{2000 + years}-01-01"
    span = Span("2000-01-01", end, every="1YS", calendar="noleap")
    needs = Resources(nodes=nodes)
    made.stage("heat", step, init=first_state(step), span=span, resources=needs)
    return made


def hosts_of(folder: Path) -> set[str]:
    """Return the nodes of Slurm that the ranks in a folder run on."""
    found = set()
    for one in found_in(folder):
        if one.name == "heat":
            told = Path(f"/proc/{one.pid}/environ").read_bytes().split(b"\0")
            found |= {w.partition(b"=")[2].decode() for w in told if b"NODENAME=" in w}
    return found


def jobs_of(found: list[Record]) -> list[set[str]]:
    """Return the jobs of each lease of several nodes that was given."""
    gangs = [r.nodes for r in found if isinstance(r, c.SetLease) and len(r.nodes) > 1]
    return [{node.rpartition(".")[2] for node in gang} for gang in gangs]


@pytest.mark.benchmark
def test_a_program_goes_from_the_nodes_of_one_job_to_those_of_the_next(
    slurm: MiniSlurm, tmp_path: Path
) -> None:
    """Jobs of a minute with two nodes each: no segment is computed twice."""
    program = compiled(tmp_path)
    if program is None:
        pytest.skip("mpicc and cc are needed: Debian's gcc, and mpich from PyPI")
    years = 60
    made = Campaign("c", root=tmp_path / "root", policies=policies())
    scenario = Scenario("s", params={"kappa": KAPPA})
    made.submit(wide(step_of(program), years, 2), scenario=scenario)
    run = made.start(site(tmp_path / "meet", nodes_per_job=2, walltime_s=60.0))
    assert run.wait(timeout_s=280.0)

    found = cells_of(made.checkpoints("s")[0])
    assert found.tobytes() == expected(years, KAPPA).tobytes()
    facts = records(made)
    assert len({job for jobs in jobs_of(facts) for job in jobs}) >= 2
    assert all(len(jobs) == 1 for jobs in jobs_of(facts))
    assert committed_twice(facts) == []
    until(lambda: none_left(slurm), what="an empty queue")


def test_a_program_spans_the_nodes_of_a_job(slurm: MiniSlurm, tmp_path: Path) -> None:
    """A rank on each of two; one of them crashes: another job, and NumPy's bits."""
    program = compiled(tmp_path)
    if program is None:
        pytest.skip("mpicc and cc are needed: Debian's gcc, and mpich from PyPI")
    root, step = tmp_path / "root", step_of(program)
    made = Campaign("c", root=root, policies=policies())
    made.submit(wide(step, YEARS, 2), scenario=Scenario("s", params={"kappa": KAPPA}))
    run = made.start(site(tmp_path / "meet", nodes_per_job=2))
    folder = until(lambda: running(root, 2), what="the third segment", timeout_s=120)
    ((first, told),) = busy(slurm).items()
    hosts = expand(told)
    assert len(hosts) == 2
    assert hosts_of(folder) == set(hosts)
    slurm.crash(hosts[1])
    until(lambda: not found_in(folder), what="the ranks' end")
    assert run.wait(timeout_s=200.0)

    found = cells_of(made.checkpoints("s")[0])
    assert found.tobytes() == expected(YEARS, KAPPA).tobytes()
    facts = records(made)
    assert committed_twice(facts) == []
    jobs = jobs_of(facts)
    assert all(len(of) == 1 for of in jobs)
    assert (jobs[0], jobs[-1]) == ({first}, {str(int(first) + 1)})
    slurm.start_node(hosts[1])
    until(lambda: none_left(slurm), what="an empty queue")


def test_each_of_several_programs_has_nodes_of_one_job(
    slurm: MiniSlurm, tmp_path: Path
) -> None:
    """Two of two nodes and one of one share jobs of two, and one job is cancelled."""
    program = compiled(tmp_path)
    if program is None:
        pytest.skip("mpicc and cc are needed: Debian's gcc, and mpich from PyPI")
    root, years = tmp_path / "root", 15
    made = Campaign("c", root=root, policies=policies())
    workflows = {nodes: wide(step_of(program), years, nodes) for nodes in (1, 2)}
    for name, nodes in (("u", 1), ("s", 2), ("t", 2)):
        workflow = workflows[nodes]
        made.submit(workflow, scenario=Scenario(name, params={"kappa": KAPPA}))
    run = made.start(site(tmp_path / "meet", nodes=4, nodes_per_job=2, cores=2))
    until(lambda: running(root, 3), what="the fourth segment", timeout_s=120)
    whole = next(iter(jobs_of(records(made))[-1]))
    slurm.call("scancel", whole)
    assert run.wait(timeout_s=250.0)

    facts = records(made)
    for name in "ust":
        found = cells_of(made.checkpoints(name)[0])
        assert found.tobytes() == expected(years, KAPPA).tobytes()
    assert committed_twice(facts) == []
    assert all(len(of) == 1 for of in jobs_of(facts))
    assert len({job for of in jobs_of(facts) for job in of}) >= 2
    # It was never up to the program's start to find that out.
    failures = [r.message for r in facts if isinstance(r, e.SegmentFailed)]
    assert not [told for told in failures if "within one job" in told]
    until(lambda: none_left(slurm), what="an empty queue")
