"""What of a state lives on from segment to segment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import cftime
import dask.array as da
import numpy as np
import numpy.typing as npt
import pytest
import xarray as xr

from climorch.errors import InvalidInputError
from climorch.intake.check import workflow_faults
from climorch.intake.planning import provenance
from climorch.model.advance import Advance, Segment
from climorch.model.codec import Codec, Storing
from climorch.model.plan import Coupling
from climorch.model.scope import Scope, rounded
from climorch.model.span import Span
from climorch.model.steps import Isolated, LiveModel
from climorch.model.workflow import Workflow, storing_of

Inputs = Mapping[str, xr.Dataset]
SEGMENT = Segment(
    start=cftime.datetime(1850, 1, 1, calendar="noleap"),
    end=cftime.datetime(1850, 2, 1, calendar="noleap"),
    index=0,
)
ZSTD = Codec("zstd", 3)
SPAN = Span("1850-01-01", "1850-03-01", every="1MS")


def state(heat: float = 1.0) -> xr.Dataset:
    """Make a state of heat, and of a flux that follows from it."""
    return xr.Dataset(
        {
            "heat": ("x", np.full(4, heat), {"units": "K"}),
            "flux": ("x", np.full(4, 2 * heat)),
        }
    )


def rebuilt(kept: xr.Dataset, segment: Segment) -> xr.Dataset:
    """Make the flux anew."""
    return kept.assign(flux=2 * kept["heat"])


def step(whole: xr.Dataset, inputs: Inputs, segment: Segment) -> xr.Dataset:
    """Add the flux to the heat."""
    heat = whole["heat"] + whole["flux"]
    return whole.assign(heat=heat, flux=2 * heat)


def as_advance(whole: xr.Dataset, inputs: Inputs, segment: Segment) -> Advance:
    """Add the flux, and tell a number."""
    return Advance(state=step(whole, inputs, segment), metrics={"n": 1.0})


def init(segment: Segment, inputs: Inputs) -> xr.Dataset:
    """Make the first state."""
    return state()


def init_advance(segment: Segment, inputs: Inputs) -> Advance:
    """Make the first state, with something to export."""
    return Advance(state=state(), exports=state(5.0))


SCOPE = Scope(leave_out=("flux",), rebuild=rebuilt)


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize(
    ("dtype", "bits", "values", "expected"),
    [
        # 1 + 2**-8 lies between two numbers of seven bits: to the even one.
        ("float32", 7, [1 + 2**-8, 1 + 3 * 2**-8, -1.75], [1.0, 1 + 2**-6, -1.75]),
        ("float64", 7, [1 + 2**-8, 1 + 2**-7, 0.0], [1.0, 1 + 2**-7, 0.0]),
        ("float64", 52, [1 / 3, 0.1, 7.0], [1 / 3, 0.1, 7.0]),
        ("float32", 1, [np.nan, np.inf, -np.inf], [np.nan, np.inf, -np.inf]),
    ],
)
def test_bits_are_rounded_to_the_nearest(
    dtype: str, bits: int, values: list[float], expected: list[float], lazy: bool
) -> None:
    """Ties go to even; what is no number stays; chunked fields stay lazy."""
    array: Any = np.array(values, dtype)
    found = rounded(da.from_array(array, chunks=1) if lazy else array, bits)

    assert isinstance(found, da.Array) is lazy
    result: npt.NDArray[Any] = np.asarray(found)
    assert result.dtype == dtype
    np.testing.assert_array_equal(result, np.array(expected, dtype))


def test_the_largest_number_does_not_become_infinite() -> None:
    """What would overflow stays as it is."""
    most = np.array([np.finfo("float32").max], "float32")

    np.testing.assert_array_equal(rounded(most, 7), most)


@pytest.mark.parametrize("bits", [3, 7, 10])
def test_the_error_is_bounded(bits: int) -> None:
    """Half a unit of the last bit that is kept, and it is reached about."""
    values = np.random.default_rng(1).uniform(1.0, 2.0, 10_000)

    errors = np.abs(rounded(values, bits) / values - 1)

    assert 2.0 ** -(bits + 2) < errors.max() <= 2.0 ** -(bits + 1)


def test_what_is_left_out_is_rebuilt_in_each_segment() -> None:
    """The step sees all, what lives on is the rest, attributes included."""
    wf = Workflow("w")
    scoped: Any = wf.stage("a", step, span=SPAN, init=init, scope=SCOPE).step

    first = SCOPE.kept(state())
    found = scoped(first, {}, SEGMENT)

    assert list(first.data_vars) == list(found.state.data_vars) == ["heat"]
    assert found.state["heat"].values.tolist() == [3.0] * 4
    assert first["heat"].attrs == {"units": "K"}


def test_a_step_may_do_without_what_is_left_out() -> None:
    """Nothing is rebuilt where there is nothing to rebuild it."""
    scope = Scope(leave_out=("flux",))
    kept = scope.kept(state())

    assert scope.whole(kept, SEGMENT) is kept


def test_a_resumed_run_equals_an_undisturbed_one() -> None:
    """What is kept at a boundary is the same, whether it went through a disk or not."""
    scope = Scope(leave_out=("flux",), rebuild=rebuilt, keep_bits={"heat": 3})
    scoped: Any = Workflow("w").stage("a", step, span=SPAN, init=init, scope=scope).step
    undisturbed = scope.kept(state(1.01))
    resumed = undisturbed
    for _ in range(3):
        undisturbed = scoped(undisturbed, {}, SEGMENT).state
        # To the disk and back again.
        resumed = xr.Dataset.from_dict(scoped(resumed, {}, SEGMENT).state.to_dict())

    xr.testing.assert_identical(undisturbed, resumed)


@pytest.mark.parametrize("given", [init, init_advance, state()])
def test_first_states_are_kept_in_part(given: Any) -> None:
    """Whatever makes the first state; exports are the user's."""
    made: Any = Workflow("w").stage("a", step, span=SPAN, init=given, scope=SCOPE).init
    found = made(SEGMENT, {}) if callable(made) else made
    if isinstance(found, Advance):
        assert found.exports is not None
        assert "flux" in found.exports
        found = found.state

    assert list(found.data_vars) == ["heat"]


def test_all_that_an_advance_tells_is_passed_on() -> None:
    """Only the state is cut."""
    scoped: Any = Workflow("w").stage("a", as_advance, span=SPAN, scope=SCOPE).step

    found = scoped(SCOPE.kept(state()), {}, SEGMENT)

    assert found.metrics == {"n": 1.0}
    assert list(found.state.data_vars) == ["heat"]


def test_isolated_steps_have_a_scope_and_live_models_do_not() -> None:
    """A model that is kept alive would go on with more than was stored."""
    wf = Workflow("w")
    inner = wf.stage("a", Isolated(step), span=SPAN, init=init, scope=SCOPE).step
    assert isinstance(inner, Isolated)
    found: Any = inner.step(SCOPE.kept(state()), {}, SEGMENT)
    assert "flux" not in found.state
    build: Any = dict
    wf.stage("b", LiveModel(build), span=SPAN, init=init, scope=SCOPE)

    (fault,) = workflow_faults(wf)

    assert fault.place == "workflow 'w', stage 'b', scope"
    assert "keeps all of its state" in fault.problem


def test_provenance_knows_the_users_functions() -> None:
    """Those inside, and the one that rebuilds."""
    wf = Workflow("w")
    wf.stage("a", step, span=SPAN, init=init, scope=SCOPE)

    names = {key: p.qualname.split(".")[-1] for key, p in provenance(wf).items()}

    assert names == {"a.step": "step", "a.init": "init", "a.rebuild": "rebuilt"}


@pytest.mark.parametrize(
    ("work", "fault"),
    [
        (lambda: Scope(keep_bits={"heat": 0}), r"keep_bits\['heat'\]: got 0"),
        (lambda: Scope(keep_bits={"heat": 53}), r"keep_bits\['heat'\]: got 53"),
        (
            lambda: Scope(leave_out=("heat",), keep_bits={"heat": 3}),
            r"keep_bits\['heat'\]: it is left out",
        ),
        (lambda: Scope(rebuild="no"), r"Scope\.rebuild: str cannot be called"),  # type: ignore[arg-type]
        (
            lambda: Scope(keep_bits={"ice": 3}).kept(state()),
            "variable 'ice': is no variable of float32",
        ),
        (
            lambda: Scope(
                leave_out=("flux",), rebuild=lambda kept, segment: kept
            ).whole(SCOPE.kept(state()), SEGMENT),
            "variable 'flux': is left out and was not rebuilt",
        ),
    ],
)
def test_what_does_not_fit_is_told(work: Callable[[], object], fault: str) -> None:
    """Numbers out of range, variables that do not exist, what is not rebuilt."""
    with pytest.raises(InvalidInputError, match=fault):
        work()


def test_codecs_and_bits_are_said_together() -> None:
    """Of each variable that anything is said about."""
    scope = Scope(keep_bits={"heat": 7}, codecs={"heat": ZSTD, "salt": ZSTD})

    assert scope.storing == {
        "heat": Storing(codec=ZSTD, keep_bits=7),
        "salt": Storing(codec=ZSTD),
    }
    assert Scope(keep_bits={"heat": 7}).storing == {"heat": Storing(keep_bits=7)}


def test_what_is_no_codec_is_refused() -> None:
    """A name alone does not say the level."""
    with pytest.raises(InvalidInputError) as raised:
        Scope(codecs={"heat": "zstd"})  # type: ignore[dict-item]
    assert [fault.place for fault in raised.value.faults] == ["Scope.codecs['heat']"]


def coupled(reads: Mapping[str, Coupling]) -> list[Any]:
    """Declare two stages that both round their heat, and return their scopes."""
    wf = Workflow("w")
    fine = Scope(keep_bits={"heat": 12, "salt": 3})
    wf.stage(
        "a", step, span=SPAN, init=state(1 / 3), scope=Scope(keep_bits={"heat": 4})
    )
    wf.stage("b", step, span=SPAN, init=init, reads=reads, scope=fine)
    wf.stage("c", step, span=SPAN, init=init)
    return wf.stages


def test_wishes_of_coupled_stages_meet_and_the_strictest_wins() -> None:
    """Twelve bits of heat in both, in the first state too; salt is the second's own."""
    a, b, c = coupled({"a": Coupling.SAME})

    assert a.scope.keep_bits == {"heat": 12}
    assert b.scope.keep_bits == {"heat": 12, "salt": 3}
    assert c.scope is None
    assert a.init["heat"].to_numpy()[0] == rounded(np.array([1 / 3]), 12)[0]
    assert a.step.scope is a.scope
    assert storing_of([a, b, c]) == {
        "a": {"heat": Storing(keep_bits=12)},
        "b": {"heat": Storing(keep_bits=12), "salt": Storing(keep_bits=3)},
    }


def test_stages_that_are_not_coupled_keep_their_own_precision() -> None:
    """Each as it said."""
    a, b, _ = coupled({})

    assert [stage.scope.keep_bits["heat"] for stage in (a, b)] == [4, 12]
    assert a.init["heat"].to_numpy()[0] == rounded(np.array([1 / 3]), 4)[0]


def test_of_what_a_transform_makes_only_what_is_kept_counts() -> None:
    """As of an init."""
    wf = Workflow("w")
    wf.stage("spin", lambda s, i, g: s, init=state(), span=SPAN)
    declared = wf.stage(
        "sea",
        lambda s, i, g: s,
        transform=lambda states, segment: states["spin"] + 1,
        span=Span("1850-03-01", "1850-04-01", every="1MS"),
        after=["spin"],
        scope=Scope(leave_out=("flux",)),
    )
    assert declared.transform is not None
    found = declared.transform({"spin": state(1.0)}, SEGMENT)
    assert isinstance(found, xr.Dataset)
    assert list(found.data_vars) == ["heat"]
    assert found["heat"].values.tolist() == [2.0] * 4
    assert "sea.transform" in provenance(wf)
