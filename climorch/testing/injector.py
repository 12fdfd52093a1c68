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

__all__ = ["STEPS", "ArmedFault", "Injection", "Step", "arm", "armed", "dask_setup"]

VARIABLE = "CLIMORCH_TESTING_FAULT"
_ARMED, _FIRED, _PIDS = "armed.json", "fired", "pids"
_around: set[str] = set()
_journal_at_rest = threading.RLock()

DRIVER = "driver"
WORKER = "worker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Where in the code a step of the protocol is.

    Attributes
    ----------
    place : str
        ``"driver"`` or ``"worker"``: in which process it happens.
    target : str
        Function, or method of a class, as the code calls it.
    after : bool
        Whether the moment is once it has returned.
    when : callable
        Told the arguments of a call; whether the call is this step.
    """

    place: str
    target: str
    after: bool = False
    when: Callable[[tuple[Any, ...]], bool] = lambda arguments: True


def _is_commit(arguments: tuple[Any, ...]) -> bool:
    """Whether a rename goes from in flight to the committed checkpoints."""
    source, destination = (Path(path).parts for path in arguments[:2])
    return "inflight" in source and destination[-4:-3] == ("checkpoints",)


def _is_commit_row(arguments: tuple[Any, ...]) -> bool:
    """Whether rows tell of a committed checkpoint."""
    return any(row.kind == "CheckpointCommitted" for row in arguments[1])


_STORAGE = "climorch.storage"
_RENAME = f"{_STORAGE}.durable.rename_durably"
_APPEND = f"{_STORAGE}.journal.SqliteJournal.append"
_HEARTBEAT = f"{_STORAGE}.journal.SqliteJournal.heartbeat"

STEPS: dict[str, Step] = {
    "directories made": Step(
        place=DRIVER, target=f"{_STORAGE}.checkpoints.begin", after=True
    ),
    "chunk hashed": Step(
        place=WORKER, target=f"{_STORAGE}.chunks.raw_hash", after=True
    ),
    "chunk written": Step(
        place=WORKER, target=f"{_STORAGE}.durable.write_durably", after=True
    ),
    "receipt": Step(
        place=WORKER, target="climorch.engine.worker.write_chunks", after=True
    ),
    "before the manifest": Step(place=DRIVER, target=f"{_STORAGE}.commit.seal"),
    "after the manifest": Step(
        place=DRIVER, target=f"{_STORAGE}.commit.seal", after=True
    ),
    "before the commit": Step(place=DRIVER, target=_RENAME, when=_is_commit),
    "after the commit": Step(place=DRIVER, target=_RENAME, after=True, when=_is_commit),
    "before the journal": Step(place=DRIVER, target=_APPEND, when=_is_commit_row),
    "after the journal": Step(
        place=DRIVER, target=_APPEND, after=True, when=_is_commit_row
    ),
    "publishing": Step(place=DRIVER, target=f"{_STORAGE}.results.write_through"),
    "published": Step(place=DRIVER, target=f"{_STORAGE}.results._commit", after=True),
    "deleting": Step(place=DRIVER, target=f"{_STORAGE}.removal.take_away"),
    "deleted": Step(place=DRIVER, target=f"{_STORAGE}.removal.take_away", after=True),
}
"""Every step of the checkpoint protocol, in its order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmedFault:
    """What is to happen, and when.

    Attributes
    ----------
    step : str
        One of `STEPS`.
    signal : str
        ``"kill"`` or ``"stop"``.
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
    victim: Literal["driver", "worker"] = "driver"
    workers: int = 1
    call: int = 1

    def __post_init__(self) -> None:
        """Refuse what could never fire."""
        faults = [
            Fault(
                place=f"ArmedFault.{name}",
                problem=f"got {value!r}",
                remedy=f"use {expected}",
            )
            for name, value, good, expected in (
                ("step", self.step, self.step in STEPS, f"one of {sorted(STEPS)}"),
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

    def victims(self) -> list[int]:
        """Return the process ids that got the signal; all still stopped, or dead."""
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
        if STEPS[fault.step].place == place:
            _put_around(STEPS[fault.step], fault, folder)


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
    """Send the signals, once among all processes; this one is the last to get it."""
    victims = _victims(fault, step, folder)
    try:
        # Whole at once, since whoever waits for it reads it at once.
        draft = folder / f".fired-{os.getpid()}-{time.monotonic_ns()}"
        draft.write_text(" ".join(map(str, victims)))
        os.link(draft, folder / _FIRED)
    except FileExistsError:
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
