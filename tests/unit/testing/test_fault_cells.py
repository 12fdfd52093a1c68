"""Which faults are tried when, and under which strategy."""

from __future__ import annotations

from itertools import product

import pytest

from climorch.errors import InvalidInputError
from climorch.testing.fault_campaign import STRATEGIES
from climorch.testing.fault_cells import (
    MOMENTS_OF_CELLS,
    ROWS,
    Cell,
    all_cells,
    cell_named,
)
from climorch.testing.injector import ArmedFault


def test_the_matrix_meets_every_fault_and_every_moment_under_every_strategy() -> None:
    """Sixty cells or more, each once, each of which can be armed and named."""
    cells = all_cells()

    assert len(cells) >= 60
    assert len(set(map(str, cells))) == len(cells)
    assert {cell.fault for cell in cells} == set(ROWS)
    met = {(cell.moment, cell.strategy) for cell in cells}
    assert met == set(product(MOMENTS_OF_CELLS, STRATEGIES))
    for cell in cells:
        assert cell_named(str(cell)) == cell
        step, (first, last) = MOMENTS_OF_CELLS[cell.moment]
        assert first <= cell.call <= last
        ArmedFault(step=step, call=cell.call, deed=ROWS[cell.fault].deed)


def test_a_cell_strikes_at_the_same_passage_whenever_it_is_tried() -> None:
    """So that one that was red can be looked at."""
    cell = Cell(fault="a rack", moment="mid-segment", strategy="Daly")

    assert str(cell) == "a rack/mid-segment/Daly"
    assert cell.call == 9


@pytest.mark.parametrize(
    "name", ["", "a rack", "a rack/never/Daly", "x/mid-segment/Daly", "a/b/c/d"]
)
def test_a_name_that_is_none_is_refused_with_all_that_are(name: str) -> None:
    """The message lists faults, moments and strategies."""
    with pytest.raises(InvalidInputError, match=r"'a rack'.*'at start'.*'Daly'"):
        cell_named(name)
