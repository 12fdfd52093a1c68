"""Whose fault the end of a program is: captured ends of launchers."""

from __future__ import annotations

import pytest

from climorch.engine.programs.exits import ended_by, told_end
from climorch.model.events import Cause
from climorch.model.programs import CHECKPOINTED, FAIL, RETRY, Command

# MPICH 5.0.2, one of two ranks killed.
HYDRA = """\
=   BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES
=   PID 23602 RUNNING AT n1
=   EXIT CODE: 9
=   CLEANING UP REMAINING PROCESSES
YOUR APPLICATION TERMINATED WITH THE EXIT STRING: Killed (signal 9)
This typically refers to a problem with your application.
"""
# Open MPI 5.0.11, likewise.
OPEN_MPI = """\
prterun noticed that process rank 2 with PID 4711 on node n1 exited on
signal 9 (Killed).
"""
SRUN = "srun: error: n1: task 3: Killed\n"
SRUN_MEMORY = "srun: error: n1: tasks 0-3: Out Of Memory\n"


@pytest.mark.parametrize(
    ("code", "tail", "expected"),
    [
        (0, "", 0),
        (1, "heat: no restart file", 0),
        (-9, "", 9),
        (-11, "", 11),
        (9, HYDRA, 9),
        # A code of the program's own.
        (9, "", 0),
        (137, OPEN_MPI, 9),
        (137, "", 9),
        (143, "", 15),
        (139, "", 0),
        (137, SRUN, 9),
        (1, SRUN_MEMORY, 9),
        (0, SRUN, 0),
    ],
)
def test_signals_are_found_whatever_the_launcher(
    code: int, tail: str, expected: int
) -> None:
    """By its number, by 128 more, or by words."""
    assert ended_by(code, tail) == expected


# Slurm 22.05: a job was cancelled, and a step of it was to be started.
EXPIRED = """\
srun: cluster configuration lacks support for cpu binding
srun: error: Slurm job 2 has expired
srun: Check SLURM_JOB_ID environment variable. Expired or invalid job 2
"""
# The same version, by its library's words.
COMPLETING = """\
srun: error: Unable to create step for job 7: Job/step already completing or completed
"""
GONE = "srun: error: Unable to confirm allocation for job 9: Invalid job id specified\n"
FAILED = "srun: error: Node failure on n1\n"
UNHEARD = """\
srun: error: Unable to contact slurm controller (connect failure)
"""
BUSY = "srun: error: Unable to create step for job 7: Requested nodes are busy\n"
# What a program says itself is its own affair.
QUOTED = "heat: the file of Slurm job 2 has expired\n"


@pytest.mark.parametrize(
    ("tail", "cause"),
    [
        (EXPIRED, Cause.NODE_LOST),
        (COMPLETING, Cause.NODE_LOST),
        (GONE, Cause.NODE_LOST),
        (FAILED, Cause.NODE_LOST),
        (UNHEARD, Cause.TRANSIENT),
        (BUSY, Cause.TRANSIENT),
        (QUOTED, Cause.MODEL),
    ],
)
def test_what_could_not_be_started_is_not_at_fault(tail: str, cause: Cause) -> None:
    """Three failures of a model end its simulation; those of a job must not."""
    step = Command(argv=["heat"], restart={"new.bin": "old.bin"}, codes={4: RETRY})
    assert told_end(step, 1, tail) == (cause, "left with code 1")
    # A code that is declared counts first.
    assert told_end(step, 4, tail)[0] is Cause.TRANSIENT


@pytest.mark.parametrize(
    ("code", "tail", "cause", "told"),
    [
        (1, "", Cause.MODEL, "left with code 1"),
        (4, "", Cause.TRANSIENT, "left with code 4"),
        (5, "", Cause.MODEL, "left with code 5"),
        (-9, "", Cause.MEMORY, "was ended by signal 9 (Killed)"),
        (9, HYDRA, Cause.MEMORY, "was ended by signal 9 (Killed)"),
        (143, "", Cause.NODE_LOST, "was ended by signal 15 (Terminated)"),
        (-11, "", Cause.MODEL, "was ended by signal 11 (Segmentation fault)"),
    ],
)
def test_what_was_said_of_a_code_counts_first(
    code: int, tail: str, cause: Cause, told: str
) -> None:
    """Then signals, then it is the program's fault."""
    codes = {4: RETRY, 5: FAIL, 75: CHECKPOINTED}
    step = Command(argv=["x"], restart={"a": "b"}, codes=codes)
    assert told_end(step, code, tail) == (cause, told)
