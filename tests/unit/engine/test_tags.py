"""Labels of tasks, which anybody may have written."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from climorch.engine.tags import (
    IO,
    Tag,
    Watched,
    make_guest_tag,
    make_service_tag,
    make_tag,
    read_guest,
    read_service,
    read_tag,
)
from climorch.errors import InvalidInputError

WATCHED = Watched(stage="ocean", segment=3, attempt=2, limit_s=60.0)


@pytest.mark.parametrize("watched", [WATCHED, replace(WATCHED, reads=True)])
def test_a_label_that_was_made_is_read_as_it_was_meant(watched: Watched) -> None:
    """With all its hints."""
    made = make_tag(
        "m01", kind=IO, node="a", blocks={"x": ((2, 2), list("abcd"))}, watched=watched
    )

    assert read_tag(made) == Tag(
        lease="m01",
        kind="io",
        node="a",
        blocks={"x": ([2, 2], ["a", "b", "c", "d"])},
        watched=watched,
    )


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (make_service_tag("tcp://a:1"), "tcp://a:1"),
        ({"service": 3}, None),
        ({"service": "a", "lease": "m"}, None),
        ("service", None),
        (None, None),
    ],
)
def test_a_service_names_the_worker_that_it_is_for(
    annotation: object, expected: str | None
) -> None:
    """What says more than that is something else."""
    assert read_service(annotation) == expected


@pytest.mark.parametrize(
    ("key", "node"),
    [
        (("x", 0, 0), "a"),
        (("x", 1, 0), "c"),
        (("x", 1, 1), "d"),
        (("x", 2, 0), None),
        (("x", -1, 0), None),
        (("x", 0), None),
        (("x", 0, "0"), None),
        (("y", 0, 0), "z"),
        ("x", "z"),
        ((), "z"),
    ],
)
def test_a_block_prefers_its_node(key: Any, node: str | None) -> None:
    """One that is out of its array prefers none; other tasks the common node."""
    tag = read_tag(make_tag("s", node="z", blocks={"x": ((2, 2), list("abcd"))}))

    assert tag.place(key) == node


@pytest.mark.parametrize(
    ("label", "problem"),
    [
        (7, "is a int, expected a dict"),
        ([], "is a list, expected a dict"),
        ({}, "['lease']: is None, expected a simulation's name"),
        ({"lease": "", "kind": "cpu"}, "['lease']: is '', expected a simulation's"),
        ({"lease": 3, "kind": "cpu"}, "['lease']: is 3, expected a simulation's"),
        ({"lease": "s"}, "['kind']: is None, expected 'cpu' or 'io'"),
        ({"lease": "s", "kind": ["io"]}, "['kind']: is ['io'], expected 'cpu' or"),
    ],
)
def test_a_label_without_lease_or_kind_is_refused(label: object, problem: str) -> None:
    """The error tells what is wrong with it."""
    with pytest.raises(InvalidInputError) as caught:
        read_tag(label)

    assert problem in str(caught.value)


@pytest.mark.parametrize(
    "hints",
    [
        {"node": 3},
        {"blocks": "x"},
        {"blocks": {"x": 3}},
        {"blocks": {"x": [[2], ["a"]]}},
        {"blocks": {"x": [[1], [3]]}},
        {"blocks": {"x": [["1"], ["a"]]}},
        {"watched": "ocean"},
        {"watched": {"stage": "ocean"}},
        {"watched": {"stage": "o", "segment": 1, "attempt": 1, "limit_s": 0}},
        {"watched": {"stage": "o", "segment": "1", "attempt": 1, "limit_s": 9.0}},
    ],
)
def test_hints_that_make_no_sense_are_not_followed(hints: dict[str, Any]) -> None:
    """The lease holds all the same."""
    assert read_tag({"lease": "s", "kind": "cpu", **hints}) == Tag(
        lease="s", kind="cpu"
    )


@pytest.mark.parametrize(
    ("label", "name"),
    [
        (make_guest_tag("bob"), "bob"),
        (make_tag("s"), None),
        ({"guest": "bob", "lease": "s", "kind": "cpu"}, None),
        ({"guest": 3}, None),
        ("bob", None),
    ],
)
def test_a_guest_has_a_name_and_no_lease(label: object, name: str | None) -> None:
    """Whoever names a lease is no guest."""
    assert read_guest(label) == name
