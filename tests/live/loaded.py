"""Models whose work takes longer on a node that somebody loads."""

from __future__ import annotations

import contextlib
import functools
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psutil
import xarray as xr
from distributed import get_worker

from climorch import Advance, Workflow
from climorch.model.advance import Segment
from climorch.testing.models import box_workflow

# In-process nodes share it: names of nodes that are loaded now.
LOADED: set[str] = set()
# Far apart: on a crowded machine either takes a tenth of a second longer.
QUICK_S, SLOW_S = 0.05, 1.0


def _sleep(block: Any) -> Any:
    """Take twenty times as long on a node that is loaded."""
    time.sleep(SLOW_S if str(get_worker().name) in LOADED else QUICK_S)
    return block


def _spin(block: Any, *, rounds: int) -> Any:
    """Keep a core busy: how long that takes is up to the machine."""
    rest = rounds
    while rest:
        rest -= 1
    return block


def _work(
    state: xr.Dataset,
    inputs: Mapping[str, xr.Dataset],
    segment: Segment,
    *,
    step: Any,
    work: Any,
) -> Advance:
    advance: Advance = step(state, inputs, segment)
    heat = advance.state["heat"]
    worked = heat.copy(data=heat.data.map_blocks(work, dtype=float))
    return replace(advance, state=advance.state.assign(heat=worked))


def working(name: str, *, rounds: int = 0, **more: Any) -> Workflow:
    """Both boxes of `box_workflow`, whose blocks sleep, or spin for some rounds."""
    work = functools.partial(_spin, rounds=rounds) if rounds else _sleep
    wf = box_workflow(name, **more)
    wf.stages[:] = [
        replace(s, step=functools.partial(_work, step=s.step, work=work))
        for s in wf.stages
    ]
    return wf


@contextmanager
def throttled(pid: int, *, run_s: float, stop_s: float) -> Iterator[None]:
    """Stop a process and all that it started most of the time."""
    over = threading.Event()
    # A node leads a group of its own: that of who started it does not reach it.
    first = psutil.Process(pid)
    processes = [first, *first.children(recursive=True)]

    def tell(number: signal.Signals) -> None:
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def throttle() -> None:
        while not over.is_set():
            tell(signal.SIGSTOP)
            # Intervals of the load, not waits for an event.
            time.sleep(stop_s)
            tell(signal.SIGCONT)
            over.wait(run_s)

    thread = threading.Thread(target=throttle, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
