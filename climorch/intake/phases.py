"""Faults of what a workflow says about its phases.

Where they begin, from which state, and which of them need not be.
"""

from __future__ import annotations

from collections.abc import Iterator, Set

from climorch.errors import Fault
from climorch.intake.following import begins_of, coupled
from climorch.model.ending import Until
from climorch.model.stages import DATED, JOINED, SHIFTED
from climorch.model.workflow import Workflow

__all__ = ["phase_faults"]

WAYS = (JOINED, SHIFTED, DATED)


def phase_faults(workflow: Workflow, place: str) -> Iterator[Fault]:
    """Say what is wrong with the phases of a workflow.

    Parameters
    ----------
    workflow : Workflow
        As declared.
    place : str
        What it is, for messages.

    Yields
    ------
    Fault
        One for each stage and each fault.
    """
    yield from _begin_faults(workflow, place)
    yield from _end_faults(workflow, place)
    yield from _demand_faults(workflow, place)
    yield from _transform_faults(workflow, place)
    yield from _optional_faults(workflow, place)


def _begin_faults(workflow: Workflow, place: str) -> Iterator[Fault]:
    for stage in workflow.stages:
        here = f"{place}, stage {stage.name!r}, begins"
        if stage.begins not in (None, *WAYS):
            yield Fault(
                place=here,
                problem=f"got {stage.begins!r}",
                remedy=f"use one of {', '.join(WAYS)}",
            )
        elif stage.begins is not None and not stage.after:
            yield Fault(
                place=here,
                problem="it comes after no stage",
                remedy="leave it out, or say after=",
            )
        elif stage.after:
            ways = {
                begins_of(other)
                for other in workflow.stages
                if other.after and other.name in coupled(workflow, stage.name)
            }
            if len(ways) > 1:
                yield Fault(
                    place=here,
                    problem=f"the stages of its set begin in ways that differ: "
                    f"{', '.join(sorted(ways))}",
                    remedy="coupled stages begin together: say the same of all",
                )


def _end_faults(workflow: Workflow, place: str) -> Iterator[Fault]:
    early = {stage.name for stage in workflow.stages if stage.until is not None}
    for stage in workflow.stages:
        # Users without a type checker may pass anything.
        until: object = stage.until
        if until is not None and not (isinstance(until, Until) or callable(until)):
            yield Fault(
                place=f"{place}, stage {stage.name!r}, until",
                problem=f"got {type(until).__name__}",
                remedy="pass an Equilibrium, a function of a Course, or an Until",
            )
        # With a stage end all that are coupled to it.
        sets = {name: early & coupled(workflow, name) for name in stage.after}
        moving = sorted(name for name, found in sets.items() if found)
        if moving and stage.begins is None:
            yield Fault(
                place=f"{place}, stage {stage.name!r}, after {moving[0]!r}",
                problem="that one may end early, and where this one begins then is not "
                "said",
                remedy=f"say begins=, one of {', '.join(WAYS)}",
            )


def _demand_faults(workflow: Workflow, place: str) -> Iterator[Fault]:
    if workflow.stages and all(stage.on_demand for stage in workflow.stages):
        yield Fault(
            place=place,
            problem="every stage is on demand",
            remedy="declare one that a simulation begins with",
        )
    yield from _unlike_faults(
        workflow,
        place,
        {stage.name for stage in workflow.stages if stage.on_demand},
        what="on demand",
        never="be there",
        together="run together",
    )


def _transform_faults(workflow: Workflow, place: str) -> Iterator[Fault]:
    for stage in workflow.stages:
        # Users without a type checker may pass anything.
        transform: object = stage.transform
        here = f"{place}, stage {stage.name!r}, transform"
        if transform is None:
            continue
        if not callable(transform):
            yield Fault(
                place=here,
                problem=f"{type(transform).__name__} cannot be called",
                remedy="pass a function of (states, segment)",
            )
        if stage.init is not None:
            yield Fault(
                place=here,
                problem="there is an init too, and a stage begins once",
                remedy="keep transform where the grid or the variables change, "
                "else init",
            )


def _optional_faults(workflow: Workflow, place: str) -> Iterator[Fault]:
    first = [stage for stage in workflow.stages if not stage.on_demand]
    if first and all(stage.optional for stage in first):
        yield Fault(
            place=place,
            problem="every stage is optional",
            remedy="declare one without which the others are of no use",
        )
    yield from _unlike_faults(
        workflow,
        place,
        {stage.name for stage in workflow.stages if stage.optional},
        what="optional",
        never="end",
        together="run and fail together",
    )


def _unlike_faults(
    workflow: Workflow,
    place: str,
    such: Set[str],
    *,
    what: str,
    never: str,
    together: str,
) -> Iterator[Fault]:
    """Say where a stage cannot do without one that need not be there, or is unlike it.

    ``such`` are the stages that need not be; the words say what they are.
    """
    known = {stage.name for stage in workflow.stages}
    for stage in workflow.stages:
        here = f"{place}, stage {stage.name!r}"
        for name in stage.reads:
            if name in known and (name in such) is not (stage.name in such):
                yield Fault(
                    place=f"{here}, reads {name!r}",
                    problem=f"only one of the two is {what}",
                    remedy=f"coupled stages {together}: say the same of both",
                )
        for name in stage.after:
            if name in such and stage.name not in such:
                yield Fault(
                    place=f"{here}, after {name!r}",
                    problem=f"that one is {what}, and may never {never}",
                    remedy=f"let both be {what}",
                )
