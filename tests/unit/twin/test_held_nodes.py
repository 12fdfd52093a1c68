"""What leases held until a time that has passed."""

from __future__ import annotations

import pytest

from climorch.core.state import CampaignState
from climorch.policy.usage import Usage
from climorch.twin.held_nodes import HeldNodes


def state_of(now_s: float, **nodes: int) -> CampaignState:
    """Make a state in which projects hold nodes since a time, and used nothing."""
    state = CampaignState(now_s=now_s)
    for project, held in nodes.items():
        state.usage[project] = Usage(at_s=now_s, nodes=held)
    return state


def change(state: CampaignState, now_s: float, project: str, more: int) -> None:
    """Let a project hold more nodes from a time on, or fewer."""
    state.now_s = now_s
    used = state.usage[project]
    state.usage[project] = used.at(now_s, half_life_s=1e6, more=more)


@pytest.mark.parametrize(
    ("at_s", "node_s"),
    [(100.0, 0.0), (110.0, 50.0), (120.0, 100.0), (125.0, 105.0), (130.0, 110.0)],
)
def test_a_time_that_has_passed_is_answered_as_it_was_then(
    at_s: float, node_s: float
) -> None:
    """Five nodes for 20 s, one after that, seven after 30."""
    state = state_of(100.0, p=2, q=3)
    held = HeldNodes(state)
    change(state, 120.0, "p", -2)
    change(state, 120.0, "q", -2)
    held.note()
    change(state, 130.0, "p", 6)
    held.note()

    assert held.until(at_s) == node_s


def test_now_is_answered_as_by_the_state() -> None:
    """Whether anything changed since it was last noted or not."""
    state = state_of(0.0, p=4)
    held = HeldNodes(state)
    change(state, 50.0, "p", 3)
    held.note()

    state.now_s = 80.0
    held.note()

    assert held.until(80.0) == state.held_node_s(80.0) == 410.0
    assert len(held) == 2


def test_what_nobody_asks_for_any_more_is_forgotten() -> None:
    """Only changes before; the answers stay what they were."""
    state = state_of(0.0, p=1)
    held = HeldNodes(state)
    for now_s in (10.0, 20.0, 30.0):
        change(state, now_s, "p", 1)
        held.note()

    held.forget(25.0)

    assert len(held) == 2
    assert [held.until(s) for s in (25.0, 35.0)] == [45.0, 80.0]


def test_before_all_that_is_known_nothing_more_was_held() -> None:
    """A clock that is earlier by a rounding error."""
    held = HeldNodes(state_of(100.0, p=2))

    assert held.until(99.9) == 0.0
