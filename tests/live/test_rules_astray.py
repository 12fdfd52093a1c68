"""Rules that hang, die or take their process down stop nobody."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from climorch import Campaign, Scenario
from climorch.model import events as e
from climorch.model.edits import Committed, Edit
from climorch.rules import SetPriority
from climorch.testing.models import box_workflow, reference_run
from tests.live.cases import ended, here, kinds, policies, records, same

SEGMENTS = 2


def hangs(committed: Committed) -> Iterable[Edit]:
    """Never answer."""
    time.sleep(3600)
    return []


def leaves(committed: Committed) -> Iterable[Edit]:
    """Take its process down."""
    os._exit(3)


def shot(committed: Committed) -> Iterable[Edit]:
    """Be killed, as by a kernel whose memory is full."""
    os.kill(os.getpid(), signal.SIGKILL)
    return []


def raises(committed: Committed) -> Iterable[Edit]:
    """Raise at once."""
    raise KeyError(committed.stage)


def junk(committed: Committed) -> Any:
    """Return what is no edit."""
    return [5]


def where(committed: Committed) -> Iterable[Edit]:
    """Say in which process it runs, in the only way there is."""
    yield SetPriority(priority=os.getppid())


def run(root: Path, **rules: Any) -> Campaign:
    """Run two simulations, of which the first has these rules, to the end."""
    campaign = Campaign("c", root=root, policies=policies(every=1))
    wf = box_workflow(segments=SEGMENTS)
    for name, then in rules.items():
        limit_s = 1.0 if name == "hangs" else 300.0
        wf.rule(name, when="sea", then=then, limit_s=limit_s)
    campaign.submit(wf, scenario=Scenario("s"))
    campaign.submit(box_workflow("plain", segments=SEGMENTS), scenario=Scenario("t"))
    assert campaign.run(here(1)).finished
    for name in "st":
        assert same(ended(campaign, name), reference_run(name, segments=SEGMENTS))
    return campaign


def faults(campaign: Campaign) -> dict[str, str]:
    """Return what is told of each rule that failed."""
    found = kinds(records(campaign), e.RuleFailed)
    assert len(found) == len({fact.rule for fact in found})
    return {fact.rule: fact.message for fact in found}


# What a hang costs in time is known from scores, which are asked in the same way.
@pytest.mark.benchmark
def test_rules_that_go_astray_are_faults(tmp_path: Path) -> None:
    """Each is told; the others answer, in processes of a node, and all is computed."""
    rules = {"hangs": hangs, "leaves": leaves, "raises": raises, "junk": junk}
    campaign = run(tmp_path, **rules, where=where)

    told = faults(campaign)
    assert told["hangs"].startswith(
        "rule 'hangs' of s at 2: no answer within 1 s; it was killed"
    )
    assert "left with status 3" in told["leaves"]
    assert told["raises"] == "rule 'raises' of s at 2: KeyError: 'sea'"
    assert "rule 'junk' returned int in its list" in told["junk"]
    assert len(told) == 4
    (answer,) = kinds(records(campaign), e.RuleEvaluated)
    assert answer.rule == "where"
    assert answer.priority not in (os.getpid(), None)
    assert "no answer within 1 s" in campaign.explain("s").factors["faults of rules"]


@pytest.mark.benchmark
def test_a_rule_whose_process_is_killed_is_asked_a_few_times(tmp_path: Path) -> None:
    """The memory of a node may have been full by chance; then it is a fault."""
    told = faults(run(tmp_path, shot=shot))

    assert "was ended by signal 9" in told["shot"]
