"""A few cells of the matrix of faults; all of them are in ``benchmarks/``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.fault_matrix import QUICK
from climorch.testing.fault_cells import cell_named
from climorch.testing.fault_trials import try_cell
from climorch.testing.fault_verdicts import Reference, reference_of

BUG = Path(__file__).with_name("wrong_restore.py")
FEW: list[Any] = [
    QUICK[0],
    *(pytest.param(name, marks=pytest.mark.benchmark) for name in QUICK[1:]),
]


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    """Return what the campaign ends with if nothing strikes."""
    return reference_of(tmp_path_factory.mktemp("calm"))


@pytest.mark.live
@pytest.mark.parametrize("name", FEW)
def test_it_ends_as_if_nothing_had_happened(
    tmp_path: Path, reference: Reference, name: str
) -> None:
    """Bitwise equal, little lost, the fault shown in the journal, nothing left."""
    seen = try_cell(tmp_path, cell_named(name), reference)

    assert len(reference.data) == 8
    assert seen.problems == []
    assert 0 < seen.recovery_s < 300
    assert 0 < seen.lost_s <= seen.most_lost_s


@pytest.mark.live
def test_a_cell_that_does_not_end_says_where_it_stands(
    tmp_path: Path, reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And leaves no process: a matrix goes on with the next one."""
    monkeypatch.setattr("climorch.testing.fault_trials.LONGEST_S", 3.0)

    seen = try_cell(tmp_path, cell_named(QUICK[0]), reference)

    (problem,) = seen.problems
    assert "not within" in problem or "the script runs after" in problem
    assert "newest records [" in problem
    assert "stacks {" in problem


@pytest.mark.benchmark
def test_a_restore_that_is_a_little_wrong_makes_a_cell_red(
    tmp_path: Path, reference: Reference
) -> None:
    """A planted bug: else all cells being green would show nothing."""
    cell = cell_named("all nodes/mid-segment/EverySegments")

    seen = try_cell(tmp_path, cell, reference, preload=str(BUG))

    assert any(p.startswith("not equal bit by bit: ['m") for p in seen.problems)
