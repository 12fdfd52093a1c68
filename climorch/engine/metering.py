"""What the processes of a node used: CPU seconds, and the most memory.

Read from the kernel, which counts anyway. A node tells with each of its heartbeats what
it used since the simulation came there that it works for, so that nobody waits for an
answer and no message is sent for it. A process that several nodes share, as on clusters
within one process, cannot be divided: such nodes tell nothing.
"""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["METRIC", "Meter", "children_bytes", "cpu_s", "forget_peak", "peak_bytes"]

METRIC = "climorch-usage"
"""Name under which a node's heartbeats carry what it used."""

STATUS = Path("/proc/self/status")
# Written to it, "5" lets the kernel forget the peak; since Linux 4.0.
CLEAR = Path("/proc/self/clear_refs")


def cpu_s() -> float:
    """Return the CPU seconds of this process and of its children that ended.

    All threads count; of children those that somebody waited for, with theirs: the
    ranks of an MPI program once it has ended.
    """
    return sum(
        used.ru_utime + used.ru_stime
        for used in map(
            resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        )
    )


def peak_bytes() -> int:
    """Return the most memory that this process had, in bytes; 0: not known.

    Since `forget_peak`, if that could be done; pages count that it shares with others.
    """
    with contextlib.suppress(OSError):
        for line in STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def children_bytes() -> int:
    """Return the most memory of the largest child that ended, in bytes."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024


def forget_peak() -> None:
    """Let the most memory of this process be what it has now."""
    # Where the kernel does not allow it the peak is that of its whole life.
    with contextlib.suppress(OSError):
        CLEAR.write_text("5")


@dataclass(slots=True)
class Meter:
    """What the process of one node used for whom it works.

    Parameters
    ----------
    cpu_s : callable
        CPU seconds up to now.
    peak_bytes, forget_peak : callable
        The most memory, and to begin it anew.

    Attributes
    ----------
    simulation : str
        For which it works; empty: none yet.
    turn : int
        Number of times that it was another one.
    """

    cpu_s: Callable[[], float] = cpu_s
    peak_bytes: Callable[[], int] = peak_bytes
    forget_peak: Callable[[], None] = forget_peak
    simulation: str = ""
    turn: int = 0
    _since_s: float = 0.0

    def works_for(self, simulation: str) -> None:
        """Begin anew if a task is of another simulation than the one before."""
        if simulation != self.simulation:
            self.simulation = simulation
            self.turn += 1
            self._since_s = self.cpu_s()
            self.forget_peak()

    def read(self, worker: object = None) -> dict[str, Any]:
        """Return what heartbeats carry; empty: it has worked for nobody yet."""
        if not self.simulation:
            return {}
        return {
            "simulation": self.simulation,
            "turn": self.turn,
            "cpu_s": self.cpu_s() - self._since_s,
            "memory_bytes": self.peak_bytes(),
        }
