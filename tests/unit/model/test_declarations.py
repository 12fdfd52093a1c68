"""What a user declares and what a step is given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import cftime
import xarray as xr

from climorch.model.advance import Advance, Segment
from climorch.model.edits import AddSimulation, Committed, Edit, as_data
from climorch.model.plan import Coupling
from climorch.model.resources import Resources
from climorch.model.scenario import Scenario
from climorch.model.span import CALENDARS, Span
from climorch.model.workflow import Rule, Workflow


def step(
    state: xr.Dataset, inputs: Mapping[str, xr.Dataset], segment: Segment
) -> xr.Dataset:
    """Change nothing."""
    return state


def branch(committed: Committed) -> Iterable[Edit]:
    """Add nothing."""
    return ()


def test_a_span_is_two_dates_a_frequency_and_a_calendar() -> None:
    """Start and end come first; the calendar is the standard one."""
    span = Span("1850-01-01", "2015-01-01", every="1YS")

    assert (span.start, span.end, span.every) == ("1850-01-01", "2015-01-01", "1YS")
    assert span.calendar == "standard"
    assert span.calendar in CALENDARS


def test_a_workflow_collects_stages_rules_and_templates_in_order() -> None:
    """What was declared is kept as it was declared."""
    later = Workflow("later")
    workflow = Workflow("coupled", templates=[later])
    first = workflow.stage(
        "ocean",
        step,
        span=Span("2000-01-01", "2001-01-01", every="1MS"),
        reads={"air": Coupling.PREVIOUS},
        chunks={"lat": 10},
        resources=Resources(nodes=2),
        check_finite=False,
        output_chunk=12,
    )
    second = workflow.stage(
        "air", step, span=Span("2000-01-01", "2001-01-01", every="1MS"), after=["spin"]
    )
    workflow.rule("branch", when="ocean", then=branch)

    assert workflow.stages == [first, second]
    assert first.reads == {"air": Coupling.PREVIOUS}
    assert (first.chunks, first.resources.nodes) == ({"lat": 10}, 2)
    assert (first.check_finite, first.output_chunk) == (False, 12)
    assert (second.after, second.reads, second.init) == (("spin",), {}, None)
    assert second.resources == Resources()
    assert workflow.rules == [Rule(name="branch", when="ocean", then=branch)]
    assert workflow.describe() == {
        "name": "coupled",
        "stages": ["ocean", "air"],
        "rules": ["branch"],
        "scores": [],
        "templates": ["later"],
    }


def test_what_a_stage_was_given_may_change_afterwards() -> None:
    """A declaration keeps copies of the containers that it was made from."""
    reads, chunks, after = {"air": Coupling.SAME}, {"lat": 10}, ["spin"]
    stage = Workflow("w").stage(
        "ocean",
        step,
        span=Span("2000-01-01", "2001-01-01", every="1MS"),
        reads=reads,
        chunks=chunks,
        after=after,
    )
    reads.clear()
    chunks.clear()
    after.clear()

    assert (stage.reads, stage.chunks) == ({"air": Coupling.SAME}, {"lat": 10})
    assert stage.after == ("spin",)


def test_a_segment_tells_its_step_all_that_it_may_depend_on() -> None:
    """A segment has its span, its number, parameters and a seed."""
    start, end = (cftime.DatetimeNoLeap(year, 1, 1) for year in (2000, 2001))
    segment = Segment(start=start, end=end, index=3)

    assert (segment.end - segment.start).days == 365
    assert (segment.index, segment.params, segment.seed) == (3, {}, 0)


def test_a_step_may_return_more_than_its_state() -> None:
    """Exports, output and metrics are left out unless they are given."""
    state = xr.Dataset({"t": ("x", [1.0])})
    advance = Advance(state=state)

    assert advance.state is state
    assert (advance.exports, advance.output, advance.metrics) == (None, None, None)


def test_an_edit_is_plain_data() -> None:
    """What a rule answers is a tagged value without functions."""
    edit = AddSimulation(template="ssp", scenario=Scenario("ssp245", priority=2))

    assert as_data(edit) == {
        "type": "AddSimulation",
        "template": "ssp",
        "scenario": {
            "name": "ssp245",
            "params": {},
            "project": "default",
            "priority": 2,
            "protection": {
                "level": 0,
                "exempt_for_s": 0.0,
                "min_between_s": 0.0,
                "max_preemptions": None,
            },
            "value": 1.0,
            "group": "",
            "mandatory": False,
            "deadline": None,
        },
    }


def test_a_rule_is_told_of_the_stage_that_was_committed() -> None:
    """A rule sees the simulation, its scenario and its last metrics."""
    committed = Committed(
        simulation="m01", stage="ocean", scenario=Scenario("m01"), segments=33
    )

    assert (committed.segments, committed.metrics) == (33, {})
