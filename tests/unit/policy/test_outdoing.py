"""A node that fails at what others then do; a simulation that is to blame itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from climorch.policy.outdoing import (
    MOST_KEPT,
    Doubt,
    Outdone,
    before,
    discredited,
    exonerated,
    in_question,
    left_in_doubt,
    outdone,
    outdone_nodes,
)
from climorch.policy.quarantine import Quarantine

DAY_S = 86_400.0
NOW_S = 30 * DAY_S
RULES = Quarantine()
Seen = tuple[Outdone, ...]


def seen(*simulations: str, at_s: float = NOW_S) -> Seen:
    """Make failures, a second apart, the newest at a time."""
    count = len(simulations)
    return tuple(
        Outdone(at_s=at_s - count + 1 + i, simulation=name)
        for i, name in enumerate(simulations)
    )


def judged(
    found: dict[str, Seen],
    *,
    nodes: int = 20,
    apart: tuple[str, ...] = (),
    spare: int = 10,
    rules: Quarantine = RULES,
) -> dict[str, str]:
    """Ask for nodes to be set apart."""
    return outdone_nodes(
        found, rules, now_s=NOW_S, nodes=nodes, apart=apart, spare=spare
    )


@pytest.mark.parametrize(
    ("failed", "computed", "node"),
    [
        (("n",), ("m",), "n"),
        # It can: what failed was luck.
        (("n",), ("n",), ""),
        (("n",), ("n", "m"), ""),
        # One of two, and the other one has just computed it.
        (("n", "m"), ("m", "k"), "n"),
        # Nobody knows which.
        (("n", "m"), ("k", "l"), ""),
        ((), ("m",), ""),
    ],
)
def test_who_is_left_when_another_computes_it(
    failed: tuple[str, ...], computed: tuple[str, ...], node: str
) -> None:
    """The one node that was there when it failed and not when it was computed."""
    assert left_in_doubt(Doubt(at_s=0.0, nodes=failed), computed) == node


@pytest.mark.parametrize(
    ("found", "nodes"),
    [
        ({}, []),
        ({"n": seen("a", "a")}, []),
        ({"n": seen("a", "a", "a")}, ["n"]),
        ({"n": seen("a", "b", "a")}, ["n"]),
        ({"n": seen("a", "a", "a"), "m": seen("a", "a")}, ["n"]),
        # The worst first, two of twenty at most.
        (
            {
                "k": seen("a", "a", "a"),
                "l": seen("a", "a", "a", "a"),
                "m": seen("b", "b", "b"),
            },
            ["l", "k"],
        ),
        # Too long ago.
        ({"n": seen("a", "a", "a", at_s=NOW_S - 7 * DAY_S)}, []),
    ],
)
def test_a_node_that_is_outdone_three_times_in_a_row_is_set_apart(
    found: dict[str, Seen], nodes: list[str]
) -> None:
    """Though a single simulation says so."""
    assert list(judged(found)) == nodes


def test_the_reason_says_what_happened() -> None:
    """In words, with whose segments it was."""
    assert judged({"n": seen("b", "a", "b")}) == {
        "n": "3 times in a row a segment of a, b failed there and was then computed "
        "elsewhere, in 7 days"
    }


@pytest.mark.parametrize(
    ("nodes", "apart", "spare", "free"),
    [(20, (), 10, True), (20, (), 0, False), (20, ("x", "y"), 9, False)],
)
def test_never_more_than_can_be_missed(
    nodes: int, apart: tuple[str, ...], spare: int, free: bool
) -> None:
    """As for nodes on which different simulations fail."""
    found = {"n": seen("a", "a", "a")}
    assert bool(judged(found, nodes=nodes, apart=apart, spare=spare)) is free
    assert judged(found, apart=("n",)) == {}
    assert judged(found, rules=Quarantine(most_nodes=0.0)) == {}


def test_what_is_said_again_counts_once() -> None:
    """Stages that computed side by side fail together with their node."""
    one = Outdone(at_s=5.0, simulation="a")
    found = outdone(outdone({}, "n", one), "n", one)
    assert found == {"n": (one,)}


def test_only_the_newest_are_kept() -> None:
    """A node that nobody sets apart fills no memory."""
    found: dict[str, Seen] = {}
    for i in range(MOST_KEPT + 5):
        found = outdone(found, "n", Outdone(at_s=float(i), simulation="a"))
    assert len(found["n"]) == MOST_KEPT
    assert found["n"][0].at_s == 5.0


def test_what_is_computed_on_a_node_speaks_for_it() -> None:
    """Of whatever simulation."""
    found = {"n": seen("a", "a", "a"), "m": seen("a")}
    assert exonerated(found, ("n", "k")) == {"m": seen("a")}


def test_who_fails_elsewhere_too_is_no_witness() -> None:
    """What others have said stays, and what it says of the very node."""
    found = {"n": seen("a", "b", "a"), "m": seen("a"), "k": seen("a", "a")}
    left = discredited(found, "a", ("k",))
    assert left == {"n": (seen("a", "b", "a")[1],), "k": seen("a", "a")}


def test_an_outage_says_nothing_of_a_node() -> None:
    """What failed in it is forgotten."""
    found = {"n": seen("a", "a", at_s=10.0), "m": seen("a", at_s=10.0)}
    assert before(found, 10.0) == {"n": (Outdone(at_s=9.0, simulation="a"),)}


@pytest.mark.parametrize(("count", "may_be"), [(0, False), (2, False), (3, True)])
def test_most_of_the_time_no_node_needs_a_closer_look(count: int, may_be: bool) -> None:
    """So the question costs nothing."""
    assert in_question({"n": seen(*["a"] * count)}, RULES) is may_be


class Campaign:
    """One simulation tried on nodes, one after the other, until a segment is done."""

    def __init__(self) -> None:
        self.found: dict[str, Seen] = {}
        self.now_s = NOW_S

    def segment(self, tries: list[tuple[str, bool]]) -> None:
        """Try a segment on nodes; each time it is done or it fails."""
        doubt: Doubt | None = None
        for node, done in tries:
            self.now_s += 1.0
            if done:
                self.found = exonerated(self.found, (node,))
                if doubt is not None and (left := left_in_doubt(doubt, (node,))):
                    told = Outdone(at_s=doubt.at_s, simulation="a")
                    self.found = outdone(self.found, left, told)
                return
            self.found = discredited(self.found, "a", (node,))
            doubt = Doubt(at_s=self.now_s, nodes=(node,))

    def apart(self) -> list[str]:
        """Return the nodes that would be set apart."""
        return list(
            outdone_nodes(
                self.found, RULES, now_s=self.now_s, nodes=9, apart=(), spare=8
            )
        )


NODES = st.sampled_from(["n0", "n1", "n2"])


@given(st.lists(st.lists(NODES, min_size=1, max_size=5), max_size=20))
def test_a_simulation_that_fails_everywhere_condemns_no_node(
    segments: list[list[str]],
) -> None:
    """Wherever it is tried, each segment fails wherever it goes."""
    campaign = Campaign()
    for nodes in segments:
        campaign.segment([(node, False) for node in nodes])
        assert campaign.apart() == []


@given(st.lists(st.lists(st.tuples(NODES, st.booleans()), min_size=1), max_size=30))
def test_a_node_that_has_just_computed_is_never_set_apart(
    segments: list[list[tuple[str, bool]]],
) -> None:
    """Whatever happened before."""
    campaign = Campaign()
    for tries in segments:
        campaign.segment(tries)
        done = next((node for node, done in tries if done), None)
        assert done not in campaign.apart()


@given(st.lists(st.sampled_from(["n1", "n2"]), min_size=3, max_size=20))
def test_a_node_that_always_fails_is_found_at_the_third_time(good: list[str]) -> None:
    """Whichever others compute what it failed at, and whatever they did between."""
    campaign = Campaign()
    for count, node in enumerate(good, start=1):
        campaign.segment([(node, True)])
        campaign.segment([("n0", False), (node, True)])
        assert campaign.apart() == (["n0"] if count >= 3 else [])


FAILS, DOES = ("n0", False), ("n1", True)


@pytest.mark.parametrize(
    ("turn", "times"),
    [
        ([[FAILS, FAILS, FAILS, DOES]], 2),
        ([[FAILS, DOES], [("n0", True)]], 9),
        ([[FAILS, DOES], [("n1", False), ("n2", True)]], 9),
        ([[FAILS, ("n1", False), ("n2", True)]], 9),
        ([[FAILS, ("n1", False), ("n0", True)]], 9),
    ],
    ids=["twice only", "it computes", "so do others", "two at once", "itself"],
)
def test_what_is_not_enough(turn: list[list[tuple[str, bool]]], times: int) -> None:
    """Failures at one segment count once; and what takes them back, however often."""
    campaign = Campaign()
    for segment in turn * times:
        campaign.segment(segment)
    assert "n0" not in campaign.apart()


def test_failures_by_chance_condemn_rarely() -> None:
    """One of twenty tries fails, wherever; it moves each third time, and when it fails.

    Three in a row without anything computed between are one visit of 8,000.
    """
    assert condemned(np.random.default_rng(7), rates=(0.05, 0.05, 0.05)) <= 3
    # So that the bound says something.
    assert condemned(np.random.default_rng(7), rates=(1.0, 0.05, 0.05)) > 100


def condemned(rng: np.random.Generator, rates: tuple[float, ...]) -> int:
    """Count how often in 20,000 segments a node would be set apart."""
    campaign, node, found = Campaign(), 0, 0
    apart: set[str] = set()
    for _ in range(20_000):
        tries = []
        if rng.random() < 1 / 3:
            node = int(rng.integers(3))
        while rng.random() < rates[node]:
            tries.append((f"n{node}", False))
            node = (node + 1) % 3
        campaign.segment([*tries, (f"n{node}", True)])
        found += len(set(campaign.apart()) - apart)
        apart = set(campaign.apart())
    return found
