"""Promise in whole campaigns: what gets done at the same node-hours."""

from __future__ import annotations

import numpy as np
import pytest

from climorch.core.progress import Policies
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.protection import Protection
from climorch.model.scenario import Scenario
from climorch.model.scoring import ScorePlan
from climorch.policy.checkpointing import EverySegments
from climorch.policy.promise import SiblingPromise
from climorch.policy.prospects import PromiseRule
from climorch.policy.simple_promise import EqualSplit, SuccessiveHalving
from climorch.twin.costs import Amdahl
from tests.unit.core.script import plan
from tests.unit.twin.stage import Play, stage

HOUR_S = 3600.0
SCENARIOS = 60
SEGMENTS = 4
NODES = 6
# A third of what all of them would take.
BUDGET_S = SCENARIOS * SEGMENTS * HOUR_S / NODES / 3
MANDATORY = (17, 41)
SCORE = ScorePlan(name="skill", stage="a", threshold=0.0)


def skill(scenario: Scenario, score: str, mark: int) -> float:
    """Good where ``k`` is large; half-way it says nothing at all of that."""
    k = float(scenario.params["k"])
    noise = np.random.default_rng([int(1000 * k), mark]).normal()
    if mark < SEGMENTS:
        return float(noise)
    return (k - 0.7) + 0.05 * float(noise)


def played(rule: PromiseRule | None, seed: int, budgets: float = 1.0) -> Play:
    """Play until the budget is spent; parameters come in an order of chance."""
    order = np.random.default_rng(seed).permutation(SCENARIOS)
    play = Play(
        nodes=NODES,
        seed=seed,
        noise_cv=0.1,
        cost=Amdahl(seconds=HOUR_S),
        policies=Policies(checkpointing=EverySegments(), promise=rule),
        scores=skill,
    )
    for i, k in enumerate(order):
        name = f"s{i:02}"
        params = {"k": float(k) / SCENARIOS}
        made = plan(stage("a", segments=SEGMENTS), scores=(SCORE,))
        play.twin.post(
            e.SimulationSubmitted(
                simulation=name,
                scenario=Scenario(name, params=params, mandatory=i in MANDATORY),
                plan=type(made)(
                    workflow="w", stages=made.stages, scores=made.scores, params=params
                ),
            )
        )
    play.run(budgets * BUDGET_S)
    return play


def good(play: Play) -> int:
    """How many were finished that turned out good enough."""
    return sum(
        s.complete
        and (scored := s.scores["skill"].get(SEGMENTS)) is not None
        and (scored.value or -1.0) >= 0
        for s in play.twin.orchestrator.state.simulations.values()
    )


def test_siblings_get_more_good_ones_done_than_the_order_of_submission() -> None:
    """At the same node-hours, half as many again over five orders of chance; whatever
    is mandatory is done; no node lay idle for it."""
    ours, theirs = [], []
    for seed in range(5):
        promised, plain = played(SiblingPromise(), seed), played(None, seed)
        ours.append(good(promised))
        theirs.append(good(plain))
        state = promised.twin.orchestrator.state
        assert all(state.simulations[f"s{i:02}"].complete for i in MANDATORY)
        held = [
            p.twin.orchestrator.state.held_node_s(BUDGET_S) for p in (promised, plain)
        ]
        assert held[0] == pytest.approx(held[1], rel=0.01)

    assert sum(ours) >= 1.5 * sum(theirs)


def test_early_scores_that_foretell_nothing_pause_nobody() -> None:
    """Their rank correlation is measured, told, and too low to act on."""
    play = played(SiblingPromise(), 1)

    assert play.told("preempt") == []
    (promise,) = play.twin.orchestrator.state.promises.values()
    known = {c.mark: c for c in promise.correlations}
    assert known
    assert all(abs(c.rank or 0.0) < 0.6 for c in known.values() if c.samples >= 12)


@pytest.mark.parametrize("rule", [EqualSplit(), SuccessiveHalving(marks=(1, 2))])
def test_rules_that_pause_do_it_by_checkpoints_and_lose_nothing(
    rule: PromiseRule,
) -> None:
    """Nothing computed is lost, and whoever was paused goes on from where it was."""
    play = played(rule, 2, 2.5)
    simulations = play.twin.orchestrator.state.simulations

    assert play.told("preempt")
    assert sum(s.lost_s for s in simulations.values()) == 0.0
    again = [
        r for _, r in play.records if isinstance(r, c.StartAttempt) and r.boundary > 0
    ]
    assert {simulations[r.simulation].interruptions > 0 for r in again} == {True}


def test_projects_keep_their_shares_whatever_is_promised() -> None:
    """One with all the promise gets no more of the nodes than its share."""
    play = Play(
        nodes=4,
        cost=Amdahl(seconds=HOUR_S),
        policies=Policies(checkpointing=EverySegments(), promise=SiblingPromise()),
        scores=lambda scenario, score, mark: 1.0 if scenario.project == "p" else -1.0,
    )
    for project in ("p", "q"):
        for i in range(40):
            made = plan(stage("a", segments=SEGMENTS), scores=(SCORE,))
            play.twin.post(
                e.SimulationSubmitted(
                    simulation=f"{project}{i}",
                    scenario=Scenario(f"{project}{i}", project=project),
                    plan=made,
                )
            )
    play.run(60 * HOUR_S)
    usage = play.twin.orchestrator.state.usage_at(60 * HOUR_S)

    assert usage["p"].node_s == pytest.approx(usage["q"].node_s, rel=0.05)


def test_who_is_protected_is_not_paused() -> None:
    """Though others promise more."""
    play = Play(
        nodes=1,
        cost=Amdahl(seconds=HOUR_S),
        policies=Policies(checkpointing=EverySegments(), promise=EqualSplit()),
        scores=lambda scenario, score, mark: 1.0,
    )
    for name, most in (("first", 0), ("second", None)):
        play.twin.post(
            e.SimulationSubmitted(
                simulation=name,
                scenario=Scenario(name, protection=Protection(max_preemptions=most)),
                plan=plan(stage("a", segments=SEGMENTS), scores=(SCORE,)),
            )
        )
    play.run(20 * HOUR_S)

    assert play.told("preempt") == []
    leases = [r.simulation for _, r in play.records if isinstance(r, c.SetLease)]
    assert leases == ["first", "first", "second", "second"]
