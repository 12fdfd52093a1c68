"""The numbers behind a decision, by topic, as plain data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Set
from typing import Any

from climorch.core.awaiting import Market, coming, expected_start
from climorch.core.contest import shares
from climorch.core.demand import exempt_until_s
from climorch.core.dropping import failures_of
from climorch.core.fold_commands import MONTH_S
from climorch.core.horizon import closes_s, shuts_out
from climorch.core.outlook import written_for_s
from climorch.core.pacing import pace_at, too_long
from climorch.core.state import CampaignState, Phase, SetState, SimulationState
from climorch.core.upkeep import Policies, strategy_of
from climorch.model.events import Cause
from climorch.model.scenario import DEFAULT_PROJECT, Project
from climorch.policy.fairtree import Account, normalised_shares
from climorch.policy.holders import standings
from climorch.policy.limits import faded
from climorch.policy.overdue import guest_from_s, guest_of
from climorch.policy.partnering import PartnerCopy, partner_copy_of, partners
from climorch.policy.sharing import Sharing, lasts_s, remaining_node_s, share_tree

__all__ = [
    "checkpoint_factors",
    "going",
    "guest_factors",
    "project_factors",
    "protection_factors",
    "set_factors",
    "turn_factors",
    "wait_factors",
    "window_factors",
]

Factors = dict[str, Any]


def project_factors(
    state: CampaignState, simulation: SimulationState, market: Market, sharing: Sharing
) -> Factors:
    """Say what the project of a simulation is entitled to, and what it has used.

    Parameters
    ----------
    state : CampaignState
        What is known.
    simulation : SimulationState
        Which.
    market : Market
        What everybody asks for.
    sharing : Sharing
        The rules.
    """
    name = simulation.scenario.project
    project = state.projects.get(name, Project(name))
    wanted: dict[str, float] = {name: 0.0}
    for claim in market.claims:
        most = max(claim.most_nodes, claim.nodes)
        wanted[claim.project] = wanted.get(claim.project, 0.0) + most
    usage = state.usage_at(state.now_s)
    decayed = {p: used.decayed_node_s for p, used in usage.items()}
    known = wanted.keys() | decayed.keys() | state.projects.keys()
    parts = _parts_of_the_site(state, dict.fromkeys(wanted, 0.0) | decayed, known)
    shared = shares(state, wanted, sharing)
    ranks = sorted(shared.ranks[p] for p in known)
    whole = sum(decayed.values())
    used_s = usage[name].node_s if name in usage else 0.0
    held = usage[name].nodes if name in usage else 0
    left_s = remaining_node_s(project, used_s)
    return {
        "name": name,
        "institution": project.institution or name,
        "share": project.share,
        "share of the site": parts[name],
        "share of the default project": parts.get(DEFAULT_PROJECT),
        "share of decayed usage": decayed.get(name, 0.0) / whole if whole else 0.0,
        "place in Fair Tree": ranks.index(shared.ranks[name]) + 1,
        "projects": len(ranks),
        "nodes wanted": wanted[name],
        "nodes it should hold": shared.targets[name],
        "nodes of its bare share": shared.floors[name],
        "nodes held": held,
        "used, node-hours": used_s / 3600,
        "budget, node-hours": project.budget_node_hours,
        "budget left, node-hours": None if left_s == math.inf else left_s / 3600,
        "budget lasts, s": _finite(lasts_s(project, used_s, nodes=held)),
    }


def _parts_of_the_site(
    state: CampaignState, usage: Mapping[str, float], known: Set[str]
) -> dict[str, float]:
    """Return the share of each project that is there.

    The default one is in every tree; where nobody submitted to it, it takes nothing.
    """
    root = share_tree(state.projects.values(), usage)
    there = [c for c in root.children if c.children or c.name in known]
    return normalised_shares(Account(name="", children=tuple(there)))


def guest_factors(simulation: SimulationState, market: Market) -> Factors:
    """Say when a simulation that waits has waited too long, and what follows.

    Parameters
    ----------
    simulation, market
        As for `project_factors`.

    Returns
    -------
    dict
        Empty where it waits for no whole gang. Times in the driver's clock, seconds;
        None: not as things are.
    """
    claim = market.claim_of(simulation.name)
    if claim is None or claim.under_way:
        return {}
    contest, board = market.contest, market.board
    guest, _ = guest_of(board, contest, board.pool(contest.now_s))
    target = contest.targets.get(claim.project, math.inf)
    floor = contest.floors.get(claim.project, 0.0)
    return {
        "waits since": _finite(claim.waits_since_s),
        "patience, s": contest.patience_s,
        "project should hold, of its bare share": target / floor if floor else None,
        "served before all others from": _finite(guest_from_s(board, contest, claim)),
        "served before all others": guest is claim,
        "who is": None if guest is None else guest.simulation,
    }


def protection_factors(
    state: CampaignState, simulation: SimulationState, market: Market
) -> Factors:
    """Say on which terms others may take the nodes of a simulation.

    Parameters
    ----------
    state, simulation, market
        As for `project_factors`.
    """
    terms = simulation.scenario.protection
    until_s = exempt_until_s(simulation)
    name = simulation.scenario.project
    floor = market.contest.floors.get(name, math.inf)
    protected = standings(market.claims)[name].protected
    recent = [t for t in simulation.interruptions_s if t > state.now_s - MONTH_S]
    return {
        "level": terms.level,
        "exempt for, s": terms.exempt_for_s,
        "between interruptions, s": terms.min_between_s,
        "interruptions in 30 days, at most": terms.max_preemptions,
        "interruptions in the last 30 days": len(recent),
        "exempt until": until_s if until_s > state.now_s else None,
        "kept against other projects": terms.level > 0 and protected <= floor,
    }


def turn_factors(
    state: CampaignState, simulation: SimulationState, market: Market
) -> Factors:
    """Say since when a simulation has nodes and what it has had before.

    Parameters
    ----------
    state, simulation, market
        As for `project_factors`.
    """
    slice_s = market.contest.slice_s
    holds = bool(simulation.lease)
    running_s = state.now_s - simulation.turn_s if holds else 0.0
    return {
        "since": simulation.turn_s if holds else None,
        "slice, s": slice_s,
        "turns served": int((simulation.served_s + running_s) // slice_s),
        "served before, s": simulation.served_s,
        "committed in it": simulation.fruitful if holds else False,
        "borrowed": simulation.borrowed and holds,
        "nodes lent": max(len(simulation.lease) - simulation.plan.nodes, 0),
        "gives up": simulation.preempted,
    }


def window_factors(
    state: CampaignState, simulation: SimulationState
) -> tuple[Factors, ...]:
    """List the windows that concern the nodes of a simulation, or all that wait for it.

    Parameters
    ----------
    state, simulation
        As for `project_factors`.
    """
    nodes = simulation.lease or tuple(state.nodes)
    found = []
    for window in sorted(state.windows.values(), key=lambda w: (w.start_s, w.name)):
        own = tuple(node for node in nodes if window.covers(node))
        if window.stop_s > state.now_s and (own or not window.placed):
            found.append(
                {
                    "window": window.name,
                    "nodes": own,
                    "start": window.start_s,
                    "stop": window.stop_s,
                    "holder": window.holder or None,
                    "hard": window.hard,
                    "placed": window.placed,
                    "shuts it out": shuts_out(window, simulation),
                }
            )
    return tuple(found)


def wait_factors(
    state: CampaignState, simulation: SimulationState, market: Market, now_s: float
) -> Factors:
    """Say which nodes a simulation waits for, who gives them, and about when.

    Parameters
    ----------
    state, simulation, market
        As for `project_factors`.
    now_s : float
        Driver's clock, seconds.

    Returns
    -------
    dict
        Nodes that are large enough for it: which are free, which it will get
        back from whom, who has the others, when each may come (driver's clock,
        seconds; None: nobody knows); and when it is expected to start.
    """
    claim = market.claim_of(simulation.name)
    start = expected_start(state, simulation, market, now_s)
    expected = {"expected start": start.at_s, "expected after": start.why}
    if claim is None:
        return expected
    lacking = claim.nodes - len(claim.held)
    nodes = coming(state, market, claim, now_s)
    back: dict[str, list[str]] = {}
    for node in nodes:
        if node.asked and node.holder is not None:
            back.setdefault(node.holder, []).append(node.node)
    awaited = market.decided.awaits.get(claim.simulation, ())
    return {
        "nodes lacking": lacking,
        "nodes free": tuple(n.node for n in nodes if n.holder is None),
        "nodes awaited": awaited,
        "asked to give back": {name: tuple(found) for name, found in back.items()},
        "held by": {n.node: n.holder for n in nodes if n.holder is not None},
        "may come": {n.node: _finite(n.at_s) for n in nodes},
        **expected,
    }


def set_factors(simulation: SimulationState, s: SetState) -> Factors:
    """Say where a set stands and which others it waits for.

    Parameters
    ----------
    simulation : SimulationState
        Whose.
    s : SetState
        The set.
    """
    before = simulation.plan.prerequisites[s.name] if s.phase is Phase.IDLE else ()
    held = s.held
    return {
        "phase": s.phase.value,
        "attempt": s.attempt,
        "boundary computed": s.reached,
        "boundary committed": s.committed,
        "boundaries": s.plan.last,
        "running": dict(s.running),
        "next checkpoint at": s.planned,
        "checkpoint being written": s.checkpoint,
        "states came from": s.rung or None,
        "lost by the newest failure, s": s.lost_s,
        "partners": partners(simulation.lease),
        "copy held by partners": held.boundary,
        "copy on its way": held.copying,
        "copy being written": held.salvaging,
        "last written from a copy": held.salvaged,
        "waits for": [name for name in before if not simulation.sets[name].complete],
    }


def checkpoint_factors(
    state: CampaignState, simulation: SimulationState, s: SetState, rules: Policies
) -> Factors:
    """Say when a set is checkpointed, and which caps change that.

    Parameters
    ----------
    state : CampaignState
        What is known.
    simulation, s
        As for `set_factors`.
    rules : Policies
        Strategies and caps.
    """
    nodes = len(simulation.lease) or simulation.plan.nodes
    strategy = strategy_of(rules, simulation, s)
    return {
        "strategy": repr(strategy),
        "cost of one, s": s.cost_s,
        "spent lately, s": faded(s.spent_s, state.now_s - s.spent_at_s),
        "between failures of the lease, s": state.mtbf_s(nodes, state.now_s),
        "between failures that copies do not heal, s": _severe_s(
            state, simulation, s, partner_copy_of(strategy)
        ),
        "overhead cap": rules.limits.most_overhead,
        "exposure cap, s": rules.limits.most_exposure_s,
        "longest interval, s": rules.limits.longest_s,
        "being written": s.checkpoint,
        "being written for, s": written_for_s(s, state.now_s),
        "storage failures since the last": failures_of(simulation, s).get(
            Cause.STORAGE, 0
        ),
        "next try in, s": max(s.retry_at_s - state.now_s, 0.0),
        "found damaged": tuple(c.boundary for c in s.commits.values() if not c.good),
        "cap that binds": s.binds or None,
        "because": s.binds_why or None,
        "cannot be kept": [
            str(fault)
            for fault in too_long(state, simulation, rules.limits)
            if fault.place.endswith(f"set {s.name!r}")
        ],
    }


def _severe_s(
    state: CampaignState,
    simulation: SimulationState,
    s: SetState,
    partner: PartnerCopy | None,
) -> float | None:
    """Return what the disk is told while a copy is held; None: nothing is copied."""
    if partner is None or len(simulation.lease) < 2 or s.complete:
        return None
    at = min(s.reached, s.plan.last - 1)
    return partner.severe_s(pace_at(state, simulation, s, at, state.now_s, math.inf))


def going(state: CampaignState, simulation: SimulationState) -> dict[str, float]:
    """Return when leased nodes go, of those for which that is known; UTC seconds."""
    found = {n: closes_s(state, simulation, n) for n in simulation.lease}
    return {node: at_s for node, at_s in found.items() if at_s < math.inf}


def _finite(number: float) -> float | None:
    return None if number == math.inf else number
