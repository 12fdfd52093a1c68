"""Whether what a user passed is what is asked for at all, before it is looked into."""

from __future__ import annotations

from climorch.errors import Fault, InvalidInputError
from climorch.intake.planning import require_no
from climorch.model.kinds import told
from climorch.model.scenario import Scenario
from climorch.model.span import Span
from climorch.model.workflow import Workflow

__all__ = ["require_site", "require_submission", "strategy_faults"]


def require_submission(workflow: object, scenario: object) -> None:
    """Refuse what is no workflow, no scenario, or has a span that is none.

    Parameters
    ----------
    workflow, scenario : object
        What a user gave, who may have no type checker.

    Raises
    ------
    InvalidInputError
        With every fault.
    """
    faults = []
    if not isinstance(workflow, Workflow):
        faults.append(
            Fault(
                place="workflow",
                problem=f"got {told(workflow)}",
                remedy="pass a climorch.Workflow",
            )
        )
    if not isinstance(scenario, Scenario):
        faults.append(
            Fault(
                place="scenario",
                problem=f"got {told(scenario)}",
                remedy="pass climorch.Scenario('name', params={...})",
            )
        )
    if isinstance(workflow, Workflow):
        faults += _span_faults(workflow)
    require_no(faults, "this cannot be submitted")


def require_site(site: object) -> None:
    """Refuse what no campaign can run on.

    Parameters
    ----------
    site : object
        What a user gave, who may have no type checker.

    Raises
    ------
    InvalidInputError
        If it is no site, or the class of one.
    """
    if isinstance(site, type) or not hasattr(site, "most_nodes"):
        fault = Fault(
            place="site",
            problem=f"got {told(site)}",
            remedy="pass LocalSite(nodes=...), DaskSite(...) or the site of a batch "
            "system; a TwinSite is for rehearse(...)",
        )
        raise InvalidInputError("a campaign cannot run there", faults=[fault])


def strategy_faults(place: str, checkpointing: object) -> list[Fault]:
    """Return what is wrong with the checkpoint strategy of a stage or scenario.

    Parameters
    ----------
    place : str
        Whose it is.
    checkpointing : object
        A strategy; None: there is none of its own.

    Returns
    -------
    list of Fault
        Empty where it can be asked.
    """
    made = not isinstance(checkpointing, type)
    due = made and callable(getattr(checkpointing, "due", None))
    if checkpointing is None or due:
        return []
    return [
        Fault(
            place=f"{place}, checkpointing",
            problem=f"{type(checkpointing).__name__} has no method due(pace)"
            if made
            else f"got {told(checkpointing)}",
            remedy="pass a strategy such as EverySegments(count=10)",
        )
    ]


def _span_faults(workflow: Workflow) -> list[Fault]:
    spans: list[tuple[str, str, object]] = [
        (bound.name, stage.name, stage.span)
        for bound in (workflow, *workflow.templates)
        for stage in bound.stages
    ]
    return [
        Fault(
            place=f"workflow {name!r}, stage {stage!r}, span",
            problem=f"got {told(span)}",
            remedy="pass climorch.Span('1850-01-01', '2015-01-01', every='1YS', "
            "calendar='noleap')",
        )
        for name, stage, span in spans
        if not isinstance(span, Span)
    ]
