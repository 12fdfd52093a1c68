"""When simulations are looked at again though nothing is heard of them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from climorch.core.retries import Retries
from climorch.core.state import CampaignState, Control, SimulationState
from tests.unit.core.script import simulation, stage


def waiting(*retry_at_s: float, now_s: float = 100.0) -> Retries:
    """Look at one simulation for each time."""
    found, state = Retries(), CampaignState(now_s=now_s)
    for number, at_s in enumerate(retry_at_s):
        found.note(state, tried_again(at_s, name=f"s{number}"))
    return found


def tried_again(at_s: float, name: str = "s") -> SimulationState:
    """Make a simulation whose only set is tried again at a time."""
    made = simulation(stage())
    made.name = name
    made.sets["a"].retry_at_s = at_s
    return made


def test_the_first_of_them_counts() -> None:
    """Infinite where nobody waits for a time."""
    assert Retries().first_s == math.inf
    assert Retries().due(1e9) == set()
    assert waiting(130.0, 110.0, 120.0).first_s == 110.0


def test_whose_time_has_come_is_due() -> None:
    """The moment itself included."""
    retries = waiting(130.0, 110.0, 120.0)
    assert retries.due(109.9) == set()
    assert retries.due(120.0) == {"s1", "s2"}


@pytest.mark.parametrize("at_s", [0.0, 99.0, 100.0, math.inf])
def test_a_time_that_is_over_or_never_comes_is_not_kept(at_s: float) -> None:
    """Nobody wakes for it."""
    assert waiting(at_s).first_s == math.inf


def test_who_was_looked_at_again_is_kept_as_it_is_now() -> None:
    """The time before is forgotten."""
    retries, state = waiting(110.0), CampaignState(now_s=100.0)
    retries.note(state, tried_again(150.0, name="s0"))
    assert retries.first_s == 150.0
    retries.note(state, tried_again(0.0, name="s0"))
    assert retries.first_s == math.inf


def test_whoever_neither_computes_nor_holds_nodes_waits_for_nothing() -> None:
    """A paused one that still holds some does."""
    retries, state = Retries(), CampaignState(now_s=100.0)
    paused = tried_again(110.0)
    paused.control = Control.PAUSED
    retries.note(state, paused)
    assert retries.first_s == math.inf
    paused.lease = ("n0",)
    retries.note(state, paused)
    assert retries.first_s == 110.0


TIMES = st.sampled_from([0.0, 90.0, 100.0, 110.0, 120.0, 130.0, math.inf])


@given(st.lists(st.tuples(st.sampled_from("abc"), TIMES, st.booleans()), max_size=12))
def test_what_is_kept_is_what_a_look_at_all_would_find(
    looks: list[tuple[str, float, bool]],
) -> None:
    """In whatever order they were looked at, and how often."""
    retries, state = Retries(), CampaignState(now_s=100.0)
    newest: dict[str, float] = {}
    for name, at_s, computes in looks:
        seen = tried_again(at_s, name)
        seen.control = Control.RUN if computes else Control.PAUSED
        retries.note(state, seen)
        newest[name] = at_s if computes and at_s > 100.0 else math.inf
    assert retries.first_s == min(newest.values(), default=math.inf)
    assert retries.due(120.0) == {n for n, at_s in newest.items() if at_s <= 120.0}
