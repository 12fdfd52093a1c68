from __future__ import annotations

import pytest

from climorch.storage.lengths import Lengths


def test_lengths_are_run_length_encoded() -> None:
    """Segments of one length in a row take one run, whatever their number."""
    lengths = Lengths(runs=[])
    for length in (0, 12, 12, 12, 7):
        lengths = lengths.with_next(length)
    assert lengths.runs == [[0, 1], [12, 3], [7, 1]]
    assert lengths.segments == 5
    assert lengths.total == 43


def test_adding_a_segment_leaves_the_old_lengths_as_they_were() -> None:
    """Lengths are values: one more segment makes new ones."""
    before = Lengths(runs=[[12, 1]])
    after = before.with_next(12)
    assert before.runs == [[12, 1]]
    assert after.runs == [[12, 2]]


@pytest.mark.parametrize(
    ("segment", "length", "offset"),
    [(0, 0, 0), (1, 12, 0), (2, 12, 12), (3, 12, 24), (4, 7, 36), (5, 0, 43)],
)
def test_each_segment_has_its_length_and_its_place(
    segment: int, length: int, offset: int
) -> None:
    """A segment begins where those before it end; one to come is empty so far."""
    lengths = Lengths(runs=[[0, 1], [12, 3], [7, 1]])
    assert lengths.of(segment) == length
    assert lengths.offset(segment) == offset


def test_no_segment_has_no_length() -> None:
    """Before the first segment there are no times."""
    lengths = Lengths(runs=[])
    assert (lengths.segments, lengths.total, lengths.of(0), lengths.offset(0)) == (
        0,
        0,
        0,
        0,
    )
