"""Whatever a power cut leaves, the next driver finds all that was acknowledged.

The quick part: a sample of moments, with losses in order and some by chance at each.
The whole is ``benchmarks/power_loss.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from climorch.testing.journal_loss import cut_appends, record_appends
from climorch.testing.planted import PLANTED
from climorch.testing.power_loss import Effort
from climorch.testing.power_scenarios import SCENARIOS, cut_power

MEMORY = Path("/dev/shm")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Give a folder in memory, where there is one: hundreds of disks are laid out."""
    if not MEMORY.is_dir():
        yield tmp_path
        return
    with TemporaryDirectory(dir=MEMORY) as made:
        yield Path(made)


@pytest.mark.parametrize("name", SCENARIOS)
def test_nothing_acknowledged_is_lost_and_nothing_is_mixed(
    folder: Path, name: str
) -> None:
    """After a cut: the newest acknowledged or the next, whole, and no more results."""
    found = cut_power(SCENARIOS[name], folder, Effort(most=0, every=60, samples=4))

    assert found.examples == []
    assert found.states > 3


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_of_durability_is_found(folder: Path, name: str) -> None:
    """A library that leaves out one flush, or one order, is found out."""
    planted = PLANTED[name]
    found = cut_power(
        SCENARIOS[planted.scenario],
        folder,
        Effort(since=planted.since, every=planted.every, enough=1),
        deaf=planted.deaf,
        planted=planted.patch(),
    )

    assert found.violations == 1


def test_a_journal_keeps_what_was_acknowledged(folder: Path) -> None:
    """Rows that were acknowledged are there, others wholly or not at all."""
    (folder / "states").mkdir()
    sizes = [[100], [50, 60, 5000], [2_200_000, 2_200_000], [200, 300]]
    appends = record_appends(folder, sizes)

    found = cut_appends(appends, folder / "states", samples=1)

    assert found.examples == []
    # The third changes the database as well, and the fourth begins the WAL anew.
    assert [a.before[0] != a.after[0] for a in appends] == [False, False, True, False]
    assert len(appends[3].after[1]) == len(appends[2].after[1])


def test_rows_acknowledged_too_early_are_found(folder: Path) -> None:
    """A journal that acknowledges before it has flushed is found out."""
    (folder / "states").mkdir()
    appends = record_appends(folder, [[100], [50]])

    found = cut_appends(appends, folder / "states", samples=1, unflushed=True)

    assert found.violations > 0
