"""Why each simulation is where it is, as data.

Pure views of the state: progress, exposure, the reason for waiting. Nothing
here decides; the allocation is asked again for what it would say now.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

import msgspec

from climorch.core.demand import claims, contest_of, offers
from climorch.core.holds import holding
from climorch.core.outlook import (
    checkpoint_age_s,
    expected_end_s,
    exposure_s,
    rate_sypd,
)
from climorch.core.state import CampaignState, Phase, SimulationState
from climorch.errors import NotFoundError
from climorch.policy.allocation import allocate
from climorch.policy.sharing import Sharing

__all__ = [
    "Explanation",
    "NodeStatus",
    "SimulationStatus",
    "explain",
    "known",
    "nodes_of",
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
        Whether it is there; one that is drained is listed when it is not.
    draining : bool
        Whether it gets no new lease.
    simulation : str or None
        Who holds it now.
    cores : int
        Cores for compute; 0 while it is not up.
    memory_bytes : int
        Memory; 0: unlimited or not known.
    """

    node: str
    up: bool
    draining: bool = False
    simulation: str | None = None
    cores: int = 0
    memory_bytes: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)

    @classmethod
    def columns(cls) -> tuple[str, ...]:
        """Names of the fields, in order."""
        return tuple(field.name for field in fields(cls))


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why a simulation is where it is.

    Attributes
    ----------
    status : SimulationStatus
        How far it is.
    factors : dict
        Every number that the decision rests on.
    """

    status: SimulationStatus
    factors: dict[str, Any]

    def __str__(self) -> str:
        lines = [f"{self.status.simulation} is {self.status.status}: {self.status.why}"]
        lines += [f"  {name} = {value}" for name, value in self.factors.items()]
        return "\n".join(lines)


def summarise(
    state: CampaignState, now_s: float, sharing: Sharing | None = None
) -> tuple[SimulationStatus, ...]:
    """Return the status of every simulation, in order of submission.

    Parameters
    ----------
    state : CampaignState
        What is known.
    now_s : float
        Driver's clock, seconds.
    sharing : Sharing or None
        How projects share the nodes; None: as by default.
    """
    wanted = claims(state)
    contest = contest_of(state, wanted, sharing or Sharing())
    waits = allocate(wanted, offers(state), contest).waits
    return tuple(
        _status(state, simulation, now_s, waits.get(simulation.name))
        for simulation in state.simulations.values()
    )


def _status(
    state: CampaignState, simulation: SimulationState, now_s: float, wait: str | None
) -> SimulationStatus:
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
        why=_why(state, simulation, wait),
    )


def nodes_of(state: CampaignState) -> tuple[NodeStatus, ...]:
    """Return the nodes that are up or drained, by name.

    Parameters
    ----------
    state : CampaignState
        What is known.
    """
    holders = {n: s.name for s in state.simulations.values() for n in s.lease}
    return tuple(
        NodeStatus(
            node=name,
            up=name in state.nodes,
            draining=name in state.draining,
            simulation=holders.get(name),
            cores=state.nodes[name].cores if name in state.nodes else 0,
            memory_bytes=state.nodes[name].memory_bytes if name in state.nodes else 0,
        )
        for name in sorted(state.nodes.keys() | state.draining)
    )


def _why(state: CampaignState, simulation: SimulationState, wait: str | None) -> str:
    if simulation.failed is not None:
        cause, message = simulation.failed
        return f"{cause.value}: {message}"
    if simulation.complete:
        return "every stage is committed to its end"
    hold = holding(state, simulation)
    if hold is not None:
        return hold.why
    later = [s for s in simulation.sets.values() if s.retry_at_s > state.now_s]
    if later and simulation.lease:
        return f"tries again in {later[0].retry_at_s - state.now_s:.0f} s"
    if simulation.lease:
        return simulation.lease_why
    drained = sorted(state.draining & state.nodes.keys())
    if wait and drained:
        wait = f"{wait}; drained: {', '.join(drained)}"
    return wait or "no driver runs"


def known(state: CampaignState, name: str) -> SimulationState:
    """Return a simulation by name.

    Raises
    ------
    NotFoundError
        If there is none of that name; says which there are.
    """
    if name not in state.simulations:
        raise NotFoundError(
            f"simulation {name!r} is not in campaign {state.campaign!r}; "
            f"it has {sorted(state.simulations) or 'none'}"
        )
    return state.simulations[name]


def explain(
    state: CampaignState, name: str, now_s: float, sharing: Sharing | None = None
) -> Explanation:
    """Say why a simulation is where it is.

    Parameters
    ----------
    state : CampaignState
        What is known.
    name : str
        Simulation.
    now_s : float
        Driver's clock, seconds.
    sharing : Sharing or None
        How projects share the nodes; None: as by default.

    Raises
    ------
    NotFoundError
        If there is no such simulation.
    """
    simulation = known(state, name)
    status = next(s for s in summarise(state, now_s, sharing) if s.simulation == name)
    factors: dict[str, Any] = {
        "priority": simulation.priority,
        "order of submission": simulation.serial,
        "nodes needed": simulation.plan.nodes,
        "nodes usable": simulation.plan.most_nodes,
        "cores per node": simulation.plan.cores,
        "memory per node, bytes": simulation.plan.memory_bytes,
        "scratch per node, bytes": simulation.plan.scratch_bytes,
        "nodes held": simulation.lease,
        "nodes up": tuple(state.nodes),
        "failures": {cause.value: n for cause, n in simulation.failures.items()},
    }
    if state.draining:
        factors["nodes drained"] = tuple(sorted(state.draining))
    if simulation.branch is not None:
        factors["branch"] = msgspec.to_builtins(simulation.branch)
    for s in simulation.sets.values():
        factors[f"set {s.name}"] = {
            "phase": s.phase.value,
            "attempt": s.attempt,
            "boundary computed": s.reached,
            "boundary committed": s.committed,
            "boundaries": s.plan.last,
            "running": dict(s.running),
            "next checkpoint at": s.planned,
            "checkpoint being written": s.checkpoint,
            "waits for": [
                b
                for b in simulation.plan.prerequisites[s.name]
                if not simulation.sets[b].complete
            ]
            if s.phase is Phase.IDLE
            else [],
        }
    return Explanation(status=status, factors=factors)
