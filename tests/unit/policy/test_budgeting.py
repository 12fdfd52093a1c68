"""What goes where all checkpoints take too much space."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from climorch.errors import InvalidInputError
from climorch.policy.budgeting import ByteBudget, Leaving, freed_bytes, to_fit
from climorch.policy.retention import Kept, indispensable


def chain(*own_bytes: int, copies: str = "", pinned: str = "") -> list[Kept]:
    """Checkpoints 1, 2, … of so many own bytes; a letter per copy, P is pinned."""
    return [
        Kept(
            boundary=i + 1,
            copy=ord(copies[i]) if copies else 0,
            pinned=i < len(pinned) and pinned[i] == "P",
            own_bytes=size,
            committed_s=float(i),
        )
        for i, size in enumerate(own_bytes)
    ]


def chosen(excess_bytes: int, **sets: list[Kept]) -> list[str]:
    """Say what goes, as ``simulation boundary``."""
    found = to_fit(excess_bytes, [(name, "a", kept) for name, kept in sets.items()])
    return [f"{leaving.simulation} {leaving.boundary}" for leaving in found]


@pytest.mark.parametrize(
    ("size", "expected"), [(1, 1), ("2 KiB", 2048), ("1.5 GB", 1_500_000_000)]
)
def test_a_budget_is_bytes_or_words(size: int | str, expected: int) -> None:
    """As memory is given for a stage."""
    assert ByteBudget(size=size).bytes == expected


@pytest.mark.parametrize("size", [0, -1, "0 TiB", "20 T", "much"])
def test_a_budget_that_cannot_be_kept_is_refused(size: int | str) -> None:
    """Nothing, less than that, or no size at all."""
    with pytest.raises(InvalidInputError, match=r"ByteBudget\.size: got"):
        ByteBudget(size=size)


@pytest.mark.parametrize(
    ("kept", "freed"),
    [
        # The first is full; the next wrote 30 anew, so 30 of the first go.
        (chain(100, 30, 20), [30, 20, 20]),
        # The second copy shares nothing with the first.
        (chain(100, 30, 90, 10, copies="aabb"), [30, 30, 10, 10]),
        (chain(100), [100]),
        # More than it brought is never freed.
        (chain(10, 50), [10, 50]),
    ],
)
def test_what_the_end_of_a_checkpoint_frees(kept: list[Kept], freed: list[int]) -> None:
    """About what the next one of its copy wrote anew; all of it if there is none."""
    assert [freed_bytes(kept, k.boundary) for k in kept] == freed


def test_nothing_goes_while_all_fits() -> None:
    """A budget that is just kept asks for nothing."""
    assert chosen(0, s=chain(9, 9, 9, 9)) == []
    assert chosen(-5, s=chain(9, 9, 9, 9)) == []


def test_the_longest_history_is_thinned_first() -> None:
    """Whatever lies farthest behind its set's newest goes before a shorter one's."""
    long, short = chain(9, 9, 9, 9, 9), chain(9, 9, 9)

    assert chosen(1, long=long, short=short) == ["long 1"]
    assert chosen(18, long=long, short=short) == ["long 1", "long 2"]
    # Then each has three left.
    assert chosen(36, long=long, short=short)[2:] == ["short 1", "long 3"]


def test_the_oldest_goes_first_among_equals() -> None:
    """By the time of the commit, then by name."""
    young = [
        Kept(boundary=k.boundary, own_bytes=9, committed_s=50.0 + k.committed_s)
        for k in chain(9, 9, 9)
    ]

    assert chosen(10, young=young, b=chain(9, 9, 9), a=chain(9, 9, 9)) == ["a 1", "b 1"]


def test_what_an_archive_has_goes_before_all_else() -> None:
    """Its loss costs the least."""
    kept = chain(9, 9, 9, 9)
    kept[1] = Kept(boundary=2, own_bytes=9, committed_s=1.0, archived=True)

    assert chosen(1, s=kept) == ["s 2"]


def test_pins_and_two_independent_ones_stay_even_if_it_is_not_enough() -> None:
    """A budget never costs what a set falls back to."""
    kept = chain(9, 9, 9, 9, 9, copies="aabbb", pinned="P")

    assert chosen(10**9, s=kept) == ["s 3"]
    assert chosen(10**9, s=chain(9, 9)) == []


def test_it_is_told_about_how_much_is_freed() -> None:
    """For whoever counts before the deletion is done."""
    assert to_fit(1, [("s", "a", chain(100, 30, 20, 20))]) == (
        Leaving(simulation="s", set="a", boundary=1, bytes=30),
    )


@given(
    excess_bytes=st.integers(-10, 400),
    sets=st.lists(
        st.lists(
            st.tuples(
                st.integers(0, 50), st.integers(0, 2), st.booleans(), st.booleans()
            ),
            max_size=6,
        ),
        max_size=4,
    ),
)
def test_what_goes_is_enough_or_all_that_may_go(
    excess_bytes: int, sets: list[list[tuple[int, int, bool, bool]]]
) -> None:
    """Never what is indispensable, and nothing beyond what is needed."""
    known = [
        (
            f"s{i}",
            "a",
            [
                Kept(boundary=j, own_bytes=size, copy=copy, good=good, pinned=pinned)
                for j, (size, copy, good, pinned) in enumerate(own)
            ],
        )
        for i, own in enumerate(sets)
    ]
    going = to_fit(excess_bytes, known)
    may_go = {
        (name, k.boundary)
        for name, _, kept in known
        for k in kept
        if k.boundary not in indispensable(kept)
    }
    freed = [leaving.bytes for leaving in going]

    assert {(leaving.simulation, leaving.boundary) for leaving in going} <= may_go
    assert len(set(going)) == len(going)
    assert sum(freed) >= excess_bytes or len(going) == len(may_go)
    assert not going or sum(freed[:-1]) < excess_bytes
