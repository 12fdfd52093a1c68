"""When scores are asked for, and what is known of them.

Views and decisions; `fold_scores` changes the state.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from climorch.model.commands import EvaluateScore
from climorch.model.plan import StagePlan
from climorch.model.scoring import ScorePlan
from climorch.policy.calendar import unit_number

if TYPE_CHECKING:
    from climorch.core.state import SimulationState

__all__ = [
    "Scored",
    "ask_scores",
    "faults_told",
    "newest",
    "next_mark",
    "owed",
    "published",
    "score_factors",
    "segments_by",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """What a score said at one mark.

    Attributes
    ----------
    value : float or None
        None: it failed.
    sd : float
        Standard deviation of its uncertainty, in the same units.
    samples : int
        As in `ScoreEvaluated`.
    metrics : mapping of str to float
        What was computed beside it.
    fault : str
        Why it failed; empty: it did not.
    not_finite : bool
        As in `ScoreFailed`.
    """

    value: float | None
    sd: float = 0.0
    samples: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    fault: str = ""
    not_finite: bool = False


def next_mark(score: ScorePlan, stage: StagePlan, after: int) -> int | None:
    """Return the first mark beyond so many segments; None: there is none.

    Parameters
    ----------
    score : ScorePlan
        Which.
    stage : StagePlan
        Its stage.
    after : int
        Segments, >= 0.
    """
    last = stage.segments
    if after >= last:
        return None
    if isinstance(score.every, int):
        return min((after // score.every + 1) * score.every, last)
    ends, every = stage.boundaries, score.every
    here = unit_number(ends[after], stage.calendar, every)
    for mark in range(after + 1, last):
        if unit_number(ends[mark], stage.calendar, every) != here:
            return mark
    return last


def newest(simulation: SimulationState, score: str) -> tuple[int, Scored] | None:
    """Return the newest mark of a score and what it said there; None: nothing yet.

    Parameters
    ----------
    simulation : SimulationState
        Whose.
    score : str
        Its name.
    """
    known = simulation.scores.get(score)
    return max(known.items(), key=itemgetter(0)) if known else None


def published(simulation: SimulationState, stage: str) -> int:
    """Return how many segments of a stage have their results published.

    Parameters
    ----------
    simulation : SimulationState
        Whose.
    stage : str
        One of its stages.
    """
    s = simulation.sets[simulation.plan.set_of[stage]]
    there = [
        c.boundary
        for c in s.commits.values()
        # One that goes at the newest end is of a course that was given up.
        if c.good and c.published and not c.deleting
    ]
    return s.plan.segments_at[max(there)][stage] if there else 0


def segments_by(stage: StagePlan, model_s: int) -> int:
    """Return how many segments of a stage end at or before a model time.

    Parameters
    ----------
    stage : StagePlan
        Which.
    model_s : int
        As its boundaries.
    """
    return max(bisect_right(stage.boundaries, model_s) - 1, 0)


def owed(simulation: SimulationState, score: ScorePlan) -> int | None:
    """Return the mark at which a score can be asked for; None: nothing new yet.

    Marks are taken in order, each once, however many a commit passes.

    Parameters
    ----------
    simulation : SimulationState
        Whose.
    score : ScorePlan
        One of its plan's.
    """
    s = simulation.sets[simulation.plan.set_of[score.stage]]
    stage = s.plan.stage(score.stage)
    last = newest(simulation, score.name)
    mark = next_mark(score, stage, last[0] if last else 0)
    if mark is None or mark > published(simulation, score.stage):
        return None
    for name in score.needs:
        other = simulation.sets[simulation.plan.set_of[name]]
        wanted = segments_by(other.plan.stage(name), stage.boundaries[mark])
        if published(simulation, name) < wanted:
            return None
    return mark


def ask_scores(simulation: SimulationState) -> Iterator[EvaluateScore]:
    """Ask for each score that is owed, one mark at a time.

    Parameters
    ----------
    simulation : SimulationState
        Must have every yielded command applied before the next is asked for.

    Yields
    ------
    EvaluateScore
        To be journaled and carried out.
    """
    for score in simulation.plan.scores:
        if score.name in simulation.scores_asked:
            continue
        mark = owed(simulation, score)
        if mark is not None:
            yield EvaluateScore(simulation=simulation.name, score=score.name, mark=mark)


def faults_told(simulation: SimulationState) -> str:
    """Say which scores failed at their newest marks; empty: none did.

    Parameters
    ----------
    simulation : SimulationState
        Whose.
    """
    return "; ".join(
        f"score {name} failed at mark {last[0]}: {last[1].fault}"
        for name in simulation.scores
        if (last := newest(simulation, name)) and last[1].fault
    )


def score_factors(simulation: SimulationState) -> dict[str, Any]:
    """Say of each score what it said at its newest mark, or why nothing.

    Parameters
    ----------
    simulation : SimulationState
        Whose.
    """
    found: dict[str, Any] = {}
    for score in simulation.plan.scores:
        known = simulation.scores.get(score.name, {})
        asked = simulation.scores_asked.get(score.name)
        told: dict[str, Any] = {"threshold": score.threshold, "is asked at": asked}
        if last := newest(simulation, score.name):
            mark, scored = last
            told |= {"mark": mark, "marks scored": len(known)}
            if scored.value is not None:
                margin = score.margin(scored.value)
                told |= {
                    "value": scored.value,
                    "standard deviation": scored.sd,
                    "samples": scored.samples,
                    "better than the threshold by": None
                    if math.isnan(margin)
                    else margin,
                }
            told |= {"metrics": dict(scored.metrics)} if scored.metrics else {}
        faults = {m: each.fault for m, each in known.items() if each.fault}
        told |= {"faults": faults} if faults else {}
        found[f"score {score.name}"] = told
    return found
