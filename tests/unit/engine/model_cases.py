"""What the tests of processes of models share: jobs, segments, who still runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cftime
import cloudpickle
import xarray as xr

from climorch.engine.child import Job
from climorch.engine.children import Children, Told
from climorch.intake.planning import segment_seed
from climorch.model.advance import Advance, Segment
from climorch.model.steps import Isolated, LiveModel

SIMULATION = "s"


def segment(index: int, stage: str = "sea", **params: Any) -> Segment:
    """A year from 2000 on."""
    return Segment(
        start=cftime.DatetimeNoLeap(2000 + index, 1, 1),
        end=cftime.DatetimeNoLeap(2001 + index, 1, 1),
        index=index,
        params=params,
        seed=segment_seed(SIMULATION, stage, index),
    )


def job(
    step: LiveModel | Isolated,
    index: int = 0,
    *,
    attempt: str = "s/air/1.1",
    stage: str = "sea",
    **params: Any,
) -> Job:
    """One segment of a step."""
    return Job(
        owner=f"s/air/{stage}",
        attempt=attempt,
        segment=segment(index, stage, **params),
        code=cloudpickle.dumps(step),
        keep=isinstance(step, LiveModel),
        build_timeout_s=100.0,
        timeout_s=step.timeout_s or math.inf,
    )


def run(
    children: Children,
    work: Job,
    state: xr.Dataset,
    inputs: Mapping[str, xr.Dataset] | None = None,
) -> tuple[Advance, Told]:
    """Advance by a segment."""
    return children.run(work, lambda: state, lambda: inputs or {})


def gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has reaped yet has."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return stat.rpartition(")")[2].split()[0] in "ZX"
