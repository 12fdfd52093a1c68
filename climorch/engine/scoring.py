"""Evaluates scores: whatever a user's function does becomes a fact."""

from __future__ import annotations

import asyncio
import functools
import logging

from climorch.core.scoring import segments_by
from climorch.engine.evaluating import (
    EvaluationFailedError,
    Evaluator,
    Question,
    Reading,
)
from climorch.engine.services import Services
from climorch.intake.scoring import Answer, asked_of
from climorch.model.commands import EvaluateScore
from climorch.model.events import ScoreEvaluated, ScoreFailed
from climorch.model.judging import Score

__all__ = ["Scorer"]

logger = logging.getLogger(__name__)


class Scorer:
    """Carries out `EvaluateScore`, each as a task of its own.

    Parameters
    ----------
    services : Services
        The world.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._evaluator = Evaluator(services)
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, command: EvaluateScore) -> None:
        """Begin to evaluate a score."""
        task = asyncio.create_task(self._do(command))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Give up what is under way: it is asked again by the next driver."""
        self._evaluator.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _do(self, command: EvaluateScore) -> None:
        try:
            fact = await self._fact(command)
        except Exception as error:
            logger.exception("score=%s", command)
            self._services.lost(error)
            return
        self._services.post(fact)

    async def _fact(self, command: EvaluateScore) -> ScoreEvaluated | ScoreFailed:
        simulation = self._services.state.simulations[command.simulation]
        workflow = self._services.workflows.get(simulation.plan.workflow)
        scores = workflow.scores if workflow is not None else []
        score = next((s for s in scores if s.name == command.score), None)
        if score is None:
            return _failed(command, "the script has no such score any more")
        try:
            answer = await self._evaluator.ask(self._question(command, score))
        except EvaluationFailedError as error:
            # The rest is where it was raised: for the log, not for every journal.
            first, _, rest = str(error).partition("\n")
            logger.warning(
                "simulation=%s score=%s mark=%d failed: %s\n%s",
                command.simulation,
                command.score,
                command.mark,
                first,
                rest,
            )
            return _failed(command, first)
        if not isinstance(answer, Answer):
            return _failed(command, str(answer), not_finite=True)
        return ScoreEvaluated(
            simulation=command.simulation,
            score=command.score,
            mark=command.mark,
            value=answer.value,
            sd=answer.sd,
            samples=answer.samples,
            metrics=answer.metrics,
        )

    def _question(self, command: EvaluateScore, score: Score) -> Question:
        simulation = self._services.state.simulations[command.simulation]
        plan, results = simulation.plan, self._services.results
        stages = {stage.name: stage for stage in plan.stages}
        stage = stages[score.stage]
        end = stage.boundaries[command.mark]
        told = {
            "simulation": simulation.name,
            "params": dict(plan.params),
            "segments": command.mark,
            "end": end,
            "calendar": stage.calendar,
            "complete": command.mark == stage.segments,
        }
        readings = {
            score.stage: Reading(
                path=results.path(simulation.name, score.stage), segments=command.mark
            )
        } | {
            name: Reading(
                path=results.path(simulation.name, name),
                segments=segments_by(stages[name], end),
            )
            for name in score.needs
            if results.exists(simulation.name, name)
        }
        return Question(
            subject=f"score {score.name} of {simulation.name} at {command.mark}",
            simulation=simulation.name,
            function=functools.partial(asked_of, score.function, score.stage, told),
            results=readings,
            limit_s=score.limit_s,
        )


def _failed(
    command: EvaluateScore, message: str, *, not_finite: bool = False
) -> ScoreFailed:
    return ScoreFailed(
        simulation=command.simulation,
        score=command.score,
        mark=command.mark,
        message=message,
        not_finite=not_finite,
    )
