"""Which nodes are slow, case by case."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from climorch.policy.learning import Learned
from climorch.policy.moving import Moving
from climorch.policy.straggling import (
    Place,
    Sample,
    Slow,
    forgiven_at_s,
    may_shun,
    measured,
    recovered,
    replaced,
    slow_by,
    to_clear,
)

RULES = Moving(slow_factor=2.0, strikes=3, slow_min_s=30.0)


def known(seconds: float, *, node: str = "a", alone: bool = True) -> Place:
    """Make a place whose segments took so long, all the same."""
    learned = Learned(count=5, centre=math.log(seconds), variance=0.0)
    return Place(learned=learned, node=node, alone=alone, last_s=seconds)


def own(*ratios: float, seconds: float = 100.0) -> tuple[Sample, ...]:
    """Make samples that are compared with their places only."""
    return tuple(
        Sample(own=r, peers=1.0, seconds=seconds, simulation="s") for r in ratios
    )


def ratios(
    paces: dict[str, float],
    places: dict[str, Place | None],
    lately: tuple[tuple[str, float], ...] = (),
) -> dict[str, tuple[float, float]]:
    """Compare nodes; return both ratios of each."""
    found, _ = measured("s", paces, places, lately)
    return {n: (round(x.own, 6), round(x.peers, 6)) for n, x in found.items()}


def test_a_node_is_compared_with_its_place_and_with_the_others() -> None:
    """That one has three times the work by its place is no reproach later."""
    places: dict[str, Place | None] = {
        "a": known(10.0),
        "b": known(30.0),
        "c": known(10.0),
    }
    found = ratios({"a": 10.0, "b": 60.0, "c": 10.0}, places)
    assert found["b"] == (2.0, 6.0)
    # Of two others one is slow: the median is between them.
    assert found["a"] == found["c"] == (0.666667, 0.285714)


def test_what_slows_all_down_is_an_excuse() -> None:
    """Storage that all wait for makes nobody slow."""
    places: dict[str, Place | None] = {n: known(10.0) for n in "abc"}
    found = ratios({"a": 30.0, "b": 30.0, "c": 33.0}, places)
    assert [x for x, _ in found.values()] == [0.952381, 0.952381, 1.1]


def test_that_others_got_faster_is_no_reproach() -> None:
    """A neighbour that was slow and recovers does not make its peer slow."""
    found = ratios({"a": 10.0, "b": 10.0}, {"a": known(30.0), "b": known(10.0)})
    assert found["b"] == (1.0, 1.0)


def test_a_single_node_is_excused_by_nodes_of_others() -> None:
    """With itself it is not compared."""
    lately = (("a", 9.0), ("b", 2.0), ("c", 2.2), ("d", 2.1))
    assert ratios({"a": 21.0}, {"a": known(10.0)}, lately) == {"a": (1.0, 1.0)}
    assert ratios({"a": 21.0}, {"a": known(10.0)}) == {"a": (2.1, 1.0)}


def test_a_place_that_is_not_known_tells_by_the_others_alone() -> None:
    """So a lease that begins on a slow node is found out too."""
    assert ratios({"a": 10.0, "b": 50.0}, {"a": None, "b": None}) == {
        "a": (1.0, 0.2),
        "b": (1.0, 5.0),
    }


def test_work_that_another_node_took_as_long_for_is_the_work() -> None:
    """Where a place was had by two nodes, its peers say nothing."""
    places: dict[str, Place | None] = {
        "a": known(10.0),
        "b": known(50.0, alone=False),
    }
    assert ratios({"a": 10.0, "b": 50.0}, places)["b"] == (1.0, 1.0)


@pytest.mark.parametrize(
    ("samples", "found"),
    [
        (own(), None),
        (own(3.0, 3.0), None),
        (own(3.0, 3.0, 3.0), Slow(ratio=3.0, segments=3, simulation="s")),
        (own(1.0, 2.0, 4.0, 3.0), Slow(ratio=3.0, segments=3, simulation="s")),
        # One that was fine begins the count anew.
        (own(3.0, 3.0, 1.9, 3.0, 3.0), None),
        (own(3.0, 3.0, 3.0, 1.0), None),
        # Seconds that do not matter.
        (own(3.0, 3.0, 3.0, seconds=10.0), None),
        (own(3.0, 3.0, 3.0, seconds=15.0), Slow(ratio=3, segments=3, simulation="s")),
    ],
)
def test_a_node_is_slow_after_some_segments_in_a_row(
    samples: tuple[Sample, ...], found: Slow | None
) -> None:
    """By a factor, and only if it costs something."""
    assert slow_by(samples, RULES) == found


@pytest.mark.parametrize(("peers", "slow"), [(3.9, False), (4.0, True)])
def test_against_its_peers_alone_a_node_has_the_benefit_of_the_doubt(
    peers: float, slow: bool
) -> None:
    """It may have more to do: only the square of the factor counts."""
    sample = Sample(own=1.0, peers=peers, seconds=100.0, simulation="s")
    assert (slow_by((sample,) * 3, RULES) is not None) is slow


def test_a_slow_node_recovers_by_segments_that_are_clearly_fine() -> None:
    """Between fine and slow it stays what it was."""
    assert recovered(own(1.4, 1.4, 1.4), RULES)
    assert not recovered(own(1.4, 1.4), RULES)
    assert not recovered(own(1.4, 1.6, 1.4), RULES)
    assert recovered(own(3.0, 1.0, 1.0, 1.0), RULES)


def test_a_slow_node_does_not_become_what_is_expected() -> None:
    """One segment moves a known place by no more than half as much again."""
    place: Place | None = None
    for _ in range(4):
        place = replaced(place, "a", 10.0)
    assert place is not None
    for _ in range(6):
        place = replaced(place, "a", 100.0)
    # A plain mean of ten logarithms, six of them cut off.
    assert math.exp(place.learned.centre) == pytest.approx(14.09, abs=0.01)
    assert place.last_s == 100.0


def test_a_node_is_cleared_by_one_that_takes_as_long() -> None:
    """In its second segment there, and never by itself."""
    slow = known(50.0)
    first = replaced(slow, "b", 99.0)
    assert (first.node, first.alone, first.before, first.before_s) == (
        "b",
        False,
        "a",
        50.0,
    )
    assert to_clear(None, "b", 50.0) == to_clear(slow, "a", 50.0) == ""
    assert to_clear(slow, "b", 50.0) == ""
    assert to_clear(first, "b", 39.0) == ""
    assert to_clear(first, "b", 40.0) == "a"
    assert to_clear(replaced(first, "b", 10.0), "b", 50.0) == ""


@pytest.mark.parametrize(
    ("shunned", "nodes", "may"),
    [(0, 1, True), (1, 1, False), (0, 4, True), (1, 9, False), (1, 10, True)],
)
def test_no_more_than_a_share_of_the_nodes_is_shunned(
    shunned: int, nodes: int, may: bool
) -> None:
    """One always may be."""
    assert may_shun(shunned, nodes, Moving(slow_share=0.2)) is may


def test_a_node_that_is_slow_again_is_tried_later() -> None:
    """Twice as late each time, up to a day, or what was asked for."""
    rules = Moving(forgive_s=6 * 3600.0)
    hours = [(forgiven_at_s(0.0, n, rules)) / 3600 for n in (0, 1, 2, 3, 99)]
    assert hours == [6.0, 12.0, 24.0, 24.0, 24.0]
    assert forgiven_at_s(5.0, 3, Moving(forgive_s=200_000.0)) == 200_005.0


@given(
    paces=st.dictionaries(
        st.sampled_from("abcdefgh"), st.floats(1.0, 1e4), min_size=2, max_size=8
    ),
    factor=st.floats(1.0, 50.0),
)
def test_whatever_slows_all_nodes_alike_changes_no_verdict(
    paces: dict[str, float], factor: float
) -> None:
    """Ratios to the others do not depend on how long all take."""
    places: dict[str, Place | None] = {n: known(s) for n, s in paces.items()}
    slowed = {n: s * factor for n, s in paces.items()}
    found, _ = measured("s", slowed, places, ())
    assert all(x.own == pytest.approx(1.0) for x in found.values())
