"""The words that start a program, and the environment that places its threads.

Pure. A launcher is asked for no more than is needed: on one machine, without cores of
its own for each thread, all that call themselves ``mpiexec`` take the same words.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from climorch.model.programs import Command, Host, RunPlace, stays_in_job
from climorch.model.rendering import Rendered

__all__ = [
    "HYDRA",
    "OPEN_MPI",
    "environment",
    "family_of",
    "launch_argv",
    "launcher_of",
    "needs_family",
    "out_of_reach",
]

HYDRA, OPEN_MPI = "hydra", "open mpi"

MPIEXEC, SRUN, JSRUN, NONE = "mpiexec", "srun", "jsrun", "none"

# Of the libraries that have threads of their own; all obey the first if nothing is
# said, and something is said to nodes: see `sites.settings`.
THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "BLIS_NUM_THREADS",
)
# A number of threads that moves with the load changes the order of sums.
FIXED = {"OMP_DYNAMIC": "FALSE", "MKL_DYNAMIC": "FALSE"}
# What glibc is told for our own processes is not for the model.
OURS = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_ARENA_MAX")
# Of the step within which a node was started: a launcher would take them for its own.
OUTER = ("PMI_", "PMIX_", "SLURM_STEP", "SLURM_TASK", "SLURM_PROCID", "SLURM_LOCALID")


def launcher_of(step: Command, place: RunPlace) -> str:
    """Return the launcher's program, or ``none``."""
    if step.launcher:
        return step.launcher
    # One rank without words for a launcher needs none, wherever it is.
    if step.ranks == 1 and not step.options and len(_machines(place.hosts)) <= 1:
        return NONE
    return place.launcher


def needs_family(step: Command, place: RunPlace) -> bool:
    """Whether it matters whose ``mpiexec`` it is."""
    far = len(_machines(place.hosts)) > 1
    return _kind(launcher_of(step, place)) == MPIEXEC and (far or step.bind)


def out_of_reach(step: Command, place: RunPlace) -> str:
    """Say why a launcher cannot reach all hosts of a lease; empty: it can.

    Leases are made of one job where that matters: it passes with the next one.
    """
    launcher = launcher_of(step, place)
    jobs = _unique(host.job for host in place.hosts)
    if not stays_in_job(launcher) or len(jobs) <= 1:
        return ""
    return (
        f"{_kind(launcher)} starts programs within one job, and the nodes of its "
        f"lease are of {len(jobs)}: {', '.join(jobs)}; let a job have as many nodes "
        "as it needs (nodes_per_job)"
    )


def family_of(version: str) -> str:
    """Say by what ``mpiexec --version`` prints whose it is."""
    open_mpi = ("open mpi", "openrte", "prrte", "prte")
    return OPEN_MPI if any(n in version.lower() for n in open_mpi) else HYDRA


def launch_argv(
    step: Command, call: Rendered, place: RunPlace, family: str = HYDRA
) -> tuple[str, ...]:
    """Return the words that start all ranks.

    Parameters
    ----------
    step, call
        The program, as declared and as this segment calls it.
    place : RunPlace
        Where.
    family : str
        `HYDRA` (MPICH, Intel MPI) or `OPEN_MPI`; looked at by `needs_family` only.
    """
    launcher = launcher_of(step, place)
    kind = _kind(launcher)
    machines = _machines(place.hosts)
    each = math.ceil(step.ranks / max(len(machines), 1))
    ranks, threads = str(step.ranks), str(step.threads)
    match kind:
        case "none":
            return call.argv
        case "srun":
            words = [f"--ntasks={ranks}", f"--cpus-per-task={threads}"]
            # The agent's step has all cores and all memory of the job.
            words += ["--overlap", "--mem=0", "--kill-on-bad-exit=1"]
            words += [f"--cpu-bind={'cores' if step.bind else 'none'}"]
            names = _unique(host.node.partition(".")[0] for host in place.hosts)
            if names:
                each = math.ceil(step.ranks / len(names))
                words += [f"--nodelist={','.join(names)}", f"--nodes={len(names)}"]
                words += [f"--ntasks-per-node={each}"]
        case "jsrun":
            words = ["--nrs", ranks, "--tasks_per_rs", "1", "--cpu_per_rs", threads]
            words += ["--rs_per_host", str(each)] if len(machines) > 1 else []
            words += ["--bind", f"packed:{threads}" if step.bind else "none"]
        case _:
            words = ["-n", ranks, *_mpiexec(step, machines, each, family)]
    return (launcher, *words, *step.options, *call.argv)


def environment(
    step: Command, call: Rendered, place: RunPlace, base: Mapping[str, str]
) -> dict[str, str]:
    """Return the environment of a program.

    Parameters
    ----------
    step, call, place
        As for `launch_argv`.
    base : mapping of str to str
        That of the node.
    """
    env = {n: v for n, v in base.items() if n not in OURS and not n.startswith(OUTER)}
    env |= dict.fromkeys(THREADS, str(step.threads)) | FIXED
    if step.bind:
        env |= {"OMP_PLACES": "cores", "OMP_PROC_BIND": "close"}
    else:
        # Threads of all ranks would be kept to the same first cores.
        env.pop("OMP_PLACES", None)
        env["OMP_PROC_BIND"] = "false"
    if len(_machines(place.hosts)) <= 1:
        # Within a batch job it would start its helper by the batch system.
        env |= {"HYDRA_LAUNCHER": "fork", "HYDRA_RMK": "user"}
    return env | call.env


def _kind(launcher: str) -> str:
    name = PurePosixPath(launcher).name
    known = next((k for k in (SRUN, JSRUN, NONE) if name.startswith(k)), MPIEXEC)
    return NONE if launcher == NONE else known


def _mpiexec(
    step: Command, machines: Sequence[str], each: int, family: str
) -> list[str]:
    far = len(machines) > 1
    if family == OPEN_MPI:
        words = ["--host", ",".join(f"{m}:{each}" for m in machines)] if far else []
        if step.bind:
            places = f"ppr:{each}:node:PE={step.threads}"
            words += ["--map-by", places, "--bind-to", "core"]
        return words
    words = ["-hosts", ",".join(machines), "-ppn", str(each)] if far else []
    return words + (["-bind-to", f"core:{step.threads}"] if step.bind else [])


def _machines(hosts: Sequence[Host]) -> list[str]:
    return _unique(host.address for host in hosts)


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
