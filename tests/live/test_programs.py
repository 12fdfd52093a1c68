"""Programs with MPI and OpenMP as stages: whatever is killed, the bits are the same."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

from climorch import Campaign, LocalSite, Scenario, Span, Workflow
from climorch.engine import nursery
from climorch.model import events as e
from climorch.model.events import Cause
from climorch.programs import Command, state_from
from climorch.testing.faults import committed_twice, kill_node, until
from climorch.testing.programs import found_in
from mpi_model import cells_of, compiled, expected, heat, workflow_of
from tests.live.cases import here, kinds, policies, records

YEARS, KAPPA = 4, 0.1


@pytest.fixture(scope="module", autouse=True)
def kept_nursery() -> Iterator[None]:
    """One nursery for the nodes in this process: importing takes seconds."""
    keeper = object()
    nursery.join(keeper)
    yield
    nursery.leave(keeper)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model in C, compiled once."""
    made = compiled(tmp_path_factory.mktemp("program"))
    if made is None:
        pytest.skip("mpicc and cc are needed: Debian's gcc, and mpich from PyPI")
    return made


def submitted(root: Path, step: Command) -> Campaign:
    """A campaign with one simulation of a program, two nodes for it."""
    made = Campaign("c", root=root, policies=policies())
    made.submit(
        workflow_of(step, YEARS), scenario=Scenario("s", params={"kappa": KAPPA})
    )
    return made


def check(campaign: Campaign) -> None:
    """Every bit is NumPy's, nothing is committed twice, no process is left."""
    found = cells_of(campaign.checkpoints("s")[0])
    assert found.tobytes() == expected(YEARS, KAPPA).tobytes()
    assert committed_twice(records(campaign)) == []
    assert found_in(campaign.root / "c") == []


def running(campaign: Campaign, segment: int, step: int) -> Path | None:
    """Return the run folder of a segment once it has come to a step."""
    for log in (campaign.root / "c" / "runs" / "s" / "heat").glob(
        f"{segment}-*/log.txt"
    ):
        if f"step {segment * 20 + step} of" in log.read_text():
            return log.parent
    return None


def test_a_rank_that_is_killed_costs_its_segment(program: Path, tmp_path: Path) -> None:
    """The launcher ends the others; what failed is kept, the retry is bitwise equal."""
    mark = tmp_path / "mark"
    step = heat(program, "0", "1", "7", str(mark), ranks=2, threads=2)
    campaign = submitted(tmp_path, step)

    assert campaign.run(here(2)).finished

    check(campaign)
    (failed,) = kinds(records(campaign), e.SegmentFailed)
    assert (failed.segment, failed.cause) == (0, Cause.MEMORY)
    assert "was ended by signal 9 (Killed)" in failed.message
    (kept,) = (tmp_path / "c" / "runs" / "s" / "heat").iterdir()
    assert "heat: 2 ranks, 2 threads" in (kept / "log.txt").read_text()
    assert "signal 9" in (kept / "FAILED.txt").read_text()


def test_a_launcher_that_is_killed_takes_its_ranks_along(
    program: Path, tmp_path: Path
) -> None:
    """Though they are in sessions of their own."""
    campaign = submitted(tmp_path, heat(program, "30", ranks=2, threads=1))
    run = campaign.start(here(2))
    folder = until(lambda: running(campaign, 1, 10), what="the second segment")
    before = found_in(folder)
    assert sorted(one.name for one in before if one.name == "heat") == ["heat"] * 2
    (launcher,) = (one for one in before if one.name.startswith("mpiexec"))
    os.kill(launcher.pid, signal.SIGKILL)
    until(lambda: not found_in(folder), what="the ranks' end")

    assert run.wait(timeout_s=120)
    check(campaign)
    assert [f.segment for f in kinds(records(campaign), e.SegmentFailed)] == [1]


def test_a_program_that_is_asked_to_leave_goes_on_from_there(
    program: Path, tmp_path: Path
) -> None:
    """By the batch system, within a segment: its restart file is taken up."""
    campaign = submitted(tmp_path, heat(program, "30", ranks=2, threads=1))
    run = campaign.start(here(2))
    folder = until(lambda: running(campaign, 1, 10), what="the second segment")
    (launcher,) = (one for one in found_in(folder) if one.name.startswith("mpiexec"))
    # It tells all processes of a step.
    os.kill(launcher.parent, signal.SIGTERM)

    assert run.wait(timeout_s=120)
    check(campaign)
    (failed,) = kinds(records(campaign), e.SegmentFailed)
    assert (failed.segment, failed.cause) == (1, Cause.NODE_LOST)
    assert "asked to leave; it has written its restart files" in failed.message
    assert (folder / "CHECKPOINTED.json").exists()
    reached = int(np.fromfile(folder / "new.bin", dtype=np.int64, count=1)[0])
    assert 30 <= reached < 40


def test_what_cannot_be_started_is_told(tmp_path: Path) -> None:
    """As an error of the model, which is not tried for ever."""
    campaign = submitted(tmp_path, heat(Path("/no/program"), ranks=1, threads=1))

    assert not campaign.run(here(1)).finished
    failed = kinds(records(campaign), e.SegmentFailed)
    assert {fact.cause for fact in failed} == {Cause.MODEL}
    assert "/no/program cannot be started" in failed[0].message


def test_a_rank_of_python_that_raises_ends_all_of_them(tmp_path: Path) -> None:
    """Its restart file is NetCDF, so its checkpoints are its fields."""
    if shutil.which("mpiexec") is None:
        pytest.skip("mpiexec is needed: mpich from PyPI")
    source = Path(__file__).with_name("ocean_mpi.py")
    mark = str(tmp_path / "mark")
    step = Command(
        argv=[sys.executable, "-m", "mpi4py", str(source), "old.nc", "new.nc", mark],
        restart={"new.nc": "old.nc"},
        ranks=2,
    )
    heat = np.linspace(0.0, 1.0, 7)
    with netCDF4.Dataset(tmp_path / "old.nc", "w") as file:
        file.createDimension("x", 7)
        first = file.createVariable("heat", "f8", ("x",))
        first.units = "K"
        first[:] = heat
        counted = file.createVariable("step", "i8")
        counted.units = "seconds since 2000-01-01"
        counted[...] = 0
    wf = Workflow("w")
    span = Span("2000-01-01", "2002-01-01", every="1YS", calendar="noleap")
    wf.stage("ocean", step, init=state_from(step, tmp_path), span=span)
    campaign = Campaign("c", root=tmp_path, policies=policies())
    campaign.submit(wf, scenario=Scenario("s"))

    assert campaign.run(here(1)).finished

    for _ in range(6):
        heat = heat * 1.01 + 0.125
    tree = campaign.checkpoints("s")[0] / "state.zarr" / "ocean"
    state = xr.open_zarr(tree).load()
    assert state["heat"].to_numpy().tobytes() == heat.tobytes()
    assert state["heat"].attrs["units"] == "K"
    assert int(state["step"]) == 6
    (failed,) = kinds(records(campaign), e.SegmentFailed)
    assert "RuntimeError: the second rank gives up" in failed.message


@pytest.mark.live
@pytest.mark.timeout(300)
def test_a_node_that_is_killed_takes_its_program_along(
    program: Path, tmp_path: Path
) -> None:
    """Its worker alone: what runs is found and ended, and only one attempt commits."""
    campaign = submitted(tmp_path, heat(program, "30", ranks=2, threads=1))
    site = LocalSite(nodes=2)
    run = campaign.start(site)
    folder = until(lambda: running(campaign, 1, 10), what="a segment", timeout_s=240)
    assert len(found_in(folder)) >= 4
    for node in ("node000", "node001"):
        kill_node(site, node)
    until(lambda: not found_in(folder), what="the program's end")

    assert run.wait(timeout_s=240)
    check(campaign)
