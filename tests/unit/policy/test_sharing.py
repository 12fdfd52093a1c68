"""How many nodes each project should hold, and what its budget has left."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from climorch.errors import InvalidInputError
from climorch.model.scenario import Project
from climorch.policy.fairtree import Account, fair_tree, normalised_shares
from climorch.policy.sharing import (
    Sharing,
    lasts_s,
    remaining_node_s,
    share_tree,
    targets,
    used_up,
)

GAIN = Sharing().gain


def flat(**projects: tuple[float, float]) -> Account:
    """Make a tree of one level: share and usage by name."""
    return Account(
        name="",
        children=tuple(
            Account(name=name, share=share, usage=usage)
            for name, (share, usage) in projects.items()
        ),
    )


def test_settings_have_defaults() -> None:
    """A week, seven times, four hours, a day and three."""
    assert Sharing() == Sharing(
        half_life_s=604800.0,
        gain=7.0,
        min_run_s=14400.0,
        slice_s=86400.0,
        patience_s=259200.0,
    )


def test_every_fault_of_the_settings_is_told_at_once() -> None:
    """What cannot be worked with is refused together, with its place."""
    with pytest.raises(InvalidInputError) as caught:
        Sharing(half_life_s=0.0, gain=-1.0, min_run_s=-2.0, slice_s=math.inf)

    assert [str(fault) for fault in caught.value.faults] == [
        "Sharing.half_life_s: got 0.0, expected finite and > 0; give seconds",
        "Sharing.gain: got -1.0, expected finite and >= 0; give a plain number",
        "Sharing.min_run_s: got -2.0, expected finite and >= 0; give seconds",
        "Sharing.slice_s: got inf, expected finite and > 0; give seconds",
    ]
    assert Sharing(gain=0.0, min_run_s=0.0).gain == 0.0


@pytest.mark.parametrize(
    ("projects", "usage", "shares"),
    [
        # The default project is always there.
        ([], {}, {"default": 1.0}),
        ([Project("default", share=3.0)], {}, {"default": 1.0}),
        # Without an institution a project is one.
        (
            [Project("a", share=2.0), Project("b")],
            {},
            {"a": 0.5, "b": 0.25, "default": 0.25},
        ),
        # An institution has what its projects have together, 2 + 1 beside 1.
        (
            [Project("a", institution="P", share=2.0), Project("b", institution="P")],
            {},
            {"a": 0.5, "b": 0.25, "default": 0.25},
        ),
        # Or what the project of its name has, 7 beside 1.
        (
            [
                Project("P", share=7.0),
                Project("a", institution="P", share=2.0),
                Project("b", institution="P"),
            ],
            {},
            {"P": 7 / 32, "a": 14 / 32, "b": 7 / 32, "default": 1 / 8},
        ),
        # The same where that one says that it is its own institution.
        (
            [Project("P", institution="P", share=3.0), Project("a", institution="P")],
            {},
            {"P": 3 / 8, "a": 3 / 8, "default": 1 / 4},
        ),
        # Who has used something counts, declared or not.
        ([Project("a")], {"z": 5.0}, {"a": 1 / 3, "default": 1 / 3, "z": 1 / 3}),
    ],
)
def test_the_tree_follows_from_what_is_declared(
    projects: list[Project], usage: dict[str, float], shares: dict[str, float]
) -> None:
    """Shares are those of institutions, divided among their projects."""
    tree = share_tree(projects, usage)

    assert normalised_shares(tree) == pytest.approx(shares)
    assert tree.total_usage == sum(usage.values())


def test_the_tree_carries_usage_to_the_projects() -> None:
    """Fair Tree over declared projects: an institution suffers for its projects."""
    tree = share_tree(
        [
            Project("a", institution="P"),
            Project("b", institution="P"),
            Project("c", institution="Q", share=2.0),
        ],
        {"a": 6.0, "c": 4.0},
    )

    assert list(fair_tree(tree)) == ["default", "c", "b", "a"]


def test_one_project_gets_everything() -> None:
    """Where nobody else is, shares do not matter."""
    tree = share_tree([], {"default": 123.0})

    assert targets(tree, {"default": 500.0}, capacity=300.0, gain=GAIN) == {
        "default": 300.0
    }


@pytest.mark.parametrize(
    ("tree", "demand", "nodes"),
    [
        # As agreed, as nobody has used anything yet.
        (flat(a=(3, 0), b=(1, 0)), {"a": 500, "b": 500}, {"a": 75, "b": 25}),
        # As agreed, as all have used what was agreed.
        (flat(a=(3, 30), b=(1, 10)), {"a": 500, "b": 500}, {"a": 75, "b": 25}),
        # Two points below: fourteen points more.
        (flat(a=(1, 48), b=(1, 52)), {"a": 500, "b": 500}, {"a": 64, "b": 36}),
        # Everything to who was away; nothing is less than nothing.
        (flat(a=(1, 0), b=(1, 9)), {"a": 500, "b": 500}, {"a": 100, "b": 0}),
        # Nobody gets more than it wants.
        (flat(a=(1, 0), b=(1, 9)), {"a": 30, "b": 500}, {"a": 30, "b": 70}),
        (flat(a=(1, 0), b=(1, 9)), {"a": 30, "b": 20}, {"a": 30, "b": 20}),
        (flat(a=(1, 1), b=(1, 1)), {"a": math.inf, "b": 20}, {"a": 80, "b": 20}),
        # An idle share goes to the others by their shares, whatever it used.
        (
            flat(a=(5, 90), b=(3, 6), c=(1, 2)),
            {"b": 500, "c": 500},
            {"a": 0, "b": 75, "c": 25},
        ),
        # So does the rest of one that wants little.
        (
            flat(a=(4, 0), b=(3, 6), c=(1, 2)),
            {"a": 20, "b": 500, "c": 500},
            {"a": 20, "b": 60, "c": 20},
        ),
        # What c cannot give up any more is not taken from b, who is at its share.
        (
            flat(a=(2, 0), b=(3, 30), c=(5, 70)),
            {"a": 500, "b": 500, "c": 500},
            {"a": 70, "b": 30, "c": 0},
        ),
        # Nobody is there.
        (flat(), {}, {}),
    ],
)
def test_nodes_follow_shares_use_and_demand(
    tree: Account, demand: dict[str, float], nodes: dict[str, float]
) -> None:
    """Of 100 nodes each gets its share and seven times what it is behind."""
    found = targets(tree, demand, capacity=100.0, gain=7.0)

    assert found == pytest.approx(nodes, abs=1e-9)


def test_without_gain_the_past_does_not_matter() -> None:
    """Gain 0 divides the nodes by shares alone."""
    tree = flat(a=(3, 0), b=(1, 99))

    assert targets(tree, {"a": 9, "b": 9}, capacity=8.0, gain=0.0) == {"a": 6, "b": 2}


def test_an_institution_divides_what_it_gets() -> None:
    """An idle project leaves its nodes to its institution first."""
    tree = share_tree(
        [
            Project("a", institution="P"),
            Project("b", institution="P"),
            Project("c", institution="Q", share=2.0),
        ],
        {"a": 25.0, "b": 25.0, "c": 50.0},
    )
    wants = {"a": 300.0, "c": 300.0}

    assert targets(tree, wants, capacity=100.0, gain=GAIN) == {
        "a": 50.0,
        "b": 0.0,
        "c": 50.0,
        "default": 0.0,
    }


def test_what_cannot_be_shared_is_told_at_once() -> None:
    """Unknown projects and negative numbers are refused together."""
    with pytest.raises(InvalidInputError) as caught:
        targets(
            flat(a=(1, 0)),
            {"a": -1.0, "z": 1.0},
            capacity=math.nan,
            gain=-0.5,
        )

    assert [(fault.place, fault.problem) for fault in caught.value.faults] == [
        ("demand of 'z'", "it has no account"),
        ("demand of 'a'", "got -1.0, expected >= 0"),
        ("capacity", "got nan, expected >= 0"),
        ("gain", "got -0.5, expected >= 0"),
    ]


numbers = st.integers(0, 50).map(float)


@given(
    projects=st.lists(
        st.tuples(
            st.sampled_from(("", "P", "Q")),
            st.floats(0.1, 10.0),
            numbers,
            numbers | st.just(math.inf),
        ),
        min_size=1,
        max_size=7,
    ),
    capacity=st.floats(0.0, 100.0),
    gain=st.floats(0.0, 20.0),
)
def test_all_nodes_are_given_and_nobody_gets_more_than_it_wants(
    projects: list[tuple[str, float, float, float]], capacity: float, gain: float
) -> None:
    """Targets sum to capacity or demand; among equals in want, shares are kept."""
    declared = [
        Project(f"p{i}", institution=institution, share=share)
        for i, (institution, share, _, _) in enumerate(projects)
    ]
    usage = {f"p{i}": used for i, (_, _, used, _) in enumerate(projects)}
    demand = {f"p{i}": wanted for i, (_, _, _, wanted) in enumerate(projects)}
    tree = share_tree(declared, usage)
    found = targets(tree, demand, capacity=capacity, gain=gain)

    assert sum(found.values()) == pytest.approx(min(capacity, sum(demand.values())))
    assert all(0 <= n <= demand.get(name, 0.0) for name, n in found.items())


@given(
    shares=st.lists(st.floats(0.1, 10.0), min_size=2, max_size=6),
    data=st.data(),
    gain=st.floats(0.0, 20.0),
)
def test_nobody_at_or_below_its_share_gets_less_than_its_share(
    shares: list[float], data: st.DataObject, gain: float
) -> None:
    """Where all want more, others catch up at the cost of those above their share."""
    usages = data.draw(
        st.lists(numbers, min_size=len(shares), max_size=len(shares)).filter(any)
    )
    tree = flat(
        **{f"p{i}": pair for i, pair in enumerate(zip(shares, usages, strict=True))}
    )
    found = targets(
        tree,
        dict.fromkeys((f"p{i}" for i in range(len(shares))), 1e9),
        capacity=1.0,
        gain=gain,
    )
    for i, (share, used) in enumerate(zip(shares, usages, strict=True)):
        part, use = share / sum(shares), used / sum(usages)
        if use <= part:
            assert found[f"p{i}"] >= part - 1e-9
        else:
            assert found[f"p{i}"] <= part + 1e-9


@pytest.mark.parametrize(
    ("budget", "used_node_s", "nodes", "left_node_s", "lasts", "over"),
    [
        (None, 1e12, 5.0, math.inf, math.inf, False),
        (10.0, 0.0, 2.0, 36000.0, 18000.0, False),
        (10.0, 35990.0, 2.0, 10.0, 5.0, False),
        (10.0, 35990.0, 0.0, 10.0, math.inf, False),
        (10.0, 36000.0, 2.0, 0.0, 0.0, True),
        (10.0, 36100.0, 0.0, -100.0, 0.0, True),
    ],
)
def test_a_budget_is_used_up_when_nothing_is_left(
    budget: float | None,
    used_node_s: float,
    nodes: float,
    left_node_s: float,
    lasts: float,
    over: bool,
) -> None:
    """A budget is in node-hours, does not fade, and may be overdrawn."""
    project = Project("p", budget_node_hours=budget)

    assert remaining_node_s(project, used_node_s) == left_node_s
    assert lasts_s(project, used_node_s, nodes=nodes) == lasts
    assert used_up(project, used_node_s) is over
