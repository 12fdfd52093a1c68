"""A node that was ended for its memory: whose fault that is, and how often it may."""

from __future__ import annotations

import pytest

from climorch.core.progress import Policies
from climorch.model import events as e
from climorch.policy.checkpointing import EverySegments
from climorch.policy.recovery import Budget, RecoveryPolicy
from tests.unit.core.script import UNLIMITED, Script, stage, submitted

WHY = "it used 900 MiB"


def script(*, retries: int = 2, nodes: int = 1) -> Script:
    """Let one simulation run on nodes of its own; retries are at once."""
    budgets = dict.fromkeys(e.Cause, Budget(retries=100, longest_delay_s=0.0))
    budgets[e.Cause.MEMORY] = Budget(retries=retries, longest_delay_s=0.0)
    s = Script(
        Policies(
            checkpointing=EverySegments(),
            limits=UNLIMITED,
            recovery=RecoveryPolicy(budgets=budgets),
        )
    )
    s.tell(submitted(stage(nodes=nodes)))
    s.nodes(*(f"n{i}" for i in range(nodes + 1)))
    return s


def overfill(s: Script, node: str) -> list[str]:
    """Let the nanny of a node end it, and start it again."""
    told = s.tell(e.NodeLost(node=node, reason=WHY, cause=e.Cause.MEMORY))
    return told + s.tell(e.NodeJoined(node=node, cores=4))


def test_it_draws_on_the_budget_of_memory() -> None:
    """Another try on other nodes ends the same way: not a thousand times."""
    s = script()
    for count in (1, 2):
        s.restored()
        (node,) = s.simulation().lease
        overfill(s, node)
        assert s.simulation().failures == {e.Cause.MEMORY: count}
        assert s.simulation().failed is None
    s.restored()
    (node,) = s.simulation().lease
    overfill(s, node)

    assert s.simulation().failed == (e.Cause.MEMORY, f"{node}: {WHY}")


def test_it_says_nothing_of_the_node() -> None:
    """No loss is counted and nobody comes to grief: the next lease may have it."""
    s = script()
    s.restored()
    (node,) = s.simulation().lease

    overfill(s, node)

    state = s.orchestrator.state
    assert (state.losses.events, state.mishaps) == (0, ())


def test_a_wide_lease_begins_anew_too() -> None:
    """Dask would do the same work on another node, which is filled then."""
    s = script(nodes=8)
    s.restored()

    told = overfill(s, "n3")

    assert any("abandon" in word for word in told), told
    assert s.simulation().failures == {e.Cause.MEMORY: 1}


def test_a_node_that_nobody_holds_is_a_loss_like_any_other() -> None:
    """Whoever filled it, no simulation is to blame."""
    s = script()
    s.restored()
    (free,) = {"n0", "n1"} - set(s.simulation().lease)

    overfill(s, free)

    assert s.simulation().failures == {}
    assert s.simulation().failed is None


@pytest.mark.parametrize("commits", [True, False])
def test_progress_fills_the_budget_again(commits: bool) -> None:
    """A budget counts failures without a checkpoint in between."""
    s = script(retries=1)
    s.restored()
    overfill(s, *s.simulation().lease)
    s.restored()
    if commits:
        s.finished(0)
        s.committed(1)
        assert s.simulation().failures == {}
    overfill(s, *s.simulation().lease)

    assert (s.simulation().failed is None) is commits
