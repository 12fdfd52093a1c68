"""Texts with places for what a segment is."""

from __future__ import annotations

import cftime
import pytest

from climorch.errors import InvalidInputError
from climorch.model.advance import Segment
from climorch.model.templates import names_in, render, segment_values

SEGMENT = Segment(
    start=cftime.DatetimeNoLeap(1850, 1, 1),
    end=cftime.DatetimeNoLeap(1850, 2, 1),
    index=3,
    params={"co2": 284.3, "name": "x y; rm -rf $HOME ${index}"},
    seed=7,
)
VALUES = segment_values(SEGMENT)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain {braces} $HOME $(ls) `id`", "plain {braces} $HOME $(ls) `id`"),
        ("${index}-${seed}", "3-7"),
        ("${index:04d}", "0003"),
        ("${start}", "1850-01-01T00:00:00"),
        ("${end:%Y%m%d}", "18500201"),
        ("${params.co2:.2f}", "284.30"),
        ("$${index}", "${index}"),
        # What a value contains is not looked at again.
        ("a ${params.name}", "a x y; rm -rf $HOME ${index}"),
        ("${part} of ${parts}", "0 of 1"),
    ],
)
def test_places_are_filled_and_nothing_else_is(text: str, expected: str) -> None:
    """Neither braces nor dollars nor what a shell would read."""
    assert render(text, VALUES) == expected


def test_all_places_that_cannot_be_filled_are_reported() -> None:
    """Names that are not known and formats that do not fit, in one error."""
    with pytest.raises(InvalidInputError) as caught:
        render("${wrong} ${index:%Y} ${params.none}", VALUES, place="argv[1]")
    found = [(fault.place, fault.problem[:12]) for fault in caught.value.faults]
    assert found == [
        ("argv[1], ${wrong}", "is not known"),
        ("argv[1], ${index}", "format '%Y':"),
        ("argv[1], ${params.none}", "is not known"),
    ]


def test_a_place_is_a_name_and_never_an_expression() -> None:
    """No attribute of a value and no item of one can be reached."""
    for text in ("${start.year}", "${params}", "${seed.__class__}", "${}"):
        with pytest.raises(InvalidInputError, match="cannot be filled"):
            render(text, VALUES)


def test_names_are_listed_without_what_is_escaped() -> None:
    """In order, with repetitions."""
    assert list(names_in("${a} $${b} ${c:%Y} ${a}")) == ["a", "c", "a"]
