"""Faults on demand: kill a node, a driver, a call; and see what was left behind.

For tests of campaigns that run for real. A campaign's script runs in a session
of its own, so that everything it started can be found after its death. Linux
only, since processes are found in ``/proc``.
"""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from climorch.core.site_ports import Site
from climorch.engine.session import Run, read_records
from climorch.errors import NotFoundError
from climorch.model.commands import Record, RolledBack, SegmentCommitted
from climorch.sites.local import LocalSite

__all__ = [
    "Script",
    "committed_twice",
    "die_in",
    "fail_in",
    "kill_node",
    "records_of",
    "until",
    "until_record",
]

T = TypeVar("T")
R = TypeVar("R", bound=Record)
POLL_S = 0.01


def until(found: Callable[[], T | None], *, what: str, timeout_s: float = 90.0) -> T:
    """Poll until something is found.

    Parameters
    ----------
    found : callable
        Returns what is waited for; None or False: not yet.
    what : str
        What is waited for, for the message.
    timeout_s : float
        Longest wait, in seconds.

    Returns
    -------
    object
        What was found.

    Raises
    ------
    TimeoutError
        If it did not come in time.
    """
    end_s = time.monotonic() + timeout_s
    while True:
        value = found()
        if value is not None and value is not False:
            return value
        if time.monotonic() > end_s:
            raise TimeoutError(f"{what}: not within {timeout_s:g} s")
        # A wait between two looks, not for an event: each look decides anew.
        time.sleep(POLL_S)


def records_of(root: str | Path, campaign: str) -> list[Record]:
    """Return all records of a campaign's journal, oldest first."""
    return [record for record, _ in read_records(Path(root), campaign)]


def until_record(
    root: str | Path,
    campaign: str,
    kind: type[R],
    *,
    count: int = 1,
    where: Callable[[R], bool] = lambda record: True,
    run: Run | None = None,
    timeout_s: float = 90.0,
) -> R:
    """Wait until the journal has so many records of a kind.

    Parameters
    ----------
    root, campaign
        Whose journal.
    kind : type
        Of the records.
    count : int
        How many.
    where : callable
        Which of them count.
    run : Run or None
        Must go on running meanwhile.
    timeout_s : float
        Longest wait, in seconds.

    Returns
    -------
    record
        The ``count``-th.

    Raises
    ------
    TimeoutError
        If there are not so many in time.
    NotFoundError
        If the run ended without them.
    """

    def look() -> R | None:
        ended = run is not None and not run.alive
        found = [
            record
            for record in records_of(root, campaign)
            if isinstance(record, kind) and where(record)
        ]
        if len(found) >= count:
            return found[count - 1]
        if ended:
            raise NotFoundError(
                f"the run ended with {len(found)} of {count} {kind.__name__}"
            )
        return None

    return until(look, what=f"{count} {kind.__name__}", timeout_s=timeout_s)


def kill_node(site: Site, node: str) -> int:
    """Kill the process of a node with SIGKILL.

    Parameters
    ----------
    site : LocalSite
        With nodes as processes.
    node : str
        Its name.

    Returns
    -------
    int
        Process id that it had.

    Raises
    ------
    NotFoundError
        If the node has no process of its own.
    """
    pid = site.pid(node) if isinstance(site, LocalSite) else None
    if pid is None:
        raise NotFoundError(f"node {node!r} has no process that could be killed")
    os.kill(pid, signal.SIGKILL)
    return pid


def committed_twice(records: Iterable[Record]) -> list[tuple[str, str, int]]:
    """Find segments that were committed again without a roll-back in between.

    Parameters
    ----------
    records : iterable of Record
        A journal, oldest first.

    Returns
    -------
    list of (simulation, stage, segment)
        Empty if all is well.
    """
    counts: Counter[tuple[str, str, int]] = Counter()
    found = []
    for record in records:
        match record:
            case SegmentCommitted():
                place = (record.simulation, record.stage, record.segment)
                counts[place] += 1
                if counts[place] > 1:
                    found.append(place)
            case RolledBack():
                for place in [p for p in counts if p[0] == record.simulation]:
                    del counts[place]
            case _:
                pass
    return found


def die_in(target: str, *, call: int = 1, after: bool = False) -> None:
    """Let this process kill itself with SIGKILL in a call of a function.

    Parameters
    ----------
    target : str
        Function of a module, such as ``"climorch.storage.commit.promote"``.
    call : int
        In which call, >= 1.
    after : bool
        Whether once it has returned instead of before it begins.
    """

    def die(number: int, work: Callable[[], Any]) -> Any:
        if number == call and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = work()
        if number == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    _patched(target, die)


def fail_in(
    target: str, error: BaseException, *, when: Callable[[int], bool]
) -> Callable[[], None]:
    """Let calls of a function fail.

    Parameters
    ----------
    target : str
        Function of a module, such as ``"climorch.storage.durable.rename_durably"``.
    error : BaseException
        What they raise.
    when : callable
        Told the number of the call, from 1; says whether it fails.

    Returns
    -------
    callable
        Undoes it.
    """

    def fail(number: int, work: Callable[[], Any]) -> Any:
        if when(number):
            raise error
        return work()

    return _patched(target, fail)


def _patched(
    target: str, around: Callable[[int, Callable[[], Any]], Any]
) -> Callable[[], None]:
    module_name, _, name = target.rpartition(".")
    module = importlib.import_module(module_name)
    original = getattr(module, name)
    calls = 0

    def replacement(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        return around(calls, lambda: original(*args, **kwargs))

    setattr(module, name, replacement)

    def undo() -> None:
        setattr(module, name, original)

    return undo


class Script:
    """A campaign's script in a process, and a session, of its own.

    Use it as a context manager: whatever it started is killed at the end.

    Parameters
    ----------
    path : path
        Python file.
    arguments : str
        Of its command line.
    environment : mapping of str to str
        Added to the present one.
    within : sequence of str
        Command that runs it, such as ``("unshare", "--mount")``; empty: none.
    """

    def __init__(
        self,
        path: str | Path,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        within: Sequence[str] = (),
    ) -> None:
        # A file, since what the script leaves behind would keep a pipe open.
        self._printed = tempfile.TemporaryFile(mode="w+")  # noqa: SIM115 closed at exit
        self._process = subprocess.Popen(
            [*within, sys.executable, str(path), *arguments],
            # Should it crash, its stack says where.
            env={**os.environ, "PYTHONFAULTHANDLER": "1", **(environment or {})},
            stdout=self._printed,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def __enter__(self) -> Script:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for pid in [self._process.pid, *self.orphans()]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        self._printed.close()

    @property
    def pid(self) -> int:
        """Process id of the driver."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the driver's process runs."""
        return self._process.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the driver's process alone."""
        self._process.send_signal(number)

    def finish(self, *, timeout_s: float = 180.0) -> tuple[int, str]:
        """Wait for the end; return the exit status and what was printed.

        Raises
        ------
        TimeoutError
            If it does not end in time.
        """
        try:
            status = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            message = f"the script runs after {timeout_s:g} s"
            raise TimeoutError(message) from error
        return status, self.printed

    @property
    def printed(self) -> str:
        """What it and its processes have printed so far."""
        # By position: seeking would move the place at which they write.
        descriptor = self._printed.fileno()
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode()

    def orphans(self) -> list[int]:
        """Return the ids of processes that it started and that still run."""
        return [pid for pid in _session(self.pid) if pid != self.pid]


def _session(leader: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        with suppress(OSError):
            # After the name, which may hold anything: state, parent, group, session.
            state, _, _, session = (
                (entry / "stat").read_text().rpartition(")")[2].split()[:4]
            )
            if int(session) == leader and state != "Z":
                found.append(int(entry.name))
    return found
