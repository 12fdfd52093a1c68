"""Who wants what: projects and the variants they run."""

from __future__ import annotations

from typing import Any

import msgspec

from climorch.errors import Fault, InvalidInputError
from climorch.model.names import name_fault
from climorch.model.protection import Protection

__all__ = ["DEFAULT_PROJECT", "Project", "Scenario"]

DEFAULT_PROJECT = "default"


class _Named(msgspec.Struct, frozen=True):
    name: str


class Project(_Named, frozen=True, kw_only=True):
    """A group of people whose simulations are accounted together.

    Attributes
    ----------
    name : str
        Its name; simulations are accounted under it.
    institution : str
        Who it belongs to.
    """

    institution: str = ""

    def __post_init__(self) -> None:
        _refuse(name_fault(self.name, place="Project.name"), "project")


class Scenario(_Named, frozen=True, kw_only=True):
    """Parameters, project and priority of one variant of a workflow.

    Attributes
    ----------
    name : str
        Name of the simulation that it becomes.
    params : mapping of str to number, str, bool, None or list of these
        What the steps read from ``segment.params``; is journaled as JSON.
    project : str
        Which project pays.
    priority : int
        Within a project, higher goes first; equal ones take turns.
    protection : Protection
        On which terms others may take its nodes.
    """

    params: dict[str, Any] = {}
    project: str = DEFAULT_PROJECT
    priority: int = 0
    protection: Protection = Protection()

    def __post_init__(self) -> None:
        _refuse(name_fault(self.name, place="Scenario.name"), "scenario")
        _refuse(name_fault(self.project, place="Scenario.project"), "scenario")
        try:
            same = msgspec.json.decode(msgspec.json.encode(self.params)) == self.params
        except (TypeError, ValueError, RecursionError) as error:
            problem = str(error)
            same = False
        else:
            problem = "they change when written as JSON"
        if not same:
            _refuse(
                Fault(
                    place=f"scenario {self.name!r}, params",
                    problem=problem,
                    remedy="use numbers, strings, booleans, None, lists and "
                    "string-keyed dicts of these; load anything larger in init",
                ),
                "scenario",
            )


def _refuse(fault: Fault | None, what: str) -> None:
    if fault is not None:
        raise InvalidInputError(f"this {what} cannot be used", faults=[fault])
