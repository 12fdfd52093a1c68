from __future__ import annotations

from typing import Any

import cftime
import numpy as np
import pytest
import xarray as xr

from climorch.errors import InvalidInputError
from climorch.intake.contract import call_init, in_memory_faults
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


def init_faults(init: Any, **options: Any) -> list[str]:
    """Breaches of the contract that one call of an init shows."""
    inputs = options.pop("inputs", {})
    with pytest.raises(InvalidInputError) as caught:
        call_init(stage(init=init, **options), inputs, SEGMENT)
    return [str(fault) for fault in caught.value.faults]


def test_an_init_builds_the_first_state() -> None:
    """A function gets segment and inputs; a Dataset is taken as it is."""
    seen: list[Any] = []

    def init(segment: Any, inputs: Any) -> Any:
        seen.append((segment, sorted(inputs)))
        return xr.Dataset({"T": ("x", np.zeros(4))})

    advance = call_init(stage(init=init), {"spinup": state()}, SEGMENT)
    assert seen == [(SEGMENT, ["spinup"])]
    assert advance.state["T"].chunks == ((2, 2),)
    fixed = call_init(stage(init=state()), {}, SEGMENT)
    assert fixed.state["T"].values.tolist() == [0.0, 1.0, 2.0, 3.0]
    parent = call_init(stage(init=None), {"sea": state()}, SEGMENT)
    assert parent.state["T"].values.tolist() == [0.0, 1.0, 2.0, 3.0]


def test_an_init_may_return_an_advance() -> None:
    """A first state may come with exports for those who read PREVIOUS."""
    made = Advance(state=state(), exports=state()[["T"]])
    advance = call_init(stage(init=lambda s, i: made), {}, SEGMENT)
    assert advance.exports is made.exports


def test_a_parent_without_this_stage_is_told() -> None:
    """A stage without init must find its state at the parent."""
    assert init_faults(None, inputs={"other": state()}) == [
        "stage 'sea', init, return value: got NoneType, expected xarray.Dataset; "
        "return a Dataset, or a climorch.Advance of Datasets"
    ]


def test_an_init_that_changes_its_inputs_is_told() -> None:
    """The last states of other stages are not to be written into."""

    def init(segment: Any, inputs: Any) -> Any:
        inputs["spinup"]["T"] = inputs["spinup"]["T"] * 2
        return inputs["spinup"]

    (fault,) = init_faults(init, inputs={"spinup": state()})
    assert "argument 'spinup': it changed T of what it was given" in fault


@pytest.mark.parametrize("name", ["a/b", "a\\b", "a\0b", "", 5])
def test_variables_that_are_no_folders_are_told(name: Any) -> None:
    """Names of variables become folders."""
    (fault,) = init_faults(xr.Dataset({name: ("x", np.zeros(4))}))
    assert fault == (
        f"stage 'sea', init, variable {name!r}: its name cannot be a folder; use a "
        "string without '/', '\\' and NUL"
    )


BROKEN = xr.Dataset(
    {
        "T": ("x", np.full(4, np.nan)),
        "z": ("x", np.full(4, np.nan + 1j)),
        "ice": ("x", [np.nan, 1.0, 2.0, 3.0]),
        "none": ("y", np.zeros(0)),
        "n": ("x", np.arange(4)),
    }
)


def test_a_state_of_nan_is_told() -> None:
    """A variable that is NaN everywhere is a fault, one with some NaN is none."""
    assert init_faults(BROKEN) == [
        f"stage 'sea', init, variable {name!r}: is NaN everywhere; fill it, leave it "
        "out, or pass check_finite=False"
        for name in ("T", "z")
    ]
    assert len(init_faults(lambda s, i: Advance(state=BROKEN))) == 2


def test_the_check_for_nan_can_be_left_out() -> None:
    """With check_finite=False a state may be NaN."""
    advance = call_init(stage(init=BROKEN, check_finite=False), {}, SEGMENT)
    assert bool(np.isnan(advance.state["T"].values).all())


def test_lazy_states_are_left_to_the_first_checkpoint() -> None:
    """Looking for NaN computes nothing."""
    assert list(in_memory_faults("p", BROKEN.chunk())) == []


def transformed(transform: Any, **options: Any) -> Advance:
    """Call a transform with the last state of a stage of four cells."""
    declared = stage(transform=transform, **options)
    return call_init(declared, {"spin": state()}, SEGMENT)


def test_a_transform_makes_a_first_state_of_another_grid() -> None:
    """From states by stage, lazily, in the chunks of its own stage."""

    def halved(states: Any, segment: Any) -> Any:
        assert list(states) == ["spin"]
        assert segment is SEGMENT
        return states["spin"].coarsen(x=2).mean()

    found = transformed(halved, chunks={"x": 1}).state
    assert found["T"].chunks == ((1, 1),)
    assert found["T"].values.tolist() == [0.5, 2.5]
    assert found["x"].values.tolist() == [0.5, 2.5]


@pytest.mark.parametrize(
    ("transform", "problem"),
    [
        (
            lambda states, segment: states["spin"].update(
                {"T": states["spin"]["T"] + 1}
            ),
            "stage 'sea', transform, argument 'spin': it changed T of what it was",
        ),
        (
            lambda states, segment: states["spin"].load(),
            "stage 'sea', transform: it called compute, load, values",
        ),
        (
            lambda states, segment: 5,
            "stage 'sea', transform, return value: got int",
        ),
        (
            lambda states, segment: xr.Dataset({"T": ("x", [np.nan])}),
            "stage 'sea', transform, variable 'T': is NaN everywhere",
        ),
    ],
)
def test_a_transform_keeps_the_contract_of_an_init(
    transform: Any, problem: str
) -> None:
    """It changes nothing that it was given, computes nothing, returns a state."""
    with pytest.raises(InvalidInputError) as caught:
        transformed(transform)
    assert str(caught.value.faults[0]).startswith(problem)
