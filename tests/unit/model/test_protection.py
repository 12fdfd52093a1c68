"""Terms of protection, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest

from climorch.errors import InvalidInputError
from climorch.model.protection import Protection


@pytest.mark.parametrize(
    "more",
    [
        {"level": -1},
        {"exempt_for_s": -1.0},
        {"exempt_for_s": math.inf},
        {"min_between_s": math.nan},
        {"max_preemptions": -1},
    ],
)
def test_terms_that_cannot_be_given_are_refused(more: dict[str, Any]) -> None:
    """With the field at fault."""
    with pytest.raises(InvalidInputError, match="cannot be given") as told:
        Protection(**more)

    (name,) = more
    assert [fault.place for fault in told.value.faults] == [f"Protection.{name}"]


def test_all_faults_of_terms_are_told_at_once() -> None:
    """A user corrects them in one go."""
    with pytest.raises(InvalidInputError) as told:
        Protection(level=-1, exempt_for_s=-1.0, min_between_s=-1.0, max_preemptions=-1)

    assert len(told.value.faults) == 4


def test_never_and_no_limit_are_different() -> None:
    """Zero interruptions at most is the strongest term, none the weakest."""
    assert Protection(max_preemptions=0).max_preemptions == 0
    assert Protection().max_preemptions is None
