"""Whose fault the end of a program is, by its exit code and what it printed last.

Launchers tell of a rank that was killed each in their own way: with the number of the
signal as exit code, with 128 more, or in words only.
"""

from __future__ import annotations

import re
import signal

from climorch.engine.child import cause_of_signal
from climorch.model.events import Cause
from climorch.model.programs import RETRY, Command

__all__ = ["ended_by", "told_end"]

_WORDS = (
    # Hydra: "EXIT STRING: Killed (signal 9)".
    re.compile(r"EXIT STRING: [^\n(]*\(signal (\d+)\)"),
    # Open MPI: "exited on signal 9 (Killed)".
    re.compile(r"exited on signal (\d+)"),
)
# srun: "n1: task 3: Killed".
_SRUN = re.compile(
    r"srun: error: [^\n]*: tasks? [^\n]*: (Killed|Terminated|Out Of Memory)"
)
# What Slurm says where a job is over, or on its way out: whose nodes start nothing.
_OVER = re.compile(
    r"srun: (?:error|fatal): [^\n]*(?:"
    r"Slurm job \S+ has expired|"
    r"Job/step already completing or completed|"
    r"Invalid job id specified|"
    r"Node failure on)"
)
# And where it could not be asked, or was too busy.
_UNHEARD = re.compile(
    r"srun: (?:error|fatal): [^\n]*(?:"
    r"Unable to contact slurm controller|"
    r"Socket timed out on send/recv operation|"
    r"Zero Bytes were transmitted or received|"
    r"Communication connection failure|"
    r"Unable to confirm allocation|"
    r"Requested nodes are busy|"
    r"Could not establish a configuration source)"
)
_NAMED = {
    "Killed": signal.SIGKILL,
    "Terminated": signal.SIGTERM,
    "Out Of Memory": signal.SIGKILL,
}


def ended_by(code: int, tail: str) -> int:
    """Return the signal that ended a program or one of its ranks; 0: none.

    Parameters
    ----------
    code : int
        Exit code, as `subprocess` tells it.
    tail : str
        What it and its launcher printed last.
    """
    if code < 0:
        return -code
    if code == 0:
        return 0
    for pattern in _WORDS:
        found = pattern.search(tail)
        if found is not None:
            return int(found.group(1))
    named = _SRUN.search(tail)
    if named is not None:
        return int(_NAMED[named.group(1)])
    # A shell's way, which Open MPI has too.
    number = code - 128
    return number if number in (signal.SIGKILL, signal.SIGTERM) else 0


def told_end(step: Command, code: int, tail: str) -> tuple[Cause, str]:
    """Say why a program failed, and how it ended in words.

    A launcher that could not start it is not its fault, whatever else went wrong.

    Parameters
    ----------
    step : Command
        Which.
    code, tail
        As for `ended_by`.
    """
    number = ended_by(code, tail)
    if code in step.codes:
        cause = Cause.TRANSIENT if step.codes[code] == RETRY else Cause.MODEL
        return cause, f"left with code {code}"
    if number:
        name = signal.strsignal(number) or ""
        return cause_of_signal(number), f"was ended by signal {number} ({name})"
    cause = Cause.MODEL
    if _OVER.search(tail):
        cause = Cause.NODE_LOST
    elif _UNHEARD.search(tail):
        cause = Cause.TRANSIENT
    return cause, f"left with code {code}"
