"""A question that Dask withdraws is asked again, as one whose node went."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from distributed.client import FutureCancelledError

from climorch.engine.evaluating import EvaluationFailedError, Evaluator, Question


class Withdrawing:
    """A client of Dask that withdraws what it is asked, so many times."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.asked = 0

    def submit(self, *args: Any, **options: Any) -> Any:
        """Take a task."""
        self.asked += 1
        return SimpleNamespace(release=lambda: None)

    async def gather(self, future: Any) -> str:
        """Answer, or say what Dask says when its node is closed."""
        if self.asked <= self.times:
            raise FutureCancelledError("evaluate-1", "unknown")
        return "yes"


def ask(client: Withdrawing, *, patient: bool) -> Any:
    """Ask one question on the one node that there is."""
    services: Any = SimpleNamespace(
        client=client,
        nodes={"tcp://one": "node000"},
        lease=lambda simulation: (),
        state=SimpleNamespace(simulations={}),
    )

    async def main() -> Any:
        evaluator = Evaluator(services, pauses_s=(0.0,), patient=patient)
        question = Question(
            function=lambda results: True,
            subject="until spin",
            simulation="m01",
            limit_s=5.0,
        )
        return await evaluator.ask(question)

    return asyncio.run(main())


def test_a_question_that_was_withdrawn_is_asked_again() -> None:
    """A Ctrl-C closes nodes while they are asked; no driver ends with an error."""
    client = Withdrawing(3)

    assert ask(client, patient=True) == "yes"
    assert client.asked == 4


def test_who_is_not_patient_gives_up() -> None:
    """A score is told as failed, with the node that went."""
    with pytest.raises(EvaluationFailedError, match="node tcp://one went while it was"):
        ask(Withdrawing(9), patient=False)
