"""How nodes should be split among coupled stages."""

from __future__ import annotations

import pytest

from climorch.forecast.insights.balance import balance, best_split
from climorch.forecast.timings import SimulationTimes, Times
from climorch.model.plan import Coupling, StagePlan
from tests.unit.core.script import plan
from tests.unit.forecast.insights.made import simulation, study
from tests.unit.twin.stage import stage


def coupled(air: int, sea: int) -> tuple[StagePlan, StagePlan]:
    """Make two stages side by side."""
    return (
        stage("air", nodes=air, reads={"sea": Coupling.PREVIOUS}),
        stage("sea", nodes=sea, reads={"air": Coupling.PREVIOUS}),
    )


@pytest.mark.parametrize(
    ("nodes", "takes_s", "split"),
    [
        ((4, 4), (10.0, 10.0), (4, 4)),
        ((4, 4), (30.0, 10.0), (6, 2)),
        ((1, 1), (30.0, 10.0), (1, 1)),
        ((2, 62), (1600.0, 3200 / 62), (32, 32)),
        ((50, 50), (90.0, 10.0), (90, 10)),
    ],
)
def test_nodes_go_where_they_help(
    nodes: tuple[int, int], takes_s: tuple[float, float], split: tuple[int, int]
) -> None:
    """Never below one, and never more than there are."""
    s = plan(*coupled(*nodes)).sets[0]

    found = best_split(s, dict(zip(("air", "sea"), takes_s, strict=True)))
    assert found == dict(zip(("air", "sea"), split, strict=True))


def test_three_stages_are_balanced_together() -> None:
    """The two that wait give to the one that is waited for."""
    stages = (
        stage("a", nodes=4, reads={"b": Coupling.PREVIOUS, "c": Coupling.PREVIOUS}),
        stage("b", nodes=4, reads={"a": Coupling.PREVIOUS}),
        stage("c", nodes=4, reads={"a": Coupling.PREVIOUS}),
    )
    s = plan(*stages).sets[0]

    assert best_split(s, {"a": 80.0, "b": 20.0, "c": 20.0}) == {"a": 8, "b": 2, "c": 2}


def ran(air: int, sea: int, segments: int = 9) -> SimulationTimes:
    """Make a simulation whose air takes 30 s and whose sea takes 10 s."""
    made = simulation(*coupled(air, sea))
    for name, seconds in (("air", 30.0), ("sea", 10.0)):
        found = made.stages[name]
        found.segments, found.seconds = segments, seconds * segments
    s = made.sets["air"]
    s.whole_node_s, s.busy_node_s = 240.0, 160.0
    return made


def test_what_is_known_of_too_few_segments_is_not_believed() -> None:
    """Three of each stage at least; one stage alone has nobody to wait for."""
    assert list(balance(study(Times(of={"s": ran(4, 4, segments=2)})))) == []
    assert list(balance(study(Times(of={"s": simulation()})))) == []
    (finding,) = balance(study(Times(of={"s": ran(4, 4)})))
    assert finding.about == "workflow 'w', set 'air'"
    assert finding.evidence == {
        "air_segment_s": 30.0,
        "sea_segment_s": 10.0,
        "coupling_cost": pytest.approx(1 / 3),
        "stretch_s": 30.0,
    }


def test_simulations_of_other_resources_are_judged_apart() -> None:
    """Only one of them is out of balance."""
    found = balance(study(Times(of={"s": ran(4, 4), "t": ran(6, 2)})))
    # The second as measured: 30 s on six nodes, which would do better on more.
    assert [x.settings for x in found] == [
        {"air.nodes": 6.0, "sea.nodes": 2.0},
        {"air.nodes": 7.0, "sea.nodes": 1.0},
    ]
