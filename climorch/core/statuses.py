"""How far each simulation is, who has which node, which windows there are.

Pure views of the state. Nothing here decides; the allocation is asked again for
what it would say now.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from climorch.core.contest import contest_of
from climorch.core.demand import board_of, decided_on
from climorch.core.dropping import dropped_told
from climorch.core.holds import holding
from climorch.core.horizon import needs_s, shuts_out
from climorch.core.outlook import (
    checkpoint_age_s,
    expected_end_s,
    exposure_s,
    rate_sypd,
)
from climorch.core.pacing import caps_of
from climorch.core.ruling import rule_faults_told
from climorch.core.state import CampaignState, Control, Phase, SimulationState
from climorch.core.supplying import supply_told
from climorch.core.upkeep import Policies
from climorch.errors import NotFoundError
from climorch.model.moments import date_of
from climorch.model.windows import Window
from climorch.policy.limits import Limits

__all__ = [
    "NodeStatus",
    "SimulationStatus",
    "known",
    "nodes_of",
    "shut_windows",
    "status_of",
    "summarise",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationStatus:
    """How far a simulation is.

    Attributes
    ----------
    simulation, workflow, project : str
        What it is.
    status : str
        waiting, running, pausing, paused, finished, failed or cancelled.
    priority : int
        Higher goes first.
    segments, computed, committed : int
        Of all its stages; computed ones include committed ones.
    nodes : int
        Held now.
    node_hours : float
        Held so far.
    checkpoints : int
        Committed ones that exist.
    exposure_s : float
        Seconds of compute that would be lost if everything died now.
    lost_s : float
        Seconds of compute that were lost so far.
    rate_sypd : float or None
        Simulated years per day of wall time, from measured segments; None
        while it does not run or nothing was measured.
    expected_end_s : float or None
        When it will be computed to its end if it keeps its nodes, UTC seconds;
        None while it does not run or a stage to come was never measured.
    checkpoint_age_s : float or None
        Age of its newest verified checkpoint, in seconds; None without one.
    caps : str
        Which cap on checkpoints has changed what its strategy wanted, or cannot
        be kept, in words; empty: none.
    why : str
        Reason for its status.
    """

    simulation: str
    workflow: str
    project: str
    status: str
    priority: int
    segments: int
    computed: int
    committed: int
    nodes: int
    node_hours: float
    checkpoints: int
    exposure_s: float
    lost_s: float
    rate_sypd: float | None = None
    expected_end_s: float | None = None
    checkpoint_age_s: float | None = None
    caps: str = ""
    why: str

    @property
    def progress(self) -> float:
        """Committed share of its segments, in [0, 1]."""
        return self.committed / self.segments

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)

    @classmethod
    def columns(cls) -> tuple[str, ...]:
        """Names of the fields, in order."""
        return tuple(field.name for field in fields(cls))


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """A node and who has it.

    Attributes
    ----------
    node : str
        Its name.
    up : bool
        Whether it is there; one that is drained or in a window is listed when
        it is not.
    draining : bool
        Whether it gets no new lease.
    simulation : str or None
        Who holds it now.
    cores : int
        Cores for compute; 0 while it is not up.
    memory_bytes : int
        Memory; 0: unlimited or not known.
    windows : tuple of str
        Those that have begun and that it is in.
    slow : float or None
        How many times longer than expected it takes; None: it is not slow.
    """

    node: str
    up: bool
    draining: bool = False
    simulation: str | None = None
    cores: int = 0
    memory_bytes: int = 0
    windows: tuple[str, ...] = ()
    slow: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)

    @classmethod
    def columns(cls) -> tuple[str, ...]:
        """Names of the fields, in order."""
        return tuple(field.name for field in fields(cls))


def summarise(
    state: CampaignState,
    now_s: float,
    policies: Policies | None = None,
) -> tuple[SimulationStatus, ...]:
    """Return the status of every simulation, in order of submission.

    Parameters
    ----------
    state : CampaignState
        What is known.
    now_s : float
        Driver's clock, seconds.
    policies : Policies or None
        The rules; None: as by default.
    """
    rules = policies or Policies()
    board = board_of(state, sharing := rules.sharing)
    contest = contest_of(state, board.wanted(), sharing)
    waits = decided_on(board, contest, rules.allocation, tell_all=True).waits
    shut = shut_windows(state)
    return tuple(
        status_of(
            state, simulation, now_s, waits.get(simulation.name), shut, rules.limits
        )
        for simulation in state.simulations.values()
    )


def shut_windows(state: CampaignState) -> tuple[Window, ...]:
    """Return the windows, not over, in which nodes are that are up."""
    return tuple(
        window
        for window in state.windows.values()
        if window.stop_s > state.now_s and any(map(window.covers, state.nodes))
    )


def status_of(
    state: CampaignState,
    simulation: SimulationState,
    now_s: float,
    wait: str | None,
    shut: Sequence[Window],
    limits: Limits | None = None,
) -> SimulationStatus:
    """Return the status of a simulation.

    Parameters
    ----------
    state : CampaignState
        What is known.
    simulation : SimulationState
        Which.
    now_s : float
        Driver's clock, seconds.
    wait : str or None
        Why the allocation gives it no nodes, if so.
    shut : sequence of Window
        As of `shut_windows`.
    limits : Limits or None
        Caps on checkpoints; None: as by default.
    """
    held_s = max(now_s - simulation.lease_since_s, 0.0) if simulation.lease else 0.0
    sets = simulation.sets.values()
    return SimulationStatus(
        simulation=simulation.name,
        workflow=simulation.plan.workflow,
        project=simulation.scenario.project,
        status=simulation.status.value,
        priority=simulation.priority,
        segments=sum(stage.segments for stage in simulation.plan.stages),
        computed=sum(sum(s.done.values()) for s in sets),
        committed=sum(sum(s.committed_segments.values()) for s in sets),
        nodes=len(simulation.lease),
        node_hours=(simulation.node_s + len(simulation.lease) * held_s) / 3600,
        checkpoints=sum(len(s.commits) for s in sets),
        exposure_s=exposure_s(simulation, now_s),
        lost_s=simulation.lost_s,
        rate_sypd=rate_sypd(simulation),
        expected_end_s=expected_end_s(simulation, now_s),
        checkpoint_age_s=checkpoint_age_s(simulation, now_s),
        caps=caps_of(state, simulation, limits or Limits()),
        why=_why(state, simulation, wait, shut),
    )


def nodes_of(state: CampaignState, now_s: float) -> tuple[NodeStatus, ...]:
    """Return the nodes that are up, drained or in a window, by name.

    Parameters
    ----------
    state : CampaignState
        What is known.
    now_s : float
        Driver's clock, seconds.
    """
    holders = {n: s.name for s in state.simulations.values() for n in s.lease}
    begun = [w for w in state.windows.values() if w.start_s <= now_s < w.stop_s]
    named = {node for window in begun for node in window.nodes}
    shunned = state.paces.shunned
    return tuple(
        NodeStatus(
            node=name,
            up=name in state.nodes,
            draining=name in state.draining,
            simulation=holders.get(name),
            cores=state.nodes[name].cores if name in state.nodes else 0,
            memory_bytes=state.nodes[name].memory_bytes if name in state.nodes else 0,
            windows=tuple(window.name for window in begun if window.covers(name)),
            slow=shunned[name].slow if name in shunned else None,
        )
        for name in sorted(state.nodes.keys() | state.draining | named)
    )


def _why(
    state: CampaignState,
    simulation: SimulationState,
    wait: str | None,
    shut: Sequence[Window],
) -> str:
    if simulation.failed is not None:
        cause, message = simulation.failed
        return f"{cause.value}: {message}"
    faults = rule_faults_told(simulation)
    lacks = dropped_told(simulation)
    if simulation.complete:
        whole = f"finished {lacks}" if lacks else "every stage is committed to its end"
        return "; ".join(filter(None, (whole, faults)))
    if faults and simulation.control is Control.PAUSED:
        return f"paused: {faults}"
    hold = holding(state, simulation)
    if hold is not None:
        return hold.why
    for s in simulation.sets.values():
        if s.phase is Phase.SALVAGING:
            return (
                f"writes boundary {s.held.salvaging} of set {s.name} from the copies "
                f"that partners hold: {s.broken[1] if s.broken else 'nodes lost'}"
            )
    later = [s for s in simulation.sets.values() if s.retry_at_s > state.now_s]
    if later and simulation.lease:
        return f"tries again in {later[0].retry_at_s - state.now_s:.0f} s"
    lost = ", ".join(f"{n} ({r})" if r else n for n, r in simulation.missed.items())
    if simulation.lease:
        why = simulation.lease_why
        if lost:
            why += f": {lost}" if why == "nodes lost" else f"; nodes lost: {lost}"
        why += _slowed(state, simulation)
        return f"{why}; goes on {lacks}" if lacks else why
    if not state.driven:
        return "no driver runs"
    if wait and lost:
        wait = f"{wait}; nodes lost: {lost}"
    drained = sorted(state.draining & state.nodes.keys())
    if wait and drained:
        wait = f"{wait}; drained: {', '.join(drained)}"
    if wait and (closed := _closed(state, simulation, shut)):
        wait = f"{wait}; not for it: {closed}"
    if wait:
        wait = "; ".join((wait, *supply_told(state)))
    return wait or "no driver runs"


def _slowed(state: CampaignState, simulation: SimulationState) -> str:
    """Name the slow nodes on which a simulation stays."""
    shunned = state.paces.shunned
    found = [
        f"{node} is {shunned[node].slow:.1f} times slower than expected"
        for node in simulation.lease
        if node in shunned
    ]
    return "; ".join(["", *found, "it stays until others are free"]) if found else ""


def _closed(
    state: CampaignState, simulation: SimulationState, shut: Sequence[Window]
) -> str:
    """Name the windows that keep nodes which are up from a waiting simulation."""
    own = [w for w in shut if shuts_out(w, simulation)]
    first_s = max((w.start_s for w in own), default=-math.inf)
    # To ask what it needs is dear: thousands may wait.
    needed_s = needs_s(state, simulation) if first_s > state.now_s else 0.0
    last_s = state.now_s + needed_s
    return ", ".join(
        f"nodes of window {w.name} until {date_of(w.stop_s)}"
        for w in own
        if w.start_s <= state.now_s or w.start_s < last_s
    )


def known(state: CampaignState, name: str) -> SimulationState:
    """Return a simulation by name.

    Raises
    ------
    NotFoundError
        If there is none of that name; says which there are.
    """
    if name not in state.simulations:
        raise NotFoundError(
            f"simulation {name!r} is not in the journal of campaign "
            f"{state.campaign!r}; it has {sorted(state.simulations) or 'none'}"
            if state.campaign
            else f"simulation {name!r} is not known: the campaign was never run; "
            "what is submitted is journaled when it is"
        )
    return state.simulations[name]


def require_stage(simulations: Iterable[SimulationState], stage: str) -> None:
    """Refuse a stage that none of some simulations has.

    Parameters
    ----------
    simulations : iterable of SimulationState
        Where there is none yet, any may come.
    stage : str
        Its name.

    Raises
    ------
    NotFoundError
        If none has it; says which there are.
    """
    stages = sorted({s.name for one in simulations for s in one.plan.stages})
    if stages and stage not in stages:
        raise NotFoundError(
            f"stage {stage!r} is not planned; there are {', '.join(stages)}"
        )
