"""However late it is heard, and in whatever order, nothing given up comes back.

Every order of a small alphabet, and drawn longer ones with losses, takeovers, what
comes back from an archive and longer stages between.
"""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.property.late_world import LateWorld, Turn

# The newest checkpoint but one; twice, from different places; twice from the same one.
COURSES = (
    (Turn(2, 2),),
    (Turn(2, 2), Turn(3, 1)),
    (Turn(3, 3), Turn(2, 1), Turn(3, 2)),
)
# Which of what is pending is heard next, again and again.
ORDERS = tuple(itertools.product(range(3), repeat=5))
ACTIONS = (
    "hear",
    "hear",
    "hear",
    "hear",
    "again",
    "recall",
    "node",
    "driver",
    "longer",
)


def played(
    turns: tuple[Turn, ...], order: tuple[int, ...], times: int, *, prompt: bool
) -> LateWorld:
    """Let things be heard in an order that repeats, then the rest as it comes."""
    world = LateWorld(turns, prompt=prompt)
    for number in order * times:
        if world.pending:
            world.hear(number)
    world.settle()
    return world


@pytest.mark.parametrize("prompt", [False, True], ids=["deleted late", "prompt"])
@pytest.mark.parametrize("turns", COURSES, ids=["once", "twice", "thrice"])
def test_in_every_order_the_present_course_is_what_ends(
    turns: tuple[Turn, ...], prompt: bool
) -> None:
    """Nothing is committed twice; of a former course nothing is used or published."""
    seen: set[str] = set()
    for order in ORDERS:
        seen |= played(turns, order, 4, prompt=prompt).books.seen

    assert seen >= {"refused", "former one deleted", "old one deleted"}


def act(world: LateWorld, action: str, number: int) -> None:
    """Let one thing happen."""
    match action:
        case "again":
            world.again(number)
        case "recall":
            world.recall(number)
        case "node":
            world.lose_the_node()
        case "driver":
            world.take_over()
        case "longer":
            world.extend()
        case _ if world.pending:
            world.hear(number)


@settings(max_examples=200)
@given(
    turns=st.lists(st.builds(Turn, st.integers(0, 3), st.integers(1, 4)), max_size=4),
    steps=st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 9)), max_size=60),
    prompt=st.booleans(),
)
def test_whatever_else_happens_the_present_course_is_what_ends(
    turns: list[Turn], steps: list[tuple[str, int]], prompt: bool
) -> None:
    """Nodes die, drivers take over, an archive answers, the end moves on."""
    world = LateWorld(tuple(turns), prompt=prompt)
    for action, number in steps:
        act(world, action, number)
    world.settle()
