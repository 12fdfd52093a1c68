"""How scores change the state: one part of `fold`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from climorch.core.fold_remedies import answers
from climorch.core.scoring import Scored, newest, next_mark, published
from climorch.core.state import CampaignState, SimulationState
from climorch.model.commands import EvaluateScore
from climorch.model.scoring import ScoreEvaluated, ScoreFailed

__all__ = ["SCORES", "forget_faults", "forget_scores_beyond"]


def forget_scores_beyond(simulation: SimulationState, counts: dict[str, int]) -> None:
    """Let scores of what is committed no more go: they are asked for again.

    Parameters
    ----------
    simulation : SimulationState
        Whose.
    counts : dict of str to int
        Segments that are still committed of some stages.
    """
    for score in simulation.plan.scores:
        if score.stage in counts:
            known = simulation.scores.get(score.name, {})
            for mark in [m for m in known if m > counts[score.stage]]:
                del known[mark]


def forget_faults(simulation: SimulationState) -> None:
    """Let scores that have failed since they last succeeded be asked for again."""
    for known in simulation.scores.values():
        good = max((m for m, each in known.items() if not each.fault), default=0)
        for mark in [m for m in known if m > good]:
            del known[mark]


def _asked(state: CampaignState, command: EvaluateScore) -> None:
    state.simulations[command.simulation].scores_asked[command.score] = command.mark


def _answered(
    state: CampaignState, fact: ScoreEvaluated | ScoreFailed, scored: Scored
) -> None:
    simulation = state.simulations.get(fact.simulation)
    if simulation is None:
        return
    if simulation.scores_asked.get(fact.score) != fact.mark:
        # Told again, or by a driver that was superseded.
        return
    del simulation.scores_asked[fact.score]
    score = next((x for x in simulation.plan.scores if x.name == fact.score), None)
    if score is None:
        return
    s = simulation.sets[simulation.plan.set_of[score.stage]]
    known = answers(s, ("score", fact.score), fact.mark)
    last = newest(simulation, fact.score)
    owed = next_mark(score, s.plan.stage(score.stage), last[0] if last else 0)
    if (
        not known
        or fact.mark > published(simulation, score.stage)
        or (owed is not None and owed < fact.mark)
    ):
        # What it saw, or scores before, were given up meanwhile.
        return
    simulation.scores.setdefault(fact.score, {})[fact.mark] = scored


def _evaluated(state: CampaignState, fact: ScoreEvaluated) -> None:
    scored = Scored(
        value=fact.value, sd=fact.sd, samples=fact.samples, metrics=fact.metrics
    )
    _answered(state, fact, scored)


def _failed(state: CampaignState, fact: ScoreFailed) -> None:
    scored = Scored(value=None, fault=fact.message, not_finite=fact.not_finite)
    _answered(state, fact, scored)


SCORES: dict[type[Any], Callable[[CampaignState, Any], None]] = {
    EvaluateScore: _asked,
    ScoreEvaluated: _evaluated,
    ScoreFailed: _failed,
}
