"""What a simulation becomes when a script submits it again.

What rules made of it since stays, but where the script itself says something new.
"""

from __future__ import annotations

import msgspec

from climorch.core.state import SimulationState
from climorch.model.events import SimulationChanged, SimulationSubmitted
from climorch.model.plan import SimulationPlan

__all__ = ["renewed_plan", "resubmitted"]


def resubmitted(
    known: SimulationState, submitted: SimulationSubmitted
) -> SimulationChanged | None:
    """Return what changes; None: nothing.

    Parameters
    ----------
    known : SimulationState
        As the journal has it.
    submitted : SimulationSubmitted
        As the script has it now; no other simulation.
    """
    declared = known.declared or known.plan
    if (declared, known.scenario) == (submitted.plan, submitted.scenario):
        return None
    plan = renewed_plan(known, submitted.plan)
    return SimulationChanged(
        simulation=known.name,
        scenario=submitted.scenario,
        plan=plan,
        declared=submitted.plan if plan != submitted.plan else None,
    )


def renewed_plan(known: SimulationState, submitted: SimulationPlan) -> SimulationPlan:
    """Return the plan of a simulation that was submitted again.

    Parameters
    ----------
    known : SimulationState
        As the journal has it.
    submitted : SimulationPlan
        As the script has it now.

    Returns
    -------
    SimulationPlan
        The script's; with the stages that rules added, and the ends and resources
        that they gave to stages, as far as the script says the same of these as
        before.
    """
    declared = known.declared
    names = [stage.name for stage in submitted.stages]
    if declared is None or names != [stage.name for stage in declared.stages]:
        return submitted
    stages = []
    for now, said, ours in zip(
        submitted.stages, declared.stages, known.plan.stages, strict=False
    ):
        kept = {
            what: getattr(ours, what)
            for what in ("boundaries", "resources")
            if getattr(now, what) == getattr(said, what)
        }
        stages.append(msgspec.structs.replace(now, **kept))
    # Those that rules added come last.
    stages += known.plan.stages[len(stages) :]
    return msgspec.structs.replace(submitted, stages=tuple(stages))
