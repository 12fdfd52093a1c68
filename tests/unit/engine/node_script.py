"""A node without Dask: lets an isolated step hang, until it is killed."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import xarray as xr

from climorch.engine.children import Children
from climorch.model.steps import Isolated
from climorch.testing.awkward import awkward_init, awkward_step
from tests.unit.engine.model_cases import job, run, segment


def hang(state: xr.Dataset, inputs: Any, given: Any) -> xr.Dataset:
    """Start a helper, as the step does, and never return."""
    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with Path(given.params["notes"]).open("a") as notes:
        notes.write(f"handlers {'usual' if usual else 'ignored'}\n")
    awkward_step(state, inputs, given)
    threading.Event().wait()
    return state


if __name__ == "__main__":
    # As nodes of Dask do.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    notes = Path(sys.argv[1])
    notes.write_text(f"node {os.getpid()}\n")
    first = awkward_init(segment(0), {})
    run(Children(), job(Isolated(hang), notes=str(notes)), first, {"sea": first})
