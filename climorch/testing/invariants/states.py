"""What must hold of the state of an orchestrator, each as a function with its name."""

from __future__ import annotations

import dataclasses
import math

from climorch.core.archiving import awaits_recall
from climorch.core.holds import spent
from climorch.core.keeping import kept_checkpoints, over_budget_bytes
from climorch.core.lifecycle import Control, Phase
from climorch.core.orchestrator import Orchestrator
from climorch.core.progress import Policies
from climorch.core.state import CampaignState, SimulationState
from climorch.policy.budgeting import to_fit
from climorch.policy.checkpointing import EverySegments
from climorch.policy.limits import Limits
from climorch.testing.fake_disk import FakeDisk
from climorch.testing.strategies import FOR_EVER_S
from climorch.twin.ledger import Ledger

__all__ = [
    "checkpoints_are_in_order",
    "deciding_again_gives_nothing",
    "decisions_come_to_an_end",
    "everything_that_may_has_ended",
    "replay_gives_an_equal_state",
    "somebody_advances",
    "the_books_balance",
    "the_budget_of_bytes_is_kept",
    "what_is_committed_is_on_the_disk",
    "what_is_over_holds_nothing",
]


def replay_gives_an_equal_state(replayed: CampaignState, lived: CampaignState) -> None:
    """Folding the journal, with policies that refuse, gives the state that is."""
    assert replayed == lived, "the replayed state is another one"


def deciding_again_gives_nothing(orchestrator: Orchestrator, now_s: float) -> None:
    """Without a new fact there is no new decision, whatever was kept in mind."""
    again = orchestrator.handle((), now_s).records
    assert again == (), again
    # A strategy that looks at the clock is asked when a fact about a set comes,
    # not whenever anything happens anywhere.
    policies, simulations = orchestrator.policies, orchestrator.state.simulations
    projects = {simulation.scenario.project for simulation in simulations.values()}
    budgets = [
        project.budget_node_hours for project in orchestrator.state.projects.values()
    ]
    if (
        len(projects) > 1
        or policies.sharing.slice_s < FOR_EVER_S
        or any(budget is not None for budget in budgets)
        or orchestrator.state.timed
        or _has_waited(orchestrator)
        # A bad node is set apart at the next look, once no gang needs it.
        or orchestrator.state.mishaps
    ):
        # Whose turn it is, and what is left to use, is a matter of time too.
        return
    calm = dataclasses.replace(
        policies,
        checkpointing=EverySegments(count=10**6),
        limits=Limits(most_exposure_s=math.inf),
    )
    again = Orchestrator(calm, orchestrator.state).handle((), now_s).records
    assert again == (), again


def _has_waited(orchestrator: Orchestrator) -> bool:
    """Tell whether somebody has waited so long that time alone may serve it."""
    state, patience_s = orchestrator.state, orchestrator.policies.sharing.patience_s
    return any(
        not s.lease and state.now_s - s.waits_since_s > patience_s
        for s in state.simulations.values()
    )


def checkpoints_are_in_order(state: CampaignState) -> None:
    """However late one is found, the newest good one is what is fallen back to."""
    for _, s in state.sets():
        good = [b for b, c in s.commits.items() if c.good and not c.deleting]
        assert list(s.commits) == sorted(s.commits), s.commits
        assert s.committed == max(good, default=0), (s.committed, good)


def what_is_over_holds_nothing(state: CampaignState) -> None:
    """Who is finished, cancelled or failed holds no node and computes nothing."""
    for simulation in state.simulations.values():
        if (
            simulation.complete
            or simulation.failed is not None
            or simulation.control is Control.CANCELLED
        ):
            assert not simulation.lease, (simulation.name, simulation.lease)
            alive = [
                s.name for s in simulation.sets.values() if s.phase is not Phase.IDLE
            ]
            assert alive == [], (simulation.name, alive)


def somebody_advances(state: CampaignState) -> None:
    """While nodes are up somebody computes who wants to and whom they are enough for.

    Said of campaigns in which no node goes at a known time: before a window nodes
    may be left idle with reason.
    """
    if state.timed or state.stopping:
        return
    wanting = [
        s
        for s in state.simulations.values()
        if s.wants_nodes and not spent(state, s) and _fits(state, s)
    ]
    holders = [s for s in state.simulations.values() if s.lease]
    assert holders or not wanting, [s.name for s in wanting]
    for simulation in holders:
        if any(s.phase is not Phase.IDLE for s in simulation.sets.values()):
            return
        if any(s.retry_at_s > state.now_s for s in simulation.sets.values()):
            return
        if simulation.rules_asked:
            # A later phase waits for the answer.
            return
        if any(s.blown.waits for s in simulation.sets.values()):
            # For what its remedy says, or until what is given up is gone.
            return
        if any(awaits_recall(s) for s in simulation.sets.values()):
            return
    assert not holders, [(s.name, s.lease) for s in holders]


def _fits(state: CampaignState, simulation: SimulationState) -> bool:
    """Tell whether enough nodes are up for a gang, whoever has them."""
    plan = simulation.plan
    fit = [
        node
        for node in state.nodes.values()
        if node.name not in state.draining
        and node.cores >= plan.cores
        and (not node.memory_bytes or node.memory_bytes >= plan.memory_bytes)
    ]
    return len(fit) >= plan.nodes


def what_is_committed_is_on_the_disk(disk: FakeDisk, state: CampaignState) -> None:
    """Every good checkpoint is there, unless it went bad and nobody has looked yet."""
    for simulation, s in state.sets():
        there = disk.of(simulation.name, s.name)
        for boundary, commit in s.commits.items():
            if commit.good and not commit.deleting:
                assert boundary in there, (simulation.name, s.name, boundary)


def the_books_balance(ledger: Ledger) -> None:
    """Node-seconds of every kind add up to those that nodes were up."""
    spent_s, up_s = sum(ledger.spent().values()), ledger.up_node_s
    assert math.isclose(spent_s, up_s, rel_tol=1e-6, abs_tol=1e-6), (spent_s, up_s)


def the_budget_of_bytes_is_kept(state: CampaignState, policies: Policies) -> None:
    """Bytes are counted once, and what may go for a budget of them has gone."""
    for _, s in state.sets():
        own_bytes = sum(c.own_bytes for c in s.commits.values())
        assert s.stored_bytes == own_bytes, (s.name, s.stored_bytes, own_bytes)
    stored_bytes = sum(s.stored_bytes for _, s in state.sets())
    assert state.stored_bytes == stored_bytes, (state.stored_bytes, stored_bytes)
    kept = [(x.name, s.name, kept_checkpoints(x, s)) for x, s in state.sets()]
    left = to_fit(over_budget_bytes(state, policies), kept)
    assert left == (), left


def decisions_come_to_an_end(records: int, most: int) -> None:
    """A campaign does not go round in circles, writing its journal full."""
    assert records <= most, f"{records} records"


def everything_that_may_has_ended(orchestrator: Orchestrator) -> None:
    """Who is neither held back nor failed nor out of budget is finished."""
    simulations = orchestrator.state.simulations.values()
    waiting = [
        s
        for s in simulations
        if s.control is Control.RUN
        and s.failed is None
        and not s.settled
        and not spent(orchestrator.state, s)
    ]
    assert waiting == [], [
        (s.name, s.status, s.lease, dataclasses.asdict(s)) for s in waiting
    ]
    assert orchestrator.over, "not over"
    assert [s.name for s in simulations if s.lease] == []
