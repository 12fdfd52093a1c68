"""What the orchestrator keeps between allocations decides nothing."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence

import pytest

from benchmarks.campaign_months import SCENARIO, site_of, submissions, windows
from climorch.core.orchestrator import Orchestrator, Outcome
from climorch.core.progress import Policies
from climorch.model import events as e
from climorch.model.commands import Record
from climorch.model.scenario import Project
from climorch.policy.allocation import Allocate, allocate
from climorch.policy.claims import Allocation, Claim, Contest, NodeOffer
from climorch.policy.sharing import Sharing
from climorch.twin.driver import Twin

HOUR_S = 3600.0


def anew(
    claims: Sequence[Claim],
    offers: Sequence[NodeOffer],
    contest: Contest | None = None,
    *,
    tell_all: bool = True,
) -> Allocation:
    """Decide as usual, from arguments alone: as an allocation of one's own is asked."""
    return allocate(claims, offers, contest, tell_all=tell_all)


def recorded(allocation: Allocate, seed: int) -> list[tuple[float, Record]]:
    """Run days of a small, crowded cluster; return what was journaled and when."""
    told = tomllib.loads(SCENARIO.read_text())
    told |= {"nodes": 40, "days": 4, "seed": seed}
    told["simulations"] |= {"count": 16, "demand": 3.0}
    told["failures"]["mtbf_years"] = 0.1
    told["maintenance"] |= {"first_day": 2, "days": 0.2, "notice_days": 0.5}
    told["others"] |= {"from_day": 2.6, "days": 0.5}
    sharing = Sharing(
        half_life_s=24 * HOUR_S,
        min_run_s=HOUR_S,
        slice_s=6 * HOUR_S,
        patience_s=12 * HOUR_S,
    )
    found: list[tuple[float, Record]] = []

    def watcher(outcome: Outcome, now_s: float) -> None:
        found.extend((now_s, record) for record in outcome.records)

    orchestrator = Orchestrator(Policies(allocation=allocation, sharing=sharing))
    twin = Twin(orchestrator, site_of(told), seed=seed, watcher=watcher)
    twin.post(
        e.DriverStarted(epoch=1, host="twin", pid=0),
        *(
            e.ProjectDeclared(project=Project(name, share=house["share"]))
            for name, house in told["institutions"].items()
        ),
    )
    for number, fact in enumerate(submissions(told)):
        twin.post(fact, after_s=number * HOUR_S)
    for at_s, declared in windows(told):
        twin.post(declared, after_s=at_s)
    twin.run(told["days"] * 24 * HOUR_S)
    return found


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_an_allocation_from_what_is_kept_is_that_of_a_whole_pass(seed: int) -> None:
    """Record by record, with failures, windows, turns, shares and long waits."""
    kept = recorded(allocate, seed)

    assert kept == recorded(anew, seed)
    kinds = {type(record).__name__ for _, record in kept}
    assert {"SetLease", "PreemptPlanned", "NodeLost", "WindowEnded"} <= kinds
    assert any("waited too long" in str(record) for _, record in kept)
