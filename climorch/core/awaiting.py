"""What a simulation waits for, from whom it gets it, and about when.

Pure estimates. Each node is taken to come when its holder is expected to end or
may be asked for it, or when its window ends; those that are before in line take
the first ones. Ignores failures, and what will be submitted meanwhile.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter

from climorch.core.contest import contest_of
from climorch.core.demand import board_of, decided_on
from climorch.core.holds import holding
from climorch.core.horizon import shuts_out
from climorch.core.outlook import expected_end_s, period_s
from climorch.core.state import CampaignState, Phase, SimulationState
from climorch.core.stretch import write
from climorch.policy.allocation import Allocate, allocate
from climorch.policy.board import Board
from climorch.policy.claims import Allocation, Claim, Contest, NodeOffer
from climorch.policy.holders import standings
from climorch.policy.rights import lag, right_from_s
from climorch.policy.sharing import Sharing

__all__ = ["Coming", "Market", "Start", "coming", "expected_start", "market_of"]

# Those that are before in line are gone through one by one.
MOST_AHEAD = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """What everybody asks for and offers now, and what would come of it.

    Attributes
    ----------
    claims : tuple of Claim
        Of simulations with work.
    offers : tuple of NodeOffer
        Nodes that are up and not drained.
    contest : Contest
        The rules and measures.
    decided : Allocation
        What the allocation says.
    board : Board
        Claims and offers, arranged.
    """

    claims: tuple[Claim, ...]
    offers: tuple[NodeOffer, ...]
    contest: Contest
    decided: Allocation
    board: Board

    def claim_of(self, simulation: str) -> Claim | None:
        """Return what a simulation asks for; None: nothing, or it shall have none."""
        return next((c for c in self.claims if c.simulation == simulation), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Coming:
    """A node that a simulation could use, and when it may have it.

    Attributes
    ----------
    node : str
        Its name.
    at_s : float
        Driver's clock, seconds; infinite: nobody knows.
    why : str
        What has to happen before.
    holder : str or None
        Who has it now.
    asked : bool
        Whether its holder is asked to give it back.
    """

    node: str
    at_s: float
    why: str
    holder: str | None = None
    asked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """When a simulation that waits may be expected to start.

    Attributes
    ----------
    at_s : float or None
        UTC seconds; None: nobody knows.
    why : str
        What it rests on, or why nobody knows.
    """

    at_s: float | None
    why: str


def market_of(
    state: CampaignState, sharing: Sharing, allocation: Allocate = allocate
) -> Market:
    """Ask the allocation what it would say now.

    Parameters
    ----------
    state : CampaignState
        What is known.
    sharing : Sharing
        How projects share the nodes.
    allocation : Allocate
        Which simulation holds which nodes.
    """
    board = board_of(state, sharing)
    contest = contest_of(state, board.wanted(), sharing)
    return Market(
        claims=tuple(board.claims.values()),
        offers=board.offers(),
        contest=contest,
        decided=decided_on(board, contest, allocation, tell_all=True),
        board=board,
    )


def coming(
    state: CampaignState, market: Market, claim: Claim, now_s: float
) -> tuple[Coming, ...]:
    """Say of each node that is large enough when a simulation may have it.

    Parameters
    ----------
    state : CampaignState
        What is known.
    market : Market
        What everybody asks for and offers.
    claim : Claim
        Of the simulation.
    now_s : float
        Driver's clock, seconds.

    Returns
    -------
    tuple of Coming
        The first to come first; without those that it holds.
    """
    holders = {n: s for s in state.simulations.values() for n in s.lease}
    asked = set(market.decided.preempt) | set(market.decided.shrink)
    rights = dict(_rights(market, claim))
    found = []
    for offer in market.offers:
        if offer.name in claim.held or not _is_large_enough(offer, claim):
            continue
        holder = holders.get(offer.name)
        node = Coming(node=offer.name, at_s=now_s, why="it is free")
        if holder is not None:
            gives = offer.leaving or offer.name in market.decided.awaits.get(
                claim.simulation, ()
            )
            node = replace(
                _from_holder(holder, now_s, rights.get(holder.name), gives),
                node=offer.name,
                asked=gives or holder.name in asked,
            )
        found.append(_after_windows(state, claim, offer, node))
    return tuple(sorted(found, key=attrgetter("at_s")))


def _rights(market: Market, claim: Claim) -> Iterator[tuple[str, float]]:
    standing = standings(market.claims)
    for other in market.claims:
        if other.held and other.simulation != claim.simulation:
            from_s = right_from_s(claim, other, market.contest, standing)
            if from_s is not None:
                yield other.simulation, from_s


def _is_large_enough(offer: NodeOffer, claim: Claim) -> bool:
    return not (
        0 < offer.memory_bytes < claim.memory_bytes
        or 0 < offer.cores < claim.cores
        or 0 < offer.scratch_bytes < claim.scratch_bytes
    )


def _from_holder(
    holder: SimulationState, now_s: float, right_s: float | None, gives: bool
) -> Coming:
    """Say when a node comes back from whoever has it."""
    name = holder.name
    way_s = _way_s(holder)
    if gives:
        why = f"{name} gives it back after its next checkpoint"
        return Coming(node="", at_s=now_s + way_s, why=why, holder=name)
    ends_s = expected_end_s(holder, now_s)
    end_s = math.inf if ends_s is None else ends_s
    turn_s = math.inf if right_s is None else max(right_s, now_s) + way_s
    if turn_s < end_s:
        why = f"{name} may be asked for it then, and checkpoints"
        return Coming(node="", at_s=turn_s, why=why, holder=name)
    why = f"{name} is expected to end"
    if end_s == math.inf:
        why = f"nobody knows when {name} ends"
    return Coming(node="", at_s=end_s, why=why, holder=name)


def _way_s(simulation: SimulationState) -> float:
    """Estimate the time to its next checkpoint; infinite: nothing was measured."""
    found = 0.0
    for s in simulation.sets.values():
        if s.phase is Phase.ACTIVE and not s.complete:
            way_s = period_s(s)
            if way_s is None:
                return math.inf
            found = max(found, way_s + write(s).median_s)
    return found


def _after_windows(
    state: CampaignState, claim: Claim, offer: NodeOffer, node: Coming
) -> Coming:
    """Put a node off until windows are over that would shut the simulation out."""
    simulation = state.simulations[claim.simulation]
    for window in sorted(state.windows.values(), key=attrgetter("start_s")):
        if not (window.covers(offer.name) and shuts_out(window, simulation)):
            continue
        if node.at_s < window.stop_s and (
            node.at_s + claim.least_s > window.start_s or node.at_s >= window.start_s
        ):
            why = f"window {window.name} is over"
            node = replace(node, at_s=window.stop_s, why=why)
    known = state.nodes[offer.name]
    end_s = known.deadline_s
    if end_s is not None and (known.recalled or node.at_s + claim.least_s > end_s):
        return replace(node, at_s=math.inf, why="it goes before")
    return node


def expected_start(
    state: CampaignState, simulation: SimulationState, market: Market, now_s: float
) -> Start:
    """Estimate when a simulation that has no nodes will have them.

    Parameters
    ----------
    state : CampaignState
        What is known.
    simulation : SimulationState
        One that waits.
    market : Market
        What everybody asks for and offers.
    now_s : float
        Driver's clock, seconds.

    Returns
    -------
    Start
        An estimate, not a promise.
    """
    claim = market.claim_of(simulation.name)
    if claim is None:
        hold = holding(state, simulation)
        return Start(at_s=None, why=hold.why if hold else "it wants no nodes")
    if not state.nodes:
        return Start(at_s=None, why="no node is up")
    ahead = _ahead(market, claim)
    if len(ahead) > MOST_AHEAD:
        return Start(at_s=None, why=f"{len(ahead)} are before it in line")
    nodes = coming(state, market, claim, now_s)
    lines = _lines(state, claim, nodes)
    if not lines:
        return Start(at_s=None, why=market.decided.waits.get(claim.simulation, ""))
    return _in_line(lines, ahead, claim, market.contest.slice_s)


def _lines(
    state: CampaignState, claim: Claim, nodes: Sequence[Coming]
) -> list[list[Coming]]:
    """Return what a lease may be made of: all nodes, or those of a job."""
    jobs: dict[str, list[Coming]] = {}
    for node in nodes:
        job = state.nodes[node.node].job if claim.together else ""
        jobs.setdefault(job, []).append(node)
    return [line for line in jobs.values() if len(line) >= claim.nodes]


def _ahead(market: Market, claim: Claim) -> list[Claim]:
    """Return those that wait too and are served before, in order."""
    standing = standings(market.claims)

    def place(other: Claim) -> tuple[float, ...]:
        held = standing[other.project].held
        return lag(other, market.contest, held), *market.contest.place(other)

    own = place(claim)
    waiting = (c for c in market.claims if len(c.held) < c.nodes)
    return sorted((c for c in waiting if place(c) < own), key=place)


def _in_line(
    lines: Sequence[list[Coming]], ahead: Sequence[Claim], claim: Claim, slice_s: float
) -> Start:
    """Let those ahead take the first nodes, each for a turn; then look."""
    for other in ahead:
        missing = other.nodes - len(other.held)
        fit = [x for x in lines if len(x) >= missing]
        line = min(fit, key=lambda x: x[missing - 1].at_s, default=[])
        if not line or line[missing - 1].at_s == math.inf:
            # It cannot have its gang from these, whatever it waits for.
            continue
        from_s = line[missing - 1].at_s
        alike = (other.project, other.priority, other.level) == (
            claim.project,
            claim.priority,
            claim.level,
        )
        until_s = from_s + slice_s if alike else math.inf
        why = f"{other.simulation}, which is before it, has had a turn"
        if not alike:
            why = f"nobody knows when {other.simulation}, which is before it, ends"
        taken = [replace(node, at_s=until_s, why=why) for node in line[:missing]]
        line[:] = sorted([*line[missing:], *taken], key=attrgetter("at_s"))
    last = min((x[claim.nodes - 1] for x in lines), key=attrgetter("at_s"))
    return Start(at_s=None if last.at_s == math.inf else last.at_s, why=last.why)
