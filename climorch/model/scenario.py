"""Who wants what: projects and the variants they run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import msgspec

from climorch.errors import Fault, InvalidInputError
from climorch.model.kinds import kind_faults
from climorch.model.names import name_fault
from climorch.model.plain import is_finite_number, json_problems
from climorch.model.protection import Protection

__all__ = ["DEFAULT_PROJECT", "Project", "Scenario"]

DEFAULT_PROJECT = "default"


_PLAIN = ("params", "priority", "protection", "mandatory")


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
        place = f"project {self.name!r}"
        faults = [
            name_fault(self.name, place="Project.name"),
            *kind_faults(self, names=("institution",), place=place),
        ]
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
    value : float
        What it is worth if it turns out good enough, in units of the user's; > 0.
    group : str
        Declared kin: others of it are expected to do alike; empty: parameters alone
        say who is near.
    mandatory : bool
        Whether it goes first, whatever it promises.
    deadline : datetime or None
        When it is worth nothing any more, with a time zone.
    """

    params: dict[str, Any] = {}
    project: str = DEFAULT_PROJECT
    priority: int = 0
    protection: Protection = Protection()
    value: float = 1.0
    group: str = ""
    mandatory: bool = False
    deadline: datetime | None = None

    def __post_init__(self) -> None:
        faults = [
            name_fault(self.name, place="Scenario.name"),
            name_fault(self.project, place="Scenario.project"),
            *kind_faults(self, names=_PLAIN, place=f"scenario {self.name!r}"),
            *self._promise_faults(),
            *self._param_faults(),
        ]
        _refuse(faults, "scenario")

    def _param_faults(self) -> Iterator[Fault]:
        for where, problem in json_problems(self.params):
            yield Fault(
                place=f"scenario {self.name!r}, params{where}",
                problem=problem,
                remedy="use numbers, strings, booleans, None, lists and "
                "string-keyed dicts of these, of NumPy numbers their item(); load "
                "anything larger in init",
            )

    def _promise_faults(self) -> Iterator[Fault]:
        place = f"scenario {self.name!r}"
        if not _positive(self.value):
            yield Fault(
                place=f"{place}, value",
                problem=f"got {self.value!r}, expected a finite number > 0",
                remedy="say what it is worth beside other scenarios",
            )
        group: object = self.group
        if not isinstance(group, str):
            yield Fault(
                place=f"{place}, group",
                problem=f"got {group!r}, expected text",
                remedy="name its kin, or leave it out",
            )
        deadline: object = self.deadline
        if deadline is not None and not (
            isinstance(deadline, datetime) and deadline.tzinfo is not None
        ):
            yield Fault(
                place=f"{place}, deadline",
                problem=f"got {deadline!r}, expected a datetime with a time zone",
                remedy="such as datetime(2027, 3, 1, tzinfo=UTC)",
            )


def _positive(value: float) -> bool:
    # A bool and numbers of other kinds would come back from the journal as
    # something else, or not at all.
    return is_finite_number(value) and value > 0


def _refuse(faults: Iterable[Fault | None], what: str) -> None:
    found = [fault for fault in faults if fault is not None]
    if found:
        raise InvalidInputError(f"this {what} cannot be used", faults=found)
