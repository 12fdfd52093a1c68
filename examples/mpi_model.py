"""A model in C with MPI and OpenMP as a stage: its restart files are the checkpoints.

Compiles ``heat.c``, runs two members of it on two nodes of this machine, two ranks with
two threads each, and says whether the result is what NumPy computes, bit by bit. Kill
what you like meanwhile (a rank, mpiexec, a node, this script) and run it again: it goes
on.

Run it: ``uv run python examples/mpi_model.py``.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

import climorch as co
from climorch.programs import CHECKPOINTED, Command, state_from

CELLS, STEPS = 240, 20
# What the model leaves with when it was asked to and has written its restart file.
LEFT_EARLY = 75
OLD, NEW = "old.bin", "new.bin"

Array = npt.NDArray[np.float64]


def compiled(folder: Path) -> Path | None:
    """Compile the model; None: there is no compiler with MPI on the path."""
    mpicc = shutil.which("mpicc")
    if mpicc is None or shutil.which("cc") is None:
        return None
    program = folder.resolve() / "heat"
    source = Path(__file__).with_name("heat.c")
    # Else the compiler may merge a product and a sum, which rounds once less.
    flags = ("-O2", "-fopenmp", "-ffp-contract=off")
    argv = [mpicc, *flags, "-o", str(program), str(source)]
    subprocess.run(argv, check=True)
    return program


def heat(program: Path, *more: str, ranks: int = 2, threads: int = 2) -> Command:
    """Declare the model as a step.

    Parameters
    ----------
    program : Path
        The compiled model.
    *more : str
        More arguments.
    ranks, threads : int
        Processes in all, and threads of each.
    """
    return Command(
        argv=[str(program), OLD, NEW, str(STEPS), "${params.kappa}", *more],
        restart={NEW: OLD},
        ranks=ranks,
        threads=threads,
        codes={LEFT_EARLY: CHECKPOINTED},
        progress=r"heat: step \d+",
        stall_s=60.0,
        grace_s=10.0,
    )


def first_cells() -> Array:
    """Return the cells at the beginning."""
    place = np.arange(CELLS)
    cells: Array = np.sin(place * 0.37) + np.where(place < 9, 5.0, 0.0)
    return cells


def first_state(step: Command) -> xr.Dataset:
    """Return the first state, from a restart file such as the model writes."""
    with tempfile.TemporaryDirectory() as folder:
        head = np.array([0, CELLS], dtype=np.int64)
        content = head.tobytes() + first_cells().tobytes()
        (Path(folder) / OLD).write_bytes(content)
        return state_from(step, folder)


def workflow_of(step: Command, years: int, name: str = "heat") -> co.Workflow:
    """Return a workflow of the model alone, a year per segment."""
    wf = co.Workflow(name)
    span = co.Span(
        "2000-01-01", f"{2000 + years}-01-01", every="1YS", calendar="noleap"
    )
    wf.stage("heat", step, init=first_state(step), span=span)
    return wf


def cells_of(checkpoint: Path) -> Array:
    """Return the cells in a checkpoint, which plain xarray opens."""
    stored = xr.open_zarr(checkpoint / "state.zarr" / "heat")[OLD].to_numpy()
    cells: Array = stored[16:].view(np.float64)
    return cells


def expected(years: int, kappa: float) -> Array:
    """Compute the cells at the end with NumPy, in the order of the model."""
    cells: Array = first_cells()
    for _ in range(years * STEPS):
        cells = cells + kappa * (np.roll(cells, 1) - 2.0 * cells + np.roll(cells, -1))
    return cells


def main(argv: list[str] | None = None) -> int:
    """Run it, or go on; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--root", default="checkpoints", help="where results lie")
    parser.add_argument("--years", type=int, default=10)
    given = parser.parse_args(argv)
    folder = Path(given.root) / "mpi-model"
    folder.mkdir(parents=True, exist_ok=True)
    program = compiled(folder)
    if program is None:
        print(
            "mpicc and cc are needed: Debian's gcc, and mpich from PyPI",
            file=sys.stderr,
        )
        return 2
    wf = workflow_of(heat(program), given.years)
    campaign = co.Campaign("mpi-model", root=given.root)
    for kappa in (0.1, 0.2):
        params: dict[str, Any] = {"kappa": kappa}
        campaign.submit(wf, scenario=co.Scenario(f"kappa{kappa}", params=params))
    report = campaign.run(co.LocalSite(nodes=2))
    for kappa in (0.1, 0.2):
        found = cells_of(campaign.checkpoints(f"kappa{kappa}")[0])
        same = found.tobytes() == expected(given.years, kappa).tobytes()
        print(f"kappa {kappa}: mean {found.mean():.6f}, as NumPy bit by bit: {same}")
    return 0 if report.finished else 3


if __name__ == "__main__":
    sys.exit(main())
