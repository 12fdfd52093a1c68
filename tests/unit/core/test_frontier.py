"""Which segments may start, case by case."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from climorch.core.frontier import needed_exports, ready_segments
from climorch.core.state import SetState
from climorch.model.plan import Coupling
from tests.unit.core.script import plan, stage

SAME, PREVIOUS = Coupling.SAME, Coupling.PREVIOUS
YEARS = (0, 4, 8, 12)
SEASONS = tuple(range(13))


@pytest.mark.parametrize(
    ("reader", "source", "coupling", "segment", "needed"),
    [
        # Equal boundaries.
        (YEARS, YEARS, SAME, 0, (0,)),
        (YEARS, YEARS, SAME, 2, (2,)),
        (YEARS, YEARS, PREVIOUS, 0, (-1,)),
        (YEARS, YEARS, PREVIOUS, 2, (1,)),
        # A coarse reader of a finer source gets all that end in its segment.
        (YEARS, SEASONS, SAME, 0, (0, 1, 2, 3)),
        (YEARS, SEASONS, SAME, 2, (8, 9, 10, 11)),
        (YEARS, SEASONS, PREVIOUS, 0, (-1,)),
        (YEARS, SEASONS, PREVIOUS, 2, (7,)),
        # A fine reader of a coarser source gets the newest that has ended.
        (SEASONS, YEARS, PREVIOUS, 0, (-1,)),
        (SEASONS, YEARS, PREVIOUS, 3, (-1,)),
        (SEASONS, YEARS, PREVIOUS, 4, (0,)),
        (SEASONS, YEARS, PREVIOUS, 7, (0,)),
        (SEASONS, YEARS, PREVIOUS, 8, (1,)),
        # Nothing new ends within a segment that is shorter than the source's.
        (SEASONS, YEARS, SAME, 1, ()),
        (SEASONS, YEARS, SAME, 3, (0,)),
    ],
)
def test_a_segment_reads_what_ended_in_it_or_before_it(
    reader: tuple[int, ...],
    source: tuple[int, ...],
    coupling: Coupling,
    segment: int,
    needed: tuple[int, ...],
) -> None:
    """SAME is all that ends in (start, end], PREVIOUS the newest up to start."""
    first = stage("r", boundaries=reader, reads={"x": coupling})
    (s,) = plan(first, stage("x", boundaries=source)).sets

    assert needed_exports(s, first, segment, "x") == needed


class Case(NamedTuple):
    """Where a set stands, and what may start."""

    done: tuple[int, int]
    ready: list[tuple[str, int]]
    running: tuple[str, ...] = ()
    planned: int | None = None


def states(
    case: Case,
    *,
    a: tuple[int, ...],
    b: tuple[int, ...],
    reads_a: dict[str, Coupling],
    reads_b: dict[str, Coupling],
) -> SetState:
    """Make a set of two stages that stands as a case says."""
    (s,) = plan(
        stage("a", boundaries=a, reads=reads_a), stage("b", boundaries=b, reads=reads_b)
    ).sets
    done = dict(zip("ab", case.done, strict=True))
    return SetState(
        plan=s,
        done=done,
        running={name: done[name] for name in case.running},
        planned=case.planned,
    )


EQUAL = {
    "both begin": Case((0, 0), [("a", 0)]),
    "b needs a": Case((1, 0), [("b", 0)]),
    "a needs b": Case((1, 1), [("a", 1)]),
    "one at a time": Case((0, 0), [], running=("a",)),
    "not beyond the plan": Case((2, 2), [], planned=2),
    "up to the plan": Case((1, 1), [("a", 1)], planned=2),
    "nothing beyond the end": Case((3, 3), []),
}


@pytest.mark.parametrize("case", EQUAL.values(), ids=EQUAL.keys())
def test_stages_in_turn(case: Case) -> None:
    """Of two stages that wait for each other, one may start at a time."""
    s = states(case, a=YEARS, b=YEARS, reads_a={"b": PREVIOUS}, reads_b={"a": SAME})

    assert list(ready_segments(s)) == case.ready


SIDE_BY_SIDE = {
    "both begin": Case((0, 0), [("a", 0), ("b", 0)]),
    "a waits for b before": Case((1, 0), [("b", 0)]),
    "b is slower": Case((1, 0), [], running=("b",)),
    "both again": Case((1, 1), [("a", 1), ("b", 1)]),
}


@pytest.mark.parametrize("case", SIDE_BY_SIDE.values(), ids=SIDE_BY_SIDE.keys())
def test_stages_side_by_side(case: Case) -> None:
    """Stages that read each other's past compute at the same time."""
    s = states(case, a=YEARS, b=YEARS, reads_a={"b": PREVIOUS}, reads_b={"a": PREVIOUS})

    assert list(ready_segments(s)) == case.ready


RUN_AHEAD = {
    "both begin": Case((0, 0), [("a", 0)]),
    "one boundary ahead": Case((1, 0), [("a", 1), ("b", 0)]),
    "two boundaries are too far": Case((2, 0), [], running=("b",)),
    "on when the slow one follows": Case((2, 1), [("a", 2), ("b", 1)]),
    "not beyond a plan": Case((1, 0), [("b", 0)], planned=1),
}


@pytest.mark.parametrize("case", RUN_AHEAD.values(), ids=RUN_AHEAD.keys())
def test_a_stage_runs_one_boundary_ahead(case: Case) -> None:
    """A stage that waits for nobody stays within one boundary of the slowest."""
    s = states(case, a=YEARS, b=YEARS, reads_a={}, reads_b={"a": SAME})

    assert list(ready_segments(s)) == case.ready


NESTED = {
    "the fine one begins": Case((0, 0), [("a", 0)]),
    "it goes on alone": Case((3, 0), [("a", 3)]),
    "the coarse one has its inputs": Case((4, 0), [("b", 0)]),
    "the fine one waits for the coarse one": Case((4, 0), [], running=("b",)),
    "and goes on": Case((4, 1), [("a", 4)]),
    "up to the plan": Case((7, 1), [("a", 7)], planned=2),
    "not beyond it": Case((8, 1), [("b", 1)], planned=2),
}


@pytest.mark.parametrize("case", NESTED.values(), ids=NESTED.keys())
def test_nested_boundaries(case: Case) -> None:
    """A coarse stage waits for all finer ones that end in its segment."""
    s = states(case, a=SEASONS, b=YEARS, reads_a={"b": PREVIOUS}, reads_b={"a": SAME})

    assert list(ready_segments(s)) == case.ready
