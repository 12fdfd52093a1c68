"""Model of the fault matrix: two coupled boxes whose blocks pass one named function.

Faults within a segment are put around that function, where they find the name of
the simulation and the number of the segment.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from climorch.model.advance import Advance, Segment
from climorch.model.numerics import BlowUp, Checks, Retry
from climorch.model.plan import Coupling
from climorch.model.workflow import Workflow
from climorch.testing.models import box_workflow

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["compute", "faulty_workflow"]

# No box gets as far.
MOST = 1e6

Block = npt.NDArray[np.float64]


def compute(block: Block, simulation: str, segment: int, work_s: float) -> Block:
    """Take a while for a block, and return it.

    Parameters
    ----------
    block : ndarray
        Any.
    simulation, segment
        Whose block, for whoever looks at the arguments.
    work_s : float
        Seconds that it takes.
    """
    # Sleeping, since tests must not depend on how fast the machine is.
    time.sleep(work_s)
    return block


def _pass(block: Block, *, simulation: str, segment: int, work_s: float) -> Block:
    # By its name in this module at that time, and not as it was pickled.
    return compute(block, simulation, segment, work_s)


def _step(
    state: xr.Dataset,
    inputs: Mapping[str, xr.Dataset],
    segment: Segment,
    *,
    inner: Any,
    work_s: float,
) -> Advance:
    advance: Advance = inner(state, inputs, segment)
    heat = advance.state["heat"]
    passed = heat.copy(
        data=heat.data.map_blocks(
            _pass,
            simulation=segment.params["name"],
            segment=segment.index,
            work_s=work_s,
            dtype=float,
        )
    )
    return replace(advance, state=advance.state.assign(heat=passed))


def faulty_workflow(
    *, segments: int, work_s: float, side_by_side: bool = False
) -> Workflow:
    """Return both boxes of `box_workflow` on two nodes.

    Scenarios need a parameter ``name``, the simulation's. Once its numbers blow up
    it goes back two checkpoints, with a parameter more that no step looks at.

    Parameters
    ----------
    segments : int
        Years, one segment each.
    work_s : float
        Seconds that each block of each stage takes.
    side_by_side : bool
        Whether both stages compute a segment at the same time.
    """
    wf = box_workflow("faulty", segments=segments, nodes=2)
    wf.stages[:] = [
        replace(
            s,
            step=functools.partial(_step, inner=s.step, work_s=work_s),
            reads=dict.fromkeys(s.reads, Coupling.PREVIOUS)
            if side_by_side
            else s.reads,
            checks=Checks(bounds={"heat": (-MOST, MOST)}),
        )
        for s in wf.stages
    ]
    wf.remedy(_remedy)
    return wf


def _remedy(blow_up: BlowUp) -> Retry:
    return Retry(params={"dt": 900.0 / 2**blow_up.number}, back=2)
