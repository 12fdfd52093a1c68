"""Cells of the fault matrix: which fault, at which moment, under which strategy.

Decides what is tried; `climorch.testing.fault_trials` tries it.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from climorch.errors import InvalidInputError
from climorch.testing import fault_campaign as campaign
from climorch.testing.fault_misdeeds import MISDEEDS
from climorch.testing.fault_rows import PATTERNS, STORAGE, Row

__all__ = ["MOMENTS_OF_CELLS", "ROWS", "Cell", "all_cells", "cell_named"]

ROWS: Mapping[str, Row] = {**PATTERNS, **STORAGE, **MISDEEDS}
"""Every fault, by name."""

MOMENTS_OF_CELLS: Mapping[str, tuple[str, tuple[int, int]]] = {
    "at start": ("mid-segment", (1, 1)),
    "mid-segment": ("mid-segment", (5, 9)),
    "at a boundary": ("boundary", (9, 16)),
    "during checkpoint write": ("chunk written", (2, 6)),
    "between receipts and commit": ("before the manifest", (2, 3)),
    "during restore": ("restoring", (1, 2)),
    "during export": ("publishing", (2, 3)),
}
"""Name to the step in which it is, and the passages of it from which one is drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One fault at one moment under one strategy.

    Attributes
    ----------
    fault, moment, strategy : str
        Of `ROWS`, `MOMENTS_OF_CELLS` and `climorch.testing.fault_campaign.STRATEGIES`.
    """

    fault: str
    moment: str
    strategy: str

    def __str__(self) -> str:
        return f"{self.fault}/{self.moment}/{self.strategy}"

    @property
    def call(self) -> int:
        """At which passage of the step: always the same for the same cell."""
        first, last = MOMENTS_OF_CELLS[self.moment][1]
        return first + zlib.crc32(str(self).encode()) % (last - first + 1)


def all_cells() -> list[Cell]:
    """Return the matrix: every fault at each of its moments, strategies in turn.

    Every strategy meets every moment and nearly every fault; all products would take a
    day and show the same.
    """
    names = list(campaign.STRATEGIES)
    found = [
        (j, Cell(fault=fault, moment=moment, strategy=names[(i + j) % len(names)]))
        for i, (fault, row) in enumerate(ROWS.items())
        for j, moment in enumerate(row.moments)
    ]
    # The first moment of every fault comes first: the table is soon of all of them.
    return [cell for _, cell in sorted(found, key=lambda item: item[0])]


def cell_named(name: str) -> Cell:
    """Return any cell, of the matrix or not, by what it prints as.

    Raises
    ------
    InvalidInputError
        If a part of the name is not known.
    """
    parts = name.split("/")
    known = (ROWS, MOMENTS_OF_CELLS, campaign.STRATEGIES)
    if len(parts) != 3 or any(p not in k for p, k in zip(parts, known, strict=True)):
        raise InvalidInputError(
            f"no cell {name!r}; expected fault/moment/strategy of {list(ROWS)}, "
            f"{list(MOMENTS_OF_CELLS)}, {list(campaign.STRATEGIES)}"
        )
    return Cell(fault=parts[0], moment=parts[1], strategy=parts[2])
