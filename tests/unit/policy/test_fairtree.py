"""Who goes first by share and past use, as Slurm documents it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from climorch.errors import InvalidInputError
from climorch.policy.fairtree import (
    Account,
    classic_factors,
    fair_tree,
    normalised_shares,
)


def joint(name: str, share: float, *children: Account) -> Account:
    """Make an account that others divide."""
    return Account(name=name, share=share, children=children)


def user(name: str, usage: float = 0.0, share: float = 1.0) -> Account:
    """Make an account of one."""
    return Account(name=name, share=share, usage=usage)


def root(*children: Account) -> Account:
    """Make the whole."""
    return Account(name="", children=children)


# The worked example in Slurm's documentation of the classic algorithm.
EXAMPLE = root(
    joint(
        "A",
        40,
        joint("B", 30, user("u1", 0.20)),
        joint("C", 10, user("u2", 0.25), user("u3")),
    ),
    joint("D", 60, joint("E", 25, user("u4", 0.25)), joint("F", 35, user("u5"))),
)


def test_the_example_of_slurm_has_the_classic_factors_of_its_documentation() -> None:
    """Classic factors agree with Slurm's page to all digits that it gives."""
    factors = classic_factors(EXAMPLE, whole=1.0)

    assert {name: round(factor, 6) for name, factor in factors.items()} == {
        "u1": 0.408479,
        "u2": 0.022097,
        "u3": 0.125000,
        "u4": 0.500000,
        "u5": 0.749154,
    }


def test_the_example_of_slurm_has_its_order_in_the_fair_tree() -> None:
    """D is less served than A, and F than E, whoever used what within A."""
    assert list(fair_tree(EXAMPLE).items()) == [
        ("u5", 1.0),
        ("u4", 0.8),
        ("u1", 0.6),
        ("u3", 0.4),
        ("u2", 0.2),
    ]


def test_shares_multiply_down_the_tree() -> None:
    """A leaf is entitled to its part of its parent's part."""
    assert normalised_shares(EXAMPLE) == {
        "u1": pytest.approx(0.30),
        "u2": pytest.approx(0.05),
        "u3": pytest.approx(0.05),
        "u4": pytest.approx(0.25),
        "u5": pytest.approx(0.35),
    }


def test_usage_is_measured_by_all_usage_where_nothing_else_is_said() -> None:
    """Twice the usage of everybody changes no factor; none at all gives 1."""
    used = root(user("a", 6.0), user("b", 2.0))
    twice = root(user("a", 12.0), user("b", 4.0))

    assert classic_factors(used) == classic_factors(twice)
    assert classic_factors(used) == {"a": 2**-1.5, "b": 2**-0.5}
    assert classic_factors(root(user("a"), user("b"))) == {"a": 1.0, "b": 1.0}


def test_a_parent_may_have_used_something_itself() -> None:
    """What an account used itself counts with what its children used."""
    parent = Account(name="p", usage=3.0, children=(user("a", 1.0), user("b")))

    assert parent.total_usage == 4.0
    assert list(fair_tree(root(user("c", 3.0), parent))) == ["c", "b", "a"]


@pytest.mark.parametrize(
    ("tree", "factors"),
    [
        # Nobody used anything: all have the same right to be next.
        (root(user("a"), user("b", share=9.0)), {"a": 1.0, "b": 1.0}),
        # Leaves with the same level tie; the next one keeps its own place.
        (
            root(user("a", 1.0), user("b", 1.0), user("c", 2.0)),
            {"a": 1.0, "b": 1.0, "c": 1 / 3},
        ),
        # Equal accounts are merged: their children compete as siblings would.
        (
            root(
                joint("X", 1, user("a", 3.0), user("b", 1.0)),
                joint("Y", 1, user("c", 2.0), user("d", 2.0)),
                user("e", 8.0),
            ),
            {"b": 1.0, "c": 0.8, "d": 0.8, "a": 0.4, "e": 0.2},
        ),
        # A leaf ties with the first one in an account of the same level.
        (
            root(joint("X", 1, user("a", 3.0), user("b", 1.0)), user("c", 4.0)),
            {"c": 1.0, "b": 1.0, "a": 1 / 3},
        ),
        # The same where that one lies deeper.
        (
            root(
                user("c", 4.0),
                joint("X", 1, joint("Z", 1, user("a", 1.0), user("b", 3.0))),
            ),
            {"c": 1.0, "a": 1.0, "b": 1 / 3},
        ),
        # Share over usage, not either alone.
        (
            root(user("a", 2.0, share=1.0), user("b", 3.0, share=2.0)),
            {"b": 1.0, "a": 0.5},
        ),
    ],
)
def test_ties_are_those_that_slurm_documents(
    tree: Account, factors: dict[str, float]
) -> None:
    """Leaves tie, accounts merge, a leaf ties with the first of an account."""
    assert list(fair_tree(tree).items()) == list(factors.items())


def accounts(depth: int) -> st.SearchStrategy[Account]:
    """Draw a tree; names are given afterwards."""
    numbers = {"share": st.floats(0.1, 10.0), "usage": st.integers(0, 5).map(float)}
    leaf = st.builds(Account, name=st.just("?"), **numbers)
    if depth == 0:
        return leaf
    below = st.lists(accounts(depth - 1), min_size=1, max_size=3)
    return leaf | st.tuples(numbers["share"], below).map(
        lambda drawn: joint("?", drawn[0], *renamed(drawn[1]))
    )


def renamed(children: list[Account], prefix: str = "n") -> list[Account]:
    """Give each its own name, down to the leaves."""
    return [
        Account(
            name=f"{prefix}{i}",
            share=child.share,
            usage=child.usage,
            children=tuple(renamed(list(child.children), f"{prefix}{i}.")),
        )
        for i, child in enumerate(children)
    ]


@given(st.lists(accounts(2), min_size=1, max_size=4))
def test_nobody_goes_before_those_of_an_account_that_is_less_served(
    drawn: list[Account],
) -> None:
    """If A is less served than its sibling B, all below A go before all below B."""
    tree = root(*renamed(drawn))
    factors = fair_tree(tree)
    for a in tree.children:
        for b in tree.children:
            # As a product, so that those without usage need no infinity.
            served_a = a.total_usage * b.share
            served_b = b.total_usage * a.share
            if served_a < served_b * (1 - 1e-9):
                worst = min(factors[leaf.name] for leaf in a.leaves)
                best = max(factors[leaf.name] for leaf in b.leaves)
                assert worst > best, (a, b)

    assert sorted(factors) == sorted(leaf.name for leaf in tree.leaves)
    assert max(factors.values()) == 1.0
    assert sum(normalised_shares(tree).values()) == pytest.approx(1.0)


def test_every_fault_of_an_account_is_told_at_once() -> None:
    """Shares of zero, usages that are no numbers and doubles are refused together."""
    with pytest.raises(InvalidInputError) as caught:
        Account(
            name="x", share=0.0, usage=float("nan"), children=(user("a"), user("a"))
        )

    assert [(fault.place, fault.problem) for fault in caught.value.faults] == [
        ("account 'x', share", "got 0.0, expected finite and > 0"),
        ("account 'x', usage", "got nan, expected finite and >= 0"),
        ("account 'x', children", "'a' is there 2 times"),
    ]
