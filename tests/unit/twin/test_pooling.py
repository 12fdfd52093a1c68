"""Runs side by side give what runs one after the other give."""

from __future__ import annotations

import multiprocessing
import os

import pytest

from climorch.errors import BackendError, InvalidInputError
from climorch.twin.costs import Costs, Work
from climorch.twin.pooling import side_by_side
from climorch.twin.rehearsal import rehearse
from tests.unit.core.script import submitted
from tests.unit.twin.stage import stage
from tests.unit.twin.test_rehearsal import play


def multiplied(given: int, seed: int) -> tuple[int, int]:
    """Say who multiplied."""
    return given * seed, os.getpid()


def gone(given: int, seed: int) -> int:
    """End the process without a word."""
    os._exit(given)


def refused(given: str, seed: int) -> int:
    """Refuse what was given."""
    raise InvalidInputError(f"{given} {seed}")


@pytest.mark.parametrize(("processes", "seeds"), [(1, (3, 4)), (4, (3,)), (4, ())])
def test_one_run_or_one_process_is_this_process(
    processes: int, seeds: tuple[int, ...]
) -> None:
    """No process is started for it."""
    found = side_by_side(multiplied, 2, seeds, processes=processes)
    assert found == tuple((2 * seed, os.getpid()) for seed in seeds)


def test_rehearsals_side_by_side_are_those_one_after_the_other() -> None:
    """To the last digit, in the order of the seeds; no process is left behind."""

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
    assert multiprocessing.active_children() == []


def test_an_error_in_a_process_is_an_error_here() -> None:
    """The same one, with what it says; no process is left behind."""
    with pytest.raises(InvalidInputError, match="seeds 1"):
        side_by_side(refused, "seeds", (1, 2), processes=2)
    assert multiprocessing.active_children() == []


def test_a_process_that_dies_is_told_with_what_to_look_at() -> None:
    """A script without a guard is the usual cause."""
    with pytest.raises(BackendError, match="__main__"):
        side_by_side(gone, 3, (1, 2), processes=2)
    assert multiprocessing.active_children() == []


def test_there_must_be_a_process() -> None:
    """None cannot rehearse anything."""
    with pytest.raises(InvalidInputError) as error:
        side_by_side(multiplied, 2, (1,), processes=0)
    assert [fault.place for fault in error.value.faults] == ["processes"]
