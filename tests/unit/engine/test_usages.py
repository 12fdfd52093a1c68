"""What segments use, from what Dask and nodes say."""

from __future__ import annotations

from typing import Any

import pytest

from climorch.engine.tags import IO, Watched, make_tag
from climorch.engine.usages import Usages
from climorch.model.usage import Usage

AIR = Watched(stage="air", segment=0, attempt=1, limit_s=9.0)
SEA = Watched(stage="sea", segment=0, attempt=1, limit_s=9.0)
READS = Watched(stage="air", segment=0, attempt=1, limit_s=9.0, reads=True)


def ran(compute_s: float, **more: float) -> list[dict[str, Any]]:
    """Make what Dask says of a task."""
    found = {"compute": compute_s} | {k.replace("_", "-"): v for k, v in more.items()}
    return [
        {"action": action, "start": 100.0, "stop": 100.0 + s}
        for action, s in found.items()
    ]


def said(
    cpu_s: float, *, name: str = "s", turn: int = 1, memory: int = 5
) -> dict[str, Any]:
    """Make what a node says."""
    return {
        "simulation": name,
        "turn": turn,
        "cpu_s": cpu_s,
        "memory_bytes": memory,
    }


def test_tasks_of_a_segment_add_up_until_it_is_asked_for() -> None:
    """Computing, fetching, and what was spilled; then they are forgotten."""
    usages = Usages()
    for _ in range(2):
        usages.note(
            make_tag("s", watched=AIR),
            ran(1.0, transfer=0.25, disk_read=0.5, disk_write=0.5, deserialize=9.0),
        )

    found = usages.take("s", "air", {})
    assert found == Usage(task_s=2.0, transfer_s=0.5, io_s=2.0)
    assert usages.take("s", "air", {}) == Usage()


@pytest.mark.parametrize(
    "annotation",
    [
        None,
        "s",
        {},
        {"lease": 3, "watched": {"stage": "air"}},
        {"lease": "s", "watched": {"stage": 3}},
        make_tag("s"),
        make_tag("s", watched=READS),
        make_tag("t", watched=AIR),
    ],
)
def test_what_belongs_to_no_segment_is_none_of_its_usage(annotation: object) -> None:
    """Anybody may have written it; reading a checkpoint is no computing."""
    usages = Usages()
    usages.note(annotation, ran(1.0))

    assert usages.take("s", "air", {}) == Usage()


def test_writing_is_divided_as_tasks_were() -> None:
    """Four seconds of I/O beside three seconds of air and one of sea."""
    usages = Usages()
    usages.note(make_tag("s", watched=AIR), ran(3.0))
    usages.note(make_tag("s", watched=SEA), ran(1.0))
    usages.note(make_tag("s", kind=IO), ran(4.0))

    assert usages.take("s", "air", {}).io_s == 3.0
    assert usages.take("s", "sea", {}).io_s == 1.0
    usages.note(make_tag("s", kind=IO), ran(2.0))
    # Nothing was computed: it is of who asks.
    assert usages.take("s", "sea", {}).io_s == 2.0


def test_cpu_seconds_of_nodes_are_told_once() -> None:
    """They count up; two nodes of a lease add up, the most memory counts."""
    usages = Usages()
    usages.note(make_tag("s", watched=AIR), ran(1.0))
    first = usages.take("s", "air", {"n1": said(2.0), "n2": said(3.0, memory=9)})
    second = usages.take("s", "air", {"n1": said(2.5), "n2": said(3.0, memory=9)})

    assert (first.cpu_s, first.memory_bytes) == (5.0, 9)
    assert (second.cpu_s, second.memory_bytes) == (0.5, 9)


def test_cpu_seconds_are_divided_among_stages_side_by_side() -> None:
    """By what each computed since this was last done."""
    usages = Usages()
    usages.note(make_tag("s", watched=AIR), ran(3.0))
    usages.note(make_tag("s", watched=SEA), ran(1.0))
    air = usages.take("s", "air", {"n1": said(8.0)})
    usages.note(make_tag("s", watched=SEA), ran(1.0))
    sea = usages.take("s", "sea", {"n1": said(9.5)})

    assert (air.cpu_s, sea.cpu_s) == (6.0, 2.0 + 1.5)


def test_what_a_node_does_for_others_is_theirs() -> None:
    """It begins anew with each turn, and may not have spoken yet."""
    usages = Usages()
    assert usages.take("s", "air", {"n1": said(5.0, name="t"), "n2": {}}) == Usage()
    assert usages.take("s", "air", {"n1": said(2.0, turn=2)}).cpu_s == 2.0
    assert usages.take("s", "air", {"n1": said(1.5, turn=4)}).cpu_s == 1.5


def test_simulations_without_a_lease_are_forgotten() -> None:
    """So that nothing grows with the length of a campaign."""
    usages = Usages()
    usages.note(make_tag("s", watched=AIR), ran(1.0))
    usages.note(make_tag("t", watched=AIR), ran(1.0))
    assert len(usages) == 2
    usages.follow({"t": ("n1",)})

    assert len(usages) == 1
    assert usages.take("s", "air", {}) == Usage()
    assert usages.take("t", "air", {}).task_s == 1.0
