"""What the orchestrator keeps between allocations decides nothing."""

from __future__ import annotations

import tomllib
from collections import Counter
from typing import Any

import pytest

from benchmarks.campaign_months import SCENARIO, site_of, submissions, windows
from climorch.core import bids
from climorch.core.contest import contest_of
from climorch.core.demand import board_of, decided_on
from climorch.core.orchestrator import Orchestrator, Outcome
from climorch.core.progress import Policies
from climorch.core.state import SimulationState
from climorch.model import events as e
from climorch.model.commands import Record
from climorch.model.scenario import Project
from climorch.policy.allocation import Allocate, allocate, decide
from climorch.policy.board import Board
from climorch.policy.claims import Allocation, Contest
from climorch.policy.quiet import AT_ONCE, matters_from_s
from climorch.policy.sharing import Sharing
from climorch.twin.driver import Twin

HOUR_S = 3600.0


def crowded(orchestrator: Orchestrator, seed: int) -> list[Record]:
    """Run days of a small, crowded cluster; return what was journaled."""
    told = tomllib.loads(SCENARIO.read_text())
    told |= {"nodes": 40, "days": 4, "seed": seed}
    told["simulations"] |= {"count": 16, "demand": 3.0}
    told["failures"]["mtbf_years"] = 0.1
    told["maintenance"] |= {"first_day": 2, "days": 0.2, "notice_days": 0.5}
    told["others"] |= {"from_day": 2.6, "days": 0.5}
    found: list[Record] = []

    def watcher(outcome: Outcome, now_s: float) -> None:
        found.extend(outcome.records)

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


def rules() -> Policies:
    """Return rules whose turns are short, so that there are many."""
    sharing = Sharing(
        half_life_s=24 * HOUR_S,
        min_run_s=HOUR_S,
        slice_s=6 * HOUR_S,
        patience_s=12 * HOUR_S,
    )
    return Policies(sharing=sharing)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_an_allocation_from_what_is_kept_is_that_of_a_whole_pass(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pass by pass, with failures, windows, turns, shares and long waits."""
    passes = 0

    def compared(
        board: Board, contest: Contest, allocation: Allocate, *, tell_all: bool
    ) -> Allocation:
        nonlocal passes
        passes += 1
        kept = decided_on(board, contest, allocation, tell_all=tell_all)
        claims, offers = [*board.claims.values()], board.offers()
        assert kept == allocate(claims, offers, contest, tell_all=False)
        return kept

    monkeypatch.setattr(bids, "decided_on", compared)
    found = crowded(Orchestrator(rules()), seed)

    assert passes > 300
    kinds = {type(record).__name__ for record in found}
    assert {"SetLease", "PreemptPlanned", "NodeLost", "WindowEnded"} <= kinds
    assert any("waited too long" in str(record) for record in found)


class Doubting(Orchestrator):
    """One that decides all the same where it need not, and counts what came of it."""

    def __init__(self) -> None:
        super().__init__(rules())
        self.quiet = False
        self.came_of_it: Counter[str] = Counter()

    def _allocate(
        self, found: list[SimulationState], now_s: float, records: list[Record]
    ) -> None:
        passes, self.quiet = self.passes, False
        super()._allocate(found, now_s, records)
        if self.passes > passes or not self.quiet:
            return
        board = board_of(self.state, self.policies.sharing)
        contest = contest_of(self.state, board.wanted(), self.policies.sharing)
        decided = decide(board, contest)
        self.came_of_it["in all"] += 1
        self.came_of_it["leases"] += bool(decided.leases)
        self.came_of_it["anything"] += bool(decided.concerned)


def test_what_is_not_decided_on_at_once_would_have_changed_next_to_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No node lies idle for it; hardly ever is somebody asked a little later."""
    came_of_it: Counter[str] = Counter()
    for seed in (1, 2, 3):
        doubting = Doubting()

        def noted(*asked: Any, to: Doubting = doubting) -> float:
            found = matters_from_s(*asked)
            to.quiet |= found > AT_ONCE
            return found

        monkeypatch.setattr(bids, "matters_from_s", noted)
        crowded(doubting, seed)
        came_of_it += doubting.came_of_it

    assert came_of_it["in all"] > 200
    assert came_of_it["leases"] == 0
    assert came_of_it["anything"] <= 0.03 * came_of_it["in all"], came_of_it
