"""What nodes take for their share, from what Dask says of tasks."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from climorch.engine.pacing import Done, Paces, equal_shares
from climorch.engine.tags import ANNOTATION, make_tag


def done(**nodes: tuple[int, float]) -> dict[str, Done]:
    """Make what nodes did under one name: tasks, and seconds in all."""
    return {n: Done(tasks=tasks, seconds=s) for n, (tasks, s) in nodes.items()}


def ran(seconds: float) -> list[dict[str, Any]]:
    """Make what Dask says of a task that was sent its input and computed."""
    return [
        {"action": "transfer", "start": 0.0, "stop": 50.0},
        {"action": "compute", "start": 100.0, "stop": 100.0 + seconds},
    ]


def noted() -> Paces:
    """Make notes of a lease of two nodes that fail on any trouble."""

    def failed(where: str, error: Exception) -> None:
        raise error

    paces = Paces(failed)
    paces.follow({"s": ("a", "b")})
    return paces


@pytest.mark.parametrize(
    ("names", "shares"),
    [
        ([], {}),
        ([done(a=(1, 2.0))], {}),
        ([done(a=(1, 2.0), b=(1, 6.0))], {"a": 2.0, "b": 6.0}),
        # Who did more of the same is not slower.
        ([done(a=(3, 6.0), b=(1, 2.0))], {"a": 4.0, "b": 4.0}),
        # A name that only one had says nothing.
        ([done(a=(1, 2.0), b=(1, 2.0)), done(b=(1, 99.0))], {"a": 2.0, "b": 2.0}),
        ([done(a=(1, 0.0), b=(1, 0.0))], {}),
    ],
)
def test_shares_of_the_same_tasks_are_compared(
    names: list[dict[str, Done]], shares: dict[str, float]
) -> None:
    """Seconds that an equal share would take on each node."""
    assert equal_shares(names) == pytest.approx(shares)


def test_tasks_of_a_segment_are_noted_until_somebody_asks() -> None:
    """By name; only what was computed counts."""
    paces = noted()
    tag = make_tag("s", paced="air")
    for node, seconds in (("a", 1.0), ("b", 3.0)):
        paces.note(tag, ("mix-1", 0), node, ran(seconds))
        paces.note(tag, "mean-1", node, ran(seconds))
    assert len(paces) == 2
    assert paces.take("s", "sea") == {}
    assert paces.take("s", "air") == pytest.approx({"a": 2.0, "b": 6.0})
    assert len(paces) == 0
    assert paces.take("s", "air") == {}


@pytest.mark.parametrize(
    ("annotation", "node"),
    [
        (None, "a"),
        ("s", "a"),
        (make_tag("s"), "a"),
        ({"lease": 3, "paced": "air"}, "a"),
        ({"lease": "s", "paced": 3}, "a"),
        (make_tag("s", paced="air"), "c"),
        (make_tag("t", paced="air"), "a"),
    ],
)
def test_what_others_wrote_is_not_noted(annotation: object, node: str) -> None:
    """Nor what ran outside the lease."""
    paces = noted()
    paces.note(annotation, ("mix-1", 0), node, ran(1.0))
    assert len(paces) == 0


def test_another_lease_begins_anew() -> None:
    """What a lease did that is another now is forgotten."""
    paces = noted()
    paces.note(make_tag("s", paced="air"), ("mix-1", 0), "a", ran(1.0))
    paces.follow({"s": ("a", "b"), "t": ("c",)})
    assert len(paces) == 1
    paces.follow({"s": ("a",)})
    assert len(paces) == 0


def test_the_scheduler_says_which_task_ended_where() -> None:
    """A task or a worker that it does not know any more is passed over."""
    paces = noted()
    tagged = SimpleNamespace(annotations={ANNOTATION: make_tag("s", paced="air")})
    scheduler: Any = SimpleNamespace(
        tasks={"k": tagged, "plain": SimpleNamespace(annotations=None)},
        workers={"tcp://a": SimpleNamespace(name="a")},
    )
    told = {"worker": "tcp://a", "startstops": ran(1.0)}
    paces.ended(scheduler, "gone", told)
    paces.ended(scheduler, "plain", told)
    paces.ended(scheduler, "k", {"worker": "tcp://b", "startstops": ran(1.0)})
    assert len(paces) == 0
    paces.ended(scheduler, "k", told)
    assert len(paces) == 1


def test_an_exception_is_told() -> None:
    """Dask would swallow it."""
    found: list[str] = []
    paces = Paces(lambda where, error: found.append(f"{where}: {error!r}"))
    paces.ended(None, "k", {})  # type: ignore[arg-type]  # made to fail
    assert len(found) == 1
    assert found[0].startswith("transition: AttributeError(")
