"""One coupled campaign through everything at once, on a Slurm of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.slurm_campaign import HOSTS, NODES, QUICK, RENEWAL, measure, problems_of
from tests.slurm.mini import running

pytestmark = [pytest.mark.slurm, pytest.mark.usefixtures("can_start")]


@pytest.mark.timeout(600)
def test_a_coupled_campaign_bears_all_of_it(tmp_path: Path) -> None:
    """Renewals, a scancel, a crash, maintenance, a killed driver: the same bits.

    The benchmark on four nodes, in jobs of two minutes instead of three. It goes on
    until all of it has happened, so that no machine is too fast for it.
    """
    with running(nodes=HOSTS) as mini:
        outcome = measure(tmp_path, mini, QUICK)

    assert outcome.problems == []
    assert outcome.renewals >= 1
    struck = {name: len(stops) for name, stops in outcome.stops.items()}
    assert struck.pop(RENEWAL) >= 1
    assert struck == {
        "scancel": 1,
        "node crash": 1,
        "maintenance": 1,
        "driver killed": NODES,
    }
    # Each was restored from a checkpoint at most five segments of two stages back.
    assert all(stop.again <= 12 for found in outcome.stops.values() for stop in found)
    assert outcome.lengths.keys() == set("stuv")
    # The comparison of bits finds a run that is longer by a segment.
    for name, segments in outcome.lengths.items():
        other = problems_of(tmp_path, {name: segments + 1})
        assert other == [f"other bits in {name}, {stage}" for stage in ("air", "sea")]
