from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import cftime
import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr

from climorch.errors import InvalidInputError
from climorch.intake.contract import call_step
from climorch.intake.fields import chunked
from climorch.model.advance import Advance, Segment
from climorch.model.span import Span
from climorch.model.workflow import Stage

SEGMENT = Segment(
    start=cftime.DatetimeNoLeap(2000, 1, 1),
    end=cftime.DatetimeNoLeap(2001, 1, 1),
    index=0,
)
SPAN = Span("2000-01-01", "2002-01-01", every="1YS", calendar="noleap")


def state() -> xr.Dataset:
    """A lazy state in the chunks of its stage."""
    return chunked(
        xr.Dataset(
            {"T": ("x", np.arange(4.0)), "clock": np.int64(0)},
            coords={"x": [0.0, 1.0, 2.0, 3.0]},
        ),
        {"x": 2},
    )


def stage(step: Any = None, **options: Any) -> Stage:
    """A stage with this step or init."""
    return Stage(
        **{"name": "sea", "init": None, "span": SPAN, "chunks": {"x": 2}, **options},
        step=step,
    )


def step_faults(
    step: Callable[..., Any], inputs: Mapping[str, xr.Dataset] | None = None
) -> list[str]:
    """Breaches of the contract that one call of a step shows."""
    with pytest.raises(InvalidInputError) as caught:
        call_step(stage(step), state(), inputs or {}, SEGMENT)
    assert caught.value.faults
    return [str(fault) for fault in caught.value.faults]


def test_a_step_is_given_copies_and_its_segment() -> None:
    """A step sees the state, the inputs and the segment, and returns a state."""
    seen: list[Any] = []

    def step(state: Any, inputs: Any, segment: Any) -> Any:
        seen.append((sorted(inputs), segment))
        return state.assign(T=state["T"] + inputs["air"]["T"])

    advance = call_step(stage(step), state(), {"air": state()}, SEGMENT)
    assert seen == [(["air"], SEGMENT)]
    assert advance.state["T"].values.tolist() == [0.0, 2.0, 4.0, 6.0]
    assert (advance.exports, advance.output, advance.metrics) == (None, None, None)


def test_a_state_comes_back_in_the_chunks_of_its_stage() -> None:
    """Whatever chunks a step returns, the state has those of the stage."""
    advance = call_step(
        stage(lambda s, i, g: s.assign(T=s["T"].chunk(x=-1))), state(), {}, SEGMENT
    )
    assert advance.state["T"].chunks == ((2, 2),)


def test_an_advance_carries_all_its_parts() -> None:
    """Exports, output and metrics pass as they are."""
    exports = state()
    output = xr.Dataset({"m": ("time", [1.0])}, coords={"time": [SEGMENT.start]})

    def step(state: Any, inputs: Any, segment: Any) -> Advance:
        return Advance(
            state=state, exports=exports, output=output, metrics={"mean": 1.0}
        )

    advance = call_step(stage(step), state(), {}, SEGMENT)
    assert advance.exports is exports
    assert advance.output is output
    assert advance.metrics == {"mean": 1.0}


@pytest.mark.parametrize(
    ("returned", "texts"),
    [
        (None, ["return value: got NoneType"]),
        (np.zeros(3), ["return value: got ndarray"]),
        (xr.DataArray(np.zeros(3)), ["return value: got DataArray"]),
        ((state(), state()), ["return value: got tuple"]),
        (
            Advance(state=1, exports=[], output="x", metrics=[]),  # type: ignore[arg-type]
            [
                "Advance.metrics: got list; return a mapping of names to scalars",
                "Advance.state: got int",
                "Advance.exports: got list",
                "Advance.output: got str",
            ],
        ),
    ],
)
def test_what_is_no_dataset_is_told(returned: Any, texts: list[str]) -> None:
    """A step that returns anything but Datasets is told for each part."""
    end = (
        ", expected xarray.Dataset; return a Dataset, or a climorch.Advance of Datasets"
    )
    assert step_faults(lambda s, i, g: returned) == [
        f"stage 'sea', step, {text}" + ("" if ";" in text else end) for text in texts
    ]


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        (lambda s, i, g: s.isel(x=slice(2)), "shape (2,), expected (4,)"),
        (lambda s, i, g: s.astype("f4"), "dtype float32, expected float64"),
        (lambda s, i, g: s.assign_coords(x=s["x"] + 1), "its values changed"),
        (lambda s, i, g: s.drop_vars("clock"), "is missing"),
    ],
)
def test_a_changed_structure_is_told(step: Any, problem: str) -> None:
    """Shape, type, coordinates and variables stay from segment to segment."""
    assert any(problem in text for text in step_faults(step))


def mutating(change: Callable[[Any], Any]) -> Callable[..., Any]:
    """A step that writes into its state and its inputs."""

    def step(state: Any, inputs: Any, segment: Any) -> Any:
        kept = state.copy()
        change(state)
        change(inputs["air"])
        return kept

    return step


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (lambda d: d.update({"T": d["T"] + 1}), "T"),
        (lambda d: d.__setitem__("new", 1), "new"),
        (lambda d: d.__delitem__("clock"), "clock"),
        (lambda d: d.coords.__setitem__("x", [5.0, 6.0, 7.0, 8.0]), "x"),
    ],
)
def test_a_step_that_changes_what_it_was_given_is_told(
    change: Callable[[Any], Any], names: str
) -> None:
    """State and inputs are not to be written into; each one is named."""
    remedy = "work on a copy: state.copy() or state.assign(...)"
    assert step_faults(mutating(change), {"air": state()}) == [
        f"stage 'sea', step, argument {what!r}: it changed {names} of what it was "
        f"given; {remedy}"
        for what in ("state", "air")
    ]


def test_a_write_in_place_does_not_reach_the_original() -> None:
    """NumPy writing into a variable in memory is told and changes only a copy."""

    def step(state: Any, inputs: Any, segment: Any) -> Any:
        for given in (state, inputs["air"]):
            given["clock"].values[...] = 7
            given["area"].values[0] = 7.0
        return state

    mine, other = (state().assign_coords(area=("x", np.ones(4))) for _ in "ab")
    with pytest.raises(InvalidInputError) as caught:
        call_step(stage(step), mine, {"air": other}, SEGMENT)
    assert [fault.problem for fault in caught.value.faults] == [
        "it changed area, clock of what it was given",
        "it changed area, clock of what it was given",
    ]
    for dataset in (mine, other):
        assert dataset["clock"].item() == 0
        assert dataset["area"].values.tolist() == [1.0, 1.0, 1.0, 1.0]


def test_a_lazy_scalar_is_not_computed() -> None:
    """Handing a state out computes nothing, not even a scalar."""
    mine = state().assign(mean=state()["T"].mean())

    def step(state: Any, inputs: Any, segment: Any) -> Any:
        return state.assign(mean=state["T"].mean())

    with dask.config.set(scheduler=_never):
        advance = call_step(stage(step), mine, {"air": mine}, SEGMENT)
    assert advance.state["mean"].compute().item() == 1.5


def _never(*given: Any, **options: Any) -> Any:
    raise AssertionError("something was computed")


def test_what_is_nan_is_not_taken_for_changed() -> None:
    """Missing values and text in memory do not make a step look guilty."""
    mine = state().assign(gap=np.nan, name="sea", when=cftime.DatetimeNoLeap(1, 1, 1))
    advance = call_step(stage(lambda s, i, g: s), mine, {}, SEGMENT)
    assert advance.state["name"].item() == "sea"
    assert advance.state.identical(mine)


def test_a_changed_argument_leaves_the_original_as_it_was() -> None:
    """A step works on a shallow copy: the state of the engine stays whole."""
    mine = state()
    with pytest.raises(InvalidInputError):
        call_step(
            stage(mutating(lambda d: d.__delitem__("T"))),
            mine,
            {"air": mine},
            SEGMENT,
        )
    assert list(mine.data_vars) == ["T", "clock"]


@pytest.mark.parametrize(
    "compute",
    [
        lambda d: d.load(),
        lambda d: d.compute(),
        lambda d: d["T"].values,
        lambda d: float(d["T"][0]),
        lambda d: bool((d["T"] > 0).all()),
        lambda d: d.persist(),
    ],
)
def test_a_step_that_computes_is_refused(compute: Callable[[Any], Any]) -> None:
    """While a step builds its graph nothing is computed on its thread."""

    def step(state: Any, inputs: Any, segment: Any) -> Any:
        compute(state)
        return state

    (fault,) = step_faults(step)
    assert fault.startswith("stage 'sea', step: it called compute, load, values, ")
    assert "keep it lazy" in fault


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("high", "got 'high'"),
        (None, "got NoneType"),
        (xr.DataArray(np.zeros(3), dims="x"), "has the shape (3,)"),
        (xr.Dataset({"T": 1.0}), "got Dataset"),
        (np.datetime64("2000-01-01"), "got datetime64[D]"),
    ],
)
def test_a_metric_is_one_number(value: Any, problem: str) -> None:
    """A metric that is no scalar is told with its name, before it is computed."""
    (fault,) = step_faults(lambda s, i, g: Advance(state=s, metrics={"heat": value}))
    assert fault == (
        f"stage 'sea', step, Advance.metrics 'heat': {problem}, expected one number; "
        "reduce a field to one value: mean(), or area_mean(field)"
    )


@pytest.mark.parametrize(
    "value",
    [
        1,
        2.5,
        True,
        np.float32(1),
        Decimal("1.5"),
        xr.DataArray(1.0),
        xr.DataArray(da.zeros(4, chunks=2), dims="x").mean(),
        da.zeros(4, chunks=2).sum(),
    ],
)
def test_scalars_of_every_kind_are_metrics(value: Any) -> None:
    """Numbers of Python and NumPy and lazy scalars are taken as they are."""
    returned = Advance(state=state(), metrics={"heat": value})
    advance = call_step(stage(lambda s, i, g: returned), state(), {}, SEGMENT)
    assert advance.metrics == {"heat": value}


def test_computing_is_allowed_again_after_a_step_failed() -> None:
    """Once the step has returned or raised, its thread may compute."""

    def step(state: Any, inputs: Any, segment: Any) -> Any:
        raise RuntimeError("the model is broken")

    with pytest.raises(RuntimeError, match="the model is broken"):
        call_step(stage(step), state(), {}, SEGMENT)
    assert state()["T"].sum().compute().item() == 6.0
    assert dask.config.get("scheduler", None) is None


def test_other_threads_compute_while_a_step_builds() -> None:
    """The refusal holds for the thread of the step alone."""
    building, computed = threading.Event(), threading.Event()
    sums: list[float] = []

    def other() -> None:
        assert building.wait(30)
        sums.append(float(da.ones(4, chunks=2).sum().compute()))
        computed.set()

    def step(state: Any, inputs: Any, segment: Any) -> Any:
        building.set()
        assert computed.wait(30)
        return state

    thread = threading.Thread(target=other)
    thread.start()
    call_step(stage(step), state(), {}, SEGMENT)
    thread.join(30)
    assert sums == [4.0]


def test_steps_on_two_threads_build_one_after_the_other() -> None:
    """Two builds do not overlap, and the settings of Dask are as before."""
    inside: list[int] = []
    most: list[int] = []

    def step(state: Any, inputs: Any, segment: Any) -> Any:
        inside.append(1)
        most.append(len(inside))
        inside.pop()
        return state

    threads = [
        threading.Thread(target=call_step, args=(stage(step), state(), {}, SEGMENT))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert most == [1, 1, 1, 1]
    assert dask.config.get("scheduler", None) is None


@pytest.mark.parametrize(
    ("output", "text"),
    [
        (
            xr.Dataset({"m": ("y", [1.0])}),
            "Advance.output: has no dimension coordinate 'time'; give the output a "
            "'time' axis of cftime dates in model time",
        ),
        (
            xr.Dataset({"m": ("time", [1.0])}),
            "Advance.output: has no dimension coordinate 'time'; give the output a "
            "'time' axis of cftime dates in model time",
        ),
        (
            xr.Dataset(coords={"time": np.array([], "M8[ns]")}),
            "Advance.output: has no time step; return output=None in segments without "
            "diagnostics",
        ),
        (
            xr.Dataset({"a/b": ("time", [1.0])}, coords={"time": [SEGMENT.start]}),
            "variable 'a/b': its name cannot be a folder; use a string without '/', "
            "'\\' and NUL",
        ),
        (
            xr.Dataset(coords={"time": [cftime.DatetimeNoLeap(2000, 1, 1)] * 2}),
            "Advance.output, coordinate 'time': does not ascend: 2000-01-01T00:00:00 "
            "follows 2000-01-01T00:00:00; give each time once, in order: "
            "output.sortby('time')",
        ),
    ],
)
def test_an_output_needs_a_time_axis(output: xr.Dataset, text: str) -> None:
    """Diagnostics are appended along time, so they must have one."""
    faults = step_faults(lambda s, i, g: Advance(state=s, output=output))
    assert faults == [f"stage 'sea', step, {text}"]


def test_all_breaches_of_one_call_are_told_together() -> None:
    """Changed arguments and a wrong return are in one error."""

    def step(state: Any, inputs: Any, segment: Any) -> Any:
        del state["clock"]
        return None

    assert len(step_faults(step)) == 2
