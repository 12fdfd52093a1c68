"""A few simulations under one byte budget, and what the benchmark would notice."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import retention
from benchmarks.retention import Load, measure

FEW = Load(simulations=6, segments=9, cells=256)


def test_a_budget_is_kept_with_real_checkpoints(tmp_path: Path) -> None:
    """Never above what may be, and what is left is good."""
    figures, seen = measure(tmp_path, FEW, FEW.budget_bytes)

    assert seen.above == []
    assert seen.deleted > 6
    assert figures["bad"] == 0
    assert seen.committed - seen.deleted == figures["left"]
    assert seen.walks >= 1


def test_a_budget_that_is_not_kept_is_noticed(tmp_path: Path) -> None:
    """Without one all stays, and that is more than it may be."""
    _, seen = measure(tmp_path, FEW, None)

    assert seen.deleted == 0
    assert len(seen.above) > 5


def test_wrong_numbers_are_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deletion that tells of too few bytes ends the benchmark."""
    monkeypatch.setattr(retention, "freed_by", lambda checkpoint, others: 1)
    with pytest.raises(SystemExit, match="what the journal counts"):
        measure(tmp_path, FEW, FEW.budget_bytes)
