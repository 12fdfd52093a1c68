"""Which checkpoints may be deleted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from climorch.errors import InvalidInputError
from climorch.policy.retention import KeepLast, Kept, guarded


@dataclass(frozen=True)
class WantsNone:
    """A policy that would delete everything."""

    def unwanted(self, kept: Sequence[Kept]) -> frozenset[int]:
        """Return all."""
        return frozenset(k.boundary for k in kept)


def chain(text: str) -> list[Kept]:
    """Read checkpoints: a letter per copy; upper case is pinned, ! is damaged."""
    return [
        Kept(
            boundary=i + 1,
            copy=ord(word[0].lower()),
            good="!" not in word,
            pinned=word[0].isupper(),
        )
        for i, word in enumerate(text.split())
    ]


@pytest.mark.parametrize(
    ("count", "kept", "unwanted"),
    [
        (3, "a a a", set()),
        (3, "a a a b b", {1, 2}),
        (1, "a b", {1}),
        # Damaged ones do not count, and none is wanted.
        (2, "a a! a b!", {2, 4}),
        (3, "", set()),
    ],
)
def test_the_newest_good_ones_are_kept(
    count: int, kept: str, unwanted: set[int]
) -> None:
    """Keep-last wants as many good checkpoints as it says."""
    assert KeepLast(count=count).unwanted(chain(kept)) == unwanted


def test_keeping_none_is_refused() -> None:
    """A policy that keeps nothing cannot be made."""
    with pytest.raises(InvalidInputError, match=r"KeepLast\.count: got 0"):
        KeepLast(count=0)


@pytest.mark.parametrize(
    ("kept", "deleted"),
    [
        ("", ()),
        ("a", ()),
        ("a a", ()),
        ("a b", ()),
        # One copy only: the two newest stay, the older ones help nobody.
        ("a a a", (1,)),
        # The newest of another copy stays, however far back it is.
        ("a a b b b", (1, 3)),
        ("a b c c c", (1, 3)),
        ("a b c d", (1, 2)),
        # Damaged ones are evidence, and no copy to fall back to.
        ("a a b! b b", (1,)),
        ("a b! b! c c", ()),
        ("b! b b", ()),
        # Pinned ones stay.
        ("A a b b", ()),
        ("A a a b b", (2,)),
        # The first of a copy was deleted long ago: it is another one still.
        ("a c c c", (2,)),
    ],
)
def test_two_good_ones_that_share_no_file_stay(
    kept: str, deleted: tuple[int, ...]
) -> None:
    """Whatever a policy wants, two good and independent checkpoints are spared."""
    assert guarded(WantsNone(), chain(kept)) == deleted


def test_what_the_policy_wants_is_not_deleted() -> None:
    """The guard adds to what is kept and takes nothing from it."""
    assert guarded(KeepLast(count=3), chain("a b c d e")) == (1, 2)


@given(
    kept=st.lists(
        st.builds(
            Kept,
            boundary=st.just(0),
            copy=st.integers(0, 3),
            good=st.booleans(),
            pinned=st.booleans(),
        ),
        max_size=8,
    )
)
def test_deleting_never_leaves_less_than_two_independent_ones(kept: list[Kept]) -> None:
    """As many of two good copies as there were are there after a deletion."""
    numbered = [
        Kept(boundary=i, copy=k.copy, good=k.good, pinned=k.pinned)
        for i, k in enumerate(kept)
    ]
    deleted = guarded(WantsNone(), numbered)
    before = [k for k in numbered if k.good]
    after = [k for k in before if k.boundary not in deleted]

    assert len(after) >= min(len(before), 2)
    assert len({k.copy for k in after}) >= min(len({k.copy for k in before}), 2)
    assert not {k.boundary for k in numbered if k.pinned or not k.good} & set(deleted)
    # Once what may go is gone, nothing more may go.
    assert (
        guarded(WantsNone(), [k for k in numbered if k.boundary not in deleted]) == ()
    )
