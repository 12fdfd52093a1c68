"""What a segment is given by other stages, looked at before anything computes on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from climorch.core.frontier import needed_exports
from climorch.intake.meeting import (
    READS,
    export_faults,
    first_faults,
    meeting_faults,
    require_meeting,
)
from climorch.intake.trace import merge_exports, readers_of

if TYPE_CHECKING:
    import xarray as xr

    from climorch.engine.attempt import Attempt
    from climorch.model.advance import Advance, Segment
    from climorch.model.plan import StagePlan

__all__ = ["inputs_of", "require_dates", "require_first"]


def inputs_of(
    attempt: Attempt, stage: StagePlan, segment: int
) -> dict[str, xr.Dataset]:
    """Return what a segment is given beside its state.

    Parameters
    ----------
    attempt : Attempt
        Has the exports of all stages of the set.
    stage : StagePlan
        Whose segment.
    segment : int
        Which.

    Returns
    -------
    dict of str to xarray.Dataset
        By stage: exports of those that it reads; in the first segment the last
        states of those that it comes after, too.

    Raises
    ------
    InvalidInputError
        If grids or units of what it reads are not those of its state.
    """
    finals = attempt.finals
    inputs = {n: finals[n] for n in stage.after} if segment == 0 else {}
    own = attempt.states[stage.name]
    for other in stage.reads:
        needed = needed_exports(attempt.set, stage, segment, other)
        read = merge_exports([attempt.exports[other][k] for k in needed])
        require_meeting(meeting_faults(stage.name, own, other, read, how=READS))
        inputs[other] = read
    return inputs


def require_first(attempt: Attempt, stage: StagePlan, first: Advance) -> None:
    """Refuse a first state that does not fit the phases before it.

    Parameters
    ----------
    attempt : Attempt
        Has the last states of these.
    stage : StagePlan
        Which begins.
    first : Advance
        With what; nothing of it is computed yet.

    Raises
    ------
    InvalidInputError
        With all that differs.
    """
    require_meeting(
        first_faults(
            stage.name,
            first.state,
            attempt.finals,
            after=stage.after,
            transformed=attempt.stages[stage.name].transform is not None,
            calendar=stage.calendar,
        )
    )


def require_dates(
    attempt: Attempt, stage: StagePlan, built: Advance, told: Segment
) -> None:
    """Refuse exports of another calendar, or of another time than their segment.

    Parameters
    ----------
    attempt : Attempt
        Of the set.
    stage : StagePlan
        Who exports.
    built : Advance
        What.
    told : Segment
        In which.

    Raises
    ------
    InvalidInputError
        If anybody reads them.
    """
    if built.exports is not None:
        readers = readers_of(attempt.set, stage.name)
        require_meeting(export_faults(stage.name, readers, built.exports, told))
