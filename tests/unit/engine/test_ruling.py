"""What of a rule goes to a node, and what comes back."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest

import climorch as co
from climorch.engine.evaluating import EvaluationFailedError
from climorch.engine.ruling import asked_as, edits_from
from climorch.intake.rules import Question
from climorch.model.commands import EvaluateRule
from climorch.model.edits import Committed
from climorch.model.events import RuleFailed
from climorch.model.workflow import Rule, Workflow
from climorch.rules import SetPriority


def question(then: Callable[..., Any], **more: Any) -> Question:
    """Ask a rule about four segments."""
    scenario = co.Scenario("s")
    return Question(
        command=EvaluateRule(simulation="s", rule="r", at=4),
        workflow=Workflow("w"),
        rule=Rule(name="r", when="a", then=then, **more),
        committed=Committed(
            simulation="s", stage="a", scenario=scenario, segments=4, metrics={"T": 1.0}
        ),
    )


def urgent(committed: Committed) -> list[Any]:
    """Ask for a priority."""
    return [SetPriority(priority=committed.segments)]


def test_what_a_rule_asks_for_comes_back_as_it_was() -> None:
    """From its process to the driver, as bytes."""
    asked = question(urgent, limit_s=3.0)
    sent = asked_as(asked)
    assert (sent.subject, sent.simulation) == ("rule 'r' of s at 4", "s")
    assert (sent.limit_s, dict(sent.results)) == (3.0, {})
    call = sent.call()
    answer = pickle.loads(call.code)()
    assert edits_from(asked, answer) == [SetPriority(priority=4)]


def test_junk_is_told_apart_where_it_was_made() -> None:
    """It never reaches the driver; that is a fault as any other, and raises nowhere."""
    asked = question(lambda committed: 5)
    found = edits_from(asked, asked_as(asked).function({}))
    assert isinstance(found, RuleFailed)
    assert found.message == (
        "rule 'r' returned int, expected a list of edits; an empty one for nothing"
    )


def test_an_answer_that_cannot_be_read_is_a_fault() -> None:
    """Whatever it raises there."""
    found = edits_from(question(urgent, on_fault="pause"), b"junk")
    assert isinstance(found, RuleFailed)
    assert (found.simulation, found.rule, found.at, found.pause) == ("s", "r", 4, True)
    assert found.message.startswith("UnpicklingError: ")


class Stubborn:
    """Cannot be pickled."""

    def __reduce__(self) -> Any:
        raise TypeError("not I")


def test_a_rule_that_cannot_be_sent_is_a_fault() -> None:
    """What it refers to may have changed since it was submitted."""
    held = Stubborn()
    with pytest.raises(
        EvaluationFailedError, match="rule 'r' of s at 4 cannot be sent"
    ):
        asked_as(question(lambda committed: [held])).call()
