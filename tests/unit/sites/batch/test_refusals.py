"""How long to wait after refused submissions."""

from __future__ import annotations

import math

import pytest

from climorch.sites.batch.refusals import Refusals


@pytest.mark.parametrize(
    ("number", "pause_s"), [(1, 60.0), (2, 120.0), (4, 480.0), (5, 600.0), (99, 600.0)]
)
def test_what_may_pass_is_tried_ever_more_rarely(number: int, pause_s: float) -> None:
    """Twice the pause each time, up to ten minutes, for ever."""
    refusals = Refusals(number)

    assert refusals.pause_s(60.0) == pause_s
    assert not refusals.final
    assert refusals.subject == "submit"


def test_what_does_not_pass_is_tried_five_times() -> None:
    """Whatever came between."""
    refusals = Refusals()
    for barred in (True, True, False, True, True):
        refusals = refusals.another(barred=barred)
    assert refusals == Refusals(5, 4)
    assert refusals.told("no", "do so") == "the batch system takes no job: no; do so"
    last = refusals.another(barred=True)
    assert last.final
    assert last.subject == "final"
    assert last.pause_s(60.0) == math.inf
    assert last.told("no", "do so").endswith(
        "no; do so; no other one is tried before the campaign is started anew"
    )


def test_without_a_remedy_the_words_stand_alone() -> None:
    """Nothing is made up."""
    assert Refusals(1).told("no", "") == "the batch system takes no job: no"
