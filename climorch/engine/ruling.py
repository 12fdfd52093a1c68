"""Asks rules and conditions on a node: whatever a user's function does is a fact."""

from __future__ import annotations

import functools
import logging
import pickle
from collections.abc import Mapping
from typing import TYPE_CHECKING

from climorch.engine import evaluating
from climorch.engine.evaluating import EvaluationFailedError, Evaluator
from climorch.engine.services import Services
from climorch.errors import InvalidInputError
from climorch.intake.rules import Question, edits_in, failed, question_of, worked_out
from climorch.model.commands import EvaluateRule
from climorch.model.edits import Committed, Edit
from climorch.model.events import RuleEvaluated, RuleFailed
from climorch.model.workflow import Rule

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Ruler"]

logger = logging.getLogger(__name__)


class Ruler:
    """Carries out `EvaluateRule`.

    Parameters
    ----------
    services : Services
        The world.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        # An answer may move an end: it must not depend on which nodes died.
        self._evaluator = Evaluator(services, patient=True)

    def close(self) -> None:
        """Begin nothing any more; what has no answer is asked by the next driver."""
        self._evaluator.close()

    async def fact(self, command: EvaluateRule) -> RuleEvaluated | RuleFailed:
        """Ask a rule.

        Parameters
        ----------
        command : EvaluateRule
            Which.

        Returns
        -------
        RuleEvaluated or RuleFailed
            The latter also where it raised, died or took too long.
        """
        services = self._services
        # The state is looked at here only, where nobody changes it meanwhile.
        question = question_of(services.state, services.workflows, command)
        if isinstance(question, RuleFailed):
            return question
        asked = asked_as(question)
        try:
            answer = await self._evaluator.ask(asked)
        except EvaluationFailedError as error:
            # The rest is where it was raised: for the log, not for every journal.
            first, _, rest = str(error).partition("\n")
            logger.warning(
                "simulation=%s rule=%s at=%d failed: %s\n%s",
                command.simulation,
                command.rule,
                command.at,
                first,
                rest,
            )
            # Whoever tells it says of which rule it is.
            return failed(question, first.removeprefix(f"{asked.subject}: "))
        edits = edits_from(question, answer)
        if isinstance(edits, RuleFailed):
            return edits
        return worked_out(services.state, question, edits)


def asked_as(question: Question) -> evaluating.Question:
    """Return what is sent to a node."""
    command, rule = question.command, question.rule
    return evaluating.Question(
        subject=f"rule {rule.name!r} of {command.simulation} at {command.at}",
        simulation=command.simulation,
        function=functools.partial(_on_node, rule, question.committed),
        limit_s=rule.limit_s,
    )


def edits_from(question: Question, answer: bytes) -> list[Edit] | RuleFailed:
    """Read what came back, in which a user's function may have put anything."""
    try:
        edits: list[Edit] | InvalidInputError = pickle.loads(answer)
    except Exception as error:
        return failed(question, f"{type(error).__name__}: {error}")
    if isinstance(edits, InvalidInputError):
        return failed(question, str(edits))
    return edits


def _on_node(rule: Rule, committed: Committed, _: Mapping[str, xr.Dataset]) -> bytes:
    """Ask a rule, in its process; the edits are told apart from junk there.

    What is no answer is one all the same: raised, it would be told by the node, and
    with a traceback that does not lead to it, before it is told as a fault.
    """
    answer = rule.then(committed)
    try:
        return pickle.dumps(edits_in(answer, rule))
    except InvalidInputError as error:
        return pickle.dumps(error)
