"""What holds of every journal holds of the twin's, and its books balance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from climorch.core.orchestrator import Orchestrator, Outcome
from climorch.core.progress import Policies
from climorch.model import events as e
from climorch.testing.fake_disk import FakeDisk
from climorch.testing.invariants.audit import Audit
from climorch.testing.invariants.refusing import refusing
from climorch.testing.strategies import policies, submissions
from climorch.twin.costs import Overheads
from climorch.twin.hazards import Absence, Failures, Outages
from climorch.twin.storage import BadSpell, Storage
from tests.unit.twin.stage import Play, stage

HOUR_S = 3600.0


def rough(nodes: int, draw: np.random.Generator) -> dict[str, Any]:
    """Draw a site on which everything goes wrong that can."""
    return {
        "nodes": nodes,
        "failures": Failures(
            mtbf_s=float(draw.choice([2, 8, 40])) * HOUR_S,
            shape=float(draw.choice([0.7, 1.0, 2.0])),
            repair_median_s=HOUR_S / 2,
        ),
        "outages": (Outages(every_s=9 * HOUR_S, lasts_s=HOUR_S / 3, sigma=0.5),),
        "absences": (
            Absence(start_s=HOUR_S, stop_s=3 * HOUR_S, count=int(draw.integers(nodes))),
        ),
        "storage": Storage(
            streams=float(draw.choice([0.5, 2.0])),
            spells=(BadSpell(start_s=HOUR_S, stop_s=2 * HOUR_S, factor=8.0),),
        ),
        "detect_s": float(draw.choice([0.0, 1.0, 400.0])),
        "speed_cv": 0.1,
        "noise_cv": 0.3,
    }


@settings(max_examples=60)
@given(
    submitted=submissions(most_simulations=4),
    rules=policies(patient=True),
    seed=st.integers(0, 2**32 - 1),
)
def test_whatever_goes_wrong_every_invariant_holds_and_all_ends(
    submitted: tuple[e.SimulationSubmitted, ...], rules: Policies, seed: int
) -> None:
    """Audited at every step; the books balance; replay gives an equal state."""
    draw = np.random.default_rng(seed)
    gang = max(s.plan.nodes for s in submitted)
    play = Play(
        policies=rules,
        cost=lambda work, nodes: 600.0 * work.base / nodes,
        overheads=Overheads(checkpoint_s=60.0, stall_s=5.0),
        seed=seed,
        **rough(gang + int(draw.integers(4)), draw),
    )
    disk, replica = FakeDisk(), Orchestrator(refusing())
    audit = Audit(disk, rules)

    def read(outcome: Outcome, now_s: float) -> None:
        disk.remember(outcome.records)
        stamp_s = play.twin.orchestrator.state.now_s
        audit.read(outcome.records, stamp_s)
        audit.settle(play.twin.orchestrator.state)
        replica.replay((record, stamp_s) for record in outcome.records)
        assert replica.state == play.twin.orchestrator.state

    play.watchers.append(read)
    for fact in submitted:
        play.twin.post(fact, after_s=float(draw.integers(2)) * HOUR_S)

    play.run(3000 * HOUR_S)

    assert play.twin.ended
    assert all(s.complete for s in replica.state.simulations.values())
    total = sum(s.segments for f in submitted for s in f.plan.stages)
    assert play.twin.ledger.segments == total
    assert "PENDING" not in play.parts()


@pytest.mark.parametrize("seed", range(3))
def test_the_same_seed_gives_the_same_records(seed: int) -> None:
    """Twice the same campaign, to the last record and node-second."""
    first, second, other = (campaign(s) for s in (seed, seed, seed + 1))

    assert first.records == second.records
    assert first.parts() == second.parts()
    assert first.records != other.records


def campaign(seed: int) -> Play:
    """Run a small rough campaign."""
    draw = np.random.default_rng(5)
    play = Play(seed=seed, overheads=Overheads(), **rough(6, draw))
    for i in range(4):
        gang = stage(segments=500, nodes=1 + i, most=2 + i)
        play.submit(gang, name=f"s{i}", priority=i % 2, after_s=100.0 * i)
    play.run(20 * HOUR_S)
    return play
