"""What an explanation prints, and whom it does not know."""

from __future__ import annotations

import pytest

from climorch.core.explain import Explanation
from climorch.core.statuses import require_stage, summarise
from climorch.errors import NotFoundError
from tests.unit.core.test_explain import running


def test_an_explanation_prints_dates_and_nothing_empty() -> None:
    """Times are dates; None, nothing and bounds of zero are left out."""
    status = summarise(running(), 160.0)[0]
    text = str(
        Explanation(
            status=status,
            factors={
                "priority": 0,
                "nodes held": ("n0", "n1"),
                "nodes up": (),
                "memory per node, bytes": 0,
                "project": {
                    "used, node-hours": 1.0 / 3.0,
                    "budget": None,
                    "kept": False,
                },
                "protection": {"level": 0},
                "turn": {"since": 1_795_000_000.0, "served, s": 2e9, "borrowed": True},
                "nodes go at": {"n0": 1_795_000_000.0},
                "set spin": {
                    "boundary committed": 0,
                    "waits for": [],
                    "running": {"spin": 1},
                },
            },
        )
    )
    assert text.splitlines() == [
        "m01 is running: its turn",
        "  nodes held = n0, n1",
        "  project:",
        "    used, node-hours = 0.333333",
        "  turn:",
        "    since = 2026-11-18 11:06:40 UTC",
        "    served, s = 2e+09",
        "    borrowed = True",
        "  nodes go at:",
        "    n0 = 2026-11-18 11:06:40 UTC",
        "  set spin:",
        "    boundary committed = 0",
        "    running = spin: 1",
    ]


def test_a_stage_that_nobody_has_is_named() -> None:
    """With those that there are; before anything was submitted any may come."""
    simulations = running().simulations.values()
    require_stage(simulations, "sea")
    require_stage([], "typo")
    with pytest.raises(NotFoundError, match="'typo' is not planned; there are air, s"):
        require_stage(simulations, "typo")
