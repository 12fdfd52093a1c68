"""What each simulation asks for and each node offers, as the allocation sees it.

Pure views of the state, none of them depends on how time goes by: they are made
anew only where a record concerned the simulation.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from climorch.core.fold_commands import MONTH_S
from climorch.core.holds import leaving, spent, staying
from climorch.core.horizon import closes_s, least_s, windows_of
from climorch.core.state import CampaignState, Node, SimulationState
from climorch.policy.allocation import Allocate, allocate, decide
from climorch.policy.board import Board
from climorch.policy.claims import Allocation, Claim, Closing, Contest, NodeOffer
from climorch.policy.sharing import Sharing

__all__ = [
    "Demand",
    "Grounds",
    "board_of",
    "decided_on",
    "demand_of",
    "exempt_until_s",
    "grounds_of",
    "offers_of",
    "post",
]


class Demand(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a simulation wants, and the nodes that it will give back.

    Attributes
    ----------
    claim : Claim or None
        None: it wants nothing, or shall have nothing for now.
    leaving : tuple of str
        Nodes that it holds and will give back without being asked.
    """

    claim: Claim | None
    leaving: tuple[str, ...]


Grounds = tuple[object, ...]
"""All that a demand follows from: on the same grounds it is the same."""


def grounds_of(state: CampaignState, simulation: SimulationState) -> Grounds:
    """Return all that `demand_of` looks at.

    Parameters
    ----------
    state : CampaignState
        What is known.
    simulation : SimulationState
        Which.
    """
    return (
        _asks_nothing(state, simulation),
        simulation.plan,
        simulation.priority,
        simulation.scenario,
        simulation.shrink_to,
        simulation.lease,
        simulation.turn_s,
        simulation.served_s,
        simulation.borrowed,
        simulation.fruitful,
        simulation.interruptions_s,
        simulation.waits_since_s,
        simulation.moved,
        simulation.standing,
        staying(state, simulation),
        state.timed,
    )


def demand_of(state: CampaignState, simulation: SimulationState) -> Demand:
    """Return what a simulation asks for now.

    Parameters
    ----------
    state : CampaignState
        What is known.
    simulation : SimulationState
        Which.
    """
    plan, keep = simulation.plan, simulation.shrink_to
    stays = staying(state, simulation)
    if _asks_nothing(state, simulation):
        # What is closed to it cannot be had by everybody; the offers know.
        return Demand(claim=None, leaving=simulation.lease)
    if keep is None or keep < plan.nodes:
        keep, most = len(stays), plan.most_nodes
    else:
        # It is giving nodes back: it gets none meanwhile.
        most = keep
    moving = stays != simulation.lease
    wanting = moving or len(stays) < max(plan.nodes, most)
    wanting |= _protected_from(state, simulation)
    moved, avoids = simulation.moved, leaving(simulation)
    place, yields = _promised(simulation)
    claim = Claim(
        simulation=simulation.name,
        project=simulation.scenario.project,
        priority=simulation.priority,
        serial=simulation.serial,
        nodes=plan.nodes,
        most_nodes=most,
        memory_bytes=plan.memory_bytes,
        cores=plan.cores,
        scratch_bytes=plan.scratch_bytes,
        held=stays[:keep],
        moving=moving,
        least_s=least_s(state, simulation) if wanting and state.timed else 0.0,
        level=simulation.scenario.protection.level,
        turn_s=simulation.turn_s if simulation.lease else 0.0,
        served_s=simulation.served_s,
        exempt_until_s=exempt_until_s(simulation),
        fruitful=simulation.fruitful or not simulation.lease,
        borrowed=simulation.borrowed and bool(simulation.lease or avoids),
        unbroken=simulation.scenario.protection.max_preemptions == 0,
        interrupted_s=max(simulation.interruptions_s, default=-math.inf),
        waits_since_s=math.inf if simulation.lease else simulation.waits_since_s,
        avoids=avoids,
        seeks=moved.seek if moved is not None and avoids else (),
        moved_s=-math.inf if moved is None else moved.at_s,
        standing=place,
        yields=yields,
        together=plan.together,
    )
    away = frozenset(claim.held)
    return Demand(
        claim=claim, leaving=tuple(n for n in simulation.lease if n not in away)
    )


def _asks_nothing(state: CampaignState, simulation: SimulationState) -> bool:
    return (
        state.stopping
        or not simulation.wants_nodes
        or simulation.preempted is not None
        or spent(state, simulation)
    )


def _promised(simulation: SimulationState) -> tuple[int | None, str]:
    """Return its place by promise and why it gives way, if promise decides."""
    standing = simulation.standing
    return (None, "") if standing is None else (standing.place, standing.yields)


def _protected_from(state: CampaignState, simulation: SimulationState) -> bool:
    """Whether it is protected and has nodes that go: it may leave them early."""
    return (
        state.timed
        and simulation.scenario.protection.level > 0
        and any(closes_s(state, simulation, n) < math.inf for n in simulation.lease)
    )


def exempt_until_s(simulation: SimulationState) -> float:
    """Say until when its protection lets nobody interrupt a simulation.

    Parameters
    ----------
    simulation : SimulationState
        Which.

    Returns
    -------
    float
        Driver's clock, seconds; infinite: to its end. Minus infinity where it
        holds nothing.
    """
    if not simulation.lease:
        return -math.inf
    terms = simulation.scenario.protection
    past_s = simulation.interruptions_s
    until_s = simulation.turn_s + terms.exempt_for_s
    if past_s:
        until_s = max(until_s, past_s[-1] + terms.min_between_s)
    most = terms.max_preemptions
    if most == 0:
        return math.inf
    if most is not None and len(past_s) >= most:
        until_s = max(until_s, past_s[-most] + MONTH_S)
    return until_s


def offers_of(state: CampaignState) -> list[NodeOffer]:
    """Return the nodes that may be leased, whether they will be given back or not.

    Parameters
    ----------
    state : CampaignState
        What is known.
    """
    timed, slow = state.timed, state.paces.shunned
    return [
        NodeOffer(
            name=node.name,
            memory_bytes=node.memory_bytes,
            cores=node.cores,
            scratch_bytes=node.scratch_bytes,
            closings=tuple(_closings(state, node)) if timed else (),
            slow=slow[node.name].slow if node.name in slow else 1.0,
            job=node.job,
        )
        for node in state.nodes.values()
        if node.name not in state.draining
    ]


def _closings(state: CampaignState, node: Node) -> Iterator[Closing]:
    if node.deadline_s is not None:
        yield Closing(start_s=-math.inf if node.recalled else node.deadline_s)
    for window in windows_of(state, node.name):
        yield Closing(start_s=window.start_s, holder=window.holder)


def board_of(state: CampaignState, sharing: Sharing) -> Board:
    """Return what all simulations ask for, and all nodes that are up.

    Parameters
    ----------
    state : CampaignState
        What is known.
    sharing : Sharing
        The rules.
    """
    board = Board(sharing.slice_s)
    board.lay_out(offers_of(state))
    for simulation in state.simulations.values():
        post(board, simulation.name, demand_of(state, simulation))
    return board


def post(board: Board, simulation: str, demand: Demand) -> None:
    """Put on a board what a simulation asks for, in place of what it asked before.

    Parameters
    ----------
    board : Board
        Where; it is changed.
    simulation : str
        Who.
    demand : Demand
        What it wants now.
    """
    if demand.claim is None:
        board.drop(simulation)
    else:
        board.put(demand.claim)
    board.leave(simulation, demand.leaving)


def decided_on(
    board: Board, contest: Contest, allocation: Allocate, *, tell_all: bool
) -> Allocation:
    """Ask an allocation about what is on a board.

    Parameters
    ----------
    board : Board
        Claims and offers.
    contest : Contest
        The rules and measures.
    allocation : Allocate
        Which simulation holds which nodes.
    tell_all : bool
        As for `allocate`.

    Returns
    -------
    Allocation
        Of `allocate`, what it says of the claims and offers; but read off the
        board, at the cost of what changed.
    """
    if allocation is allocate:
        return decide(board, contest, tell_all=tell_all)
    given = replace(contest, exposed_s=dict(contest.exposed_s))
    claims = tuple(board.claims.values())
    return allocation(claims, board.offers(), given, tell_all=tell_all)
