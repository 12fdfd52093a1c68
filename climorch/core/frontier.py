"""Which segments of a set may start now.

The work graph is over (stage, segment). Pure arithmetic on counts: what is
done, what is read, which boundary may not be passed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from climorch.core.state import SetState
from climorch.model.plan import Coupling, SetPlan, StagePlan

__all__ = ["RUN_AHEAD", "needed_exports", "ready_segments"]

# Common boundaries that a stage may be ahead of the slowest one of its set.
RUN_AHEAD = 1


def needed_exports(
    plan: SetPlan, stage: StagePlan, segment: int, other: str
) -> tuple[int, ...]:
    """Return the segments of another stage whose exports a segment reads.

    Parameters
    ----------
    plan : SetPlan
        The set of both.
    stage : StagePlan
        The reader.
    segment : int
        Segment of the reader.
    other : str
        The stage that is read.

    Returns
    -------
    tuple of int
        SAME: all that end within ``(start, end]`` of the segment, ascending.
        PREVIOUS: the newest that ends at or before its start; -1 stands for
        the initial state.
    """
    start, end = stage.boundaries[segment : segment + 2]
    source = plan.stage(other).boundaries
    # Segment k ends at boundary k + 1, so as many have ended by a time as
    # there are boundaries up to it, less the start.
    by_start = bisect_right(source, start) - 1
    if stage.reads[other] is Coupling.PREVIOUS:
        return (by_start - 1,)
    return tuple(range(by_start, bisect_right(source, end) - 1))


def ready_segments(s: SetState, gate: int | None = None) -> Iterator[tuple[str, int]]:
    """Yield the (stage, segment) pairs that may start now.

    Parameters
    ----------
    s : SetState
        A set in its active phase.
    gate : int or None
        Common boundary that it may not pass; None: there is none.

    Yields
    ------
    tuple of (str, int)
        In order of declaration; inputs are computed, and no boundary that is
        planned for a checkpoint or a copy, nor `RUN_AHEAD`, is passed.
    """
    if len(s.running) == len(s.plan.stages):
        # All compute.
        return
    limit = min(s.reached + 1 + RUN_AHEAD, s.plan.last)
    for planned in (s.planned, s.held.planned, gate):
        if planned is not None:
            limit = min(limit, planned)
    plan, done, most = s.plan, s.done, s.plan.segments_at[limit]
    for stage in plan.stages:
        name = stage.name
        segment = done[name]
        if name not in s.running and segment < most[name] and _fed(s, stage, segment):
            yield name, segment


def _fed(s: SetState, stage: StagePlan, segment: int) -> bool:
    """Whether all that a segment reads is computed: of each stage the newest is."""
    for other in stage.reads:
        needed = needed_exports(s.plan, stage, segment, other)
        if needed and needed[-1] >= s.done[other]:
            return False
    return True
