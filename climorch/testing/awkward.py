"""Models as third parties write them: each breaks a habit that one would rely on.

Three stages in one set: ``air`` is a function, ``sea`` a live model, ``ice`` an
isolated step. All do the same arithmetic, so `expected` says by plain NumPy
what they must end with, bit by bit.

Params of the scenario: ``notes``, a file that tells what was built, loaded and
run; ``hang_at``, a segment in which ``sea`` hangs the first time; ``hold_at``,
one in which it holds the interpreter's lock until the FIFO ``gate`` opens;
``exit_at``, ``raise_at`` and ``crash_at``, where it ends badly the first time.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cftime
import dask.array as da
import numpy as np
import numpy.typing as npt
import xarray as xr

from climorch.intake.planning import segment_seed
from climorch.model.advance import Advance, Segment
from climorch.model.plan import Coupling
from climorch.model.span import Span
from climorch.model.steps import Isolated, LiveModel
from climorch.model.workflow import Workflow

__all__ = [
    "AwkwardModel",
    "awkward_init",
    "awkward_step",
    "awkward_workflow",
    "build",
    "expected",
    "notes",
]

Array = npt.NDArray[np.float64]
SHAPE = (6, 4)
# Segments of a hidden cycle: no number of segments that a test resumes at may be
# a multiple of it, or a clock that was lost would not show.
CYCLE = 7

FOREVER = "import signal; signal.pause()"

_calls = 0


def awkward_init(segment: Segment, inputs: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """First state: odd dimensions, integers, strings, booleans and scalars."""
    heat = np.linspace(0.0, 1.0, SHAPE[0] * SHAPE[1]).reshape(SHAPE)
    return xr.Dataset(
        {
            "heat": (("row", "col"), heat, {"units": "K"}),
            "corners": (("nv", "x-stag", "empty"), np.zeros((2, 5, 0), "f4")),
            "hits": (("nv", "x-stag"), np.zeros((2, 5), "i2")),
            "wet": (("row",), np.arange(SHAPE[0]) % 2 == 0),
            "names": (("nv",), np.array(["west", "ost"])),
            "clock": ((), np.int64(0), {"long_name": "segments since the start"}),
            "scale": ((), np.float32(0.5)),
            "label": "awkward",
        },
        coords={"row": np.arange(SHAPE[0]) * 1.5, "depth": 10.0},
        attrs={"title": "awkward"},
    )


def _mixed(own: Array, other: Array, seed: int, clock: int) -> Array:
    noise = np.sin(own * 12.9898 + seed % 1000) * 1e-3
    mixed: Array = own + 0.1 * (other - own) + noise + (clock % CYCLE) * 1e-2
    return mixed


def air(
    state: xr.Dataset, inputs: Mapping[str, xr.Dataset], segment: Segment
) -> xr.Dataset:
    """Mix with the sea before; a graph."""
    new = da.map_blocks(
        _mixed,
        state["heat"].data,
        inputs["sea"]["heat"].data,
        seed=segment.seed,
        clock=segment.index,
        dtype=float,
    )
    return state.assign(
        heat=(("row", "col"), new, state["heat"].attrs), clock=state["clock"] + 1
    )


class AwkwardModel:
    """The sea: needs the main thread, cannot be pickled, reuses its arrays.

    Parameters
    ----------
    params : mapping
        Of the scenario; see the module.
    """

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.params = dict(params)
        # Raises on any other thread than the main one.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.lock = threading.Lock()
        self.helper = _helper()
        self.state = xr.Dataset()
        self.shown = np.empty(SHAPE)
        # Hidden: only what is dumped and loaded keeps it right.
        self.clock = -1
        self.note(f"build {os.getpid()} {self.helper.pid}")
        # To the descriptor itself, as Fortran does.
        os.write(1, b"AWKWARD MODEL 1.0\n")

    def load(self, state: xr.Dataset) -> None:
        """Take the arrays as they are, to write into them."""
        self.state = state
        self.clock = int(state["clock"])
        self.note(f"load {self.clock}")

    def run(
        self, inputs: Mapping[str, xr.Dataset], segment: Segment
    ) -> dict[str, Any] | None:
        """Mix with the air in place."""
        self.note(f"run {segment.index}")
        self.misbehave(segment)
        heat, other = self.state["heat"].values, inputs["air"]["heat"].values
        heat[...] = _mixed(heat, other, segment.seed, self.clock)
        # What it was given is its own.
        other[...] = np.nan
        self.clock += 1
        self.state["hits"].values[...] += 1
        self.shown[...] = heat
        with self.lock:
            return {
                "output": _output(self.shown, segment),
                "metrics": {"heat": heat.mean(), "clock": np.int32(self.clock)},
            }

    def dump(self) -> xr.Dataset:
        """Hand out the very arrays that the next segment overwrites."""
        # What it has shown is its own too.
        self.shown[...] = np.nan
        self.state["clock"] = ((), np.int64(self.clock), self.state["clock"].attrs)
        return self.state

    def misbehave(self, segment: Segment) -> None:
        """Do what the params tell, each thing once."""
        k = segment.index
        if self.first("hang_at", k):
            threading.Event().wait()
        if self.first("hold_at", k):
            gate = os.open(self.params["gate"], os.O_RDONLY)
            # Called through PyDLL a function keeps the interpreter's lock.
            ctypes.PyDLL(None).read(gate, ctypes.create_string_buffer(1), 1)
        if self.first("exit_at", k):
            sys.exit(3)
        if self.first("crash_at", k):
            os.kill(os.getpid(), signal.SIGSEGV)
        if self.first("raise_at", k):
            raise OverflowError("the sea boils")

    def first(self, habit: str, index: int) -> bool:
        """Whether a habit is due, and note it."""
        due = self.params.get(habit) == index and habit not in notes(self.params)
        if due:
            self.note(habit)
        return due

    def note(self, text: str) -> None:
        """Tell the notes."""
        _note(self.params, text)


def build(segment: Segment) -> AwkwardModel:
    """Make a sea."""
    return AwkwardModel(segment.params)


def awkward_step(
    state: xr.Dataset, inputs: Mapping[str, xr.Dataset], segment: Segment
) -> Advance:
    """Ice: counts its calls in a global, writes into what it was given."""
    global _calls
    _calls += 1
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.environ["AWKWARD"] = "left behind"
    helper = _helper()
    _note(segment.params, f"ice {segment.index} {os.getpid()} {helper.pid}")
    heat, other = state["heat"].values, inputs["sea"]["heat"].values
    left = _calls - 1
    heat[...] = _mixed(heat, other, segment.seed, int(state["clock"])) + left
    other[...] = np.nan
    state["hits"].values[...] -= 1
    clock = ((), state["clock"].values + 1, state["clock"].attrs)
    return Advance(
        state=state.assign(clock=clock), exports=state[["heat"]], metrics={"k": 1}
    )


def awkward_workflow(
    segments: int = 5, *, timeout_s: float | None = None, name: str = "awkward"
) -> Workflow:
    """Return the three stages as a workflow.

    Parameters
    ----------
    segments : int
        Years from 2000.
    timeout_s : float or None
        Of the live model.
    name : str
        Of the workflow.
    """
    wf = Workflow(name)
    span = Span(
        "2000-01-01", f"{2000 + segments}-01-01", every="1YS", calendar="noleap"
    )
    for stage, step, reads in (
        ("air", air, {"sea": Coupling.PREVIOUS}),
        ("sea", LiveModel(build, timeout_s=timeout_s), {"air": Coupling.SAME}),
        ("ice", Isolated(awkward_step), {"sea": Coupling.SAME}),
    ):
        wf.stage(
            stage,
            step,
            init=awkward_init,
            span=span,
            reads=reads,
            chunks={"row": 2, "x-stag": 2},
        )
    return wf


def expected(simulation: str, segments: int) -> dict[str, Array]:
    """Return the last heat of each stage, bit by bit.

    Parameters
    ----------
    simulation : str
        Its name; seeds depend on it.
    segments : int
        How many.
    """
    first = np.linspace(0.0, 1.0, SHAPE[0] * SHAPE[1]).reshape(SHAPE)
    heat = {"air": first, "sea": first, "ice": first}
    for k in range(segments):
        for stage, other in (("air", "sea"), ("sea", "air"), ("ice", "sea")):
            seed = segment_seed(simulation, stage, k)
            heat[stage] = _mixed(heat[stage], heat[other], seed, k)
    return heat


def notes(params: Mapping[str, Any]) -> list[str]:
    """Return what the models of a scenario noted, oldest first."""
    path = Path(params["notes"])
    return path.read_text().splitlines() if path.exists() else []


def _helper() -> subprocess.Popen[bytes]:
    """Start a process that never ends by itself."""
    return subprocess.Popen([sys.executable, "-S", "-c", FOREVER])


def _note(params: Mapping[str, Any], text: str) -> None:
    with Path(params["notes"]).open("a") as file:
        file.write(f"{text}\n")


def _output(heat: Array, segment: Segment) -> xr.Dataset:
    date = cftime.datetime(
        segment.start.year, segment.start.month, 1, calendar=segment.start.calendar
    )
    # A view: it changes with the array.
    return xr.Dataset({"heat": (("time", "row", "col"), heat[None])}, {"time": [date]})
