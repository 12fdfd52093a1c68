"""What is set apart: bad nodes, and simulations that hang or kill nodes."""

from __future__ import annotations

import math

import pytest

from climorch.errors import InvalidInputError
from climorch.policy.quarantine import (
    Mishap,
    Quarantine,
    Suspect,
    at_least,
    bad_nodes,
    hangs_too_often,
    kills_nodes,
    suspicious,
)

DAY_S = 86_400.0
NOW_S = 30 * DAY_S


def mishaps(
    *told: tuple[str, str], at_s: float = NOW_S, hang: bool = False
) -> list[Mishap]:
    """Make mishaps of (node, simulation)."""
    return [Mishap(at_s=at_s, node=n, simulation=s, hang=hang) for n, s in told]


def judged(
    had: list[Mishap], *, nodes: int = 20, apart: tuple[str, ...] = (), spare: int = 10
) -> dict[str, str]:
    """Ask for bad nodes by the default rules."""
    return bad_nodes(
        had, Quarantine(), now_s=NOW_S, nodes=nodes, apart=apart, spare=spare
    )


def test_a_node_on_which_different_simulations_fail_is_bad() -> None:
    """Three mishaps of two simulations within a week."""
    found = judged(mishaps(("n", "a"), ("n", "b"), ("n", "a"), ("m", "a")))

    assert found == {"n": "3 mishaps of 2 simulations (a, b) in 7 days"}


@pytest.mark.parametrize(
    "had",
    [
        mishaps(("n", "a"), ("n", "b")),
        # One simulation alone is to blame itself.
        mishaps(*[("n", "a")] * 9),
        # It was long ago.
        mishaps(("n", "a"), ("n", "b"), ("n", "c"), at_s=NOW_S - 7 * DAY_S),
        # Nobody knows where.
        mishaps(("", "a"), ("", "b"), ("", "c")),
    ],
    ids=["few", "one simulation", "old", "nowhere"],
)
def test_other_nodes_are_trusted(had: list[Mishap]) -> None:
    """Few, old or one-sided mishaps do not condemn a node."""
    assert judged(had) == {}


BAD = [(n, s) for n in ("n1", "n2", "n3") for s in ("a", "b", "c")] + [("n3", "a")]


@pytest.mark.parametrize(
    ("nodes", "apart", "spare", "expected"),
    [
        # A tenth of the nodes, the worst first.
        (20, (), 10, ["n3", "n1"]),
        (30, (), 10, ["n3", "n1", "n2"]),
        (30, ("n3", "x"), 10, ["n1"]),
        # One always may, a tenth or not.
        (4, (), 3, ["n3"]),
        (4, ("n3",), 3, []),
        # Somebody needs all the others.
        (30, (), 1, ["n3"]),
        (30, (), 0, []),
        (30, (), -4, []),
    ],
)
def test_never_more_than_can_be_missed(
    nodes: int, apart: tuple[str, ...], spare: int, expected: list[str]
) -> None:
    """A fault that is everywhere does not empty the site."""
    found = judged(mishaps(*BAD), nodes=nodes, apart=apart, spare=spare)

    assert list(found) == expected


def test_no_node_goes_where_none_may() -> None:
    """A share of zero switches the rule off."""
    rules = Quarantine(most_nodes=0.0)

    assert (
        bad_nodes(mishaps(*BAD), rules, now_s=NOW_S, nodes=30, apart=(), spare=9) == {}
    )


@pytest.mark.parametrize(
    ("suspect", "why"),
    [
        # Three nodes in 2 node-hours, where others lost one in 100.
        (
            Suspect(
                nodes=("a", "b", "c"),
                node_s=7200.0,
                others_lost=1,
                others_node_s=360_000.0,
            ),
            "3 losses on 3 nodes without a checkpoint between, where others' losses "
            "make 0.04 likely",
        ),
        # The same node each time: that one is to blame.
        (
            Suspect(nodes=("a",) * 60, node_s=7200.0, others_lost=0, others_node_s=1e9),
            None,
        ),
        # Nodes go all the time, under others too.
        (
            Suspect(
                nodes=("a", "b", "c"),
                node_s=7200.0,
                others_lost=99,
                others_node_s=360_000.0,
            ),
            None,
        ),
        (
            Suspect(nodes=("a", "b"), node_s=1.0, others_lost=0, others_node_s=1e9),
            None,
        ),
        # It is alone: many losses are needed.
        (
            Suspect(
                nodes=("a", "b") * 24, node_s=7200.0, others_lost=0, others_node_s=0.0
            ),
            None,
        ),
        (
            Suspect(
                nodes=("a", "b") * 25, node_s=7200.0, others_lost=0, others_node_s=0.0
            ),
            "50 losses on 2 nodes without a checkpoint between",
        ),
    ],
    ids=["poison", "one node", "bad times", "few", "alone", "alone for long"],
)
def test_a_poison_task_is_told_apart(suspect: Suspect, why: str | None) -> None:
    """A simulation is to blame where different nodes go under it and not elsewhere."""
    assert kills_nodes(suspect, Quarantine()) == why


@pytest.mark.parametrize(
    ("count", "mean", "chance"),
    [
        (0, 5.0, 1.0),
        (1, 0.0, 0.0),
        (1, 1.0, 1 - math.exp(-1)),
        (3, 2.0, 1 - math.exp(-2) * (1 + 2 + 2)),
        (3, 1000.0, 1.0),
    ],
)
def test_the_tail_of_a_poisson_distribution(
    count: int, mean: float, chance: float
) -> None:
    """The chance of so many or more."""
    assert at_least(count, mean) == pytest.approx(chance, abs=1e-12)


def test_a_simulation_that_hangs_again_and_again() -> None:
    """Six hangs within a day, whatever progress lies between; others do not count."""
    hangs = mishaps(*[("n", "a")] * 5, hang=True)
    others = mishaps(("n", "b"), hang=True) + mishaps(("n", "a"))
    old = mishaps(("n", "a"), hang=True, at_s=NOW_S - DAY_S)

    def told(had: list[Mishap]) -> str | None:
        return hangs_too_often(had, Quarantine(), simulation="a", now_s=NOW_S)

    assert told(hangs + others + old) is None
    assert told(hangs + hangs[:1]) == "6 hangs within 24 h"


def test_rules_have_ranges() -> None:
    """All numbers outside theirs are told."""
    with pytest.raises(InvalidInputError) as caught:
        Quarantine(node_after=1, most_nodes=1.5, hangs=0, poison_chance=math.nan)

    assert [fault.place for fault in caught.value.faults] == [
        "Quarantine.node_after",
        "Quarantine.most_nodes",
        "Quarantine.hangs",
        "Quarantine.poison_chance",
    ]


@pytest.mark.parametrize(
    ("told", "may_be"),
    [
        ((), False),
        (BAD, True),
        (BAD[:2], False),
        ((("", "a"), ("", "b"), ("", "c")), False),
    ],
)
def test_most_of_the_time_no_node_needs_a_closer_look(
    told: tuple[tuple[str, str], ...], may_be: bool
) -> None:
    """Only one with as many mishaps as are needed; where is known."""
    assert suspicious(mishaps(*told), Quarantine()) is may_be
