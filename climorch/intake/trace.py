"""A trial of a workflow without computing: what shows before anything starts.

Calls every init and the first step of every stage on lazy fields, in the order
of the work graph, and looks at what they return.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import cloudpickle
import xarray as xr

from climorch.core.frontier import needed_exports
from climorch.errors import Fault, InvalidInputError
from climorch.intake.calendar import model_time
from climorch.intake.contract import call_init, call_step
from climorch.intake.meeting import (
    READS,
    export_faults,
    first_faults,
    meeting_faults,
    require_meeting,
)
from climorch.intake.planning import make_plan, segment_seed
from climorch.model.advance import Advance, Segment
from climorch.model.plan import Coupling, SetPlan, SimulationPlan, StagePlan
from climorch.model.programs import Command
from climorch.model.rendering import rendered
from climorch.model.scenario import Scenario
from climorch.model.stages import Opaque
from climorch.model.workflow import Stage, Workflow

__all__ = ["make_segment", "merge_exports", "readers_of", "trace_faults"]


def make_segment(
    simulation: str,
    plan: SimulationPlan,
    stage: StagePlan,
    index: int,
    *,
    changes: tuple[Mapping[str, Any], int] = ({}, 0),
) -> Segment:
    """Return what a step is told about a segment, or the part with that index.

    Parameters
    ----------
    simulation : str
        Whose.
    plan, stage, index
        Which.
    changes : (mapping, int)
        Parameters that are others since it blew up, and the salt of its seeds.
    """
    params, salt = changes
    whole, part = divmod(index, stage.parts)
    start, end = stage.boundaries[whole * stage.parts :: stage.parts][:2]
    return Segment(
        start=model_time(start, stage.calendar),
        end=model_time(end, stage.calendar),
        index=whole,
        params={**plan.params, **params},
        seed=segment_seed(simulation, stage.name, whole, salt),
        part=part,
        parts=stage.parts,
    )


def merge_exports(exports: list[xr.Dataset]) -> xr.Dataset:
    """Return one export as it is, several along a new dimension ``segment``."""
    if len(exports) == 1:
        return exports[0]
    return xr.concat(
        exports,
        dim="segment",
        data_vars="all",
        coords="minimal",
        compat="override",
        join="override",
    )


def trace_faults(workflow: Workflow, scenario: Scenario) -> list[Fault]:
    """Return what a trial of the first segments shows.

    Parameters
    ----------
    workflow : Workflow
        Without static faults.
    scenario : Scenario
        Whose params the functions are given.

    Returns
    -------
    list of Fault
        Templates are tried with the last states of this workflow.
    """
    faults: list[Fault] = []
    finals = _trace(workflow, scenario, {}, faults)
    if not faults:
        for template in workflow.templates:
            _trace(template, scenario, finals, faults)
    return faults


def _trace(
    workflow: Workflow,
    scenario: Scenario,
    parent: Mapping[str, xr.Dataset],
    faults: list[Fault],
) -> dict[str, xr.Dataset]:
    plan = make_plan(workflow, scenario, whole=True)
    stages = {stage.name: stage for stage in workflow.stages}
    finals: dict[str, xr.Dataset] = {}
    for phase in plan.phases:
        for s in phase:
            faults += _trace_set(workflow, scenario, plan, s, stages, parent, finals)
        if faults:
            break
    return finals


def _trace_set(
    workflow: Workflow,
    scenario: Scenario,
    plan: SimulationPlan,
    s: SetPlan,
    stages: Mapping[str, Stage],
    parent: Mapping[str, xr.Dataset],
    finals: dict[str, xr.Dataset],
) -> Iterator[Fault]:
    first: dict[str, Advance] = {}
    for stage in s.stages:
        segment = make_segment(scenario.name, plan, stage, 0)
        given = {**parent, **{name: finals[name] for name in stage.after}}
        try:
            advance = call_init(stages[stage.name], given, segment)
            require_meeting(_first_faults(stages[stage.name], advance, given, stage))
        except Exception as error:
            what = "init" if stages[stage.name].transform is None else "transform"
            place = f"workflow {workflow.name!r}, {stage.name!r}, {what}"
            yield from _told(error, place)
        else:
            first[stage.name] = advance
    if len(first) < len(s.stages):
        return
    exports = {
        name: [advance.exports if advance.exports is not None else advance.state]
        for name, advance in first.items()
    }
    waiting = list(s.stages)
    done: dict[str, Advance] = {}
    while waiting:
        stage = next(
            w
            for w in waiting
            if all(
                c is Coupling.PREVIOUS or other in done for other, c in w.reads.items()
            )
        )
        waiting.remove(stage)
        segment = make_segment(scenario.name, plan, stage, 0)
        given = {name: finals[name] for name in stage.after}
        for other in stage.reads:
            needed = needed_exports(s, stage, 0, other)
            # Later segments look like the first.
            given[other] = merge_exports(
                [exports[other][0 if k < 0 else -1] for k in needed]
            )
        try:
            advance = _stepped(stages, first[stage.name], given, segment, stage, s)
            _resume(stages[stage.name], advance.state, scenario, plan, stage)
        except Exception as error:
            yield from _told(error, f"workflow {workflow.name!r}, {stage.name!r}, step")
            return
        done[stage.name] = advance
        export = advance.exports if advance.exports is not None else advance.state
        exports[stage.name].append(export)
        finals[stage.name] = advance.state


def _told_of(declared: Stage, segment: Segment, first: Advance) -> Advance:
    """Fill a program's places with its scenario's parameters; return its init's."""
    if isinstance(declared.step, Command):
        rendered(declared.step, segment)
    return first


def _stepped(
    stages: Mapping[str, Stage],
    first: Advance,
    given: Mapping[str, xr.Dataset],
    segment: Segment,
    stage: StagePlan,
    s: SetPlan,
) -> Advance:
    """Try the first segment of a stage with what it is given, and look at both."""
    name, declared = stage.name, stages[stage.name]
    for other, coupling in stage.reads.items():
        # What a model exports from a segment is known when it has run.
        if coupling is Coupling.PREVIOUS or not _is_opaque(stages[other]):
            met = meeting_faults(name, first.state, other, given[other], how=READS)
            require_meeting(met)
    if _is_opaque(declared):
        # It runs on a node only; what follows sees what its init made.
        advance = _told_of(declared, segment, first)
    else:
        advance = call_step(declared, first.state, given, segment)
        if advance.exports is not None:
            readers = readers_of(s, name)
            require_meeting(export_faults(name, readers, advance.exports, segment))
    for part in (advance.state, advance.exports, advance.output):
        if part is not None:
            cloudpickle.dumps(dict(part.__dask_graph__() or {}))
    return advance


def _is_opaque(stage: Stage) -> bool:
    return isinstance(stage.step, Opaque)


def readers_of(s: SetPlan, name: str) -> tuple[str, ...]:
    """Return the stages of a set that read one of it, in order of declaration."""
    return tuple(stage.name for stage in s.stages if name in stage.reads)


def _first_faults(
    declared: Stage, advance: Advance, given: Mapping[str, xr.Dataset], stage: StagePlan
) -> Iterator[Fault]:
    return first_faults(
        stage.name,
        advance.state,
        given,
        after=stage.after,
        transformed=declared.transform is not None,
        calendar=stage.calendar,
    )


def _resume(
    declared: Stage,
    state: xr.Dataset,
    scenario: Scenario,
    plan: SimulationPlan,
    stage: StagePlan,
) -> None:
    """Call a step for its second and its last part, to see that it goes on there."""
    if stage.parts > 1 and not _is_opaque(declared):
        for part in {1, stage.parts - 1}:
            segment = make_segment(scenario.name, plan, stage, part)
            call_step(declared, state, {}, segment)


def _told(error: Exception, place: str) -> Iterator[Fault]:
    if isinstance(error, InvalidInputError) and error.faults:
        yield from error.faults
    else:
        yield Fault(
            place=place,
            problem=f"raised {type(error).__name__}: {error}",
            remedy="run it on a small lazy Dataset to see where",
        )
