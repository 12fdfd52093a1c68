from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from climorch.intake.planning import make_plan, segment_seed
from climorch.intake.trace import make_segment, merge_exports, trace_faults
from climorch.model.advance import Advance
from climorch.model.plan import Coupling
from climorch.model.scenario import Scenario
from climorch.model.span import Span
from climorch.model.steps import Isolated
from climorch.model.workflow import Workflow
from climorch.testing.models import box_workflow

SCENARIO = Scenario("m01", params={"f": 2.0})
STATE = xr.Dataset({"T": ("x", np.zeros(4))}, coords={"x": np.arange(4.0)})


def years(first: int, last: int, every: str = "1YS") -> Span:
    """Whole years."""
    return Span(f"{first}-01-01", f"{last}-01-01", every=every, calendar="noleap")


def keep(state: Any, inputs: Any, segment: Any) -> Any:
    """Keep everything."""
    return state


def nothing(*given: Any) -> Any:
    """Forget to return."""


def texts(wf: Workflow) -> list[str]:
    """What a trial shows."""
    return [str(fault) for fault in trace_faults(wf, SCENARIO)]


def one(step: Any = keep, init: Any = STATE, **options: Any) -> Workflow:
    """A workflow of one stage."""
    wf = Workflow("wf")
    wf.stage("sea", step, init=init, span=years(2000, 2002), **options)
    return wf


def test_a_good_workflow_passes_its_trial() -> None:
    """Coupled stages after a spin-up are tried without a fault."""
    assert texts(box_workflow(spinup=2)) == []


def test_a_segment_tells_a_step_when_it_is() -> None:
    """A segment has its dates, index, params and seed."""
    plan = make_plan(one(), SCENARIO)
    segment = make_segment("m01", plan, plan.stages[0], 1)
    assert segment.start.isoformat() == "2001-01-01T00:00:00"
    assert segment.end.isoformat() == "2002-01-01T00:00:00"
    assert segment.start.calendar == "noleap"
    assert segment.index == 1
    assert segment.params == {"f": 2.0}
    assert segment.seed == segment_seed("m01", "sea", 1)


def test_several_exports_come_along_a_new_dimension() -> None:
    """A coarser reader gets the finer stage's exports one after the other."""
    assert merge_exports([STATE]) is STATE
    merged = merge_exports([STATE, STATE + 1, STATE + 2])
    assert merged["T"].dims == ("segment", "x")
    assert merged["T"].values[:, 0].tolist() == [0.0, 1.0, 2.0]
    assert merged["x"].values.tolist() == [0.0, 1.0, 2.0, 3.0]


def test_nothing_is_computed_in_a_trial() -> None:
    """A trial builds the graphs of the first segments and runs no task."""
    ran: list[int] = []

    def count(block: Any) -> Any:
        ran.append(1)
        return block

    def step(state: Any, inputs: Any, segment: Any) -> Any:
        lazy = xr.apply_ufunc(
            count, state["T"], dask="parallelized", output_dtypes=[float]
        )
        return state.assign(T=lazy)

    assert texts(one(step, chunks={"x": 2})) == []
    assert ran == []


@pytest.mark.parametrize(
    ("step", "start"),
    [
        (lambda s, i, g: None, "stage 'sea', step, return value: got NoneType"),
        (
            lambda s, i, g: s.isel(x=slice(2)),
            "stage 'sea', step, variable 'T': shape (2,), expected (4,)",
        ),
        (
            lambda s, i, g: s.astype("f4"),
            "stage 'sea', step, variable 'T': dtype float32, expected float64",
        ),
        (
            lambda s, i, g: s.assign_coords(x=s["x"] + 1),
            "stage 'sea', step, coordinate 'x': its values changed",
        ),
        (
            lambda s, i, g: s.update({"T": s["T"] + 1}),
            "stage 'sea', step, argument 'state': it changed T of what it was given",
        ),
        (
            lambda s, i, g: s.load(),
            "stage 'sea', step: it called compute, load, values",
        ),
        (
            lambda s, i, g: s["salt"],
            "workflow 'wf', 'sea', step: raised KeyError: ",
        ),
    ],
)
def test_a_step_that_breaks_the_contract_is_told_before_anything_starts(
    step: Callable[..., Any], start: str
) -> None:
    """What the first call of a step shows is a fault at submission."""
    found = texts(one(step))
    assert found[0].startswith(start)


@pytest.mark.parametrize(
    ("init", "start"),
    [
        (lambda s, i: 5, "stage 'sea', init, return value: got int"),
        (
            xr.Dataset({"T": ("x", [np.nan, np.nan])}),
            "stage 'sea', init, variable 'T': is NaN everywhere",
        ),
        (
            lambda s, i: Path("/nowhere/T.nc").read_bytes(),
            "workflow 'wf', 'sea', init: raised FileNotFoundError: ",
        ),
    ],
)
def test_an_init_that_fails_is_told_before_anything_starts(
    init: Any, start: str
) -> None:
    """What calling an init shows is a fault at submission."""
    (text,) = texts(one(init=init))
    assert text.startswith(start)


@pytest.mark.parametrize("part", ["state", "exports", "output"])
def test_a_graph_that_cannot_be_sent_is_told(part: str) -> None:
    """A task that holds a lock cannot reach another process, whatever it is for."""
    lock = threading.Lock()

    def step(state: Any, inputs: Any, segment: Any) -> Any:
        held = state["T"].copy(data=state["T"].data.map_blocks(_held, lock=lock))
        parts = {"state": state, "exports": state, "output": None}
        if part == "output":
            parts["output"] = held.expand_dims(time=[segment.start]).to_dataset()
        else:
            parts[part] = state.assign(T=held)
        return Advance(**parts)

    (text,) = texts(one(step))
    assert text.startswith("workflow 'wf', 'sea', step: raised TypeError: ")
    assert "lock" in text


def _held(block: Any, lock: Any) -> Any:
    with lock:
        return block


def test_faults_of_all_stages_of_a_set_are_told() -> None:
    """Every init of coupled stages is tried, even after one has failed."""
    wf = Workflow("wf")
    for name, other in (("air", "sea"), ("sea", "air")):
        wf.stage(
            name,
            keep,
            init=nothing,
            span=years(2000, 2002),
            reads={other: Coupling.PREVIOUS},
        )
    assert [text.partition(":")[0] for text in texts(wf)] == [
        "stage 'air', init, return value",
        "stage 'sea', init, return value",
    ]


def test_steps_get_what_they_will_get() -> None:
    """In a trial readers see exports, merged where the other stage is finer."""
    seen: dict[str, Any] = {}

    def fine(state: Any, inputs: Any, segment: Any) -> Any:
        seen["fine"] = {k: dict(v.sizes) for k, v in inputs.items()}
        return Advance(state=state, exports=state[["T"]].mean())

    def coarse(state: Any, inputs: Any, segment: Any) -> Any:
        seen["coarse"] = {k: dict(v.sizes) for k, v in inputs.items()}
        return state

    wf = Workflow("wf")
    wf.stage("spin", keep, init=STATE, span=years(1999, 2000))
    wf.stage(
        "coarse",
        coarse,
        init=lambda s, i: Advance(state=i["spin"], exports=STATE),
        span=years(2000, 2002),
        reads={"fine": Coupling.SAME},
        after=["spin"],
    )
    wf.stage(
        "fine",
        fine,
        init=STATE,
        span=years(2000, 2002, "6MS"),
        reads={"coarse": Coupling.PREVIOUS},
    )
    assert texts(wf) == []
    assert seen == {
        "fine": {"coarse": {"x": 4}},
        "coarse": {"spin": {"x": 4}, "fine": {"segment": 2}},
    }


def test_phases_behind_a_fault_are_not_tried() -> None:
    """A phase whose inputs could not be made is left for the next try."""
    wf = Workflow("wf")
    wf.stage("a", keep, init=nothing, span=years(1999, 2000))
    wf.stage("b", keep, init=nothing, span=years(2000, 2001), after=["a"])
    assert [text.partition(":")[0] for text in texts(wf)] == [
        "stage 'a', init, return value"
    ]


def test_templates_start_from_the_last_states() -> None:
    """A template is tried with the states that the workflow ends with."""
    template = Workflow("later")
    template.stage("sea", keep, span=years(2002, 2004))
    template.stage("ice", keep, span=years(2002, 2004))
    wf = Workflow("wf", templates=[template])
    wf.stage("sea", keep, init=STATE, span=years(2000, 2002))
    (text,) = texts(wf)
    assert text.startswith("stage 'ice', init, return value: got NoneType")


def test_templates_of_a_faulty_workflow_are_not_tried() -> None:
    """Where the workflow fails its trial there are no states to branch from."""
    template = Workflow("later")
    template.stage("sea", keep, span=years(2002, 2004))
    wf = Workflow("wf", templates=[template])
    wf.stage("sea", nothing, init=STATE, span=years(2000, 2002))
    (text,) = texts(wf)
    assert text.startswith("stage 'sea', step, return value")


def spun(init: Any = None, **options: Any) -> Workflow:
    """A stage of its own state after a spin-up of four cells in K."""
    wf = Workflow("wf")
    spin = STATE.assign(T=STATE["T"].assign_attrs(units="K"))
    wf.stage("spin", keep, init=spin, span=years(1999, 2000))
    span = years(2000, 2002)
    wf.stage("sea", keep, init=init, span=span, after=["spin"], **options)
    return wf


def test_a_phase_of_another_grid_says_how_its_first_state_is_made() -> None:
    """An init of another grid is a fault that names both; a transform is none."""
    other = xr.Dataset({"T": ("x", np.zeros(2))}, coords={"x": [0.5, 2.5]})
    assert texts(spun(other)) == [
        "stage 'sea', after 'spin': what 'spin' gives does not fit: coordinate 'x' has "
        "4 values from 0.0 to 3.0, here 2 values from 0.5 to 2.5; make the first state "
        "with transform=, which may change them"
    ]
    assert (
        texts(spun(transform=lambda states, _: states["spin"].coarsen(x=2).mean()))
        == []
    )


def test_a_transform_that_raises_is_told_before_anything_starts() -> None:
    """As an init is."""
    (text,) = texts(spun(transform=lambda states, _: states["nobody"]))
    assert text.startswith("workflow 'wf', 'sea', transform: raised KeyError: 'nobody'")


def coupled(air: Any, sea: Any = STATE, step: Any = keep, **more: Any) -> Workflow:
    """A sea that reads the air."""
    wf = Workflow("wf")
    span = years(2000, 2002)
    wf.stage("air", step, init=air, span=span)
    wf.stage("sea", keep, init=sea, span=span, reads={"air": Coupling.SAME}, **more)
    return wf


def test_stages_that_exchange_lie_on_one_grid() -> None:
    """Else xarray would drop what does not meet, without a word."""
    air = xr.Dataset({"flux": ("x", np.zeros(4))}, coords={"x": np.arange(4.0) + 0.5})
    assert texts(coupled(air)) == [
        "stage 'sea', reads 'air': what 'air' gives does not fit: coordinate 'x' has 4 "
        "values from 0.5 to 3.5, here 4 values from 0.0 to 3.0; export it as the "
        "reader has it, or under names of its own"
    ]
    assert texts(coupled(air.rename(x="x_air"))) == []


def test_exports_of_another_time_are_told_before_anything_starts() -> None:
    """A clock that stands still, for instance."""

    def stuck(state: Any, inputs: Any, segment: Any) -> Any:
        old = state.expand_dims(time=[segment.start.replace(year=1990)])
        return Advance(state=state, exports=old)

    (text,) = texts(coupled(STATE, step=stuck))
    assert text.startswith(
        "stage 'air', exports to 'sea': coordinate 'time' ends at 1990-01-01T00:00:00, "
        "the segment goes from 2000-01-01T00:00:00 to 2001-01-01T00:00:00"
    )


def test_what_a_model_will_export_is_not_known_before_it_has_run() -> None:
    """Its init is no measure of it, unless that is what is read first."""
    air = xr.Dataset({"flux": ("x", np.zeros(2))}, coords={"x": [0.0, 1.0]})
    wf = Workflow("wf")
    span = years(2000, 2002)
    wf.stage("air", Isolated(keep), init=air, span=span)
    wf.stage("sea", keep, init=STATE, span=span, reads={"air": Coupling.SAME})
    assert texts(wf) == []

    wf = Workflow("wf")
    wf.stage("air", Isolated(keep), init=air, span=span)
    wf.stage("sea", keep, init=STATE, span=span, reads={"air": Coupling.PREVIOUS})
    (text,) = texts(wf)
    assert text.startswith("stage 'sea', reads 'air': what 'air' gives does not fit")
