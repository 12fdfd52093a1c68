"""Segments that a step cuts into parts."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
import pytest
import xarray as xr

from climorch.errors import InvalidInputError
from climorch.intake.check import workflow_faults
from climorch.intake.contract import call_step
from climorch.intake.planning import change_faults, make_plan, segment_seed
from climorch.intake.trace import make_segment, trace_faults
from climorch.model.advance import Advance, Segment
from climorch.model.plan import Coupling
from climorch.model.resources import Resources
from climorch.model.scenario import Scenario
from climorch.model.scope import Scope
from climorch.model.span import Span
from climorch.model.steps import Isolated, taken
from climorch.model.workflow import Stage, Workflow

DAY_S = 86_400
SPAN = Span("0001-01-01", "0001-01-05", every="2D", calendar="noleap")
CLOSED: list[int] = []


def init(segment: Segment, inputs: Any) -> xr.Dataset:
    """Begin with zeros."""
    return xr.Dataset({"heat": ("x", np.zeros(4))})


def step(state: xr.Dataset, inputs: Any, segment: Segment) -> Generator[Any, None, Any]:
    """Count parts, going on from the one that is told."""
    try:
        for part in range(segment.part, segment.parts):
            state = state.assign(heat=state["heat"] + 1.0 + part)
            if part < segment.parts - 1:
                yield state
    finally:
        CLOSED.append(segment.part)
    return Advance(state=state, metrics={"parts": segment.parts})


def forgetful(
    state: xr.Dataset, inputs: Any, segment: Segment
) -> Generator[Any, None, Any]:
    """Begin each time at the beginning."""
    for _ in range(segment.parts - 1):
        yield state
    return state


def greedy(
    state: xr.Dataset, inputs: Any, segment: Segment
) -> Generator[Any, None, Any]:
    """Yield the last state instead of returning it."""
    for _ in range(segment.part, segment.parts):
        yield state


def whole(state: xr.Dataset, inputs: Any, segment: Segment) -> xr.Dataset:
    """No generator: called for each part."""
    return state


def workflow(function: Any = step, *, parts: int = 4, **more: Any) -> Workflow:
    """Make a workflow of one stage."""
    wf = Workflow("w")
    wf.stage("a", function, init=init, span=SPAN, chunks={"x": 2}, parts=parts, **more)
    return wf


def told(part: int, parts: int = 4) -> Segment:
    """Tell a step where it begins."""
    plan = make_plan(workflow(parts=parts), Scenario("s"))
    return make_segment("s", plan, plan.stages[0], part)


def test_a_plan_has_a_boundary_after_each_part() -> None:
    """Of equal model time; a guess for a segment is one for its parts."""
    wf = workflow(resources=Resources(segment_s=8.0))

    (stage,) = make_plan(wf, Scenario("s")).stages

    assert stage.parts == 4
    assert stage.segments == 8
    assert stage.boundaries == tuple(k * DAY_S // 2 for k in range(9))
    assert stage.resources.segment_s == 2.0
    uneven = make_plan(workflow(parts=7), Scenario("s")).stages[0].boundaries
    assert uneven[:8] == (0, 24685, 49371, 74057, 98742, 123428, 148114, 172800)


def test_a_step_is_told_of_the_whole_segment_and_of_its_part() -> None:
    """The sixth part of all is the second of the second segment."""
    segment = told(5)

    assert (segment.index, segment.part, segment.parts, segment.place) == (1, 1, 4, 5)
    assert (segment.start.day, segment.end.day) == (3, 5)
    assert segment.seed == segment_seed("s", "a", 1)
    plain = told(1, parts=1)
    assert (plain.index, plain.part, plain.parts, plain.place) == (1, 0, 1, 1)


def test_a_generator_is_run_to_its_first_yield_and_closed() -> None:
    """What it yields is its state; its last part returns one."""
    CLOSED.clear()
    (stage,) = workflow().stages
    state = init(told(0), {}).chunk({"x": 2})

    for part in range(4):
        advance = call_step(stage, state, {}, told(part))
        state = advance.state

    assert state["heat"].to_numpy().tolist() == [10.0] * 4
    assert CLOSED == [0, 1, 2, 3]
    assert advance.metrics == {"parts": 4}


@pytest.mark.parametrize(
    ("function", "part", "problem"),
    [
        (forgetful, 3, "yielded in part 3 of 4, expected that it returns"),
        (greedy, 3, "yielded in part 3 of 4, expected that it returns"),
    ],
)
def test_a_step_that_does_not_keep_to_its_parts_is_refused(
    function: Any, part: int, problem: str
) -> None:
    """It would be resumed from where it did not stop."""
    (stage,) = workflow(function).stages
    state = init(told(0), {}).chunk({"x": 2})

    with pytest.raises(InvalidInputError, match="does not keep to its parts") as raised:
        call_step(stage, state, {}, told(part))
    assert raised.value.faults[0].problem.startswith(problem)


def test_a_generator_without_parts_is_told_to_declare_them() -> None:
    """Its first yield is not the end of the segment."""
    (fault,) = trace_faults(workflow(step_of_three, parts=1), Scenario("s"))

    assert fault.problem.startswith("yielded in part 0 of 1")
    assert "stage(..., parts=n)" in fault.remedy


def step_of_three(
    state: xr.Dataset, inputs: Any, segment: Segment
) -> Generator[Any, None, Any]:
    """Yield whatever was declared."""
    yield state
    yield state
    return state


def early(
    state: xr.Dataset, inputs: Any, segment: Segment
) -> Generator[Any, None, Any]:
    """Return in its first part."""
    if segment.part:
        yield state
    return state


@pytest.mark.parametrize("function", [forgetful, greedy, early])
def test_submitting_tries_the_first_the_second_and_the_last_part(function: Any) -> None:
    """Who forgets where to go on is told before anything runs."""
    (fault,) = trace_faults(workflow(function), Scenario("s"))

    assert fault.place == "step"
    assert "of 4" in fault.problem


@pytest.mark.parametrize("function", [step, whole])
def test_a_step_that_keeps_to_its_parts_is_taken(function: Any) -> None:
    """A generator, or a function that is called for each part."""
    for parts in (1, 2, 4):
        wf = workflow(function, parts=parts)
        assert workflow_faults(wf) == []
        assert trace_faults(wf, Scenario("s")) == []


def test_a_scope_and_a_step_of_its_own_know_parts() -> None:
    """What is left out is left out between parts too."""
    (stage,) = workflow(scope=Scope(keep_bits={"heat": 3})).stages
    state = init(told(0), {}).chunk({"x": 2})
    assert isinstance(stage, Stage)

    advance = call_step(stage, state, {}, told(0))

    assert advance.state["heat"].to_numpy().tolist() == [1.0] * 4
    (isolated,) = workflow(Isolated(step), scope=Scope(keep_bits={"heat": 3})).stages
    assert isinstance(isolated.step, Isolated)
    found = taken(isolated.step.step(init(told(0), {}), {}, told(2)), told(2))
    assert found.state["heat"].to_numpy().tolist() == [3.0] * 4


def test_what_is_no_generator_is_taken_as_it_is() -> None:
    """Whoever checks it says what is wrong."""
    assert taken(None, told(0)) is None


@pytest.mark.parametrize("parts", [0, -1, 2.5, True, "2", None])
def test_a_number_of_parts_is_a_number(parts: Any) -> None:
    """Whole and positive."""
    (fault,) = workflow_faults(workflow(parts=parts))

    assert fault.place == "workflow 'w', stage 'a', parts"
    assert fault.problem == f"got {parts!r}, expected a number >= 1"


def test_parts_are_a_second_long_at_least() -> None:
    """Boundaries are whole seconds."""
    assert workflow_faults(workflow(parts=2 * DAY_S)) == []
    (fault,) = workflow_faults(workflow(parts=2 * DAY_S + 1))

    assert fault.problem == "got 172801 for segments of 172800 s of model time"


def test_a_span_that_cannot_be_read_is_one_fault() -> None:
    """Its parts are not looked at."""
    wf = Workflow("w")
    wf.stage("a", step, init=init, span=Span("x", "0002-01-01", every="1D"), parts=2)

    assert [fault.place for fault in workflow_faults(wf)] == [
        "workflow 'w', stage 'a', span"
    ]


def test_stages_that_exchange_have_no_parts() -> None:
    """Whoever reads, and whoever is read."""
    wf = Workflow("w")
    reads = {"b": Coupling.PREVIOUS}
    wf.stage("a", step, init=init, span=SPAN, parts=2, reads=reads)
    wf.stage("b", step, init=init, span=SPAN, parts=2)
    wf.stage("c", step, init=init, span=SPAN, parts=2)

    faults = workflow_faults(wf)

    assert [fault.place for fault in faults] == [
        "workflow 'w', stage 'a', parts",
        "workflow 'w', stage 'b', parts",
    ]
    assert "consistent only where segments end" in faults[0].problem


def test_the_parts_of_a_simulation_stay() -> None:
    """Its checkpoints lie at their boundaries."""
    old = make_plan(workflow(parts=2), Scenario("s"))
    new = make_plan(workflow(parts=4), Scenario("s"))

    assert [f.place for f in change_faults(old, new, {})] == [
        "stage 'a', parts",
        "stage 'a', span",
    ]
