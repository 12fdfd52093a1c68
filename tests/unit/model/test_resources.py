"""What a stage may ask for."""

from __future__ import annotations

import pytest

from climorch.errors import InvalidInputError
from climorch.model.resources import Resources, parse_bytes


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, 0),
        (4096, 4096),
        ("0", 0),
        ("17", 17),
        ("17 B", 17),
        ("2 kB", 2000),
        ("2MB", 2_000_000),
        ("2 GB", 2_000_000_000),
        ("1 TB", 1_000_000_000_000),
        ("2 KiB", 2048),
        (" 1.5 MiB ", 1_572_864),
        ("8 GiB", 8_589_934_592),
        ("1TiB", 1_099_511_627_776),
    ],
)
def test_a_size_is_bytes_or_a_number_with_a_unit(
    size: int | str, expected: int
) -> None:
    """Decimal and binary units are told apart as SI and IEC do."""
    assert parse_bytes(size) == expected


@pytest.mark.parametrize("size", [-1, "", "G", "8 G", "8 gib", "-1 MB", "1e3 B", "1 2"])
def test_a_size_that_is_ambiguous_or_negative_is_refused(size: int | str) -> None:
    """A unit that batch systems disagree about is no unit."""
    with pytest.raises(InvalidInputError, match="memory: got") as caught:
        parse_bytes(size)

    assert [fault.place for fault in caught.value.faults] == ["memory"]


def test_a_stage_needs_one_node_of_any_memory_unless_it_says_more() -> None:
    """The defaults ask for one node, no more and no less."""
    resources = Resources()

    assert (resources.nodes, resources.most_nodes, resources.memory_bytes) == (1, 1, 0)


def test_most_nodes_and_memory_are_derived() -> None:
    """A range of nodes and a text for memory are understood."""
    resources = Resources(nodes=2, max_nodes=4, memory="8 GiB", scratch="2 GB")

    assert (resources.most_nodes, resources.memory_bytes) == (4, 8_589_934_592)
    assert resources.scratch_bytes == 2_000_000_000


def test_all_faults_of_resources_are_told_at_once() -> None:
    """Every field that cannot be is a fault of the one error."""
    with pytest.raises(InvalidInputError) as caught:
        Resources(
            nodes=0,
            max_nodes=-1,
            cores=-1,
            memory="lots",
            scratch="8 G",
            segment_s=0.0,
        )

    assert [fault.place for fault in caught.value.faults] == [
        "Resources.nodes",
        "Resources.max_nodes",
        "Resources.cores",
        "Resources.segment_s",
        "Resources.memory",
        "Resources.scratch",
    ]


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("inf"), float("nan")])
def test_a_duration_is_finite_and_takes_some_time(seconds: float) -> None:
    """A guess that is none is refused, no guess is fine."""
    with pytest.raises(InvalidInputError, match=r"Resources.segment_s: got"):
        Resources(segment_s=seconds)
    assert Resources(segment_s=1e-9).segment_s == 1e-9
    assert Resources().segment_s is None
