"""Rehearsals in processes of their own are the same rehearsals."""

from __future__ import annotations

import multiprocessing

import pytest

from climorch.errors import InvalidInputError
from climorch.twin.costs import Costs, Work
from climorch.twin.pooling import side_by_side
from climorch.twin.rehearsal import rehearse
from tests.unit.core.script import submitted
from tests.unit.twin.stage import stage
from tests.unit.twin.test_rehearsal import play


def test_rehearsals_side_by_side_are_those_one_after_the_other() -> None:
    """To the last digit, in the order of the seeds.

    An error in a process is the same error here; no process is left behind.
    """

    def cost(work: Work, nodes: float) -> float:
        # Of the script itself: no module to import it from.
        return 10.0 * work.base / nodes

    what = play(
        facts=(submitted(stage(segments=30)),),
        site={"costs": Costs(default=cost, noise_cv=0.3)},
        coarse=True,
    )
    alone = rehearse(what, (5, 1, 9))
    together = rehearse(what, (5, 1, 9), processes=2)

    assert [run.seed for run in together.runs] == [5, 1, 9]
    assert together == alone
    with pytest.raises(InvalidInputError, match="nobody has a seed of 7"):
        side_by_side(refused, "nobody has a seed of", (7, 7), processes=2)
    assert multiprocessing.active_children() == []


def refused(given: str, seed: int) -> int:
    """Refuse what was given."""
    raise InvalidInputError(f"{given} {seed}")
