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
    return Cause.MODEL, f"left with code {code}"
