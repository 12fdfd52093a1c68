from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import xarray as xr

from climorch.errors import Fault, InvalidInputError
from climorch.intake.check import workflow_faults
from climorch.intake.planning import require_no
from climorch.model.plan import Coupling
from climorch.model.span import Span
from climorch.model.workflow import Workflow

PREVIOUS, SAME = Coupling.PREVIOUS, Coupling.SAME


def step(state: Any, inputs: Any, segment: Any) -> Any:
    """Keep everything."""
    return state


def years(
    first: int, last: int, *, every: str = "1YS", calendar: str = "noleap"
) -> Span:
    """Whole years."""
    return Span(f"{first}-01-01", f"{last}-01-01", every=every, calendar=calendar)


STATE = xr.Dataset({"T": ("x", np.zeros(3))})


def add(wf: Workflow, name: Any, span: Span | None = None, **options: Any) -> None:
    """Add a stage that is fine but for its options."""
    options = {"init": STATE, "span": span or years(2000, 2002), **options}
    wf.stage(name, options.pop("step", step), **options)


def texts(wf: Workflow) -> list[str]:
    """All faults, as a user reads them."""
    return [str(fault) for fault in workflow_faults(wf)]


def test_a_good_workflow_has_no_fault() -> None:
    """Coupled stages, phases, rules and templates that fit are accepted."""
    template = Workflow("projection")
    add(template, "air", years(2002, 2004), init=None)
    wf = Workflow("coupled", templates=[template])
    add(wf, "spinup", years(1990, 2000))
    add(wf, "air", reads={"sea": PREVIOUS}, after=["spinup"], chunks={"x": 2})
    add(wf, "sea", reads={"air": SAME}, after=["spinup"], init=lambda s, i: STATE)
    wf.rule("branch", when="sea", then=lambda committed: [])
    assert texts(wf) == []


def test_one_error_tells_every_fault_of_a_workflow() -> None:
    """All that is wrong is listed at once, each with its place and remedy."""
    lock = threading.Lock()
    wf = Workflow("bad/name")
    add(wf, "a b", init=None)
    add(wf, "air", reads={"sea": SAME, "ice": SAME}, chunks={"lat": 0})
    add(wf, "sea", years(2000, 2003), reads={"air": SAME}, output_chunk=0)
    add(wf, "late", years(2010, 2012), after=["late", "nobody"])
    add(wf, "day", years(2000, 2002, calendar="360_day"), reads={"sea": "same"})
    add(wf, "deaf", step=7, init="a file")
    add(wf, "shut", step=lambda s, i, g: lock)
    add(wf, "air")
    wf.rule("r/1", when="ghost", then=3, on_fault="sulk", limit_s=0.0)  # type: ignore[arg-type]
    names = "use 1 to 64 letters, digits, '.', '_' or '-', first a letter or digit"
    known = "name one of a b, air, day, deaf, late, sea, shut"
    w = "workflow 'bad/name'"
    expected = [
        f"{w}, workflow: name 'bad/name' cannot be a file name everywhere; {names}",
        f"{w}, stage: name 'a b' cannot be a file name everywhere; {names}",
        f"{w}, stage 'air': is declared 2 times; give each its own name",
        f"{w}, rule: name 'r/1' cannot be a file name everywhere; {names}",
        f"{w}, stage 'air', reads: stage 'ice' does not exist; {known}",
        f"{w}, stage 'late', after: names itself; leave out",
        f"{w}, stage 'late', after: stage 'nobody' does not exist; {known}",
        f"{w}, stage 'day', reads 'sea': got 'same'; use climorch.SAME or "
        "climorch.PREVIOUS",
        f"{w}, rule 'r/1', when: stage 'ghost' does not exist; {known}",
        f"{w}, stage 'deaf', step: int cannot be called; pass a function of (state, "
        "inputs, segment)",
        f"{w}, stage 'deaf', init: got str; pass a Dataset or a function of (segment, "
        "inputs)",
        f"{w}, stage 'shut', step: cannot be sent to other processes: cannot pickle "
        "'_thread.lock' object; open files, locks and connections inside the function",
        f"{w}, rule 'r/1', then: int cannot be called; pass a function of a Committed "
        "that returns edits",
        f"{w}, rule 'r/1', on_fault: got 'sulk'; use one of go on, pause",
        f"{w}, stage 'air', chunks 'lat': got 0, expected a length >= 1; leave the "
        "dimension out to keep it whole",
        f"{w}, stage 'sea', output_chunk: got 0, expected >= 1; leave it out to take "
        "one segment's length",
        f"{w}, stage 'a b', init: is missing; pass a Dataset or a function; only the "
        "stages of a template may start from their parent's state",
        f"{w}, stage 'day' and 'sea', calendar: '360_day' does not meet 'noleap'; use "
        "one calendar for stages that exchange",
    ]
    with pytest.raises(InvalidInputError) as caught:
        require_no(workflow_faults(wf), "workflow 'bad/name' cannot run")
    told = str(caught.value)
    assert [text for text in expected if f"  - {text}\n" not in f"{told}\n"] == []
    assert told.startswith("workflow 'bad/name' cannot run\n")
    assert len(caught.value.faults) == len(told.splitlines()) - 1


def test_no_fault_is_no_error() -> None:
    """Nothing is raised where nothing is wrong."""
    require_no([], "nothing")
    with pytest.raises(InvalidInputError, match="  - here: bad; mend it"):
        require_no([Fault(place="here", problem="bad", remedy="mend it")], "wrong")


def test_an_empty_workflow_is_told() -> None:
    """A workflow must have a stage; a rule without stages names none."""
    wf = Workflow("empty")
    wf.rule("r", when="x", then=lambda committed: [])
    assert texts(wf) == [
        "workflow 'empty': has no stage; add one with stage(...)",
        "workflow 'empty', rule 'r', when: stage 'x' does not exist; name one of no "
        "stage",
    ]


@pytest.mark.parametrize(
    "name", ["../up", "a/b", "", ".hidden", "a\\b", "a\0b", "x" * 65, "a\n", "é", None]
)
def test_names_with_path_characters_are_refused(name: Any) -> None:
    """A name that could leave its folder, or be none, is a fault of its stage."""
    wf = Workflow("wf")
    add(wf, name)
    (fault,) = workflow_faults(wf)
    assert fault.place == "workflow 'wf', stage"
    assert fault.problem == f"name {name!r} cannot be a file name everywhere"


def test_a_cycle_through_same_is_named() -> None:
    """Stages that wait for each other within a segment are told in their order."""
    wf = Workflow("wf")
    add(wf, "a", reads={"c": SAME})
    add(wf, "b", reads={"a": SAME})
    add(wf, "c", reads={"b": SAME})
    (fault,) = workflow_faults(wf)
    assert fault.place == "workflow 'wf', reads SAME"
    assert fault.problem.startswith("cycle ")
    assert sorted(set(fault.problem.removeprefix("cycle ").split(" -> "))) == [
        "a",
        "b",
        "c",
    ]
    assert fault.remedy == "read one of them PREVIOUS"


def test_a_cycle_with_one_previous_is_fine() -> None:
    """A circle of reads is open where one of them is of the segment before."""
    wf = Workflow("wf")
    add(wf, "a", reads={"c": PREVIOUS})
    add(wf, "b", reads={"a": SAME})
    add(wf, "c", reads={"b": SAME})
    assert texts(wf) == []


@pytest.mark.parametrize("reads", [False, True])
def test_a_cycle_that_a_rule_could_make_is_named_before(reads: bool) -> None:
    """Stages on demand are declared: no edit can close a circle that was open."""
    wf = Workflow("wf")
    add(wf, "a")
    if reads:
        add(wf, "b", reads={"c": SAME}, on_demand=True)
        add(wf, "c", reads={"b": SAME}, on_demand=True)
    else:
        add(wf, "b", years(2002, 2004), after=["a", "c"], on_demand=True)
        add(wf, "c", years(2002, 2004), after=["b"], on_demand=True)
    found = [f.problem for f in workflow_faults(wf) if "cycle" in f.problem]
    assert len(found) == 1
    assert {"b", "c"} == set(found[0].removeprefix("cycle ").split(" -> "))


def test_a_cycle_of_phases_is_named() -> None:
    """Coupled sets that come after one another in a circle are told."""
    wf = Workflow("wf")
    add(wf, "a", after=["c"])
    add(wf, "b", reads={"a": SAME})
    add(wf, "c", after=["b"])
    found = [f for f in workflow_faults(wf) if "cycle" in f.problem]
    assert [(f.place, f.remedy) for f in found] == [
        ("workflow 'wf', after", "break the circle")
    ]


def test_coupled_stages_cannot_follow_each_other() -> None:
    """A stage that is coupled with another one cannot come after it."""
    wf = Workflow("wf")
    add(wf, "a")
    add(wf, "b", years(2002, 2004), reads={"a": PREVIOUS}, after=["a"])
    assert (
        "workflow 'wf', stage 'b', after 'a': the two are coupled through reads and "
        "run together; leave out after, or the coupling" in texts(wf)
    )


@pytest.mark.parametrize(
    ("span", "options", "text"),
    [
        (
            years(2001, 2003),
            {"reads": {"a": PREVIOUS}},
            "reads 'a': its span 2001-01-01 to 2003-01-01 is not 2000-01-01 to "
            "2002-01-01; give coupled stages one start and one end; split a longer "
            "one into phases with after=",
        ),
        (
            years(2003, 2004),
            {"after": ["a"]},
            "after 'a': starts at 2003-01-01, but 'a' ends at 2002-01-01; let it "
            "start where the other ends, or begin as dated",
        ),
        (
            years(2000, 2002, every="5MS"),
            {"reads": {"a": PREVIOUS}},
            "reads 'a': segments every '5MS' and every '1YS' do not nest; let the "
            "boundaries of one be among those of the other",
        ),
        (
            years(2000, 2002, every="1MS"),
            {"reads": {"a": SAME}},
            "reads 'a': has shorter segments than 'a' and reads it SAME; read it "
            "PREVIOUS, or give it segments as long",
        ),
    ],
)
def test_spans_that_do_not_meet_are_told(
    span: Span, options: dict[str, Any], text: str
) -> None:
    """Stages that exchange must share their ends, and their boundaries must nest."""
    wf = Workflow("wf")
    add(wf, "a")
    add(wf, "b", span, **options)
    assert texts(wf) == [f"workflow 'wf', stage 'b', {text}"]


def test_boundaries_may_nest_both_ways() -> None:
    """A coarser stage reads a finer one either way, a finer one reads PREVIOUS."""
    wf = Workflow("wf")
    add(wf, "fine", years(2000, 2002, every="1MS"), reads={"coarse": PREVIOUS})
    add(wf, "coarse", years(2000, 2002), reads={"fine": SAME})
    assert texts(wf) == []


def test_mixed_calendars_of_a_couple_are_told_once() -> None:
    """Neither the other direction nor the dates, which are alike, are told too."""
    wf = Workflow("wf")
    add(wf, "b", years(2000, 2002), reads={"a": SAME})
    add(wf, "a", years(2000, 2002, calendar="360_day"), reads={"b": PREVIOUS})
    assert texts(wf) == [
        "workflow 'wf', stage 'a' and 'b', calendar: '360_day' does not meet "
        "'noleap'; use one calendar for stages that exchange"
    ]


def test_mixed_calendars_are_told_for_phases_too() -> None:
    """Stages that exchange in any way must share a calendar."""
    wf = Workflow("wf")
    add(wf, "a", years(1998, 2000, calendar="360_day"))
    add(wf, "b", after=["a"])
    assert texts(wf)[0] == (
        "workflow 'wf', stage 'b' and 'a', calendar: 'noleap' does not meet "
        "'360_day'; use one calendar for stages that exchange"
    )


def test_two_names_of_one_calendar_meet() -> None:
    """Calendars that the conventions know by two names are the same."""
    wf = Workflow("wf")
    add(wf, "a", years(1998, 2000, calendar="365_day"))
    add(wf, "b", after=["a"])
    assert texts(wf) == []


def test_a_span_without_a_segment_is_told_before_meetings() -> None:
    """Spans are compared only once each of them can be cut."""
    wf = Workflow("wf")
    add(wf, "a", years(2002, 2000))
    add(wf, "b", reads={"a": SAME})
    assert texts(wf) == [
        "workflow 'wf', stage 'a', span: from 2002-01-01 to 2000-01-01 there is no "
        "segment; let the end come after the start"
    ]


def test_templates_are_checked_and_may_do_without_init() -> None:
    """Faults of templates are told with the rest, a missing init is none there."""
    template = Workflow("later")
    add(template, "air", init=None, chunks={"x": "many"})
    wf = Workflow("wf", templates=[template])
    add(wf, "air", init=None)
    assert texts(wf) == [
        "workflow 'wf', stage 'air', init: is missing; pass a Dataset or a function; "
        "only the stages of a template may start from their parent's state",
        "workflow 'later', stage 'air', chunks 'x': got 'many', expected a length >= "
        "1; leave the dimension out to keep it whole",
    ]


def test_what_raises_when_it_is_pickled_is_a_fault() -> None:
    """A step that cannot be sent to other processes is told, however it fails."""

    class Stubborn:
        def __call__(self, *given: Any) -> Any:
            return given

        def __reduce__(self) -> Any:
            raise RuntimeError("I stay here")

    wf = Workflow("wf")
    add(wf, "a", step=Stubborn(), init=Stubborn())
    assert [text.partition(";")[0] for text in texts(wf)] == [
        "workflow 'wf', stage 'a', step: cannot be sent to other processes: I stay "
        "here",
        "workflow 'wf', stage 'a', init: cannot be sent to other processes: I stay "
        "here",
    ]
