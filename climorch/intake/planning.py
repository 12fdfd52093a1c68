"""From a declaration without faults to the plan that is journaled."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import msgspec
import xxhash

from climorch.errors import Fault, InvalidInputError
from climorch.intake.calendar import boundaries
from climorch.intake.ending import end_rules
from climorch.intake.programs import program_provenance
from climorch.model.ending import until_of
from climorch.model.plan import (
    Provenance,
    RulePlan,
    RuleTime,
    SimulationPlan,
    StagePlan,
)
from climorch.model.programs import Command
from climorch.model.resources import Resources
from climorch.model.scenario import Scenario
from climorch.model.steps import function_of
from climorch.model.workflow import Stage, Workflow

__all__ = [
    "change_faults",
    "in_parts",
    "make_plan",
    "of_a_part",
    "params_digest",
    "plan_of",
    "provenance",
    "require_no",
    "segment_seed",
]


_KEPT = ("calendar", "reads", "after", "chunks")


def make_plan(
    workflow: Workflow, scenario: Scenario, *, whole: bool = False
) -> SimulationPlan:
    """Return the plan of a workflow for a scenario; it must have no faults.

    Parameters
    ----------
    workflow : Workflow
        As declared.
    scenario : Scenario
        Whose parameters it has.
    whole : bool
        Whether stages on demand are part of it.
    """
    return SimulationPlan(
        workflow=workflow.name,
        stages=tuple(
            plan_of(stage) for stage in workflow.stages if whole or not stage.on_demand
        ),
        rules=(
            *(
                RulePlan(
                    name=rule.name, when=rule.when, on=RuleTime(rule.on), most=rule.most
                )
                for rule in workflow.rules
            ),
            *end_rules(workflow),
        ),
        params=scenario.params,
        scores=tuple(
            score.plan(next(s.parts for s in workflow.stages if s.name == score.stage))
            for score in workflow.scores
        ),
    )


def plan_of(stage: Stage) -> StagePlan:
    """Return the plan of a stage as it is declared."""
    return StagePlan(
        name=stage.name,
        calendar=stage.span.calendar,
        boundaries=in_parts(boundaries(stage.span), stage.parts),
        reads=dict(stage.reads),
        after=stage.after,
        chunks=dict(stage.chunks),
        resources=of_a_part(stage.resources, stage.parts),
        initial=stage.init is not None,
        parts=stage.parts,
        transforms=stage.transform is not None,
        optional=stage.optional,
        together=isinstance(stage.step, Command) and stage.step.together,
    )


def in_parts(ends: tuple[int, ...], parts: int) -> tuple[int, ...]:
    """Cut every segment into parts of equal model time, to whole seconds.

    Parameters
    ----------
    ends : tuple of int
        Model time of all starts and ends of segments, as in `StagePlan`.
    parts : int
        Of each segment.
    """
    inner = (
        start + part * (end - start) // parts
        for start, end in pairwise(ends)
        for part in range(parts)
    )
    return (*inner, ends[-1])


def of_a_part(resources: Resources, parts: int) -> Resources:
    """Let a guess for a segment be one for each of its parts.

    Parameters
    ----------
    resources : Resources
        As the user asked for them.
    parts : int
        Of each segment.
    """
    if resources.segment_s is None or parts == 1:
        return resources
    return msgspec.structs.replace(resources, segment_s=resources.segment_s / parts)


def provenance(workflow: Workflow) -> dict[str, Provenance]:
    """Return where each function of a workflow comes from.

    Returns
    -------
    dict of str to Provenance
        Keys ``stage.step``, ``stage.init``, ``stage.transform``, ``stage.until``,
        ``stage.rebuild``, ``rule``, ``score.score`` and ``(remedy)``.
    """
    functions: dict[str, Any] = {}
    for stage in workflow.stages:
        functions[f"{stage.name}.step"] = function_of(stage.step)
        if callable(stage.init):
            functions[f"{stage.name}.init"] = stage.init
        if stage.transform is not None:
            functions[f"{stage.name}.transform"] = stage.transform
        if stage.until is not None:
            functions[f"{stage.name}.until"] = until_of(stage.until).condition
        if stage.scope is not None and stage.scope.rebuild is not None:
            functions[f"{stage.name}.rebuild"] = stage.scope.rebuild
    functions |= {rule.name: rule.then for rule in workflow.rules}
    functions |= {f"{s.name}.score": s.function for s in workflow.scores}
    if workflow.on_blow_up is not None:
        functions["(remedy)"] = workflow.on_blow_up.change
    return {name: _whence(function) for name, function in functions.items()}


def _whence(function: Any) -> Provenance:
    if isinstance(function, Command):
        return program_provenance(function)
    while hasattr(function, "func"):
        function = function.func
    name = getattr(function, "__qualname__", type(function).__qualname__)
    try:
        source = inspect.getsource(function)
    except (OSError, TypeError):
        digest = ""
    else:
        digest = xxhash.xxh3_128_hexdigest(source.encode())
    return Provenance(qualname=f"{function.__module__}.{name}", source_digest=digest)


def params_digest(
    plan: SimulationPlan, set_name: str, changes: Sequence[object] = ()
) -> str:
    """Return a hash of all that determines a set's states but the functions.

    Parameters
    ----------
    plan : SimulationPlan
        Of the simulation.
    set_name : str
        Set within it.
    changes : sequence
        What holds since it blew up, in order.

    Returns
    -------
    str
        xxh3_128, hex. Partial results of one digest fit another attempt.
    """
    stages = next(s for s in plan.sets if s.name == set_name).stages
    text = repr(
        (
            plan.workflow,
            sorted(plan.params.items()),
            [
                (s.name, s.calendar, s.boundaries[0], sorted(s.chunks.items()))
                for s in stages
            ],
        )
    )
    if changes:
        text += repr(tuple(changes))
    return xxhash.xxh3_128_hexdigest(text.encode())


def segment_seed(simulation: str, stage: str, index: int, salt: int = 0) -> int:
    """Return the seed of a segment, in [0, 2**63), the same on every attempt.

    Parameters
    ----------
    simulation, stage : str
        Whose.
    index : int
        Which.
    salt : int
        Number of the try that asked for other seeds after a blow-up; 0: none did.
    """
    text = f"{simulation}\0{stage}\0{index}" + (f"\0{salt}" if salt else "")
    return xxhash.xxh3_64_intdigest(text.encode()) >> 1


def change_faults(
    old: SimulationPlan,
    new: SimulationPlan,
    committed: Mapping[str, int],
    *,
    free: Collection[str] = (),
) -> Iterator[Fault]:
    """Say why a simulation that exists cannot become what was submitted again.

    Parameters
    ----------
    old, new : SimulationPlan
        As journaled, and as submitted now.
    committed : mapping of str to int
        Segments committed per stage.
    free : collection of str
        Sets that have not begun and may start elsewhere.

    Yields
    ------
    Fault
        One for each difference that would change results: params, stages,
        couplings, chunks, calendar, start or segments. Resources and ends
        that lie beyond what is committed may change.
    """
    remedy = "submit it under another name, or undo the change"
    for what, before, after in (
        ("workflow", old.workflow, new.workflow),
        ("params", old.params, new.params),
        ("rules", old.rules, new.rules),
        ("stages", [s.name for s in old.stages], [s.name for s in new.stages]),
    ):
        if before != after:
            yield Fault(
                place=what, problem=f"was {before!r}, is {after!r}", remedy=remedy
            )
            return
    for was, now in zip(old.stages, new.stages, strict=True):
        for what in (*_KEPT, "initial", "parts", "transforms"):
            before, after = getattr(was, what), getattr(now, what)
            if before != after:
                yield Fault(
                    place=f"stage {now.name!r}, {what}",
                    problem=f"was {before!r}, is {after!r}",
                    remedy=remedy,
                )
        common = min(len(was.boundaries), len(now.boundaries))
        if old.set_of[now.name] in free:
            continue
        problem = ""
        if was.boundaries[:common] != now.boundaries[:common]:
            problem = "its start or its segments changed"
        elif now.segments < (known := committed.get(now.name, 0)):
            problem = f"{known} segments are committed, its new end leaves "
            problem += str(now.segments)
        if problem:
            place = f"stage {now.name!r}, span"
            yield Fault(place=place, problem=problem, remedy=remedy)


def require_no(faults: list[Fault], message: str) -> None:
    """Raise all faults as one error, if there are any."""
    if faults:
        raise InvalidInputError(message, faults=faults)
