"""One segment of a program: prepare its folder, start it, watch it, read what it left.

Runs in a process of the nursery, on its main thread; whatever the program and its
launcher have started ends with it, in whatever session that hides.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import json
import os
import re
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from climorch.engine.child import ModelFailedError
from climorch.engine.programs import folders, launching, restarts
from climorch.engine.programs.exits import told_end
from climorch.engine.programs.progress import Progress
from climorch.model.advance import Advance, Segment
from climorch.model.events import Cause
from climorch.model.programs import CHECKPOINTED, DONE, LOG, Command, RunPlace
from climorch.model.rendering import Rendered, rendered
from climorch.sites.batch.agent import end_descendants

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Ran", "run_program"]

# Between two looks whether it goes on.
LOOK_S = 1.0
# Of what it printed: its end says what was wrong.
TAIL_BYTES = 4000
# One that leaves early so often within one segment gets nowhere.
MOST_LAUNCHES = 20
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What a segment gave.

    Attributes
    ----------
    advance : Advance
        In memory.
    program_s : float
        Seconds that the program and its launcher ran.
    """

    advance: Advance
    program_s: float


class Stop:
    """Whether the program was asked to leave.

    Parameters
    ----------
    number : int
        Signal that asks it.
    """

    def __init__(self, number: int) -> None:
        self.asked = False
        self.process: subprocess.Popen[bytes] | None = None
        self._number = number

    def hear(self, number: int, frame: FrameType | None) -> None:
        """Take the node's signal and pass it on."""
        self.asked = True
        self.pass_on()

    def pass_on(self) -> None:
        """Ask what runs, if anything does."""
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(self._number)


def run_program(
    step: Command,
    state: xr.Dataset,
    inputs: Mapping[str, xr.Dataset],
    segment: Segment,
    place: RunPlace,
) -> Ran:
    """Advance by a segment.

    Parameters
    ----------
    step : Command
        Which program.
    state, inputs : Dataset, mapping of str to Dataset
        In memory.
    segment : Segment
        What to advance.
    place : RunPlace
        Where.

    Raises
    ------
    ModelFailedError
        If it fails, hangs or was asked to leave; its folder stays.
    InvalidInputError
        If a place of its texts cannot be filled.
    """
    call = rendered(step, segment, place.hosts)
    folder = folders.own_folder(Path(place.folder), step.keep_failed)
    try:
        digest = restarts.digest_of(
            {"": state, **{f".{n}": d for n, d in inputs.items()}},
            (call, step.ranks, step.threads),
        )
        _prepare(step, call, folder, state, inputs)
        folders.take_up(folder, digest, call.restart)
        with _listening(step) as stop:
            program_s = _run(step, call, folder, place, digest, stop)
        advance = _found(step, call, folder)
    except ModelFailedError as error:
        told = f"{error.message}\nin {folder}\n{_tail(folder / LOG)}".rstrip()
        (folder / folders.FAILURE_NOTE).write_text(told)
        raise ModelFailedError(error.cause, told) from None
    shutil.rmtree(folder, ignore_errors=True)
    return Ran(advance=advance, program_s=program_s)


def _prepare(
    step: Command,
    call: Rendered,
    folder: Path,
    state: xr.Dataset,
    inputs: Mapping[str, xr.Dataset],
) -> None:
    if step.fields:
        (name,) = call.restart.values()
        restarts.write_fields(state, folder / name)
    else:
        restarts.write_files(state, folder)
    for stage, name in step.inputs.items():
        # What it comes after is there in its first segment only.
        if stage in inputs:
            restarts.write_fields(inputs[stage], folder / name)
    for name, text in call.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@contextlib.contextmanager
def _listening(step: Command) -> Iterator[Stop]:
    """Let a signal of the node ask the program to leave, if it gets time for that."""
    stop = Stop(signal.Signals[step.stop_signal])
    if not step.grace_s:
        yield stop
        return
    before = signal.signal(signal.SIGTERM, stop.hear)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(
    step: Command,
    call: Rendered,
    folder: Path,
    place: RunPlace,
    digest: str,
    stop: Stop,
) -> float:
    """Start it until it is done; return the seconds that it ran."""
    if told := launching.out_of_reach(step, place):
        raise ModelFailedError(Cause.TRANSIENT, told)
    family = launching.HYDRA
    if launching.needs_family(step, place):
        family = _family(launching.launcher_of(step, place))
    argv = launching.launch_argv(step, call, place, family)
    env = launching.environment(step, call, place, os.environ)
    program_s = 0.0
    for _ in range(MOST_LAUNCHES):
        if stop.asked:
            raise ModelFailedError(Cause.NODE_LOST, "it was asked to leave")
        begin_s = time.monotonic()
        code = _launched(step, argv, env, folder, stop)
        program_s += time.monotonic() - begin_s
        meaning = step.meaning(code)
        if meaning == DONE:
            return program_s
        if meaning != CHECKPOINTED:
            cause, told = told_end(step, code, _tail(folder / LOG))
            asked = ", when it was asked to leave" if stop.asked else ""
            raise ModelFailedError(
                Cause.NODE_LOST if stop.asked else cause, f"{argv[0]} {told}{asked}"
            )
        _refuse_missing(call, folder, "left early")
        folders.note_checkpoint(folder, digest, call.restart)
        if stop.asked:
            raise ModelFailedError(
                Cause.NODE_LOST,
                "it was asked to leave; it has written its restart files",
            )
        for written, read in call.restart.items():
            restarts.copy(folder / written, folder / read)
    raise ModelFailedError(
        Cause.MODEL, f"{argv[0]} left {MOST_LAUNCHES} times before it was done"
    )


def _launched(
    step: Command,
    argv: Sequence[str],
    env: Mapping[str, str],
    folder: Path,
    stop: Stop,
) -> int:
    """Run it once to its end, with all that it has started; return its exit code."""
    progress = Progress(step, folder)
    with open(folder / LOG, "ab") as log:
        try:
            process = subprocess.Popen(
                argv,
                cwd=folder,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent,
            )
        except (OSError, ValueError) as error:
            raise ModelFailedError(
                Cause.MODEL, f"{argv[0]} cannot be started: {error}"
            ) from None
    stop.process = process
    if stop.asked:
        stop.pass_on()
    try:
        descriptor = os.pidfd_open(process.pid)
        try:
            waiting = select.poll()
            waiting.register(descriptor, select.POLLIN)
            while not waiting.poll(LOOK_S * 1000):
                progress.look()
        finally:
            os.close(descriptor)
        return process.wait()
    finally:
        stop.process = None
        # Helpers and ranks are in sessions of their own: no signal to a group
        # reaches them.
        end_descendants(os.getpid())
        process.wait()


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


@functools.lru_cache(maxsize=8)
def _family(launcher: str) -> str:
    try:
        told = subprocess.run(
            [launcher, "--version"], capture_output=True, text=True, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return launching.HYDRA
    return launching.family_of(told.stdout + told.stderr)


def _found(step: Command, call: Rendered, folder: Path) -> Advance:
    """Read what it has left."""
    _refuse_missing(call, folder, "says that it is done")
    try:
        if step.fields:
            (written,) = call.restart
            state = restarts.read_fields(folder / written)
        else:
            state = restarts.read_files(folder, call.restart)
        output = restarts.read_outputs(folder, step.outputs) if step.outputs else None
        metrics = _metrics(folder / step.metrics) if step.metrics else None
    except (OSError, ValueError, KeyError) as error:
        raise ModelFailedError(
            Cause.MODEL, f"what it left cannot be read: {type(error).__name__}: {error}"
        ) from error
    return Advance(state=state, output=output, metrics=metrics)


def _refuse_missing(call: Rendered, folder: Path, what: str) -> None:
    missing = [name for name in call.restart if not (folder / name).exists()]
    if missing:
        raise ModelFailedError(
            Cause.MODEL, f"it {what} and has not written {', '.join(missing)}"
        )


def _metrics(path: Path) -> dict[str, Any]:
    told = json.loads(path.read_bytes())
    return {str(name): float(value) for name, value in told.items()}


def _tail(path: Path) -> str:
    with contextlib.suppress(OSError), path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL_BYTES))
        text = file.read().decode(errors="replace")
        # Terminals would obey these.
        return re.sub(r"[^\n\t\x20-\x7e\xa0-\uffff]", "?", text)
    return ""
