"""What a rule is told and what it may answer."""

from __future__ import annotations

from typing import Any

import msgspec

from climorch.model.scenario import Scenario

__all__ = ["AddSimulation", "Committed", "Edit"]


class Committed(msgspec.Struct, frozen=True, kw_only=True):
    """A stage that is committed to its end.

    Attributes
    ----------
    simulation, stage : str
        Which.
    scenario : Scenario
        Its scenario.
    segments : int
        Segments that it took.
    metrics : dict of str to float
        Scalars that the step returned with its last segment.
    """

    simulation: str
    stage: str
    scenario: Scenario
    segments: int
    metrics: dict[str, float] = {}


class AddSimulation(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Start a simulation from the last states of the one the rule looked at.

    Attributes
    ----------
    template : str
        Name of a workflow among the ``templates`` of the rule's workflow.
    scenario : Scenario
        Its name must be new in the campaign.
    """

    template: str
    scenario: Scenario


Edit = AddSimulation


def as_data(edit: Edit) -> Any:
    """Return an edit as plain data, for logs and ``explain``."""
    return msgspec.to_builtins(edit)
