"""Shapes of dependencies as small workflows, each with its end computed by hand."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import dask.array as da
import numpy as np
import numpy.typing as npt
import xarray as xr

from climorch import PREVIOUS, SAME, Committed, Segment, Span, Workflow
from climorch.intake.planning import segment_seed
from climorch.model.edits import Edit
from climorch.rules import MoveEnd, Until

__all__ = ["BROKEN", "NAME", "SHAPES", "Shape"]

Array = npt.NDArray[np.float64]

NAME = "s"
"""Of the simulation; seeds depend on it."""

BROKEN = ("extra", 1)
"""Stage and segment that always fail."""

CELLS = 8
ZERO_C = 273.15


def years(start: int, end: int, every: str = "1YS") -> Span:
    """Return a span in a calendar without leap days."""
    return Span(f"{start}-01-01", f"{end}-01-01", every=every, calendar="noleap")


def noise(stage: str, segment: int) -> float:
    """Return what is added in a segment, from its seed."""
    return math.sin(segment_seed(NAME, stage, segment) % 1000)


def mixed(own: Array, others: Array | None, stage: str, segment: int) -> Array:
    """Advance a stage by a segment, by hand."""
    new = own * 0.5
    if others is not None:
        new = new + others * 0.25
    return new + noise(stage, segment)


def step(
    state: xr.Dataset,
    inputs: Mapping[str, xr.Dataset],
    segment: Segment,
    *,
    reads: str = "",
) -> xr.Dataset:
    """Advance a stage by a segment, with one that it reads, if any."""
    heat = state["heat"].data * 0.5
    if reads:
        given = inputs[reads]["heat"]
        given = given.sum("segment") if "segment" in given.dims else given
        heat = heat + given.data * 0.25
    return state.assign(heat=("x", heat + math.sin(segment.seed % 1000)))


def breaking(
    state: xr.Dataset, inputs: Mapping[str, xr.Dataset], segment: Segment
) -> xr.Dataset:
    """Advance as any, but fail on the nodes in the second segment."""
    heat = state["heat"].data
    if segment.index == BROKEN[1]:
        heat = da.map_blocks(_broken, heat, dtype=float, meta=np.empty(0))
    return step(state.assign(heat=("x", heat)), inputs, segment)


def _broken(block: Array) -> Array:
    raise RuntimeError("made to fail")


def first(offset: float = 0.0, cells: int = CELLS) -> xr.Dataset:
    """Make a first state: from 0 to 1, in K."""
    heat = xr.Variable("x", begun(offset, cells), {"units": "K"})
    width = CELLS / cells
    return xr.Dataset({"heat": heat}, coords={"x": (np.arange(cells) + 0.5) * width})


def begun(offset: float = 0.0, cells: int = CELLS) -> Array:
    """Return the values of a first state."""
    found: Array = np.linspace(0.0, 1.0, cells) + offset
    return found


def joined(segment: Segment, inputs: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """Begin with the sum of the last states of all stages before, in their order."""
    heat = sum(inputs[name]["heat"].data for name in sorted(inputs))
    return first().assign(heat=("x", heat, {"units": "K"}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A workflow, and what it ends with.

    Attributes
    ----------
    build : callable
        Makes the workflow.
    by_hand : callable
        Last heat of each stage that is computed to its end.
    segments : mapping of str to int
        Of every stage, committed at the end.
    commits : int
        With which checkpoint the driver is to die: in the middle of it.
    lacks : str
        Which optional set it goes on without.
    """

    build: Callable[[], Workflow]
    by_hand: Callable[[], dict[str, Array]]
    segments: Mapping[str, int]
    commits: int = 2
    lacks: str = ""


def coupled() -> Workflow:
    """Two stages that read each other: one the newest, one that before."""
    wf, span = Workflow("coupled"), years(2000, 2004)
    _add(wf, "air", span, first(1.0), reads={"sea": PREVIOUS})
    _add(wf, "sea", span, first(-1.0), reads={"air": SAME})
    return wf


def coupled_by_hand() -> dict[str, Array]:
    """Air first, with the sea before."""
    air, sea = begun(1.0), begun(-1.0)
    for k in range(4):
        air = mixed(air, sea, "air", k)
        sea = mixed(sea, air, "sea", k)
    return {"air": air, "sea": sea}


def nested() -> Workflow:
    """Two segments of one stage in each of the other."""
    wf = Workflow("nested")
    _add(wf, "air", years(2000, 2003, "6MS"), first(1.0), reads={"sea": PREVIOUS})
    _add(wf, "sea", years(2000, 2003), first(-1.0), reads={"air": SAME})
    return wf


def nested_by_hand() -> dict[str, Array]:
    """Both halves of a year with the sea before it."""
    air, sea = begun(1.0), begun(-1.0)
    for k in range(3):
        half = mixed(air, sea, "air", 2 * k)
        air = mixed(half, sea, "air", 2 * k + 1)
        sea = mixed(sea, half + air, "sea", k)
    return {"air": air, "sea": sea}


def several() -> Workflow:
    """A stage that begins with the last states of two sets."""
    wf = Workflow("several")
    _add(wf, "cold", years(1998, 2000), first(-1.0))
    _add(wf, "warm", years(1997, 2000), first(1.0))
    _add(wf, "late", years(2000, 2002), joined, after=["warm", "cold"])
    return wf


def several_by_hand() -> dict[str, Array]:
    """Each on its own, then their sum."""
    cold, warm = begun(-1.0), begun(1.0)
    for k in range(2):
        cold = mixed(cold, None, "cold", k)
    for k in range(3):
        warm = mixed(warm, None, "warm", k)
    late = cold + warm
    for k in range(2):
        late = mixed(late, None, "late", k)
    return {"cold": cold, "warm": warm, "late": late}


def transform() -> Workflow:
    """From four cells in K to eight in degC."""
    wf = Workflow("transform")
    _add(wf, "coarse", years(1998, 2000), first(cells=CELLS // 2))
    _add(wf, "fine", years(2000, 2003), None, after=["coarse"], transform=refined)
    return wf


def refined(states: Mapping[str, xr.Dataset], segment: Segment) -> xr.Dataset:
    """Take the nearest of the coarse cells, in other units."""
    fine = first()["x"]
    heat = states["coarse"]["heat"].sel(x=fine, method="nearest").drop_vars("x")
    heat = (heat - ZERO_C).assign_attrs(units="degC")
    return xr.Dataset({"heat": heat}, coords={"x": fine})


def transform_by_hand() -> dict[str, Array]:
    """Each coarse cell becomes two fine ones."""
    coarse = begun(cells=CELLS // 2)
    for k in range(2):
        coarse = mixed(coarse, None, "coarse", k)
    fine = np.repeat(coarse, 2) - ZERO_C
    for k in range(3):
        fine = mixed(fine, None, "fine", k)
    return {"coarse": coarse, "fine": fine}


def optional() -> Workflow:
    """Beside what is needed a stage that fails, and one after it."""
    wf = Workflow("optional")
    _add(wf, "need", years(2000, 2004), first())
    wf.stage(
        BROKEN[0],
        breaking,
        init=first(),
        span=years(2000, 2003),
        chunks={"x": 4},
        optional=True,
    )
    _add(wf, "more", years(2003, 2004), joined, after=[BROKEN[0]], optional=True)
    return wf


def optional_by_hand() -> dict[str, Array]:
    """What is needed, alone."""
    need = begun()
    for k in range(4):
        need = mixed(need, None, "need", k)
    return {"need": need}


def until() -> Workflow:
    """A stage that may end at each second year, and does so at the second place."""
    wf = Workflow("until")
    ends = Until(condition=settled, every=2)
    _add(wf, "spin", years(1990, 2000), first(), until=ends)
    _add(wf, "run", years(2000, 2002), joined, after=["spin"], begins="shifted")
    return wf


def settled(course: Any) -> bool:
    """Hold after four segments."""
    return bool(course.segments >= 4)


def until_by_hand() -> dict[str, Array]:
    """Four years and two."""
    heat = begun()
    for k in range(4):
        heat = mixed(heat, None, "spin", k)
    found = {"spin": heat}
    for k in range(2):
        heat = mixed(heat, None, "run", k)
    return found | {"run": heat}


def extended() -> Workflow:
    """A rule lets a stage go on for two years; what comes after it begins later."""
    wf = Workflow("extended")
    _add(wf, "sea", years(2000, 2002), first())
    _add(wf, "late", years(2002, 2006), joined, after=["sea"])
    wf.rule("longer", when="sea", then=longer)
    return wf


def longer(committed: Committed) -> Iterable[Edit]:
    """Two years more, once."""
    if committed.segments == 2:
        yield MoveEnd(stage="sea", end="2004-01-01")


def extended_by_hand() -> dict[str, Array]:
    """Four years and two."""
    heat = begun()
    for k in range(4):
        heat = mixed(heat, None, "sea", k)
    found = {"sea": heat}
    for k in range(2):
        heat = mixed(heat, None, "late", k)
    return found | {"late": heat}


def _add(wf: Workflow, name: str, span: Span, init: Any, **more: Any) -> None:
    """Add a stage of the one kind that there is here."""
    (reads,) = more.get("reads") or [""]
    advance = functools.partial(step, reads=reads)
    wf.stage(name, advance, init=init, span=span, chunks={"x": 4}, **more)


SHAPES: Mapping[str, Shape] = {
    "coupled": Shape(
        build=coupled, by_hand=coupled_by_hand, segments={"air": 4, "sea": 4}
    ),
    "nested": Shape(
        build=nested, by_hand=nested_by_hand, segments={"air": 6, "sea": 3}
    ),
    "several": Shape(
        build=several,
        by_hand=several_by_hand,
        segments={"cold": 2, "warm": 3, "late": 2},
        commits=4,
    ),
    "transform": Shape(
        build=transform,
        by_hand=transform_by_hand,
        segments={"coarse": 2, "fine": 3},
        commits=3,
    ),
    "optional": Shape(
        build=optional,
        by_hand=optional_by_hand,
        segments={"need": 4, "extra": 1, "more": 0},
        lacks="extra",
    ),
    "until": Shape(
        build=until,
        by_hand=until_by_hand,
        segments={"spin": 4, "run": 2},
        commits=4,
    ),
    "extended": Shape(
        build=extended,
        by_hand=extended_by_hand,
        segments={"sea": 4, "late": 2},
        commits=3,
    ),
}
"""By name: what is in the table of dependency shapes."""
