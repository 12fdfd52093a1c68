"""What a rule is told and what it may answer."""

from __future__ import annotations

from typing import Any

import msgspec

from climorch.model.resources import Resources
from climorch.model.scenario import Scenario

__all__ = [
    "AddSimulation",
    "AddStage",
    "Committed",
    "Edit",
    "Finish",
    "MoveEnd",
    "SetPriority",
    "SetResources",
    "told",
]


class Committed(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule looks at: a stage that is committed so far, or to its end.

    Attributes
    ----------
    simulation, stage : str
        Which.
    scenario : Scenario
        Its scenario.
    segments : int
        Segments of it that are committed.
    end : str
        Model time that it is committed to, ``YYYY-MM-DDTHH:MM:SS`` in its calendar.
    complete : bool
        Whether that is its end.
    metrics : dict of str to float
        Scalars that the step returned with the last of these segments.
    """

    simulation: str
    stage: str
    scenario: Scenario
    segments: int
    end: str = ""
    complete: bool = True
    metrics: dict[str, float] = {}


class AddSimulation(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Start a simulation from states of the one that the rule looked at.

    From the checkpoint at the model time at which the template's stages begin:
    the parent's end, or any earlier one that is kept. It is kept from then on.

    Attributes
    ----------
    template : str
        Name of a workflow among the ``templates`` of the rule's workflow.
    scenario : Scenario
        Its name must be new in the campaign.
    """

    template: str
    scenario: Scenario


class AddStage(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Let a stage of the workflow be part of the simulation from now on.

    One that was declared with ``on_demand=True``. It begins as its ``begins`` says;
    an edit after this one may move its end.
    """

    stage: str


class MoveEnd(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Extend a stage, or end it earlier; with it all that are coupled to it.

    Attributes
    ----------
    stage : str
        A stage of the simulation that the rule looked at.
    end : str
        Its new end, as in `Span`; not before what is committed, and no later
        phase may have begun from the old one.
    why : str
        For ``explain``.
    """

    stage: str
    end: str
    why: str = ""


class Finish(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """End the simulation at the next boundary of what computes.

    What is computed until there is committed and published; phases that have not
    begun are left out.
    """


class SetPriority(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Change the priority of the simulation within its project."""

    priority: int


class SetResources(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Change what a stage of the simulation asks for."""

    stage: str
    resources: Resources


Edit = AddSimulation | AddStage | MoveEnd | Finish | SetPriority | SetResources

MOST_TOLD = 20


def told(edits: list[Edit]) -> tuple[str, ...]:
    """Say in words what a rule asked for; of very many, how many more.

    Parameters
    ----------
    edits : list of Edit
        In its order.
    """
    words = [_told(edit) for edit in edits[:MOST_TOLD]]
    if len(edits) > MOST_TOLD:
        words.append(f"and {len(edits) - MOST_TOLD} more")
    return tuple(words)


def _told(edit: Edit) -> str:
    match edit:
        case AddSimulation():
            return f"add {edit.scenario.name!r} from template {edit.template!r}"
        case AddStage():
            return f"add stage {edit.stage!r}"
        case MoveEnd():
            why = f": {edit.why}" if edit.why else ""
            return f"end {edit.stage!r} at {edit.end}{why}"
        case Finish():
            return "finish"
        case SetPriority():
            return f"priority {edit.priority}"
        case SetResources():
            return f"resources of {edit.stage!r}: {as_data(edit)['resources']}"


def as_data(edit: Edit) -> Any:
    """Return an edit as plain data, for logs and ``explain``."""
    return msgspec.to_builtins(edit)
