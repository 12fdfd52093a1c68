"""Nodes of the twin that are slower for a while."""

from __future__ import annotations

from typing import Any

import pytest

from climorch.errors import InvalidInputError
from climorch.model import events as e
from climorch.twin.draws import Draws
from climorch.twin.loads import Load, LoadedNodes, Loads
from climorch.twin.site import TwinSite
from tests.unit.twin.stage import Play, stage

NODES = ("a", "b", "c")
EVEN = dict.fromkeys(NODES, 1.0)


def loaded(loads: Loads | None, *, seed: int = 1, begin_s: float = 0.0) -> LoadedNodes:
    """Make three nodes."""
    return LoadedNodes(loads, NODES, Draws(seed), begin_s)


@pytest.mark.parametrize(
    ("kind", "values", "place"),
    [
        (Load, {"start_s": 2.0, "stop_s": 1.0, "slow": 2.0}, "Load.stop_s"),
        (Load, {"start_s": -1.0, "stop_s": 1.0, "slow": 2.0}, "Load.start_s"),
        (Load, {"start_s": 0.0, "stop_s": 1.0, "slow": 0.5}, "Load.slow"),
        (Loads, {"every_s": -1.0}, "Loads.every_s"),
        (Loads, {"lasts_s": 0.0}, "Loads.lasts_s"),
        (Loads, {"slow": 0.9}, "Loads.slow"),
        (Loads, {"pace_cv": -1.0}, "Loads.pace_cv"),
    ],
)
def test_what_makes_no_sense_is_refused(
    kind: type[Any], values: dict[str, float], place: str
) -> None:
    """Each number has its range."""
    with pytest.raises(InvalidInputError) as refused:
        kind(**values)
    assert [fault.place for fault in refused.value.faults] == [place]


def test_a_load_is_of_nodes_of_the_site() -> None:
    """A name that no node has is refused."""
    load = Load(start_s=0.0, stop_s=1.0, slow=2.0, nodes=("x",))
    with pytest.raises(InvalidInputError, match="'x' is none of its 2 nodes"):
        TwinSite(nodes=2, loads=Loads(given=(load,)))


def test_given_loads_hold_for_their_time_and_multiply() -> None:
    """Counted from the beginning of the run."""
    one = Load(start_s=10.0, stop_s=20.0, slow=2.0, nodes=("a",))
    all_of_them = Load(start_s=15.0, stop_s=30.0, slow=3.0)
    nodes = loaded(Loads(given=(one, all_of_them)), begin_s=100.0)
    times = (109.0, 110.0, 115.0, 120.0, 130.0)
    assert [nodes.slow("a", t) for t in times] == [1.0, 2.0, 6.0, 3.0, 1.0]
    assert [nodes.slow("b", t) for t in times] == [1.0, 1.0, 3.0, 3.0, 1.0]
    assert nodes.slowest(("b", "a"), {"a": 1.0, "b": 0.5, "c": 1.0}, 110.0) == 0.5
    assert nodes.slowest((), EVEN, 110.0) == 1.0


def test_loads_by_chance_take_their_part_of_the_time() -> None:
    """Two hours of each ten, whatever order they are asked for in."""
    loads = Loads(every_s=8 * 3600.0, lasts_s=2 * 3600.0, slow=4.0)
    nodes, times = loaded(loads), [600.0 * k for k in range(20_000)]
    found = [nodes.slow("a", t) == 4.0 for t in times]
    assert sum(found) / len(found) == pytest.approx(0.2, abs=0.02)
    again = loaded(loads)
    assert [again.slow("a", t) == 4.0 for t in times] == found
    assert [loaded(loads, seed=2).slow("a", t) == 4.0 for t in times] != found


def test_what_is_measured_is_each_nodes_own_pace() -> None:
    """The slowest takes as long as the segment, but for noise."""
    load = Load(start_s=0.0, stop_s=9.0, slow=4.0, nodes=("b",))
    exact = loaded(Loads(given=(load,), pace_cv=0.0))
    place = ("s", "air", 3)
    assert exact.paces(place, NODES, EVEN, 100.0, 0.0) == {
        "a": 25.0,
        "b": 100.0,
        "c": 25.0,
    }
    noisy = loaded(Loads(pace_cv=0.1))
    found = [noisy.paces(("s", "air", k), "a", EVEN, 1.0, 0.0)["a"] for k in range(400)]
    mean = sum(found) / len(found)
    spread = (sum((x - mean) ** 2 for x in found) / len(found)) ** 0.5
    assert mean == pytest.approx(1.0, abs=0.02)
    assert spread == pytest.approx(0.1, abs=0.015)
    assert noisy.paces(place, "a", EVEN, 1.0, 0.0) == noisy.paces(
        place, "a", EVEN, 1.0, 0.0
    )
    assert loaded(None).paces(place, NODES, EVEN, 100.0, 0.0) == {}
    assert loaded(None).slow("a", 0.0) == 1.0


def test_segments_on_a_loaded_node_take_longer() -> None:
    """What begins while it is loaded; without loads nothing is measured."""
    load = Load(start_s=15.0, stop_s=35.0, slow=3.0, nodes=("node-0",))
    play = Play(nodes=1, loads=Loads(given=(load,), pace_cv=0.0))
    play.submit(stage(segments=4))
    play.run()
    found = play.facts(e.SegmentFinished)
    assert [f.seconds for _, f in found] == [10.0, 10.0, 30.0, 10.0]
    assert [f.paces for _, f in found][2] == {"node-0": 30.0}
    plain = Play(nodes=1)
    plain.submit(stage(segments=1))
    plain.run()
    assert [f.paces for _, f in plain.facts(e.SegmentFinished)] == [{}]
