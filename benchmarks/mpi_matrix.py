"""A program with MPI and OpenMP: ranks x threads x what is killed, and what it costs.

The model of ``examples/heat.c`` runs four segments. In the second one, at its tenth
step, a rank, the launcher, the process that watches it, or the worker of its node is
killed with SIGKILL. The bar: every bit as NumPy computes it, no segment committed
twice, no process left, and less than 200 ms per segment beside the program and its
launcher, in the median.

Cells are appended to a file as they come, for each MPI by itself; run again, it goes
on with what is missing. The MPI is that whose ``mpicc`` and ``mpiexec`` are on the
path.

    uv run python benchmarks/mpi_matrix.py [--quick] [--cell NAME] [--minutes M]
        [--again]
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import math
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cftime
import cloudpickle

import climorch as co
from benchmarks.bench import RESULTS, Figures, report
from climorch.engine.child import Job
from climorch.engine.children import Children
from climorch.engine.programs.launching import OPEN_MPI, family_of
from climorch.model.programs import RunPlace
from climorch.testing.faults import (
    committed_twice,
    kill_node,
    records_of,
    until,
)
from climorch.testing.programs import Found, found_in

# Tests have it on their path.
sys.path.append(str(Path(__file__).parents[1] / "examples"))
from mpi_model import (
    cells_of,
    compiled,
    expected,
    first_state,
    heat,
    workflow_of,
)

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "BAR_S",
    "CELLS",
    "QUICK",
    "Cell",
    "Seen",
    "cell_named",
    "cells",
    "family",
    "known",
    "measure",
    "overheads_s",
    "try_cell",
]

FOUND = RESULTS / "mpi_matrix.jsonl"

YEARS, KAPPA, STEPS = 4, 0.1, 20
NAP_MS = 20
RANKS, THREADS = (1, 2, 3, 4), (1, 2, 3)
NOTHING, RANK, LAUNCHER, WATCHER, WORKER = (
    "nothing",
    "rank",
    "launcher",
    "watcher",
    "worker",
)
# Open MPI's becomes another program.
LAUNCHERS = ("mpiexec", "prte")
BAR_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What runs and what is killed."""

    ranks: int
    threads: int
    killed: str

    @property
    def name(self) -> str:
        """As it is asked for."""
        return f"{self.ranks}x{self.threads}-{self.killed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What became of a cell.

    Attributes
    ----------
    mpi : str
        Whose `mpiexec` it was, as `family` tells.
    cell : str
        Its name.
    problems : list of str
        Empty: it ended as if nothing had happened.
    seconds : float
        That it took.
    """

    mpi: str
    cell: str
    problems: list[str]
    seconds: float


def cells() -> Iterator[Cell]:
    """Yield all of them; one rank has no launcher."""
    killed = (NOTHING, RANK, LAUNCHER, WATCHER, WORKER)
    for ranks, threads, what in itertools.product(RANKS, THREADS, killed):
        if ranks > 1 or what != LAUNCHER:
            yield Cell(ranks=ranks, threads=threads, killed=what)


CELLS = tuple(cells())
QUICK = ("3x2-watcher", "2x1-rank", "2x3-launcher", "1x2-rank", "4x1-worker")


def cell_named(name: str) -> Cell:
    """Return one of them."""
    return next(cell for cell in CELLS if cell.name == name)


def try_cell(folder: Path, program: Path, cell: Cell) -> tuple[list[str], float]:
    """Run a campaign and kill what a cell says.

    Returns
    -------
    problems : list of str
        Empty: it ended as if nothing had happened.
    seconds : float
        That it took.
    """
    begin_s = time.monotonic()
    campaign = co.Campaign("c", root=folder, policies=_policies())
    step = heat(program, str(NAP_MS), ranks=cell.ranks, threads=cell.threads)
    params = {"kappa": KAPPA}
    scenario = co.Scenario("s", params=params)
    campaign.submit(workflow_of(step, YEARS), scenario=scenario)
    site = co.LocalSite(nodes=2, in_process=cell.killed != WORKER)
    run = campaign.start(site)
    problems = []
    if cell.killed != NOTHING:
        runs = folder / "c" / "runs" / "s" / "heat"
        at = until(lambda: _reached(runs), what="the second segment", timeout_s=240)
        _kill(cell, site, found_in(at))
        until(lambda: not found_in(at), what="the end of what was left")
    if not run.wait(timeout_s=240):
        problems.append("it did not end")
    found = cells_of(campaign.checkpoints("s")[0])
    if found.tobytes() != expected(YEARS, KAPPA).tobytes():
        problems.append("other bits")
    if committed_twice(records_of(folder, "c")):
        problems.append("a segment was committed twice")
    if left := found_in(folder):
        problems.append(f"left: {left}")
    failed = len(list(folder.glob("c/runs/s/heat/1-*")))
    if failed != (cell.killed != NOTHING):
        problems.append(f"{failed} folders of the killed segment")
    return problems, time.monotonic() - begin_s


def overheads_s(folder: Path, program: Path, segments: int) -> list[float]:
    """Return what each segment took beside the program and its launcher, in seconds."""
    step = heat(program)
    children = Children()
    state, code = first_state(step), cloudpickle.dumps(step)
    found: list[float] = []
    try:
        for k in range(segments):
            start = cftime.DatetimeNoLeap(2000 + k, 1, 1)
            job = Job(
                owner="s/heat/heat",
                attempt="s/heat/1.1",
                segment=co.Segment(
                    start=start,
                    end=cftime.DatetimeNoLeap(2001 + k, 1, 1),
                    index=k,
                    params={"kappa": KAPPA},
                ),
                code=code,
                keep=True,
                build_timeout_s=100.0,
                timeout_s=math.inf,
                place=RunPlace(folder=str(folder / f"{k}-1.1")),
            )
            begin_s = time.monotonic()
            advance, told = children.run(job, functools.partial(_same, state), dict)
            found.append(time.monotonic() - begin_s - told.program_s)
            state = advance.state
    finally:
        children.close()
    # The first one starts the process.
    return found[1:]


def family() -> str:
    """Return whose ``mpiexec`` is on the path; empty: none."""
    if (launcher := shutil.which("mpiexec")) is None:
        return ""
    argv = [launcher, "--version"]
    told = subprocess.run(argv, capture_output=True, text=True, check=True)
    return family_of(told.stdout)


def known(path: Path, mpi: str) -> dict[str, Seen]:
    """Return what was found before with one MPI, the newest of each cell."""
    if not path.exists():
        return {}
    lines = [Seen(**json.loads(line)) for line in path.read_text().splitlines()]
    return {seen.cell: seen for seen in lines if seen.mpi == mpi}


def measure(
    folder: Path, wanted: Sequence[Cell], *, program: Path, until_s: float, path: Path
) -> list[Seen]:
    """Try cells one by one; print and keep each at once.

    Parameters
    ----------
    folder : Path
        For their campaigns.
    wanted : sequence of Cell
        Which.
    program : Path
        The compiled model.
    until_s : float
        No cell begins later, s of the monotonic clock.
    path : Path
        The file that they are appended to.
    """
    found, mpi = [], family()
    for number, cell in enumerate(wanted):
        if time.monotonic() > until_s:
            print(f"{len(wanted) - number} cells are left for the next time")
            break
        begin_s = time.monotonic()
        try:
            problems, seconds = try_cell(folder / cell.name, program, cell)
        except Exception as error:  # one cell tells nothing of the others
            problems = [f"{type(error).__name__}: {error}"]
            seconds = time.monotonic() - begin_s
        told = "; ".join(problems) or "equal"
        print(f"{cell.name:16} {seconds:6.1f} s  {told}", flush=True)
        seen = Seen(mpi=mpi, cell=cell.name, problems=problems, seconds=seconds)
        with path.open("a") as file:
            file.write(json.dumps(asdict(seen)) + "\n")
        found.append(seen)
    return found


def main() -> int:
    """Try what is missing; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="five cells")
    parser.add_argument("--cell", help="one cell, by its name")
    parser.add_argument("--again", action="store_true", help="also what is known")
    parser.add_argument("--minutes", type=float, default=60.0, help="then stop")
    given = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    tried, path, mpi = list(CELLS), FOUND, family()
    if given.cell or given.quick:
        # Not kept: the file is of the matrix as a whole.
        names = [given.cell] if given.cell else QUICK
        tried, path = [cell_named(name) for name in names], Path("/dev/null")
    before = {} if given.again or path != FOUND else known(FOUND, mpi)
    wanted = [cell for cell in tried if cell.name not in before]
    until_s = time.monotonic() + 60 * given.minutes
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        program = compiled(folder)
        if program is None:
            print("mpicc and cc are needed: nothing was measured")
            return 0
        new = measure(folder, wanted, program=program, until_s=until_s, path=path)
        found = {**before, **{seen.cell: seen for seen in new}}
        beside = overheads_s(folder / "beside", program, 8 if given.quick else 41)
    bad = [seen for seen in found.values() if seen.problems]
    for seen in bad:
        print(f"--cell {seen.cell}: {'; '.join(seen.problems)}")
    median_s = statistics.median(beside)
    figures: Figures = {
        "mpi": mpi,
        "cells": len(found),
        "not equal": len(bad),
        "missing": len(tried) - len(found),
        "a cell, median, s": statistics.median(s.seconds for s in found.values()),
        "beside the program, median, s": round(median_s, 4),
        "beside the program, most, s": round(max(beside), 4),
    }
    name = "mpi_matrix_open_mpi" if mpi == OPEN_MPI else "mpi_matrix"
    report(name, figures)
    return 0 if not bad and median_s < BAR_S else 1


def _policies() -> co.Policies:
    return co.Policies(checkpointing=co.EverySegments(), retention=co.KeepLast(count=9))


def _same(state: xr.Dataset) -> xr.Dataset:
    return state


def _reached(runs: Path) -> Path | None:
    """Return the folder of the second segment once it is in the midst of it."""
    for log in runs.glob("1-*/log.txt"):
        if f"step {STEPS + 10} of" in log.read_text():
            return log.parent
    return None


def _kill(cell: Cell, site: co.LocalSite, there: list[Found]) -> None:
    ranks = [one for one in there if one.name == "heat"]
    launcher = [one for one in there if one.name.startswith(LAUNCHERS)]
    match cell.killed:
        case "rank":
            os.kill(ranks[-1].pid, signal.SIGKILL)
        case "launcher":
            os.kill(launcher[0].pid, signal.SIGKILL)
        case "watcher":
            os.kill((launcher or ranks)[0].parent, signal.SIGKILL)
        case _:
            for node in ("node000", "node001"):
                kill_node(site, node)


if __name__ == "__main__":
    sys.exit(main())
