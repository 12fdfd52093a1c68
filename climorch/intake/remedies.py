"""A user's remedy, asked: whatever it does becomes a fact."""

from __future__ import annotations

from collections.abc import Mapping

from climorch.core.remedying import params_now
from climorch.core.state import CampaignState
from climorch.model.commands import AskRemedy
from climorch.model.events import RemedyGiven
from climorch.model.numerics import BlowUp, Retry
from climorch.model.workflow import Workflow

__all__ = ["evaluate_remedy"]


def evaluate_remedy(
    state: CampaignState, workflows: Mapping[str, Workflow], command: AskRemedy
) -> RemedyGiven:
    """Ask the remedy of a workflow.

    Parameters
    ----------
    state : CampaignState
        What is known; only read.
    workflows : mapping of str to Workflow
        Where functions bind.
    command : AskRemedy
        What is asked.

    Returns
    -------
    RemedyGiven
        Without a retry where it returns None, raises, or returns something else.
    """
    simulation = state.simulations[command.simulation]
    s = simulation.sets[command.set]
    workflow = workflows.get(simulation.plan.workflow)
    remedy = workflow.on_blow_up if workflow is not None else None
    if remedy is None:
        return _none(command, "the script has no remedy for it any more")
    blow_up = BlowUp(
        simulation=command.simulation,
        set=command.set,
        number=command.number,
        message=command.message,
        params=params_now(simulation, s),
        boundary=s.committed,
        reached=command.reached,
    )
    try:
        # Users without a type checker may return anything.
        given: object = remedy.change(blow_up)
    except Exception as error:
        return _none(command, f"its remedy raised {type(error).__name__}: {error}")
    if given is None:
        return _none(command, "its remedy has nothing more to try")
    if not isinstance(given, Retry):
        return _none(command, f"its remedy returned a {type(given).__name__}")
    return RemedyGiven(
        simulation=command.simulation,
        set=command.set,
        number=command.number,
        retry=True,
        params=dict(given.params),
        reseed=given.reseed,
        back=given.back,
    )


def _none(command: AskRemedy, message: str) -> RemedyGiven:
    return RemedyGiven(
        simulation=command.simulation,
        set=command.set,
        number=command.number,
        retry=False,
        message=message,
    )
