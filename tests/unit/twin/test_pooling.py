"""Who calls what, with what, and what is said when a process dies."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import pytest

from climorch.errors import BackendError, InvalidInputError
from climorch.twin import pooling
from climorch.twin.pooling import side_by_side


def multiplied(given: int, seed: int) -> tuple[int, int]:
    """Say who multiplied."""
    return given * seed, os.getpid()


def gone(given: int, seed: int) -> int:
    """End the process without a word."""
    raise BrokenProcessPool(f"{given} {seed}")


@pytest.fixture
def pools(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let threads stand for processes; give how many were started each time."""
    sizes: list[int] = []

    def pool(count: int, mp_context: Any) -> ThreadPoolExecutor:
        assert mp_context.get_start_method() == "spawn"
        sizes.append(count)
        return ThreadPoolExecutor(count)

    monkeypatch.setattr(pooling, "ProcessPoolExecutor", pool)
    return sizes


@pytest.mark.parametrize(("processes", "seeds"), [(1, (3, 4)), (4, (3,)), (4, ())])
def test_one_run_or_one_process_is_this_process(
    pools: list[int], processes: int, seeds: tuple[int, ...]
) -> None:
    """No process is started for it."""
    found = side_by_side(multiplied, 2, seeds, processes=processes)
    assert found == tuple((2 * seed, os.getpid()) for seed in seeds)
    assert pools == []


@pytest.mark.parametrize(("processes", "started"), [(2, 2), (3, 3), (9, 3)])
def test_there_are_no_more_processes_than_runs(
    pools: list[int], processes: int, started: int
) -> None:
    """What they found comes in the order of the seeds."""
    found = side_by_side(multiplied, 2, (5, 1, 9), processes=processes)
    assert [number for number, _ in found] == [10, 2, 18]
    assert pools == [started]


def test_a_process_that_dies_is_told_with_what_to_look_at(pools: list[int]) -> None:
    """A script without a guard is the usual cause."""
    with pytest.raises(BackendError, match="__main__"):
        side_by_side(gone, 3, (1, 2), processes=2)
    assert pools == [2]


def test_there_must_be_a_process() -> None:
    """None cannot rehearse anything."""
    with pytest.raises(InvalidInputError) as error:
        side_by_side(multiplied, 2, (1,), processes=0)
    assert [fault.place for fault in error.value.faults] == ["processes"]
