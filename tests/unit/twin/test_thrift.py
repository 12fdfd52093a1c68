"""Thresholds of the collector are what they were, whoever ran meanwhile."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from climorch.twin.thrift import SELDOM, seldom_collected
from tests.unit.twin.stage import Play, stage


@pytest.fixture(autouse=True)
def thresholds() -> Iterator[None]:
    """Begin with known ones, and leave no others behind."""
    before = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    yield
    gc.set_threshold(*before)


def test_they_are_raised_for_a_while() -> None:
    """Only the first: how old objects are looked at stays as it is."""
    with seldom_collected():
        assert gc.get_threshold() == (SELDOM, 10, 10)
    assert gc.get_threshold() == (700, 10, 10)


def test_an_error_leaves_them_as_they_were() -> None:
    """A run that fails is a run that has ended."""
    with pytest.raises(KeyError), seldom_collected():
        raise KeyError("s")
    assert gc.get_threshold() == (700, 10, 10)


def test_the_last_of_several_runs_puts_them_back() -> None:
    """In whatever order they end."""
    one, other = seldom_collected(), seldom_collected()
    one.__enter__()
    other.__enter__()
    one.__exit__(None, None, None)
    assert gc.get_threshold() == (SELDOM, 10, 10)

    other.__exit__(None, None, None)
    assert gc.get_threshold() == (700, 10, 10)


@pytest.mark.parametrize("first", [0, SELDOM, 10 * SELDOM])
def test_who_looks_seldom_already_is_left_alone(first: int) -> None:
    """Nor is a collector switched on that was off."""
    gc.set_threshold(first, 10, 10)
    with seldom_collected():
        assert gc.get_threshold() == (first, 10, 10)
    assert gc.get_threshold() == (first, 10, 10)


def test_a_run_of_a_virtual_cluster_raises_them_and_puts_them_back() -> None:
    """Seen by who watches the decisions."""
    seen: set[int] = set()
    play = Play()
    play.watchers.append(lambda *_: seen.add(gc.get_threshold()[0]))
    play.submit(stage())
    play.run()

    assert seen == {SELDOM}
    assert gc.get_threshold() == (700, 10, 10)
