"""Which stages may cut their segments into parts.

Between two parts a stage has a state of its own, and what it exchanges with others
has not happened yet: so only stages that exchange nothing may.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from climorch.errors import Fault
from climorch.intake.calendar import boundaries, span_faults
from climorch.model.workflow import Workflow

__all__ = ["part_faults"]


def part_faults(workflow: Workflow, place: str) -> Iterator[Fault]:
    """Say what is wrong with the parts of segments.

    Parameters
    ----------
    workflow : Workflow
        A declaration.
    place : str
        What it is, for messages.

    Yields
    ------
    Fault
        One for each stage.
    """
    read = {name for stage in workflow.stages for name in stage.reads}
    for stage in workflow.stages:
        here = f"{place}, stage {stage.name!r}, parts"
        # Users without a type checker may pass anything.
        parts: object = stage.parts
        if not isinstance(parts, int) or isinstance(parts, bool) or parts < 1:
            yield Fault(
                place=here,
                problem=f"got {parts!r}, expected a number >= 1",
                remedy="leave it out where the step does not yield states",
            )
        elif parts > 1 and (stage.reads or stage.name in read):
            yield Fault(
                place=here,
                problem="it exchanges with other stages, whose states are consistent "
                "only where segments end",
                remedy="give the coupled stages shorter segments: Span(every=...)",
            )
        elif parts > 1 and not span_faults(stage.span, place=here):
            ends = boundaries(stage.span)
            shortest_s = min(b - a for a, b in pairwise(ends))
            if shortest_s < parts:
                yield Fault(
                    place=here,
                    problem=f"got {parts} for segments of {shortest_s} s of model time",
                    remedy="parts are at least a second long",
                )
