"""From which checkpoints of other sets a set begins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from climorch.core.state import SimulationState
from climorch.model.plan import SetPlan

__all__ = ["lost_origin", "origins"]


def origins(
    simulations: Mapping[str, SimulationState], name: str, own: SetPlan
) -> Iterator[tuple[str, str, str, int]]:
    """Yield the states that the first segments of a set are given.

    Parameters
    ----------
    simulations : mapping of str to SimulationState
        All of the campaign.
    name : str
        Whose set it is.
    own : SetPlan
        The set.

    Yields
    ------
    (str, str, str, int)
        Simulation, set, stage and boundary: of the parent, as far as it is branched
        from them; then of the stages that it comes after, at their ends.
    """
    me = simulations[name]
    if me.branch is not None:
        parent = simulations[me.branch.simulation]
        for s in parent.plan.sets:
            if s.name in me.branch.boundaries:
                for stage in s.stages:
                    yield parent.name, s.name, stage.name, me.branch.boundaries[s.name]
    for stage in own.stages:
        for before in stage.after:
            s = me.sets[me.plan.set_of[before]].plan
            yield name, s.name, before, s.last


def lost_origin(
    simulations: Mapping[str, SimulationState], simulation: SimulationState
) -> str:
    """Say which checkpoint of its parent is not there to start from; empty: all are.

    Parameters
    ----------
    simulations : mapping of str to SimulationState
        All of the campaign.
    simulation : SimulationState
        Who starts.
    """
    branch = simulation.branch
    if branch is None:
        return ""
    for name, boundary in branch.boundaries.items():
        commit = simulations[branch.simulation].sets[name].commits.get(boundary)
        if commit is None or not commit.good:
            return f"checkpoint {boundary} of {branch.simulation!r}, set {name!r}"
    return ""
