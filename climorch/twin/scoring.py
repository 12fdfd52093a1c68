"""What scores say in virtual time, where nothing is computed that could be judged.

From a law that the site is given, or as the campaign knows: the newest value of the
simulation itself, else the mean of its siblings at that mark, else at their newest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from statistics import fmean

from climorch.core.state import CampaignState, SimulationState
from climorch.model.commands import EvaluateScore
from climorch.model.events import ScoreEvaluated, ScoreFailed
from climorch.model.scenario import Scenario

__all__ = ["ScoreLaw", "score_by"]

ScoreLaw = Callable[[Scenario, str, int], float]
"""Scenario, name of the score, mark: its value there; finite. To be rehearsed by
several processes it must be a function of a module."""


def score_by(
    law: ScoreLaw | None, state: CampaignState, command: EvaluateScore
) -> ScoreEvaluated | ScoreFailed:
    """Answer for a score.

    Parameters
    ----------
    law : callable or None
        Says what it is; None: carry on what is known.
    state : CampaignState
        What is known; only read.
    command : EvaluateScore
        What is asked.
    """
    simulation = state.simulations[command.simulation]
    if law is not None:
        value = law(simulation.scenario, command.score, command.mark)
    else:
        known = list(_known(state, simulation, command))
        if not known:
            return ScoreFailed(
                simulation=command.simulation,
                score=command.score,
                mark=command.mark,
                message="nothing like it was scored yet that a rehearsal could go by",
            )
        value = fmean(known)
    return ScoreEvaluated(
        simulation=command.simulation,
        score=command.score,
        mark=command.mark,
        value=float(value),
    )


def _known(
    state: CampaignState, simulation: SimulationState, command: EvaluateScore
) -> Iterator[float]:
    own = _values(simulation, command.score)
    if own:
        yield own[max(own)]
        return
    siblings = [
        values
        for other in state.simulations.values()
        if other.plan.workflow == simulation.plan.workflow
        and (values := _values(other, command.score))
    ]
    there = [values[command.mark] for values in siblings if command.mark in values]
    yield from there or [values[max(values)] for values in siblings]


def _values(simulation: SimulationState, score: str) -> dict[int, float]:
    return {
        mark: scored.value
        for mark, scored in simulation.scores.get(score, {}).items()
        if scored.value is not None
    }
