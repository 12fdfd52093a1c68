"""How nodes that come and go change the state."""

from __future__ import annotations

import pytest

from climorch.core import fold_nodes
from climorch.core.fold import apply
from climorch.core.state import CampaignState, Node
from climorch.model import events as e


def test_a_node_counts_while_it_is_up() -> None:
    """Node-seconds end with the node, a failure is counted, its cores are kept."""
    state = CampaignState()
    fact = e.NodeJoined(node="n", cores=4, memory_bytes=9, scratch_bytes=7)
    apply(state, fact, 10.0)
    assert state.nodes == {
        "n": Node(name="n", cores=4, memory_bytes=9, scratch_bytes=7, since_s=10.0)
    }
    apply(state, e.NodeLost(node="n"), 35.0)

    assert (state.nodes, state.node_s, state.up_s) == ({}, 25.0, 25.0)


def test_nodes_count_one_by_one() -> None:
    """What nodes were up is known at any time, whichever came or went before."""
    state = CampaignState()
    seen = []
    for now_s, record in (
        (10.0, e.NodeJoined(node="m", cores=1)),
        (15.0, e.NodeJoined(node="n", cores=1)),
        (25.0, e.NodeLost(node="m")),
        # Never there: no change.
        (26.0, e.NodeLost(node="x")),
        # Back before its loss was noticed.
        (30.0, e.NodeJoined(node="n", cores=1)),
        (32.0, e.DriverStopped(reason="stop")),
        (99.0, e.DriverStarted(epoch=2, host="h", pid=1)),
    ):
        apply(state, record, now_s)
        seen.append(state.up_node_s)

    assert seen == [0.0, 5.0, 25.0, 26.0, 30.0, 32.0, 32.0]


def test_names_of_nodes_that_went_are_known_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The newest of them, until they are back; one that is drained always."""
    monkeypatch.setattr(fold_nodes, "MOST_ABSENT", 2)
    state = CampaignState()
    for at_s, name in enumerate("abcd"):
        apply(state, e.NodeJoined(node=name, cores=1), float(at_s))
    apply(state, e.DrainRequested(node="a"), 5.0)
    for at_s, name in enumerate("abc", start=6):
        apply(state, e.NodeLost(node=name), float(at_s))
    assert state.absent == {"b": 7.0, "c": 8.0}
    assert state.known_nodes == {"a", "b", "c", "d"}

    apply(state, e.NodeJoined(node="b", cores=1), 9.0)

    assert state.absent == {"c": 8.0}
