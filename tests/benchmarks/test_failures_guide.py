"""The table in docs/ is what the matrix of faults wrote."""

from __future__ import annotations

import re

from benchmarks.fault_matrix import BEGIN, END, GUIDE, table
from climorch.model.causes import Cause
from climorch.policy.recovery import DEFAULT_BUDGETS
from climorch.testing.fault_cells import ROWS, all_cells
from climorch.testing.fault_verdicts import Seen

ROW = re.compile(
    r"\| (.+?) \| (\d+) of (\d+)(?:, \d red)? \|(?: ([\d.]+), ([\d.]+))? \| .*"
)


def rows() -> list[re.Match[str]]:
    """Return the rows of the committed table."""
    inner = GUIDE.read_text().split(BEGIN)[1].split(END)[0]
    found = [ROW.fullmatch(line) for line in inner.strip().splitlines()[2:]]
    return [row for row in found if row is not None]


def test_the_committed_table_names_every_fault() -> None:
    """Sixty cells or more were tried, and recovery took below 300 s in each."""
    assert [row[1] for row in rows()] == list(ROWS)
    assert sum(int(row[2]) for row in rows()) >= 60
    assert all(float(row[5]) < 300 for row in rows() if row[5])


def test_the_guide_tells_the_budget_of_every_cause() -> None:
    """As they are by default."""
    text = GUIDE.read_text()
    for cause in Cause:
        line = next(x for x in text.splitlines() if x.startswith(f"| `{cause.name}`"))
        assert line.split("|")[3].strip() == str(DEFAULT_BUDGETS[cause].retries)


def test_a_table_tells_what_is_red_and_what_was_not_tried() -> None:
    """Medians and the worst of each fault, with what was allowed then."""
    first = str(all_cells()[0])
    seen = Seen(cell=first, problems=["x"], recovery_s=2.0, lost_s=1.5, most_lost_s=4.0)

    lines = table([seen]).splitlines()

    red = "| one node killed | 1 of 7, 1 red | 2.0, 2.0 | 1.5, 1.5 (4.0) |  |"
    assert lines[2] == red
    assert lines[3] == "| several nodes at once | 0 of 7 | | | |"


def test_a_table_tells_how_long_the_longest_hang_lasted() -> None:
    """And how long it may, before it is looked for."""
    cells = [cell for cell in all_cells() if cell.fault == "hang in C"]
    found = [
        Seen(cell=str(cell), found_s=found_s, budget_s=4.0)
        for cell, found_s in zip(cells, (5.5, 4.25), strict=True)
    ]

    (row,) = [line for line in table(found).splitlines() if "hang in C" in line]
    assert row.endswith("| 5.5 (4) |")
