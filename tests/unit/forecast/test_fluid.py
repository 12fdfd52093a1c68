"""The quick sum: who holds nodes if each runs through."""

from __future__ import annotations

from typing import Any

import pytest

from climorch.forecast.costing import CostDraw
from climorch.forecast.fluid import Demand, duration_s, played
from climorch.forecast.unfolded import Hold
from climorch.model.plan import Coupling
from tests.unit.core.script import Script, plan, submitted
from tests.unit.twin.stage import stage

COSTS = CostDraw(
    seed=0,
    seconds={("w", "a"): 10.0, ("w", "b"): 4.0},
    factors={("w", "a", "s"): 1.0, ("w", "b", "s"): 1.0},
    between={},
    drift_per_day=0.0,
    noise_cv=0.0,
)


def demand(name: str, **more: Any) -> Demand:
    """Ask for two nodes for a hundred seconds."""
    given: dict[str, Any] = {
        "project": "p",
        "nodes": 2,
        "takes_s": 100.0,
        "arrives_s": 0.0,
    } | more
    return Demand(simulation=name, **given)


def holds(
    *demands: Demand, nodes: int = 4, until_s: float = 1000.0, **budgets: float
) -> tuple[list[Hold], dict[str, float]]:
    """Play demands on four nodes."""
    return played(demands, nodes=nodes, begin_s=0.0, until_s=until_s, budgets=budgets)


def test_who_fits_runs_through() -> None:
    """Two side by side, the third after them."""
    found, ended_s = holds(demand("s"), demand("t"), demand("u"))

    assert [(h.simulation, h.start_s, h.stop_s) for h in found] == [
        ("s", 0.0, 100.0),
        ("t", 0.0, 100.0),
        ("u", 100.0, 200.0),
    ]
    assert ended_s == {"s": 100.0, "t": 100.0, "u": 200.0}


def test_the_smaller_may_go_before_the_larger() -> None:
    """Nodes are not left idle for one that does not fit."""
    found, _ = holds(demand("s", nodes=3), demand("t", nodes=3), demand("u", nodes=1))

    assert [h.simulation for h in found] == ["s", "u", "t"]


def test_priority_goes_first_and_late_ones_later() -> None:
    """Who is not there yet gets nothing."""
    found, _ = holds(
        demand("s", nodes=4),
        demand("t", nodes=4, priority=1),
        demand("u", nodes=4, priority=9, arrives_s=150.0),
    )

    assert [(h.simulation, h.start_s) for h in found] == [
        ("t", 0.0),
        ("s", 100.0),
        ("u", 200.0),
    ]


def test_a_budget_ends_what_it_pays_for() -> None:
    """Three quarters of one simulation; the next one of the project does not start."""
    found, ended_s = holds(demand("s"), demand("t"), demand("u", project="q"), p=150.0)

    assert [(h.simulation, h.stop_s - h.start_s) for h in found] == [
        ("s", 75.0),
        ("u", 100.0),
    ]
    assert ended_s == {"u": 100.0}


def test_what_ends_later_has_not_ended() -> None:
    """It holds its nodes all the same."""
    found, ended_s = holds(demand("s", takes_s=5000.0))

    assert [h.stop_s for h in found] == [5000.0]
    assert ended_s == {}


def test_phases_follow_and_sets_go_side_by_side() -> None:
    """Ten segments of ten seconds, beside some of four; then three more."""
    phased = plan(
        stage(segments=10), stage("b", segments=5), stage("c", segments=3, after=("a",))
    )
    costs = CostDraw(
        seed=0,
        seconds={**COSTS.seconds, ("w", "c"): 7.0},
        factors={**COSTS.factors, ("w", "c", "s"): 1.0},
        between={},
        drift_per_day=0.0,
        noise_cv=0.0,
    )

    assert duration_s(phased, costs, name="s") == pytest.approx(121.0)


def test_coupled_stages_keep_their_rhythm() -> None:
    """One that reads the other's same segment waits for it."""
    coupled = plan(
        stage(segments=10), stage("b", segments=10, reads={"a": Coupling.SAME})
    )

    # The next segment of a does not wait for b.
    assert duration_s(coupled, COSTS, name="s") == pytest.approx(100.0)


def test_what_is_committed_is_done() -> None:
    """Two of four segments are left."""
    script = Script()
    script.nodes("n")
    script.tell(submitted(stage(segments=4)))
    script.restored()
    for segment in (0, 1):
        script.finished(segment)
        script.committed(segment + 1)
        script.published(segment + 1)
    own = script.orchestrator.state.simulations["s"]

    assert duration_s(own.plan, COSTS, name="s", own=own) == pytest.approx(20.0)
    own.sets.clear()
    assert duration_s(own.plan, COSTS, name="s", own=own) == pytest.approx(40.0)
