"""What users ask for, in the state."""

from __future__ import annotations

import pytest

from climorch.core.fold import apply
from climorch.core.state import CampaignState, Control
from climorch.model import events as e
from tests.unit.core.script import Script, submitted


@pytest.mark.parametrize(
    ("before", "fact", "after"),
    [
        (Control.RUN, e.PauseRequested(simulation="s"), Control.PAUSED),
        (Control.PAUSED, e.PauseRequested(simulation="s"), Control.PAUSED),
        (Control.CANCELLED, e.PauseRequested(simulation="s"), Control.CANCELLED),
        (Control.PAUSED, e.ResumeRequested(simulation="s"), Control.RUN),
        (Control.CANCELLED, e.ResumeRequested(simulation="s"), Control.CANCELLED),
        (Control.PAUSED, e.CancelRequested(simulation="s"), Control.CANCELLED),
    ],
)
def test_what_a_user_wants(before: Control, fact: e.Fact, after: Control) -> None:
    """Cancelled is for good; the last of the other wishes holds."""
    state = CampaignState()
    apply(state, submitted(), 0.0)
    state.simulations["s"].control = before
    apply(state, fact, 0.0)

    assert state.simulations["s"].control is after


def test_a_priority_may_be_changed() -> None:
    """The priority of a simulation is the one that was asked for last."""
    script = Script()
    script.tell(submitted())
    script.tell(e.PriorityRequested(simulation="s", priority=5))

    assert script.simulation().priority == 5
