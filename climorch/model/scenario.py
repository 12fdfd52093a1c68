"""Who wants what: projects and the variants they run."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import msgspec

from climorch.errors import Fault, InvalidInputError
from climorch.model.names import name_fault
from climorch.model.plain import json_problem
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
        Who it belongs to and shares with; empty: it is an institution of its own.
    share : float
        What it is entitled to, relative to the other projects of its institution;
        finite, > 0. Of a project that other projects name as their institution, it
        is what the whole institution is entitled to. An institution without such a
        project has the sum of its projects' shares.
    budget_node_hours : float or None
        Node-hours that it may use in all, finite, > 0; None: without limit.

    Raises
    ------
    InvalidInputError
        With every fault.
    """

    institution: str = ""
    share: float = 1.0
    budget_node_hours: float | None = None

    def __post_init__(self) -> None:
        faults = [name_fault(self.name, place="Project.name")]
        place = f"project {self.name!r}"
        if not _positive(self.share):
            faults.append(
                Fault(
                    place=f"{place}, share",
                    problem=f"got {self.share!r}, expected a finite number > 0",
                    remedy="give its weight beside the other projects",
                )
            )
        if not (self.budget_node_hours is None or _positive(self.budget_node_hours)):
            faults.append(
                Fault(
                    place=f"{place}, budget_node_hours",
                    problem=f"got {self.budget_node_hours!r}, expected a finite "
                    "number > 0, or None",
                    remedy="give node-hours, or leave it out for no limit",
                )
            )
        _refuse(faults, "project")


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
        _refuse([name_fault(self.name, place="Scenario.name")], "scenario")
        _refuse([name_fault(self.project, place="Scenario.project")], "scenario")
        problem = json_problem(self.params)
        if problem is not None:
            fault = Fault(
                place=f"scenario {self.name!r}, params",
                problem=problem,
                remedy="use numbers, strings, booleans, None, lists and "
                "string-keyed dicts of these; load anything larger in init",
            )
            _refuse([fault], "scenario")


def _positive(value: float) -> bool:
    # A bool and numbers of other kinds would come back from the journal as
    # something else, or not at all.
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return plain and math.isfinite(value) and value > 0


def _refuse(faults: Iterable[Fault | None], what: str) -> None:
    found = [fault for fault in faults if fault is not None]
    if found:
        raise InvalidInputError(f"this {what} cannot be used", faults=found)
