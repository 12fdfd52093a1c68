"""Call stacks of processes that do not answer, read from beside them.

A process that *listens* writes the stacks of all its threads into memory of its
own when it gets a signal. The handler is C and needs no interpreter lock, so one
that loops in compiled code answers too; it names the line that called that code,
what lies below is not shown: native frames need a debugger. A stopped process, or
one that waits for a device, does not answer. Linux only, standard library only.
"""

from __future__ import annotations

import faulthandler
import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

__all__ = [
    "LONGEST_STACK",
    "below",
    "condition",
    "innermost",
    "kill_group",
    "lead_group",
    "listen",
    "name_of",
    "own",
    "relevant",
    "stack_of",
]

LONGEST_STACK = 4000
"""Characters of a stack that are kept; its beginning says where."""

# One that models do not use: the named ones are theirs.
SIGNAL = signal.SIGRTMIN + 7
MEMORY = "climorch-stack"
# The kernel allows 249 bytes with what comes before.
LONGEST_NAME = 200
ANSWER_S = 2.0
LOOK_S = 0.01
# So many looks without growth: it has said all.
QUIET = 3

# Where the library, or Dask, calls the user's code: below is what matters.
TASK = re.compile(r'File ".*[/\\]distributed[/\\]worker\.py", line \d+ in _run_task')
MODEL = re.compile(r'File ".*[/\\]engine[/\\]modelling\.py", line \d+ in ')
WAITS = re.compile(r'File ".*[/\\]engine[/\\]children\.py", line \d+ in run$', re.M)
FRAME = re.compile(r'File "(?P<file>.*)", line (?P<line>\d+) in (?P<function>.*)')

STATES = {
    "R": "computes",
    "S": "waits",
    "D": "waits for a device",
    "T": "is stopped",
    "t": "is stopped by a debugger",
    "Z": "has ended",
    "X": "has ended",
}
DEAF = frozenset("DTtZX")

_memory: list[int] = []


def listen(name: str = "") -> None:
    """Let this process answer `stack_of` from now on.

    Parameters
    ----------
    name : str
        What it is called, as `name_of` tells; another than before: from now on.
    """
    before, called = list(_memory), f"{MEMORY} {name[:LONGEST_NAME]}"
    if before and _listening(os.getpid(), str(before[0])) == name[:LONGEST_NAME]:
        return
    _memory[:] = [os.memfd_create(called, os.MFD_CLOEXEC)]
    # Any thread may get it; all are told of.
    faulthandler.register(SIGNAL, file=_memory[0], all_threads=True, chain=False)
    for descriptor in before:
        os.close(descriptor)


def lead_group() -> None:
    """Let what this process starts be of a group of its own, to be killed with it."""
    with suppress(OSError):
        os.setpgid(0, 0)


def own() -> str:
    """Return the stacks of this process's threads."""
    if not _memory:
        listen()
    begin = os.fstat(_memory[0]).st_size
    faulthandler.dump_traceback(_memory[0], all_threads=True)
    return os.pread(_memory[0], 1 << 20, begin).decode(errors="replace")


def stack_of(pid: int, *, answer_s: float = ANSWER_S) -> str:
    """Ask a process for its stacks.

    Parameters
    ----------
    pid : int
        Process id, of the same user on this machine.
    answer_s : float
        Longest wait, in seconds.

    Returns
    -------
    str
        As `faulthandler` writes it; empty: it does not listen, or not answer.
    """
    memory = _memory_of(pid)
    if memory is None or _letter(pid) in DEAF:
        return ""
    try:
        with memory.open("rb") as given:
            begin = given.seek(0, os.SEEK_END)
            os.kill(pid, SIGNAL)
            return _grown(given.fileno(), begin, answer_s).decode(errors="replace")
    except OSError:
        # It has ended meanwhile.
        return ""


def name_of(pid: int) -> str | None:
    """Return the name under which a process listens; None: it does not."""
    memory = _memory_of(pid)
    return None if memory is None else _listening(pid, memory.name)


def _grown(descriptor: int, begin: int, answer_s: float) -> bytes:
    """Return what comes behind a place, once no more comes."""
    end_s, size, quiet = time.monotonic() + answer_s, begin, 0
    while quiet < QUIET and time.monotonic() < end_s:
        time.sleep(LOOK_S)
        before, size = size, os.fstat(descriptor).st_size
        quiet = quiet + 1 if size == before > begin else 0
    return os.pread(descriptor, size - begin, begin)


def condition(pid: int) -> str:
    """Say in words what a process does."""
    return STATES.get(_letter(pid), "has ended")


def below(pid: int) -> list[int]:
    """Return the processes that a process has started, and those that they have."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError, ValueError):
                parent = int(_stat(int(entry.name))[1])
                parents.setdefault(parent, []).append(int(entry.name))
    found, ahead = [], [pid]
    while ahead:
        ahead = [child for parent in ahead for child in sorted(parents.get(parent, ()))]
        found += ahead
    return found


def kill_group(pid: int, *, wait_s: float) -> bool:
    """Kill a process, and its group where it leads one.

    Parameters
    ----------
    pid : int
        Process id.
    wait_s : float
        Longest wait for its end, in seconds.

    Returns
    -------
    bool
        Whether it has ended.
    """
    with suppress(ProcessLookupError, PermissionError):
        if os.getpgid(pid) == pid:
            os.killpg(pid, signal.SIGKILL)
        else:
            os.kill(pid, signal.SIGKILL)
    end_s = time.monotonic() + wait_s
    while _letter(pid) not in "ZX":
        if time.monotonic() >= end_s:
            return False
        time.sleep(LOOK_S)
    return True


def relevant(dump: str) -> str:
    """Return the user's frames of a dump, the innermost first.

    Parameters
    ----------
    dump : str
        As `faulthandler` writes it.

    Returns
    -------
    str
        Of the threads that run a task or a model, down to where they were called.
        Nothing where one only waits for the process of a model, which has a stack
        of its own; else all threads where none runs any. Cut to `LONGEST_STACK`.
    """
    threads = [block.splitlines() for block in dump.strip().split("\n\n") if block]
    chosen = [kept for lines in threads if (kept := list(_users(lines)))]
    if not chosen and not WAITS.search(dump):
        chosen = threads
    return "\n\n".join("\n".join(lines) for lines in chosen)[:LONGEST_STACK]


def _users(lines: list[str]) -> Iterator[str]:
    """Yield a thread's frames above the one that called the user's code."""
    for i, line in enumerate(lines):
        if WAITS.search(line):
            return
        if TASK.search(line) or MODEL.search(line):
            yield from (kept.strip() for kept in lines[1:i])
            return


def innermost(stack: str) -> str:
    """Say where a stack stands, in a few words; empty: it says nothing."""
    found = FRAME.search(stack)
    if found is None:
        return ""
    name = Path(found["file"]).name
    return f"{name}:{found['line']} in {found['function'].strip()}"


def _memory_of(pid: int) -> Path | None:
    """Find the memory into which a process writes."""
    with suppress(OSError):
        for descriptor in os.listdir(f"/proc/{pid}/fd"):
            if _listening(pid, descriptor) is not None:
                return Path(f"/proc/{pid}/fd/{descriptor}")
    return None


def _listening(pid: int, descriptor: str) -> str | None:
    """Return under which name a process listens by a descriptor; None: it does not."""
    try:
        target = os.readlink(f"/proc/{pid}/fd/{descriptor}")
    except OSError:
        return None
    found = re.fullmatch(rf"/memfd:{MEMORY} (.*) \(deleted\)", target)
    return None if found is None else found[1]


def _letter(pid: int) -> str:
    try:
        return _stat(pid)[0]
    except OSError:
        return "X"


def _stat(pid: int) -> list[str]:
    # After the name, which may hold anything: state, parent, ...
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
