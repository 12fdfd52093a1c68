"""Small coupled models with known properties, for tests of whoever runs them.

Two boxes on a latitude axis exchange heat. Every value depends on every
segment before it, on the seed of each segment and on the parameters, so a run
that lost, repeated or reordered anything ends with other bits.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping
from typing import Any

import cftime
import dask.array as da
import numpy as np
import numpy.typing as npt
import xarray as xr

from climorch.intake.planning import segment_seed
from climorch.model.advance import Advance, Segment
from climorch.model.ending import Until
from climorch.model.plan import Coupling
from climorch.model.resources import Resources
from climorch.model.span import Span
from climorch.model.workflow import Workflow

__all__ = ["box_workflow", "reference_run"]

Array = npt.NDArray[np.float64]


def _mix(
    own: Array, other: Array, *, seed: int, work_s: float, width: int
) -> tuple[Array, Array]:
    """Advance a block; elementwise, so that chunks do not matter."""
    if work_s:
        # Sleeping, since tests must not depend on how fast the machine is.
        time.sleep(work_s)
    noise = np.sin(own * 12.9898 + seed % 1000) * 1e-3
    new = own + 0.1 * (other - own) + noise
    return new, new * width


def _advance(
    state: xr.Dataset,
    inputs: Mapping[str, xr.Dataset],
    segment: Segment,
    *,
    other: str,
    work_s: float,
) -> Advance:
    given = inputs[other]["heat"].data if other in inputs else state["heat"].data
    new, scaled = da.apply_gufunc(
        functools.partial(
            _mix, seed=segment.seed, work_s=work_s, width=segment.params.get("width", 3)
        ),
        "(),()->(),()",
        state["heat"].data,
        given,
        output_dtypes=[float, float],
    )
    after = state.assign(
        heat=(("lat", "lon"), new),
        scaled=(("lat", "lon"), scaled),
        clock=state["clock"] + 1,
        label=state["label"],
    )
    date = cftime.datetime(
        segment.start.year, segment.start.month, 1, calendar=segment.start.calendar
    )
    output = xr.Dataset(
        {"heat": (("time", "lat", "lon"), new[None])},
        coords={"time": [date], "lat": state["lat"], "lon": state["lon"]},
        attrs={"title": "heat of a box"},
    )
    output["heat"].attrs = {"units": "K", "long_name": "heat"}
    return Advance(
        state=after, output=output, metrics={"heat": new.mean(), "index": segment.index}
    )


def _initial(
    segment: Segment, inputs: Mapping[str, xr.Dataset], *, offset: float, shape: Any
) -> xr.Dataset:
    lat, lon = shape
    values = np.linspace(0.0, 1.0, lat * lon).reshape(lat, lon) + offset
    if "spinup" in inputs:
        heat = inputs["spinup"]["heat"] + offset
    else:
        heat = xr.DataArray(values, dims=("lat", "lon"))
    return xr.Dataset(
        {
            "heat": heat,
            "scaled": (("lat", "lon"), values * 2),
            # Never changes: its chunks are linked from checkpoint to checkpoint.
            "mask": (("lat", "lon"), (values > 0.5)),
            "clock": np.int64(segment.index),
            "label": "box",
        },
        coords={"lat": np.linspace(-90, 90, lat), "lon": np.arange(lon) * 1.0},
    )


def box_workflow(
    name: str = "boxes",
    *,
    segments: int = 6,
    nodes: int = 1,
    max_nodes: int | None = None,
    shape: tuple[int, int] = (8, 5),
    chunk: int = 4,
    work_s: float = 0.0,
    spinup: int = 0,
    templates: tuple[Workflow, ...] = (),
    until: Until | None = None,
) -> Workflow:
    """Return two coupled stages, ``air`` and ``sea``, after an optional spin-up.

    Parameters
    ----------
    name : str
        Name of the workflow.
    segments : int
        Years of the coupled phase, one segment each, from 2000 on.
    nodes, max_nodes : int
        Of ``sea``; ``air`` takes part in its lease with one node.
    shape : tuple of int
        Latitudes and longitudes.
    chunk : int
        Latitudes per chunk.
    work_s : float
        Seconds that each block's task sleeps.
    spinup : int
        Years of a stage ``spinup`` before 2000; 0: none.
    templates : tuple of Workflow
        For rules.
    until : Until or None
        When the coupled phase ends early; None: at its span's end.
    """
    wf, chunks = Workflow(name, templates=templates), {"lat": chunk}
    after = ("spinup",) if spinup else ()
    if spinup:
        _spin_up(wf, spinup, shape=shape, chunks=chunks, work_s=work_s)
    span = _years(2000, 2000 + segments)
    gang = Resources(nodes=nodes, max_nodes=max_nodes)
    for stage, other, coupling, offset, resources in (
        ("air", "sea", Coupling.PREVIOUS, 1.0, Resources()),
        ("sea", "air", Coupling.SAME, -1.0, gang),
    ):
        wf.stage(
            stage,
            functools.partial(_advance, other=other, work_s=work_s),
            init=functools.partial(_initial, offset=offset, shape=shape),
            span=span,
            reads={other: coupling},
            after=after,
            chunks=chunks,
            resources=resources,
            # What ends one of them ends what is coupled to it.
            until=until if stage == "air" else None,
        )
    return wf


def _spin_up(
    wf: Workflow,
    years: int,
    *,
    shape: tuple[int, int],
    chunks: Mapping[str, int],
    work_s: float,
) -> None:
    wf.stage(
        "spinup",
        functools.partial(_advance, other="", work_s=work_s),
        init=functools.partial(_initial, offset=0.5, shape=shape),
        span=_years(2000 - years, 2000),
        chunks=chunks,
    )


def _years(start: int, end: int) -> Span:
    return Span(f"{start}-01-01", f"{end}-01-01", every="1YS", calendar="noleap")


def reference_run(
    simulation: str, *, segments: int, shape: tuple[int, int] = (8, 5), width: int = 3
) -> dict[str, Array]:
    """Return the last heat of ``air`` and ``sea`` by plain NumPy.

    Parameters
    ----------
    simulation : str
        Its name; seeds depend on it.
    segments, shape, width
        As given to `box_workflow`; without spin-up.

    Returns
    -------
    dict of str to ndarray, shape (lat, lon)
        Bitwise what a campaign must end with.
    """
    lat, lon = shape
    values = np.linspace(0.0, 1.0, lat * lon).reshape(lat, lon)
    air, sea = values + 1.0, values - 1.0
    for k in range(segments):
        seed = segment_seed(simulation, "air", k)
        air, _ = _mix(air, sea, seed=seed, work_s=0.0, width=width)
        seed = segment_seed(simulation, "sea", k)
        sea, _ = _mix(sea, air, seed=seed, work_s=0.0, width=width)
    return {"air": air, "sea": sea}
