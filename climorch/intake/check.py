"""Faults of a workflow that show without calling anything.

Collects; never stops at the first. Each rule is one function over the whole
workflow, so that a rule can be read and tested alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter

import cloudpickle
import xarray as xr

from climorch.errors import Fault
from climorch.intake.calendar import boundaries, same_calendar, span_faults
from climorch.intake.following import begins_of
from climorch.intake.kinds import strategy_faults
from climorch.intake.parts import part_faults
from climorch.intake.phases import phase_faults
from climorch.intake.programs import program_faults
from climorch.intake.scoring import score_faults
from climorch.model.names import name_fault
from climorch.model.plain import is_finite_number
from climorch.model.plan import Coupling, RuleTime
from climorch.model.programs import Command
from climorch.model.stages import DATED
from climorch.model.steps import LiveModel, function_of
from climorch.model.workflow import GO_ON, PAUSE, Stage, Workflow

__all__ = ["workflow_faults"]


def workflow_faults(workflow: Workflow, *, branched: bool = False) -> list[Fault]:
    """Return everything that is wrong with a declaration.

    Parameters
    ----------
    workflow : Workflow
        With its templates.
    branched : bool
        Whether stages may do without ``init`` because they branch.

    Returns
    -------
    list of Fault
        Empty where a plan can be made.
    """
    place = f"workflow {workflow.name!r}"
    faults = [
        *_name_faults(workflow, place),
        *_reference_faults(workflow, place),
        *_function_faults(workflow, place),
        *_rule_faults(workflow, place),
        *_chunk_faults(workflow, place),
        *score_faults(workflow, place),
    ]
    for stage in workflow.stages:
        here = f"{place}, stage {stage.name!r}"
        faults += strategy_faults(here, stage.checkpointing)
        faults += program_faults(stage, here)
        if stage.scope is not None and isinstance(stage.step, LiveModel):
            faults.append(
                Fault(
                    place=f"{here}, scope",
                    problem="a LiveModel keeps all of its state between segments",
                    remedy="let load and dump do it, or use Isolated",
                )
            )
    if not branched:
        faults += _init_faults(workflow, place)
    spans = [
        f
        for stage in workflow.stages
        for f in span_faults(stage.span, place=f"{place}, stage {stage.name!r}, span")
    ]
    faults += spans
    faults += part_faults(workflow, place)
    faults += phase_faults(workflow, place)
    if not spans:
        faults += _meeting_faults(workflow, place)
    faults += _cycle_faults(workflow, place)
    for template in workflow.templates:
        faults += workflow_faults(template, branched=True)
    return faults


def _name_faults(workflow: Workflow, place: str) -> Iterator[Fault]:
    if not workflow.stages:
        yield Fault(
            place=place, problem="has no stage", remedy="add one with stage(...)"
        )
    for kind, names in (
        ("workflow", [workflow.name]),
        ("stage", [stage.name for stage in workflow.stages]),
        ("rule", [rule.name for rule in workflow.rules]),
        ("score", [score.name for score in workflow.scores]),
        ("template", [template.name for template in workflow.templates]),
    ):
        for name in names:
            fault = name_fault(name, place=f"{place}, {kind}")
            if fault is not None:
                yield fault
        for name, count in Counter(names).items():
            if count > 1:
                yield Fault(
                    place=f"{place}, {kind} {name!r}",
                    problem=f"is declared {count} times",
                    remedy="give each its own name",
                )


def _reference_faults(workflow: Workflow, place: str) -> Iterator[Fault]:
    known = {stage.name for stage in workflow.stages}
    remedy = f"name one of {', '.join(sorted(map(str, known))) or 'no stage'}"
    for stage in workflow.stages:
        for what, names in (("reads", stage.reads), ("after", stage.after)):
            for name in names:
                here = f"{place}, stage {stage.name!r}, {what}"
                if name == stage.name:
                    yield Fault(place=here, problem="names itself", remedy="leave out")
                elif name not in known:
                    yield Fault(
                        place=here,
                        problem=f"stage {name!r} does not exist",
                        remedy=remedy,
                    )
        # Users without a type checker may pass anything.
        couplings: dict[str, object] = dict(stage.reads)
        for name, coupling in couplings.items():
            if not isinstance(coupling, Coupling):
                yield Fault(
                    place=f"{place}, stage {stage.name!r}, reads {name!r}",
                    problem=f"got {coupling!r}",
                    remedy="use climorch.SAME or climorch.PREVIOUS",
                )
    for rule in workflow.rules:
        if rule.when not in known:
            yield Fault(
                place=f"{place}, rule {rule.name!r}, when",
                problem=f"stage {rule.when!r} does not exist",
                remedy=remedy,
            )


def _function_faults(workflow: Workflow, place: str) -> Iterator[Fault]:
    for stage in workflow.stages:
        here = f"{place}, stage {stage.name!r}"
        step = function_of(stage.step)
        initial: object = stage.init
        transform: object = stage.transform
        if not (callable(step) or isinstance(step, Command)):
            yield Fault(
                place=f"{here}, step",
                problem=f"{type(step).__name__} cannot be called",
                remedy="pass a function of (state, inputs, segment)",
            )
        if not (
            initial is None or isinstance(initial, xr.Dataset) or callable(initial)
        ):
            yield Fault(
                place=f"{here}, init",
                problem=f"got {type(initial).__name__}",
                remedy="pass a Dataset or a function of (segment, inputs)",
            )
        # A condition, or what says when it is asked.
        until: object = getattr(stage.until, "condition", stage.until)
        functions = {
            "step": step,
            "init": initial,
            "transform": transform,
            "until": until,
        }
        for what, function in functions.items():
            if callable(function):
                yield from _pickle_faults(f"{here}, {what}", function)
    for score in workflow.scores:
        if callable(score.function):
            here = f"{place}, score {score.name!r}, function"
            yield from _pickle_faults(here, score.function)


def _rule_faults(workflow: Workflow, place: str) -> Iterator[Fault]:
    for rule in workflow.rules:
        then: object = rule.then
        here = f"{place}, rule {rule.name!r}"
        if not callable(then):
            yield Fault(
                place=f"{here}, then",
                problem=f"{type(then).__name__} cannot be called",
                remedy="pass a function of a Committed that returns edits",
            )
        else:
            yield from _pickle_faults(f"{here}, then", then)
        if not (is_finite_number(rule.limit_s) and rule.limit_s > 0):
            yield Fault(
                place=f"{here}, limit_s",
                problem=f"got {rule.limit_s!r}, expected seconds > 0",
                remedy="say after which time it is given up",
            )
        times = [time.value for time in RuleTime if time is not RuleTime.UNTIL]
        if rule.on not in times:
            yield Fault(
                place=f"{here}, on",
                problem=f"got {rule.on!r}",
                remedy=f"use one of {', '.join(times)}",
            )
        if rule.on_fault not in (GO_ON, PAUSE):
            yield Fault(
                place=f"{here}, on_fault",
                problem=f"got {rule.on_fault!r}",
                remedy=f"use one of {GO_ON}, {PAUSE}",
            )
        most: object = rule.most
        if isinstance(most, bool) or not isinstance(most, int) or most < 1:
            yield Fault(
                place=f"{here}, most",
                problem=f"got {most!r}, expected a whole number >= 1",
                remedy="say how often it may ask for something",
            )


def _pickle_faults(place: str, function: object) -> Iterator[Fault]:
    try:
        cloudpickle.dumps(function)
    # Whatever an object's own reduce raises.
    except Exception as error:
        yield Fault(
            place=place,
            problem=f"cannot be sent to other processes: {error}",
            remedy="open files, locks and connections inside the function",
        )


def _chunk_faults(workflow: Workflow, place: str) -> Iterator[Fault]:
    for stage in workflow.stages:
        here = f"{place}, stage {stage.name!r}"
        chunks: dict[str, object] = dict(stage.chunks)
        for dim, length in chunks.items():
            if not isinstance(length, int) or length < 1:
                yield Fault(
                    place=f"{here}, chunks {dim!r}",
                    problem=f"got {length!r}, expected a length >= 1",
                    remedy="leave the dimension out to keep it whole",
                )
        if stage.output_chunk is not None and stage.output_chunk < 1:
            yield Fault(
                place=f"{here}, output_chunk",
                problem=f"got {stage.output_chunk!r}, expected >= 1",
                remedy="leave it out to take one segment's length",
            )


def _init_faults(workflow: Workflow, place: str) -> Iterator[Fault]:
    for stage in workflow.stages:
        here = f"{place}, stage {stage.name!r}"
        if stage.transform is not None and not stage.after:
            yield Fault(
                place=f"{here}, transform",
                problem="it comes after no stage whose state it could be made from",
                remedy="say after=, or use init",
            )
        elif stage.init is None and stage.transform is None:
            yield Fault(
                place=f"{here}, init",
                problem="is missing",
                remedy="pass a Dataset or a function; only the stages of a "
                "template may start from their parent's state",
            )


def _meeting_faults(workflow: Workflow, place: str) -> Iterator[Fault]:
    stages = {stage.name: stage for stage in workflow.stages}
    cuts = {name: boundaries(stage.span) for name, stage in stages.items()}
    for stage in workflow.stages:
        here = f"{place}, stage {stage.name!r}"
        met = {*stage.reads, *stage.after} & set(stages)
        mine, theirs = stage.span.calendar, {n: stages[n].span.calendar for n in met}
        mixed = {n for n in met if not same_calendar(mine, theirs[n])}
        for other in sorted(mixed):
            # Two that read each other are told once.
            if other > stage.name or stage.name not in stages[other].reads:
                yield Fault(
                    place=f"{here} and {other!r}, calendar",
                    problem=f"{mine!r} does not meet {theirs[other]!r}",
                    remedy="use one calendar for stages that exchange",
                )
        for other in set(stage.after) & set(stages) - mixed:
            if begins_of(stage) != DATED and cuts[other][-1] != cuts[stage.name][0]:
                yield Fault(
                    place=f"{here}, after {other!r}",
                    problem=f"starts at {stage.span.start}, but {other!r} ends at "
                    f"{stages[other].span.end}",
                    remedy="let it start where the other ends, or begin as dated",
                )
        for other, coupling in stage.reads.items():
            if other in stages and other not in {stage.name, *mixed}:
                yield from _coupling_faults(here, stage, stages[other], coupling, cuts)


def _coupling_faults(
    here: str,
    stage: Stage,
    other: Stage,
    coupling: Coupling,
    cuts: dict[str, tuple[int, ...]],
) -> Iterator[Fault]:
    mine, theirs = cuts[stage.name], cuts[other.name]
    if (mine[0], mine[-1]) != (theirs[0], theirs[-1]):
        yield Fault(
            place=f"{here}, reads {other.name!r}",
            problem=f"its span {stage.span.start} to {stage.span.end} is not "
            f"{other.span.start} to {other.span.end}",
            remedy="give coupled stages one start and one end; split a longer one "
            "into phases with after=",
        )
    elif not (set(mine) <= set(theirs) or set(theirs) <= set(mine)):
        yield Fault(
            place=f"{here}, reads {other.name!r}",
            problem=f"segments every {stage.span.every!r} and every "
            f"{other.span.every!r} do not nest",
            remedy="let the boundaries of one be among those of the other",
        )
    elif coupling is Coupling.SAME and not set(mine) <= set(theirs):
        yield Fault(
            place=f"{here}, reads {other.name!r}",
            problem=f"has shorter segments than {other.name!r} and reads it SAME",
            remedy="read it PREVIOUS, or give it segments as long",
        )


def _cycle_faults(workflow: Workflow, place: str) -> Iterator[Fault]:
    stages = {stage.name: stage for stage in workflow.stages}
    same = {
        stage.name: {
            name
            for name, coupling in stage.reads.items()
            if coupling is Coupling.SAME and name in stages and name != stage.name
        }
        for stage in workflow.stages
    }
    yield from _cycles(same, f"{place}, reads SAME", "read one of them PREVIOUS")
    groups = _groups(workflow)
    after: dict[str, set[str]] = {name: set() for name in groups.values()}
    for stage in workflow.stages:
        for name in set(stage.after) & set(stages) - {stage.name}:
            if groups[name] == groups[stage.name]:
                yield Fault(
                    place=f"{place}, stage {stage.name!r}, after {name!r}",
                    problem="the two are coupled through reads and run together",
                    remedy="leave out after, or the coupling",
                )
            else:
                after[groups[stage.name]].add(groups[name])
    yield from _cycles(after, f"{place}, after", "break the circle")


def _groups(workflow: Workflow) -> dict[str, str]:
    """Return for each stage the first stage that it is coupled with."""
    leader = {stage.name: stage.name for stage in workflow.stages}
    for stage in workflow.stages:
        for other in stage.reads:
            if other in leader:
                old, new = leader[other], leader[stage.name]
                leader = {n: new if g == old else g for n, g in leader.items()}
    return leader


def _cycles(graph: dict[str, set[str]], place: str, remedy: str) -> Iterator[Fault]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = " -> ".join(map(str, error.args[1]))
        yield Fault(place=place, problem=f"cycle {circle}", remedy=remedy)
