"""How stages of a set wait for each other.

Plays through what the reads of a set allow, with given durations: stages run
side by side or in turn. Ignores that nodes may be too few for all at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from climorch.core.frontier import needed_exports
from climorch.model.plan import Coupling, SetPlan, StagePlan

__all__ = ["Draws", "steady_draws_s", "steady_s", "way_s"]

Draws = npt.NDArray[np.float64]
Number = TypeVar("Number", float, Draws)

# Boundaries that are played through until coupled stages have found their rhythm.
WARM_UP = 8


def steady_s(plan: SetPlan, takes_s: Mapping[str, float]) -> float:
    """Compute the time from one common boundary to the next in the long run.

    Parameters
    ----------
    plan : SetPlan
        The set.
    takes_s : mapping of str to float
        Seconds of computing per stage between two common boundaries.

    Returns
    -------
    float
        Seconds.
    """
    return _steady(plan, takes_s, max)


def steady_draws_s(plan: SetPlan, takes_s: Mapping[str, Draws]) -> Draws:
    """Compute the same for many possible durations at once.

    Parameters
    ----------
    plan : SetPlan
        The set.
    takes_s : mapping of str to ndarray, shape (draws,)
        Seconds as for `steady_s`.

    Returns
    -------
    ndarray, shape (draws,), seconds
        Course by course.
    """
    return _steady(plan, takes_s, _longest)


def _steady(
    plan: SetPlan,
    takes_s: Mapping[str, Number],
    longest: Callable[[list[Number]], Number],
) -> Number:
    if len(plan.stages) == 1:
        return takes_s[plan.stages[0].name]
    order = _in_order(plan.stages)
    before = {name: takes * 0.0 for name, takes in takes_s.items()}
    ends: list[Number] = []
    for _ in range(2 * WARM_UP):
        now: dict[str, Number] = {}
        for stage in order:
            waits = [before[stage.name]]
            for name, coupling in stage.reads.items():
                same = coupling is Coupling.SAME
                waits.append(now[name] if same else before[name])
            now[stage.name] = longest(waits) + takes_s[stage.name]
        before = now
        ends.append(longest(list(now.values())))
    return (ends[-1] - ends[WARM_UP - 1]) / WARM_UP


def _longest(several: list[Draws]) -> Draws:
    return reduce(np.maximum, several)


def way_s(plan: SetPlan, boundary: int, draw: Callable[[str], Draws]) -> Draws:
    """Compute the time from a common boundary, where all stages stand, to the next.

    Parameters
    ----------
    plan : SetPlan
        The set.
    boundary : int
        Index of the common boundary to start from, below the last.
    draw : callable
        ``draw(stage)`` gives seconds of the stage's next segment, several
        possible ones in an array, the same number each time.

    Returns
    -------
    ndarray, shape (draws,), seconds
        Until the last stage is there: at least the time of the long run, and
        more where a stage has to wait for another before it can begin.
    """
    here, there = plan.segments_at[boundary : boundary + 2]
    order = {stage.name: at for at, stage in enumerate(_in_order(plan.stages))}
    # By end, and as they read each other where ends are equal: what a segment
    # waits for comes before it.
    segments = sorted(
        (stage.boundaries[k + 1], order[stage.name], k, stage)
        for stage in plan.stages
        for k in range(here[stage.name], there[stage.name])
    )
    ends: dict[tuple[str, int], Draws] = {}
    for _, _, k, stage in segments:
        waits = [ends[stage.name, k - 1]] if k > here[stage.name] else []
        waits += [
            ends[other, needed]
            for other in stage.reads
            for needed in needed_exports(plan, stage, k, other)
            if needed >= here[other]
        ]
        takes = draw(stage.name)
        ends[stage.name, k] = takes + _longest(waits) if waits else takes
    return _longest([ends[name, count - 1] for name, count in there.items()])


def _in_order(stages: tuple[StagePlan, ...]) -> list[StagePlan]:
    """Sort stages so that each comes after those that it reads as SAME."""
    done: dict[str, StagePlan] = {}
    while len(done) < len(stages):
        for stage in stages:
            same = {n for n, how in stage.reads.items() if how is Coupling.SAME}
            if stage.name not in done and same <= done.keys():
                done[stage.name] = stage
    return list(done.values())
