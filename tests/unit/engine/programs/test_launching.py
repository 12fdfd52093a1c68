"""The words that start a program, by launcher, and the environment of its threads."""

from __future__ import annotations

from typing import Any

import pytest

from climorch.engine.programs.launching import (
    HYDRA,
    OPEN_MPI,
    environment,
    family_of,
    launch_argv,
    needs_family,
    out_of_reach,
)
from climorch.model.programs import Command, Host, RunPlace
from climorch.model.rendering import Rendered

CALL = Rendered(argv=("heat", "a b"), files={}, env={"OWN": "1"}, restart={"n": "o"})
HERE = (Host(node="node000"), Host(node="node001"))
FAR = (
    Host(node="n1.7", address="10.0.0.1", job="7"),
    Host(node="n2.7", address="10.0.0.2", job="7"),
)


def step(**given: Any) -> Command:
    """A program of four ranks with two threads each."""
    return Command(
        argv=["heat"], restart={"n": "o"}, **{"ranks": 4, "threads": 2, **given}
    )


def place(launcher: str, hosts: tuple[Host, ...] = HERE) -> RunPlace:
    """Where it runs."""
    return RunPlace(folder="/f", hosts=hosts, launcher=launcher)


@pytest.mark.parametrize(
    ("given", "where", "family", "expected"),
    [
        # On one machine any mpiexec takes the same words.
        ({}, place("mpiexec"), HYDRA, "mpiexec -n 4"),
        ({}, place("mpiexec"), OPEN_MPI, "mpiexec -n 4"),
        (
            {"launcher": "/opt/mpi/bin/mpirun"},
            place("srun"),
            HYDRA,
            "/opt/mpi/bin/mpirun -n 4",
        ),
        ({"options": ["-v"]}, place("mpiexec"), HYDRA, "mpiexec -n 4 -v"),
        ({"bind": True}, place("mpiexec"), HYDRA, "mpiexec -n 4 -bind-to core:2"),
        (
            {"bind": True},
            place("mpiexec"),
            OPEN_MPI,
            "mpiexec -n 4 --map-by ppr:4:node:PE=2 --bind-to core",
        ),
        (
            {},
            place("mpiexec", FAR),
            HYDRA,
            "mpiexec -n 4 -hosts 10.0.0.1,10.0.0.2 -ppn 2",
        ),
        (
            {"ranks": 5},
            place("mpiexec", FAR),
            OPEN_MPI,
            "mpiexec -n 5 --host 10.0.0.1:3,10.0.0.2:3",
        ),
        (
            {"bind": True},
            place("srun", FAR),
            HYDRA,
            "srun --ntasks=4 --cpus-per-task=2 --overlap --mem=0 --kill-on-bad-exit=1 "
            "--cpu-bind=cores --nodelist=n1,n2 --nodes=2 --ntasks-per-node=2",
        ),
        (
            {"options": ["--mpi=pmi2"]},
            place("srun", FAR[:1]),
            HYDRA,
            "srun --ntasks=4 --cpus-per-task=2 --overlap --mem=0 --kill-on-bad-exit=1 "
            "--cpu-bind=none --nodelist=n1 --nodes=1 --ntasks-per-node=4 --mpi=pmi2",
        ),
        (
            {},
            place("jsrun", FAR),
            HYDRA,
            "jsrun --nrs 4 --tasks_per_rs 1 --cpu_per_rs 2 --rs_per_host 2 --bind none",
        ),
        (
            {"bind": True},
            place("jsrun"),
            HYDRA,
            "jsrun --nrs 4 --tasks_per_rs 1 --cpu_per_rs 2 --bind packed:2",
        ),
        # One rank on one machine needs no launcher.
        ({"ranks": 1}, place("mpiexec"), HYDRA, ""),
        ({"ranks": 1, "launcher": "none"}, place("srun", FAR), HYDRA, ""),
        (
            {"ranks": 1},
            place("mpiexec", FAR),
            HYDRA,
            "mpiexec -n 1 -hosts 10.0.0.1,10.0.0.2 -ppn 1",
        ),
    ],
)
def test_each_launcher_is_told_in_its_own_words(
    given: dict[str, Any], where: RunPlace, family: str, expected: str
) -> None:
    """The program's own arguments follow as they are, one word each."""
    argv = launch_argv(step(**given), CALL, where, family)
    assert argv == (*expected.split(), "heat", "a b")


TWO_JOBS = (
    Host(node="n1.7", address="10.0.0.1", job="7"),
    Host(node="n2.8", job="8"),
)


@pytest.mark.parametrize(
    ("given", "where", "expected"),
    [
        ({}, place("srun", TWO_JOBS), "srun starts programs within one job"),
        ({}, place("jsrun", TWO_JOBS), "jsrun starts programs within one job"),
        ({"launcher": "/opt/bin/srun"}, place("mpiexec", TWO_JOBS), "are of 2: 7, 8;"),
        ({"launcher": "mpiexec"}, place("srun", TWO_JOBS), ""),
        ({}, place("mpiexec", TWO_JOBS), ""),
        ({}, place("srun", FAR), ""),
        ({}, place("srun"), ""),
        ({}, place("srun", TWO_JOBS[:1]), ""),
    ],
)
def test_a_step_of_a_batch_system_stays_within_its_job(
    given: dict[str, Any], where: RunPlace, expected: str
) -> None:
    """What mpiexec reaches is not for us to say."""
    told = out_of_reach(step(**given), where)

    assert expected in told
    assert bool(told) == bool(expected)


@pytest.mark.parametrize(
    ("given", "where", "expected"),
    [
        ({}, place("mpiexec"), False),
        ({"bind": True}, place("mpiexec"), True),
        ({}, place("mpiexec", FAR), True),
        ({"bind": True}, place("srun", FAR), False),
    ],
)
def test_whose_mpiexec_it_is_is_asked_only_where_it_matters(
    given: dict[str, Any], where: RunPlace, expected: bool
) -> None:
    """Asking costs a process."""
    assert needs_family(step(**given), where) is expected


def test_families_are_told_apart_by_what_they_print() -> None:
    """First lines of MPICH 5.0.2, Intel MPI 2021, Open MPI 4.1.4 and 5.0.11."""
    told = {
        "HYDRA build details:\n    Version: 5.0.2": HYDRA,
        "Intel(R) MPI Library for Linux* OS, Version 2021.19": HYDRA,
        "mpiexec (OpenRTE) 4.1.4": OPEN_MPI,
        "mpiexec (Open MPI) 5.0.11": OPEN_MPI,
    }
    assert {text: family_of(text) for text in told} == told


NODE = {
    "PATH": "/bin",
    "OMP_NUM_THREADS": "1",
    "OMP_PLACES": "sockets",
    "MALLOC_ARENA_MAX": "1",
    "PMI_RANK": "0",
    "SLURM_STEP_ID": "0",
    "SLURM_JOB_ID": "7",
}
THREADS = {
    "OMP_NUM_THREADS": "2",
    "MKL_NUM_THREADS": "2",
    "OPENBLAS_NUM_THREADS": "2",
    "BLIS_NUM_THREADS": "2",
    "OMP_DYNAMIC": "FALSE",
    "MKL_DYNAMIC": "FALSE",
}


def test_threads_are_as_many_as_was_said_and_not_bound() -> None:
    """What nodes are told for themselves is not for the program."""
    assert environment(step(), CALL, place("mpiexec"), NODE) == {
        "PATH": "/bin",
        "SLURM_JOB_ID": "7",
        "OWN": "1",
        "OMP_PROC_BIND": "false",
        "HYDRA_LAUNCHER": "fork",
        "HYDRA_RMK": "user",
        **THREADS,
    }


def test_threads_that_have_cores_of_their_own_stay_there() -> None:
    """Over several machines the launcher finds its own way."""
    assert environment(step(bind=True), CALL, place("srun", FAR), {}) == {
        "OWN": "1",
        "OMP_PLACES": "cores",
        "OMP_PROC_BIND": "close",
        **THREADS,
    }
