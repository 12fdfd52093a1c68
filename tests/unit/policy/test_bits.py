"""Low bits are taken first, however far apart they lie."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from climorch.policy.bits import lowest


@pytest.mark.parametrize(
    ("nodes", "count", "expected"),
    [
        (0, 3, 0),
        (0b1011, 0, 0),
        (0b1011 << 70, 2, 0b11 << 70),
        (1 | 1 << 59 | 1 << 60, 2, 1 | 1 << 59),
        (1 | 1 << 60 | 1 << 500, 2, 1 | 1 << 60),
        (((1 << 20) - 1) << 300, 9, ((1 << 9) - 1) << 300),
    ],
)
def test_bits_beyond_a_word(nodes: int, count: int, expected: int) -> None:
    """Nothing depends on where the first bit lies."""
    assert lowest(nodes, count) == expected


@given(places=st.sets(st.integers(0, 3000), max_size=60), count=st.integers(0, 40))
def test_it_is_a_walk_from_the_first_bit(places: set[int], count: int) -> None:
    """As many as were asked for, or all."""
    expected = sum(1 << at for at in sorted(places)[:count])
    assert lowest(sum(1 << at for at in places), count) == expected
