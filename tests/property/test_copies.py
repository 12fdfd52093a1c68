"""Copies in partners' memory under storms of losses, on a fake world."""

from __future__ import annotations

from collections import Counter

from climorch.core.progress import Policies
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.events import Cause
from climorch.model.plan import Coupling, SimulationPlan, StagePlan
from climorch.model.resources import Resources
from climorch.model.scenario import Scenario
from climorch.policy.checkpointing import EverySegments
from climorch.policy.partnering import PartnerCopy
from climorch.policy.recovery import Budget, RecoveryPolicy
from climorch.testing.fake_world import Chances
from tests.property.rig import Rig

ENDLESS = RecoveryPolicy(
    budgets={cause: Budget(retries=10**6, first_delay_s=1.0) for cause in Cause}
)
ROUGH = Chances(
    segment=0.02,
    restore=0.05,
    checkpoint=0.2,
    copy=0.2,
    repeat=0.2,
    late=0.3,
    lost=0.5,
)
BOUNDARIES = tuple(range(13))


def submitted(name: str) -> e.SimulationSubmitted:
    """Make two coupled stages of twelve segments on two nodes."""
    stages = tuple(
        StagePlan(
            name=own,
            calendar="noleap",
            boundaries=BOUNDARIES,
            reads={other: coupling},
            resources=Resources(nodes=2),
        )
        for own, other, coupling in (
            ("a", "b", Coupling.PREVIOUS),
            ("b", "a", Coupling.SAME),
        )
    )
    plan = SimulationPlan(workflow="w", stages=stages)
    return e.SimulationSubmitted(simulation=name, scenario=Scenario(name), plan=plan)


def stormy(seed: int) -> Rig:
    """Run two simulations to their ends while nodes die and drivers crash."""
    partner = PartnerCopy(
        disk=EverySegments(count=5), salvage_s=20.0, most_overhead=1.0
    )
    rig = Rig(
        Policies(checkpointing=partner, recovery=ENDLESS), seed=seed, chances=ROUGH
    )
    rig.start(e.CampaignOpened(campaign="w", version="0"), *map(submitted, "st"))
    for node in range(6):
        rig.world.join(f"n{node}", 0.0)
    rig.storm = 0.1
    for step in range(200):
        if step in (60, 120):
            rig.crash()
            for node in range(5):
                rig.world.join(f"n{node}", rig.now_s)
        rig.step()
    rig.finish()
    return rig


def test_storms_break_no_invariant_and_copies_are_of_use() -> None:
    """Each way that a copy may go comes up, and every campaign ends."""
    counts: Counter[str] = Counter()
    for seed in range(25):
        rig = stormy(seed)
        records = [record for record, _ in rig.journal]
        counts.update(type(record).__name__ for record in records)
        salvaging = {
            (r.simulation, r.attempt, r.boundary)
            for r in records
            if isinstance(r, c.SalvageCopy)
        }
        counts["saved"] += sum(
            isinstance(r, e.CheckpointCommitted)
            and (r.simulation, r.attempt, r.boundary) in salvaging
            for r in records
        )

    assert counts["CopyHeld"] > 300
    assert counts["CopyFailed"] > 50
    assert counts["SalvageCopy"] > 60
    assert counts["saved"] > 30
    assert counts["SalvageFailed"] > 5
