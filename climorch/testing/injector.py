"""Kill or stop processes inside a named step of the checkpoint protocol.

Off, it is not even imported. Armed, a process reads the fault from the environment
and puts itself around the one function in which the step is; the fault fires once
among all processes of a campaign, and one that never fires is an error.

Drivers call `arm` themselves. Workers are armed by Dask, which loads this module in
each of them: `Injection.environment` says so. Linux only.
"""

from __future__ import annotations

import functools
import importlib
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import msgspec

from climorch.errors import Fault, InvalidInputError, NotFoundError
from climorch.testing.deeds import DEEDS
from climorch.testing.moments import (
    DRIVER,
    MOMENTS,
    RULE_STEPS,
    SCORE_STEPS,
    STEPS,
    WORKER,
    Step,
)

__all__ = ["STEPS", "ArmedFault", "Injection", "Step", "arm", "armed", "dask_setup"]

VARIABLE = "CLIMORCH_TESTING_FAULT"
_ARMED, _FIRED, _GO, _PIDS = "armed.json", "fired", "go", "pids"
_around: set[str] = set()
_journal_at_rest = threading.RLock()
_PLACES = STEPS | MOMENTS | RULE_STEPS | SCORE_STEPS
_APPEND = "climorch.storage.journal.SqliteJournal.append"
_HEARTBEAT = "climorch.storage.journal.SqliteJournal.heartbeat"
# Whoever holds a process does so for seconds; a test that died shall not keep it.
_LONGEST_HOLD_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmedFault:
    """What is to happen, and when.

    Attributes
    ----------
    step : str
        One of `STEPS`, `MOMENTS`, `RULE_STEPS` or `SCORE_STEPS`.
    signal : str
        ``"kill"`` or ``"stop"``.
    deed : str
        What happens to the process in the step. ``"signal"``: the signal is sent to
        the victims. ``"hold"``: it waits there until `Injection.let_go`, so that
        somebody else can do what he likes meanwhile. Else one of `DEEDS`.
    lasting : bool
        Whether the deed is done at every passage from then on, by every process.
    victim : str
        ``"driver"``, or ``"worker"``: the one that is in the step, or some if the
        step is in the driver.
    workers : int
        How many workers, if they are the victims, >= 1.
    call : int
        At which passage of the step, counted in each process, >= 1.
    """

    step: str
    signal: Literal["kill", "stop"] = "kill"
    deed: str = "signal"
    lasting: bool = False
    victim: Literal["driver", "worker"] = "driver"
    workers: int = 1
    call: int = 1

    def __post_init__(self) -> None:
        """Refuse what could never fire."""
        known = {"signal", "hold", *DEEDS}
        faults = [
            Fault(
                place=f"ArmedFault.{name}",
                problem=f"got {value!r}",
                remedy=f"use {expected}",
            )
            for name, value, good, expected in (
                ("step", self.step, self.step in _PLACES, f"one of {sorted(_PLACES)}"),
                ("deed", self.deed, self.deed in known, f"one of {sorted(known)}"),
                ("call", self.call, self.call >= 1, "1 or more"),
                ("workers", self.workers, self.workers >= 1, "1 or more"),
            )
            if not good
        ]
        if faults:
            raise InvalidInputError("this fault cannot be armed", faults=faults)


class Injection:
    """A fault that is armed in a folder; a context manager.

    On leaving it, a fault that has not fired is an error.

    Parameters
    ----------
    folder : path
        Empty or not there yet; on this machine.
    fault : ArmedFault or None
        What is to happen; None: nothing, only the workers are known.
    """

    def __init__(self, folder: str | Path, fault: ArmedFault | None) -> None:
        self.folder = Path(folder)
        self.fault = fault
        (self.folder / _PIDS).mkdir(parents=True)
        if fault is not None:
            (self.folder / _ARMED).write_bytes(msgspec.json.encode(asdict(fault)))

    def __enter__(self) -> Injection:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None and self.fault is not None and not self.fired:
            raise NotFoundError(
                f"{self.fault} was armed and never fired; let the campaign get there, "
                "or choose an earlier call"
            )

    @property
    def environment(self) -> Mapping[str, str]:
        """What the driver's process needs in its environment."""
        return {
            VARIABLE: str(self.folder),
            "DASK_DISTRIBUTED__WORKER__PRELOAD": f"['{__name__}']",
        }

    @property
    def fired(self) -> bool:
        """Whether it has."""
        return (self.folder / _FIRED).exists()

    @property
    def fired_s(self) -> float:
        """When it fired, seconds since 1970."""
        return (self.folder / _FIRED).stat().st_mtime

    def let_go(self) -> None:
        """Let the process that is held in the step go on, if it lives."""
        (self.folder / _GO).touch()

    def victims(self) -> list[int]:
        """Return the process ids that got the signal, or did or bore the deed."""
        text = (self.folder / _FIRED).read_text()
        return [int(pid) for pid in text.split()]

    def workers(self) -> dict[str, int]:
        """Return the process ids of the workers that live, by node."""
        return _living(self.folder)


def armed(folder: str | Path, fault: ArmedFault | None) -> Injection:
    """Arm a fault for the processes that will get `Injection.environment`.

    Parameters
    ----------
    folder : path
        Where its files go; not there yet.
    fault : ArmedFault or None
        What is to happen.

    Returns
    -------
    Injection
        Use it as a context manager.
    """
    return Injection(folder, fault)


def arm(place: str = DRIVER, *, name: str = "") -> None:
    """Arm this process with what its environment says; without, do nothing.

    Parameters
    ----------
    place : str
        ``"driver"`` or ``"worker"``.
    name : str
        Of the node, for workers.
    """
    folder = Path(os.environ.get(VARIABLE, ""))
    if VARIABLE not in os.environ:
        return
    known = DRIVER if place == DRIVER else f"{WORKER}-{name}"
    draft = folder / f".{os.getpid()}"
    draft.write_text(str(os.getpid()))
    draft.rename(folder / _PIDS / known)
    with suppress(FileNotFoundError):
        given = msgspec.json.decode((folder / _ARMED).read_bytes())
        fault = ArmedFault(**given)
        if fault.signal == "stop" and place == DRIVER:
            _note_transactions()
        if _PLACES[fault.step].place == place:
            _put_around(_PLACES[fault.step], fault, folder)


def dask_setup(worker: Any) -> None:
    """Arm a worker; Dask calls this as it starts."""
    arm(WORKER, name=str(worker.name))


def _put_around(step: Step, fault: ArmedFault, folder: Path) -> None:
    if step.target in _around:
        # Several nodes in one process.
        return
    _around.add(step.target)
    owner, name = _owner(step.target)
    original = getattr(owner, name)
    passages = 0

    @functools.wraps(original)
    def replacement(*args: Any, **kwargs: Any) -> Any:
        nonlocal passages
        if not step.when(args):
            return original(*args, **kwargs)
        passages += 1
        now = passages == fault.call
        if fault.lasting and (folder / _FIRED).exists():
            DEEDS[fault.deed]()
        if now and not step.after:
            _fire(fault, step, folder)
        result = original(*args, **kwargs)
        if now and step.after:
            _fire(fault, step, folder)
        return result

    setattr(owner, name, replacement)


def _note_transactions() -> None:
    """Let no stop fall into a transaction of the journal.

    Another thread may be in one. A stopped process keeps the file lock of SQLite,
    so that nobody could take over: safe, but not what is to be looked at.
    """
    for target in (_APPEND, _HEARTBEAT):
        owner, name = _owner(target)
        setattr(owner, name, _at_rest(getattr(owner, name)))


def _at_rest(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def replacement(*args: Any, **kwargs: Any) -> Any:
        with _journal_at_rest:
            return original(*args, **kwargs)

    return replacement


def _owner(target: str) -> tuple[Any, str]:
    """Find the module or the class that a function is looked up in."""
    path, _, name = target.rpartition(".")
    try:
        return importlib.import_module(path), name
    except ModuleNotFoundError:
        module, _, kind = path.rpartition(".")
        return getattr(importlib.import_module(module), kind), name


def _fire(fault: ArmedFault, step: Step, folder: Path) -> None:
    """Do the deed, or send the signals, once among all processes.

    This one is the last to get a signal.
    """
    here = fault.deed != "signal"
    victims = [os.getpid()] if here else _victims(fault, step, folder)
    try:
        # Whole at once, since whoever waits for it reads it at once.
        draft = folder / f".fired-{os.getpid()}-{time.monotonic_ns()}"
        draft.write_text(" ".join(map(str, victims)))
        os.link(draft, folder / _FIRED)
    except FileExistsError:
        return
    if fault.deed == "hold":
        end_s = time.monotonic() + _LONGEST_HOLD_S
        while not (folder / _GO).exists() and time.monotonic() < end_s:
            time.sleep(0.005)
        return
    if here:
        DEEDS[fault.deed]()
        return
    number = signal.SIGKILL if fault.signal == "kill" else signal.SIGSTOP
    with _journal_at_rest:
        for pid in sorted(victims, key=lambda pid: pid == os.getpid()):
            if pid == os.getpid():
                # To this very thread: sent to the process, another thread may take
                # it, and this one goes a few steps on.
                signal.pthread_kill(threading.get_ident(), number)
                continue
            with suppress(ProcessLookupError):
                os.kill(pid, number)


def _victims(fault: ArmedFault, step: Step, folder: Path) -> list[int]:
    if fault.victim == DRIVER:
        return [int((folder / _PIDS / DRIVER).read_text())]
    own = os.getpid() if step.place == WORKER else None
    others = [pid for pid in _living(folder).values() if pid != own]
    chosen = others if own is None else [own, *others]
    return chosen[: fault.workers]


def _living(folder: Path) -> dict[str, int]:
    found = {}
    for path in sorted((folder / _PIDS).glob(f"{WORKER}-*")):
        pid = int(path.read_text())
        with suppress(ProcessLookupError):
            os.kill(pid, 0)
            found[path.name.removeprefix(f"{WORKER}-")] = pid
    return found
