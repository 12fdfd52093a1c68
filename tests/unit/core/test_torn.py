"""Which losses took a node and its partner."""

from __future__ import annotations

import pytest

from climorch.core.explain import explain
from climorch.core.progress import Policies
from climorch.model import events as e
from climorch.policy.checkpointing import Daly
from climorch.policy.partnering import PartnerCopy
from tests.unit.core.copy_script import copying, started, with_copy
from tests.unit.core.script import Script, stage, submitted


def lost(s: Script, *nodes: str, after_s: float = 1.0) -> float:
    """Lose nodes at once; return what is counted then."""
    s.tell(*(e.NodeLost(node=node) for node in nodes), after_s=after_s)
    return s.orchestrator.state.losses.torn


@pytest.mark.parametrize(
    ("nodes", "counted"),
    [
        ("k", 0.0),
        # Not neighbours in the ring k, l, m, n.
        ("km", 0.0),
        ("ln", 0.0),
        ("kl", 1.0),
        ("nk", 1.0),
        ("klmn", 1.0),
    ],
)
def test_an_event_counts_once_where_it_took_a_node_and_its_partner(
    nodes: str, counted: float
) -> None:
    """However many pairs it took of one lease."""
    assert lost(started(), *nodes) == counted


def test_what_goes_a_minute_later_is_another_event() -> None:
    """Two failures of single nodes: those are reckoned with by their rate."""
    s = started()
    lost(s, "k")

    assert lost(s, "l", after_s=61.0) == 0.0


def test_what_goes_within_a_minute_is_the_same_event() -> None:
    """A rack whose nodes are noticed one by one, while the copy is being written."""
    s = with_copy(2)
    lost(s, "k")

    assert lost(s, "l", after_s=59.0) == 1.0


def test_an_event_counts_by_the_share_of_the_leases() -> None:
    """One of two leases of several nodes; a lease of one does not count."""
    s = Script(copying())
    s.tell(
        submitted(stage(nodes=2), name="s"),
        submitted(stage(nodes=2), name="t"),
        submitted(stage(nodes=1), name="u"),
    )
    s.nodes("a", "b", "c", "d", "e")

    assert lost(s, *s.simulation("t").lease) == 0.5
    assert lost(s, *s.simulation("u").lease, after_s=100) == 0.5


def test_a_driver_that_died_tore_all_leases() -> None:
    """Nothing is in memory any more."""
    s = started()
    s.restart("k", "l", "m", "n")

    assert s.orchestrator.state.losses.torn == 1.0


def test_nodes_that_go_as_announced_tear_nothing() -> None:
    """They say nothing about what comes by surprise."""
    s = Script(copying())
    s.tell(submitted(stage(nodes=2)))
    s.tell(
        *(
            e.NodeJoined(node=node, cores=1, deadline_s=s.now_s + 50)
            for node in ("k", "l")
        )
    )
    s.restored()

    assert lost(s, "k", "l", after_s=60.0) == 0.0


def test_explain_says_what_the_disk_is_told() -> None:
    """Never of more failures than there are: four nodes fail once in 203 days."""
    name = "between failures that copies do not heal, s"
    found = {}
    for policies in (copying(), Policies(checkpointing=Daly())):
        s = started(policies=policies)
        told = explain(s.orchestrator.state, "s", s.now_s, policies=policies)
        found[type(policies.checkpointing)] = told.factors["checkpoints of a"][name]

    assert found == {PartnerCopy: pytest.approx(365 * 86_400 / 1.8), Daly: None}
