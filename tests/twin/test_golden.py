"""Golden logs: what a seed gave once it gives for ever.

Written anew by ``python -m tests.twin.test_golden``, after a look at what changed:
a policy may change what is decided, but nobody changes the luck.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from climorch.model import events as e
from climorch.twin.costs import Overheads
from climorch.twin.hazards import Absence, Failures, Outages
from climorch.twin.storage import BadSpell, Storage
from tests.unit.twin.stage import Play, said, stage

FOLDER = Path(__file__).parent / "golden"
HOUR_S = 3600.0
SEEDS = (7, 8)


def log(seed: int) -> str:
    """Run a small campaign on a rough site; return its journal, a line per record."""
    play = Play(
        seed=seed,
        nodes=4,
        overheads=Overheads(),
        every=2,
        noise_cv=0.1,
        speed_cv=0.05,
        failures=Failures(mtbf_s=6 * HOUR_S, shape=0.8, repair_median_s=600.0),
        outages=(Outages(every_s=4 * HOUR_S, lasts_s=900.0, sigma=0.3),),
        absences=(Absence(start_s=HOUR_S, stop_s=1.5 * HOUR_S, count=2),),
        storage=Storage(
            streams=1, spells=(BadSpell(start_s=0.0, stop_s=HOUR_S, factor=5.0),)
        ),
        detect_s=5.0,
        cost=lambda work, nodes: 900.0 * work.base / nodes,
    )
    play.submit(stage(segments=8, nodes=2, most=3), name="wide")
    play.submit(stage(segments=8), name="late", priority=1, after_s=1000.0)
    play.twin.post(e.PauseRequested(simulation="wide"), after_s=2 * HOUR_S)
    play.twin.post(e.ResumeRequested(simulation="wide"), after_s=2.5 * HOUR_S)
    play.run(12 * HOUR_S)
    lines = [f"{now_s:.3f} {said(record)}" for now_s, record in play.records]
    spent = [f"{name} {node_s:.3f}" for name, node_s in play.parts().items()]
    return "\n".join([*lines, *spent, ""])


@pytest.mark.parametrize("seed", SEEDS)
def test_a_seed_gives_its_golden_log(seed: int) -> None:
    """Every record at its time, and what the nodes were spent on."""
    assert log(seed) == (FOLDER / f"seed-{seed}.txt").read_text()


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for number in SEEDS:
        (FOLDER / f"seed-{number}.txt").write_text(log(number))
