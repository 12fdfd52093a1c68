"""Which checkpoints may be deleted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cftime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from climorch.errors import InvalidInputError
from climorch.policy.calendar import TIME_UNITS
from climorch.policy.retention import (
    KeepAny,
    KeepCalendar,
    KeepLast,
    Kept,
    RetentionPolicy,
    guarded,
)


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


def years(*years: int, bad: tuple[int, ...] = ()) -> list[Kept]:
    """Checkpoints 0, 1, … in the middle of some years."""
    return [
        Kept(
            boundary=i,
            copy=i,
            good=year not in bad,
            model_s=int(
                cftime.date2num(cftime.DatetimeNoLeap(year, 7, 1), TIME_UNITS, "noleap")
            ),
            calendar="noleap",
        )
        for i, year in enumerate(years)
    ]


@pytest.mark.parametrize(
    ("every", "kept", "unwanted"),
    [
        ("1YS", years(1850, 1850, 1851, 1852, 1852), {1, 4}),
        ("10YS", years(1858, 1859, 1860, 1869, 1870), {1, 3}),
        # A damaged one keeps no place free: the next one of its decade does.
        ("10YS", years(1850, 1851, 1852, bad=(1850,)), {0, 2}),
        ("10YS", [], set()),
    ],
)
def test_the_first_of_each_unit_of_model_time_is_kept(
    every: str, kept: list[Kept], unwanted: set[int]
) -> None:
    """Thinning by the calendar wants one good checkpoint for each unit."""
    assert KeepCalendar(every=every).unwanted(kept) == unwanted


@given(st.lists(st.integers(1850, 1890), min_size=1, max_size=12))
def test_thinning_as_it_goes_keeps_the_same_as_thinning_at_the_end(
    dates: list[int],
) -> None:
    """What is kept of a decade does not depend on when retention is asked."""
    policy = KeepCalendar(every="10YS")
    all_of_them = years(*sorted(dates))
    kept: list[Kept] = []
    for one in all_of_them:
        kept.append(one)
        unwanted = policy.unwanted(kept)
        kept = [k for k in kept if k.boundary not in unwanted]

    late = policy.unwanted(all_of_them)
    assert kept == [k for k in all_of_them if k.boundary not in late]


def test_a_frequency_that_is_none_is_refused() -> None:
    """Thinning needs a unit of model time."""
    with pytest.raises(InvalidInputError, match=r"KeepCalendar\.every: got 'weekly'"):
        KeepCalendar(every="weekly")


def test_policies_combine_by_keeping_what_any_keeps() -> None:
    """``|`` joins, in any grouping, and the newest stay beside the thinned."""
    last, decades, year = (
        KeepLast(count=2),
        KeepCalendar(every="10YS"),
        KeepCalendar(every="1YS"),
    )
    kept = years(1850, 1853, 1860, 1868, 1869)

    assert (last | decades).unwanted(kept) == {1}
    assert (decades | last).unwanted(kept) == {1}
    assert (last | decades | year).unwanted(kept) == frozenset()
    assert (last | (decades | year)).policies == ((last | decades) | year).policies
    one: RetentionPolicy = KeepAny(policies=(last,))
    assert one.unwanted(kept) == last.unwanted(kept)


def test_a_combination_of_nothing_is_refused() -> None:
    """It would delete all."""
    with pytest.raises(InvalidInputError, match=r"KeepAny\.policies: got \(\)"):
        KeepAny(policies=())


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
