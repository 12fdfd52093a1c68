"""Bare shares that are kept are those that would be computed anew."""

from __future__ import annotations

import pytest

from climorch.core.contest import Floors, shares
from climorch.core.state import CampaignState
from climorch.model.scenario import Project
from climorch.policy.sharing import Sharing
from climorch.policy.usage import Usage

WANTED = {"a": 80.0, "b": 80.0}


def known(usage: float, *, share: float = 1.0) -> CampaignState:
    """Return a state in which one of two projects has used something."""
    return CampaignState(
        now_s=100.0,
        projects={"a": Project("a", share=share), "b": Project("b")},
        usage={"a": Usage(at_s=0.0, decayed_node_s=usage)},
    )


def test_what_was_used_moves_targets_and_no_floor() -> None:
    """The bare share is what was agreed."""
    floors = Floors()
    first = shares(known(0.0), WANTED, Sharing(), 100, floors)
    later = shares(known(1e6), WANTED, Sharing(), 100, floors)

    assert first.floors == {"a": 50.0, "b": 50.0, "default": 0.0}
    assert later.floors is first.floors
    assert later.targets["a"] < first.targets["a"]


@pytest.mark.parametrize(
    ("state", "wanted", "capacity", "floor"),
    [
        (known(0.0, share=3.0), WANTED, 100, 75.0),
        (known(0.0), {"a": 30.0, "b": 80.0}, 100, 30.0),
        (known(0.0), {"a": 80.0}, 100, 80.0),
        (known(0.0), WANTED, 40, 20.0),
    ],
)
def test_floors_change_with_what_they_rest_on(
    state: CampaignState, wanted: dict[str, float], capacity: int, floor: float
) -> None:
    """Shares, demand, who wants anything, and the nodes that there are."""
    floors = Floors()
    shares(known(0.0), WANTED, Sharing(), 100, floors)
    found = shares(state, wanted, Sharing(), capacity, floors).floors

    assert found["a"] == floor
    assert found == shares(state, wanted, Sharing(), capacity).floors
