"""The science of the main example, run by a small loop without the library."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import cftime
import dask
import numpy as np
import pytest
import xarray as xr
from dask.graph_manipulation import clone

from climorch.model.advance import Advance, Segment
from physics import (
    atmosphere,
    init_atmosphere,
    init_land,
    init_ocean,
    init_spinup,
    land,
    ocean,
    score_against_hadcrut,
    spinup,
)
from physics.energy import C_AIR, Ground
from physics.grid import planet
from physics.ocean import LAYERS_M, RHO_C
from physics.parameters import YEAR_S

PARAMS: dict[str, Any] = {"feedback": 1.7, "aerosol": 1.0, "grid_degrees": 20}
Stage = Callable[[xr.Dataset, Mapping[str, xr.Dataset], Segment], Advance]
INITS = {"atmosphere": init_atmosphere, "ocean": init_ocean, "land": init_land}


def _refuse(*args: object, **kwargs: object) -> None:
    raise AssertionError("a step computed while it built its graph")


def _segment(first: int, last: int, **params: Any) -> Segment:
    start, end = (cftime.DatetimeNoLeap(year, 1, 1) for year in (first, last))
    return Segment(start=start, end=end, index=0, params={**PARAMS, **params})


def _build(
    step: Stage, state: xr.Dataset, inputs: Mapping[str, xr.Dataset], segment: Segment
) -> Advance:
    with dask.config.set(scheduler=_refuse):
        return step(state, inputs, segment)


def _persist(advance: Advance) -> Advance:
    exports = advance.state if advance.exports is None else advance.exports
    state, exports, output = dask.persist(
        advance.state, exports, advance.output, scheduler="sync"
    )
    return replace(advance, state=state, exports=exports, output=output)


@dataclass(frozen=True, slots=True)
class Run:
    """States at each boundary and the output of the atmosphere."""

    states: list[dict[str, xr.Dataset]]
    output: xr.Dataset


def _advance(
    states: dict[str, xr.Dataset], first: int, last: int, **params: Any
) -> tuple[dict[str, xr.Dataset], xr.Dataset]:
    segment = _segment(first, last, **params)
    air = _persist(_build(atmosphere, states["atmosphere"], states, segment))
    assert air.exports is not None
    assert air.output is not None
    inputs = {"atmosphere": air.exports}
    new = {"atmosphere": air.state}
    for name, step in (("ocean", ocean), ("land", land)):
        new[name] = _persist(_build(step, states[name], inputs, segment)).state
    return new, air.output


def _coupled(
    states: dict[str, xr.Dataset], boundaries: list[int], **params: Any
) -> Run:
    seen, outputs = [states], []
    for first, last in pairwise(boundaries):
        states, output = _advance(states, first, last, **params)
        seen.append(states)
        outputs.append(output)
    return Run(states=seen, output=xr.concat(outputs, "time", data_vars="minimal"))


def _states(final: xr.Dataset, chunks: int) -> dict[str, xr.Dataset]:
    segment = _segment(1850, 1851)
    states = {name: init(segment, {"spinup": final}) for name, init in INITS.items()}
    return {
        name: state if name == "atmosphere" else state.chunk(lat=chunks)
        for name, state in states.items()
    }


@pytest.fixture(scope="module")
def spun_up() -> Advance:
    segment = _segment(1810, 1850)
    with dask.config.set(scheduler=_refuse):
        state = init_spinup(segment, {})
    return _persist(_build(spinup, state, {}, segment))


@pytest.fixture
def states(spun_up: Advance) -> dict[str, xr.Dataset]:
    return _states(spun_up.state, 3)


@pytest.fixture(scope="module")
def century(spun_up: Advance) -> Run:
    return _coupled(_states(spun_up.state, 9), list(range(1850, 2016, 15)))


def _identical(left: dict[str, xr.Dataset], right: dict[str, xr.Dataset]) -> None:
    for name, state in left.items():
        xr.testing.assert_identical(
            state.compute(scheduler="sync"), right[name].compute(scheduler="sync")
        )


# --- the phases -------------------------------------------------------------------


def test_spinup_ends_at_the_observed_temperature(spun_up: Advance) -> None:
    """After 40 years the annual mean surface is within 0.05 K of its target."""
    assert spun_up.output is not None
    error = spun_up.output["ts_error"].to_numpy()
    assert error[0] > 1.0
    assert error[-1] < 0.05


def test_correction_holds_without_restoring(states: dict[str, xr.Dataset]) -> None:
    """The first years after the spin-up stay within 0.1 K of its climate."""
    run = _coupled(states, [1850, 1853])
    assert run.output["ts_global"].to_numpy() == pytest.approx(
        [float((planet(9).target.mean(axis=0) * planet(9).weight).sum())] * 3, abs=0.1
    )


def test_past_is_told_with_skill(century: Run) -> None:
    """On the coarsest grid the error against HadCRUT5 is 0.22 K; that of a climate
    that does not change is 0.39 K.
    """
    skill = score_against_hadcrut(century.output)
    assert skill.rmse_kelvin == pytest.approx(0.218, abs=0.005)
    assert skill.bias_kelvin == pytest.approx(-0.115, abs=0.005)
    assert skill.correlation == pytest.approx(0.824, abs=0.005)


def test_warming_follows_the_scenario(century: Run) -> None:
    """In 2099 ssp126 is cooler than ssp245 and that than ssp585, by 0.5 K each."""
    last = {
        scenario: float(
            _coupled(century.states[-1], list(range(2015, 2101, 17)), scenario=scenario)
            .output["ts_global"]
            .to_numpy()[-1]
        )
        for scenario in ("ssp126", "ssp245", "ssp585")
    }
    assert last["ssp126"] + 0.5 < last["ssp245"]
    assert last["ssp245"] + 0.5 < last["ssp585"]


def test_snow_retreats_and_forests_spread_as_it_warms(century: Run) -> None:
    """From 1850 to 2015 lasting snow is lost and vegetation gained."""
    first, last = century.states[0]["land"], century.states[-1]["land"]
    assert float(last["snow_amount"].sum()) < float(first["snow_amount"].sum())
    carbon = last["vegetation_carbon"].sum() - first["vegetation_carbon"].sum()
    assert float(carbon) > 0.0


def test_everything_is_finite(century: Run) -> None:
    """No field of any state holds NaN or infinity, on land or at sea."""
    for states in century.states:
        for state in states.values():
            for name, field in state.items():
                assert np.isfinite(field.to_numpy()).all(), name


# --- heat -------------------------------------------------------------------------


def _heat(states: dict[str, xr.Dataset]) -> float:
    place = planet(9)
    air, surface = states["atmosphere"]["temperature"].to_numpy()
    land_state = {name: field.to_numpy() for name, field in states["land"].items()}
    ground = Ground.of(
        place, land_state["snow_amount"], land_state["vegetation_carbon"]
    )
    deep = states["ocean"]["deep_temperature"].to_numpy()
    layers = (deep * RHO_C * np.array(LAYERS_M)[:, None, None]).sum(axis=0)
    column = C_AIR * air + ground.heat_capacity * surface + place.sea * layers
    return float((column * place.weight).sum())


def test_no_heat_is_lost_between_the_stages(states: dict[str, xr.Dataset]) -> None:
    """Heat of all three stages grows by what radiation and correction bring in,
    to 1e-6 W m-2 over segments of 7 years.
    """
    run = _coupled(states, [1880, 1887, 1894])
    correction = states["atmosphere"]["flux_correction"].to_numpy().mean(axis=0)
    steady = float((correction * planet(9).weight).sum())
    gained = float((run.output["rtmt_global"] + steady).sum()) * YEAR_S
    stored = _heat(run.states[-1]) - _heat(run.states[0])
    assert abs(gained - stored) / (14 * YEAR_S) < 1e-6
    assert abs(stored) / (14 * YEAR_S) > 1e-2


def test_ocean_reports_its_heat(states: dict[str, xr.Dataset]) -> None:
    """The heat content by latitude is that of the state at the segment's end."""
    flux = xr.Dataset({"hfdeep": (("year", "lat", "lon"), np.ones((2, 9, 18)))})
    advance = _persist(
        _build(ocean, states["ocean"], {"atmosphere": flux}, _segment(1850, 1852))
    )
    assert advance.output is not None
    heat = advance.output["ohc_zonal"].sum("lat").to_numpy()
    wet = float((planet(9).area * planet(9).sea).sum())
    # One watt per square metre of sea for a year.
    assert heat[1] - heat[0] == pytest.approx(wet * 31_536_000.0, rel=1e-9)


# --- bitwise ----------------------------------------------------------------------


@pytest.mark.parametrize("boundary", [1, 2])
def test_restart_is_bitwise(states: dict[str, xr.Dataset], boundary: int) -> None:
    """A run restarted from any boundary ends in the bits of the straight run."""
    years = [1850, 1853, 1857, 1858]
    straight = _coupled(states, years)
    saved = {
        name: state.copy(deep=True).compute(scheduler="sync").chunk(lat=9)
        for name, state in straight.states[boundary].items()
    }
    saved["ocean"] = saved["ocean"].chunk(lat=3)
    again = _coupled(saved, years[boundary:])
    _identical(straight.states[-1], again.states[-1])


@pytest.mark.parametrize("chunks", [1, 2, 4])
def test_chunks_do_not_change_bits(spun_up: Advance, chunks: int) -> None:
    """Ocean and land chunked by latitude give the bits of one chunk."""
    whole = _coupled(_states(spun_up.state, 9), [1850, 1852, 1854])
    split = _coupled(_states(spun_up.state, chunks), [1850, 1852, 1854])
    _identical(whole.states[-1], split.states[-1])
    assert split.states[-1]["ocean"].chunksizes["lat"][0] == chunks


def test_inputs_may_be_chunked_in_any_way(states: dict[str, xr.Dataset]) -> None:
    """What a stage reads may be split in latitude, longitude and years, or not
    be chunked at all.
    """
    segment = _segment(1850, 1852)
    values = np.arange(2 * 9 * 18, dtype=float).reshape(2, 9, 18)
    flux = xr.Dataset({"hfdeep": (("year", "lat", "lon"), values)})
    results = [
        _persist(_build(ocean, state, {"atmosphere": given}, segment)).state.load()
        for state in (states["ocean"], states["ocean"].compute(scheduler="sync"))
        for given in (flux, flux.chunk(lat=2), flux.chunk(year=1, lat=4, lon=7))
    ]
    for result in results[1:]:
        xr.testing.assert_identical(results[0], result)


def test_steps_leave_their_inputs_alone(states: dict[str, xr.Dataset]) -> None:
    """A step works on read-only arrays and changes none of them."""
    loaded = {k: v.compute(scheduler="sync") for k, v in states.items()}
    for state in loaded.values():
        for name in state.data_vars:
            state[name].data.flags.writeable = False
    before = {k: v.copy(deep=True) for k, v in loaded.items()}
    _advance(loaded, 1850, 1852)
    _identical(before, loaded)


# --- graphs -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "tasks"), [("atmosphere", 8), ("ocean", 3 * 3), ("land", 4 * 3)]
)
def test_tasks_per_segment(
    states: dict[str, xr.Dataset], name: str, tasks: int
) -> None:
    """A chunk costs one task and one more for each field that it returns,
    however many years the segment has.
    """
    built, inputs = _build_one(states, name)
    given = inputs[:-1] if name == "atmosphere" else inputs
    new = _keys(built.state, built.exports, built.output) - _keys(*given)
    assert len(new) == tasks


def _keys(*parts: xr.Dataset | None) -> set[object]:
    graphs = (part.__dask_graph__() for part in parts if part is not None)
    return {key for graph in graphs if graph is not None for key in graph}


def _build_one(
    states: dict[str, xr.Dataset], name: str
) -> tuple[Advance, list[xr.Dataset]]:
    segment = _segment(1850, 1865)
    air = _persist(_build(atmosphere, states["atmosphere"], states, segment))
    assert air.exports is not None
    step = {"atmosphere": atmosphere, "ocean": ocean, "land": land}[name]
    built = _build(step, states[name], {**states, "atmosphere": air.exports}, segment)
    return built, [*states.values(), air.exports]


def test_cloned_graph_gives_the_same(states: dict[str, xr.Dataset]) -> None:
    """A clone under other keys, as the engine makes for each attempt, computes
    the same and shares no task of the step.
    """
    built, inputs = _build_one(states, "land")
    copy = clone(built.state, omit=inputs, seed="attempt-2")
    xr.testing.assert_identical(
        built.state.compute(scheduler="sync"), copy.compute(scheduler="sync")
    )
    shared = _keys(built.state) & _keys(copy)
    assert shared
    assert all("land" not in str(key) for key in shared)


def test_same_step_same_keys(states: dict[str, xr.Dataset]) -> None:
    """Building twice names the tasks alike; another parameter names them anew."""
    segment = _segment(1850, 1852)
    names = [
        _build(atmosphere, states["atmosphere"], states, chosen)
        .state["temperature"]
        .data.name
        for chosen in (segment, segment, _segment(1850, 1852, feedback=1.3))
    ]
    assert names[0] == names[1]
    assert names[0] != names[2]


# --- what comes out ---------------------------------------------------------------


def test_exports_carry_years_and_output_dates(states: dict[str, xr.Dataset]) -> None:
    """Coupled stages read calendar years, results have the middle of each year
    in the segment's calendar and CF attributes.
    """
    advance = _build(atmosphere, states["atmosphere"], states, _segment(1850, 1852))
    assert advance.exports is not None
    assert advance.output is not None
    assert advance.exports["year"].to_numpy().tolist() == [1850, 1851]
    assert advance.exports["ts"].dims == ("year", "lat", "lon")
    assert advance.output["time"].to_numpy().tolist() == [
        cftime.DatetimeNoLeap(1850, 7, 2, 12),
        cftime.DatetimeNoLeap(1851, 7, 2, 12),
    ]
    ts = advance.output["ts"].attrs
    assert ts["standard_name"] == "surface_temperature"
    assert ts["units"] == "degC"
    assert ts["cell_methods"] == "time: mean area: mean"
    assert advance.output["lat"].attrs["units"] == "degrees_north"
    assert set(advance.output["ts_global"].coords) == {"time"}


def test_states_and_results_are_plain_zarr(
    states: dict[str, xr.Dataset], tmp_path: Path
) -> None:
    """State and output go to Zarr and come back as they were."""
    advance = _persist(
        _build(atmosphere, states["atmosphere"], states, _segment(1850, 1852))
    )
    assert advance.output is not None
    for name, dataset in (("state", advance.state), ("output", advance.output)):
        with dask.config.set(scheduler="sync"):
            dataset.to_zarr(tmp_path / name, zarr_format=3, consolidated=False)
            back = xr.open_zarr(
                tmp_path / name,
                consolidated=False,
                decode_times=xr.coders.CFDatetimeCoder(use_cftime=True),
            ).load()
        xr.testing.assert_equal(back, dataset.load())


# --- inputs -----------------------------------------------------------------------


def test_a_projection_may_start_from_stages() -> None:
    """Without a spin-up, an init takes the final state of the stage of its name."""
    field = xr.DataArray(np.zeros((9, 18)), dims=("lat", "lon"))
    parent = xr.Dataset({"snow_amount": field, "vegetation_carbon": field, "other": 1})
    state = init_land(_segment(2015, 2016), {"land": parent})
    assert set(state) == {"snow_amount", "vegetation_carbon"}
