"""A few cells of the matrix of kills; all of them are in ``benchmarks/``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from climorch import InvalidInputError, NotFoundError
from climorch.testing.injector import STEPS, ArmedFault, armed
from climorch.testing.kill_matrix import (
    KINDS,
    Cell,
    Reference,
    cells,
    make_reference,
    try_cell,
)

FEW: list[Any] = [
    pytest.param(
        Cell(kind="three of four workers killed", step="before the manifest", call=2),
        marks=pytest.mark.benchmark,
    ),
    pytest.param(
        Cell(kind="one worker stopped", step=None, call=40),
        marks=pytest.mark.benchmark,
    ),
    pytest.param(
        Cell(kind="driver and scheduler killed", step="receipt", call=2),
        marks=pytest.mark.benchmark,
    ),
]


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    """Return what the campaign ends with if nobody disturbs it."""
    return make_reference(
        tmp_path_factory.mktemp("calm"), members=1, segments=2, work_s=0.02
    )


@pytest.mark.live
@pytest.mark.timeout(600)
@pytest.mark.parametrize("cell", FEW, ids=str)
def test_it_ends_as_if_nothing_had_happened(
    tmp_path: Path, reference: Reference, cell: Cell
) -> None:
    """Bitwise equal, no segment committed twice, no process left."""
    assert len(reference.data) == 10
    assert try_cell(tmp_path, cell, reference).problems == []


def test_a_fault_that_is_armed_and_never_fires_is_an_error(tmp_path: Path) -> None:
    """Else a test of it would show nothing."""
    with (
        pytest.raises(NotFoundError, match=r"'deleting'.* was armed and never fired"),
        armed(tmp_path / "fault", ArmedFault(step="deleting")),
    ):
        pass


def test_a_fault_that_could_never_fire_is_refused() -> None:
    """All that is wrong with it, at once."""
    with pytest.raises(InvalidInputError) as caught:
        ArmedFault(step="somewhere", call=0, workers=0)
    assert [str(f.place) for f in caught.value.faults] == [
        "ArmedFault.step",
        "ArmedFault.call",
        "ArmedFault.workers",
    ]


def test_the_whole_matrix_has_every_kind_in_every_step_and_at_20_moments() -> None:
    """Random moments lie within the run; equal seeds give equal cells."""
    chosen = cells(np.random.default_rng(1), moments=20, rows=200)
    assert chosen == cells(np.random.default_rng(1), moments=20, rows=200)
    for kind in KINDS:
        of_kind = [cell for cell in chosen if cell.kind == kind]
        assert [cell.step for cell in of_kind if cell.step] == list(STEPS)
        rows = [cell.call for cell in of_kind if cell.step is None]
        assert len(rows) == 20
        assert all(10 <= row < 180 for row in rows)
