"""The guidance in docs/ is what the benchmark of strategies wrote."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import pytest

from benchmarks.strategies import (
    BEGIN,
    END,
    GUIDE,
    STRATEGIES,
    Cell,
    faults,
    table,
)
from benchmarks.strategy_cases import KINDS, PATTERNS

CELL = re.compile(r"(\**)(\d+\.\d)\1 \((\d+\.\d) \+ (\d+\.\d) \+ (\d+\.\d)\)")


def rows() -> list[list[str]]:
    """Return the cells of the committed table, its head first."""
    text = Path(GUIDE).read_text()
    inner = text.split(BEGIN)[1].split(END)[0]
    lines = [line.strip() for line in inner.strip().splitlines()]
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in lines
        if not line.startswith("|---")
    ]


def test_the_committed_table_names_every_strategy_kind_and_pattern() -> None:
    """One column per strategy, one row per kind of simulation and of failure."""
    head, *body = rows()

    assert head == ["Simulation", "Failures", *STRATEGIES]
    assert [tuple(row[:2]) for row in body] == list(product(KINDS, PATTERNS))


def test_every_committed_cell_is_a_sum_of_its_parts() -> None:
    """To the digits that are shown; the least of each row is bold."""
    for row in rows()[1:]:
        found = [CELL.fullmatch(cell) for cell in row[2:]]
        assert len(found) == len(STRATEGIES)
        totals = []
        for cell in found:
            assert cell is not None, row
            totals.append(float(cell[2]))
            assert totals[-1] == pytest.approx(
                sum(float(cell[part]) for part in (3, 4, 5)), abs=0.21
            )
        bold = [float(cell[2]) for cell in found if cell is not None and cell[1]]
        assert bold
        assert max(bold) <= min(totals) + 0.11


def made_up(total: float, *, checkpoint: float = 0.5, worst_s: float = 10.0) -> Cell:
    """Make a cell."""
    return Cell(
        checkpoint=checkpoint,
        recompute=total - checkpoint,
        restart=0.0,
        worst_s=worst_s,
    )


def test_a_table_can_be_read_back() -> None:
    """What the benchmark writes is what the tests above read."""
    cells = {key: made_up(1.0) for key in product(KINDS, PATTERNS, STRATEGIES)}

    lines = table(cells).splitlines()

    assert len(lines) == 2 + len(KINDS) * len(PATTERNS)
    assert CELL.search(lines[2])
    assert faults(cells, slack=0.5) == []


def test_a_short_run_does_not_judge_what_it_had_no_time_to_learn() -> None:
    """Daly without caps rests on failures that were seen."""
    cells = {key: made_up(1.0) for key in product(KINDS, PATTERNS, STRATEGIES)}
    cells["small fast state", "slow storage", "`Daly()`, no caps"] = made_up(9.0)

    assert len(faults(cells, slack=2.0)) == 1
    assert faults(cells, slack=2.0, learned=False) == []


@pytest.mark.parametrize(
    ("cell", "fault"),
    [
        (made_up(2.0), "loses 2.0 %, best 1.0 %"),
        (made_up(1.0, worst_s=3600.0), "lost 3600 s at one failure"),
        (made_up(3.0, checkpoint=2.6), "checkpoints cost 2.6 %"),
    ],
)
def test_a_missed_bar_is_found(cell: Cell, fault: str) -> None:
    """A Daly that loses too much, a loss of an hour, dear checkpoints."""
    cells = {key: made_up(1.0) for key in product(KINDS, PATTERNS, STRATEGIES)}
    place = ("small fast state", "rare node failures", "`Daly()`")

    assert any(
        text.endswith(fault) for text in faults(cells | {place: cell}, slack=0.5)
    )


def test_copies_that_lose_more_than_the_disk_alone_are_found() -> None:
    """Of a program, whose every copy has to be dumped, they may."""
    cells = {key: made_up(1.0) for key in product(KINDS, PATTERNS, STRATEGIES)}
    for kind, told in (("small fast state", 1), ("external program", 0)):
        place = (kind, "slow storage", "`PartnerCopy()`")
        found = faults(cells | {place: made_up(2.0)}, slack=0.5)
        assert [text.endswith("loses 2.0 %, Daly 1.0 %") for text in found] == (
            [True] * told
        )
