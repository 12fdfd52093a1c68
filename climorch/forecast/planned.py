"""What a campaign has planned for each project, and what the rest will take."""

from __future__ import annotations

from climorch.core.estimating import Interval, outlay
from climorch.core.lifecycle import Control
from climorch.core.state import CampaignState, SimulationState
from climorch.core.stretch import siblings
from climorch.core.upkeep import Policies
from climorch.errors import InvalidInputError
from climorch.forecast.booked import Ledger
from climorch.forecast.entries import HOUR_S
from climorch.forecast.reporting import Planned

__all__ = ["notes_on", "planned", "projects_of"]


def projects_of(state: CampaignState, ledger: Ledger) -> tuple[str, ...]:
    """Return projects that were declared, have simulations or have used anything.

    Parameters
    ----------
    state : CampaignState
        What is known.
    ledger : Ledger
        Of everybody.
    """
    names = [simulation.scenario.project for simulation in state.simulations.values()]
    names += [entry.project for entry in ledger.entries if entry.project]
    return tuple(dict.fromkeys([*state.projects, *names]))


def planned(
    state: CampaignState, policies: Policies, ledger: Ledger, project: str
) -> Planned:
    """Say what a project has planned and what is left of it.

    Parameters
    ----------
    state : CampaignState
        What is known.
    policies : Policies
        When simulations are checkpointed.
    ledger : Ledger
        Of everybody, from the begin of the campaign on.
    project : str
        Which.

    Returns
    -------
    Planned
        Of cancelled simulations nothing is left.
    """
    own = state.of_project(project)
    lefts = {s.name: _left(state, policies, s) for s in own}
    known = [left for left in lefts.values() if left is not None]
    declared = state.projects.get(project)
    return Planned(
        project=project,
        institution=(declared.institution if declared else "") or project,
        budget_node_hours=declared.budget_node_hours if declared else None,
        used_node_hours=ledger.select(project=project).held_node_s / HOUR_S,
        simulations=len(own),
        completed=sum(s.complete for s in own),
        segments=sum(stage.segments for s in own for stage in s.plan.stages),
        committed=sum(n for s in own for n in s.committed_segments.values()),
        remaining_node_hours=None
        if len(known) < len(own)
        else Interval(
            p10=sum(left.p10 for left in known),
            p50=sum(left.p50 for left in known),
            p90=sum(left.p90 for left in known),
        ),
        unknown=tuple(name for name, left in lefts.items() if left is None),
    )


def _left(
    state: CampaignState, policies: Policies, simulation: SimulationState
) -> Interval | None:
    """Return the node-hours that are left of a simulation; None: nobody knows."""
    if simulation.complete or simulation.control is Control.CANCELLED:
        return Interval(p10=0.0, p50=0.0, p90=0.0)
    plan = simulation.plan
    try:
        left = outlay(
            plan,
            own=simulation,
            others=siblings(state, plan, simulation.name),
            name=simulation.name,
            policies=policies,
            mtbf_s=state.mtbf_s(plan.nodes, state.now_s),
        )
    except InvalidInputError:
        return None
    return left.duration_s * (plan.nodes / HOUR_S)


def notes_on(ledger: Ledger, *, known: bool) -> tuple[str, ...]:
    """Say what must be known to read a report.

    Parameters
    ----------
    ledger : Ledger
        Of everybody.
    known : bool
        Whether there is a forecast.
    """
    notes = []
    if not ledger.entries:
        notes.append("Nothing was used yet.")
    if ledger.gaps:
        hours = sum(g.nodes * (g.until_s - g.since_s) for g in ledger.gaps) / HOUR_S
        notes.append(
            f"{len(ledger.gaps)} times a driver died while nodes were held; up to "
            f"{hours:,.1f} node-hours until the next one are counted nowhere."
        )
    if not known:
        notes.append("No forecast from use: less than six whole months of it.")
    return tuple(notes)
