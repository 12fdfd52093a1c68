"""Finds what a program has started by where it runs, to kill it and to miss nothing."""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path

from climorch.sites.batch.agent import descendants

__all__ = ["Found", "found_in", "kill_tree"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A process.

    Attributes
    ----------
    pid, parent : int
        Its number and its parent's.
    name : str
        Of its program, without the path; at most 15 letters.
    """

    pid: int
    parent: int
    name: str


def found_in(folder: Path) -> list[Found]:
    """Return all processes that run in a folder or below it, the oldest first.

    Parameters
    ----------
    folder : Path
        Such as one of a campaign.
    """
    found = []
    whole = str(folder.resolve())
    for entry in os.listdir("/proc"):
        if not entry.isdecimal():
            continue
        with contextlib.suppress(OSError, ValueError, IndexError):
            if not os.readlink(f"/proc/{entry}/cwd").startswith(whole):
                continue
            stat = Path(f"/proc/{entry}/stat").read_text()
            name, _, rest = stat.partition("(")[2].rpartition(")")
            if rest.split()[0] not in "ZX":
                parent = int(rest.split()[1])
                found.append(Found(pid=int(entry), parent=parent, name=name))
    return sorted(found, key=lambda one: one.pid)


def kill_tree(process: int) -> None:
    """Kill a process and all that it has started, as when its machine loses power."""
    for one in [process, *descendants(process)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)
