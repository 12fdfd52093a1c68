"""A driver dies between the question of a rule or score and its journaled answer."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from climorch.model import commands as c
from climorch.model import events as e
from climorch.testing.faults import Script, committed_twice
from climorch.testing.injector import ArmedFault, armed
from climorch.testing.models import reference_run
from climorch.testing.moments import RULE_STEPS, SCORE_STEPS
from tests.live.cases import ended, here, kinds, last, records, same, series, state_of
from tests.live.ruled_script import MORE, SEGMENTS, campaign_of

SCRIPT = Path(__file__).with_name("ruled_script.py")

# In virtual time every such moment is tried; here those between which they lie.
BY_DEFAULT = {"after the rule", "before the score's answer"}
STEPS: list[Any] = [
    pytest.param(step, marks=() if step in BY_DEFAULT else pytest.mark.benchmark)
    for step in RULE_STEPS | SCORE_STEPS
]


@pytest.mark.live
@pytest.mark.timeout(300)
@pytest.mark.parametrize("step", STEPS)
def test_a_driver_killed_there_is_followed_and_every_edit_holds_once(
    tmp_path: Path, step: str
) -> None:
    """Both courses end bitwise as computed by hand; what raised is told; each year is
    judged once, by what was committed."""
    root = tmp_path / "root"
    with armed(tmp_path / "fault", ArmedFault(step=step)) as injection:
        environment = {"PYTHONPATH": str(SCRIPT.parents[2]), **injection.environment}
        given = json.dumps({"root": str(root)})
        with Script(SCRIPT, given, environment=environment) as killed:
            assert killed.finish(timeout_s=200)[0] == -signal.SIGKILL

    campaign = campaign_of(str(root))
    assert campaign.run(here(2)).finished

    parent = reference_run("s", segments=SEGMENTS)
    assert same(ended(campaign, "s"), reference_run("s", segments=SEGMENTS + MORE))
    sea = ended(campaign, "s")["sea"]
    late = state_of(campaign, "s", "late")
    assert late.tobytes() == (4 * sea).tobytes()
    child = last(series("s-future", MORE, start=parent))
    assert same(ended(campaign, "s-future"), child)
    found = records(campaign)
    answers = [
        (fact.rule, fact.at) for fact in kinds(found, e.RuleEvaluated) if fact.told
    ]
    assert answers == [("steer", SEGMENTS)]
    assert kinds(found, c.EvaluateRule) != []
    assert committed_twice(found) == []
    scores = kinds(found, e.ScoreEvaluated)
    heat = series("s", SEGMENTS + MORE)["sea"]
    assert [fact.mark for fact in scores] == list(range(1, SEGMENTS + MORE + 1))
    by_hand = [float(values.mean()) for values in heat]
    assert [fact.value for fact in scores] == pytest.approx(by_hand, rel=1e-12)
    factors = campaign.explain("s").factors
    assert factors["priority"] == 7
    assert "KeyError: 'air'" in factors["faults of rules"]
