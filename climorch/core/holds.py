"""Why a simulation may start nothing new, and which nodes it keeps then.

Whoever is held goes to the next common boundary, checkpoints there and gives
nodes back. Pure views of the state.
"""

from __future__ import annotations

from dataclasses import dataclass

from climorch.core.horizon import closing, shuts_out, windows_of
from climorch.core.state import CampaignState, Control, SimulationState
from climorch.policy.sharing import used_up

__all__ = ["Hold", "broke", "holding", "is_over", "leaving", "spent", "staying"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A simulation that may start nothing new.

    Attributes
    ----------
    why : str
        Reason in words.
    stays : tuple of str
        Nodes that it keeps once it has been checkpointed.
    """

    why: str
    stays: tuple[str, ...] = ()


def holding(state: CampaignState, simulation: SimulationState) -> Hold | None:
    """Say why a simulation may start nothing new, if so.

    Parameters
    ----------
    state : CampaignState
        What is known.
    simulation : SimulationState
        Which.

    Returns
    -------
    Hold or None
        None: it may go on.
    """
    if state.stopping:
        return Hold(why="the driver is to stop")
    if simulation.control is Control.PAUSED:
        return Hold(why="paused")
    if simulation.preempted is not None:
        return Hold(why=simulation.preempted)
    if spent(state, simulation):
        project = simulation.scenario.project
        return Hold(why=f"the budget of project {project} is used up")
    why = _leaving_why(state, simulation)
    if why is None and simulation.shrink_to is None:
        return None
    stays = staying(state, simulation)
    return Hold(why=why or "lent nodes go back", stays=stays[: simulation.shrink_to])


def spent(state: CampaignState, simulation: SimulationState) -> bool:
    """Tell whether the budget of a simulation's project has nothing left."""
    return _spent(state, simulation.scenario.project)


def broke(state: CampaignState) -> frozenset[str]:
    """Return the projects whose budget has nothing left."""
    return frozenset(name for name in state.projects if _spent(state, name))


def _spent(state: CampaignState, name: str) -> bool:
    project = state.projects.get(name)
    if project is None or project.budget_node_hours is None:
        return False
    used = state.usage.get(name)
    if used is None:
        return False
    node_s = used.at(state.now_s, half_life_s=state.half_life_s).node_s
    return used_up(project, node_s)


def is_over(state: CampaignState) -> bool:
    """Tell whether nothing is left to do, or nothing more may be done."""
    simulations = state.simulations.values()
    if state.stopping:
        ended = not any(s.lease for s in simulations)
    else:
        ended = all(
            simulation.settled
            or (
                not simulation.lease
                and (
                    simulation.failed is not None
                    or simulation.control is not Control.RUN
                    or spent(state, simulation)
                )
            )
            for simulation in simulations
        )
    if not ended:
        return False
    # A driver that is to leave does not stay for an archive.
    stays = not state.stopping
    return not any(
        c.deleting or (stays and c.archiving)
        for _, s in state.sets()
        for c in s.commits.values()
    ) and not (stays and any(s.results_archiving for s in simulations))


def staying(state: CampaignState, simulation: SimulationState) -> tuple[str, ...]:
    """Return the leased nodes that a simulation need not leave, in order."""
    away = state.draining.union(closing(state, simulation), leaving(simulation))
    stays = simulation.lease
    if away:
        stays = tuple(node for node in stays if node not in away)
    return _of_one_job(state, stays) if simulation.plan.together else stays


def _of_one_job(state: CampaignState, nodes: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of some nodes that are of one job, as many as can be.

    Leases are made of one job. They are of several where these were not known of, in
    journals from before, or where programs are started otherwise from now on.
    """
    jobs = [state.nodes[node].job for node in nodes]
    if len(set(jobs)) <= 1:
        return nodes
    kept = max(jobs, key=jobs.count)
    return tuple(node for node, job in zip(nodes, jobs, strict=True) if job == kept)


def leaving(simulation: SimulationState) -> tuple[str, ...]:
    """Return the nodes of a move that is not over."""
    moved = simulation.moved
    return () if moved is None or moved.over else moved.leave


def _leaving_why(state: CampaignState, simulation: SimulationState) -> str | None:
    if state.draining and state.draining.intersection(simulation.lease):
        return "a node of its lease is drained"
    if away := closing(state, simulation):
        why = "nodes of its lease go before its next segments would have ended"
        names = dict.fromkeys(
            window.name
            for node in away
            for window in windows_of(state, node)
            if shuts_out(window, simulation)
        )
        return f"{why} (window {', '.join(names)})" if names else why
    moved = simulation.moved
    if moved is not None and set(leaving(simulation)).intersection(simulation.lease):
        return moved.why
    if simulation.plan.together and len(staying(state, simulation)) < len(
        simulation.lease
    ):
        return "programs start within one job, and nodes of its lease are of others"
    return None
