"""How many nodes are needed, and until when."""

from __future__ import annotations

import pytest

from climorch.core.expecting import LONGER, MORE_S, still_needed
from tests.unit.core.script import Script, stage, submitted


def test_nobody_knows_while_somebody_waits_or_was_not_measured() -> None:
    """All nodes are needed then, for as long as may be."""
    script = Script()
    assert still_needed(script.orchestrator.state) is None
    script.tell(submitted(stage("a")))
    assert still_needed(script.orchestrator.state) is None
    script.nodes("n1")
    assert script.simulation().lease == ("n1",)
    assert still_needed(script.orchestrator.state) is None


def test_what_is_left_is_known_once_all_of_it_runs() -> None:
    """Late rather than early; nothing is known again when all is over."""
    script = Script()
    script.tell(submitted(stage("a")))
    script.nodes("n1")
    script.restored()
    script.finished(0)
    state = script.orchestrator.state
    s = script.set()
    left = s.plan.last - s.reached
    assert left > 0
    need = still_needed(state)
    assert need is not None
    nodes, until_s = need
    assert nodes == 1
    pace_s = s.pace_s["a"] * left
    assert until_s == pytest.approx(state.now_s + LONGER * pace_s + MORE_S)
