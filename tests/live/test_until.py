"""A spin-up that ends by equilibrium, and phases that begin from its actual end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import xarray as xr

from climorch import Advance, Campaign, Scenario, Segment, Span
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.workflow import Workflow
from climorch.rules import Equilibrium, Until, area_mean
from tests.live.cases import NoSite, here, kinds, policies, records, state_of

LAT = np.array([-60.0, 0.0, 60.0])
START, MOST, LATER = 1990, 2010, 2020


def first(segment: Segment, inputs: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """Begin with a warm band at the equator, or with the state of the phase before."""
    if "spinup" in inputs:
        return inputs["spinup"]
    heat = xr.DataArray(np.array([[0.0], [8.0], [0.0]]), dims=("lat", "lon"))
    return xr.Dataset({"heat": heat}, coords={"lat": LAT, "lon": [0.0]})


def halved(
    state: xr.Dataset, inputs: Mapping[str, xr.Dataset], segment: Segment
) -> Advance:
    """Halve the heat in a year."""
    heat = state["heat"] * 0.5
    return Advance(state=state.assign(heat=heat), metrics={"heat": area_mean(heat)})


def warmed(
    state: xr.Dataset, inputs: Mapping[str, xr.Dataset], segment: Segment
) -> xr.Dataset:
    """Add the year."""
    return state.assign(heat=state["heat"] + segment.start.year)


def years(start: int, end: int) -> Span:
    """Return a span of one segment a year."""
    return Span(f"{start}-01-01", f"{end}-01-01", every="1YS", calendar="noleap")


def flow() -> Workflow:
    """Twenty years of spin-up at most, then to 2020, dated or not."""
    wf = Workflow("spun")
    equilibrium = Equilibrium(metric="heat", bound=0.5, window=3)
    wf.stage(
        "spinup",
        halved,
        init=first,
        span=years(START, MOST),
        chunks={"lat": 1},
        until=Until(condition=equilibrium, every=2, window=3),
    )
    for name, begins in (("joined", "joined"), ("shifted", "shifted")):
        wf.stage(
            name,
            warmed,
            init=first,
            span=years(MOST, LATER - 8),
            after=["spinup"],
            begins=begins,
            chunks={"lat": 1},
        )
    return wf


def test_a_spin_up_ends_by_equilibrium_and_the_next_phases_follow(
    tmp_path: Path,
) -> None:
    """At the first place where the trend is small, whatever was checkpointed when."""
    campaign = Campaign("c", root=tmp_path, policies=policies(every=99))
    campaign.submit(flow(), scenario=Scenario("s"))

    assert campaign.run(here(2)).finished

    # The mean is 4 / 2^k: over years 2 to 4 it falls by 0.375 a year.
    found = records(campaign)
    told = [r for r in kinds(found, e.RuleEvaluated) if r.told]
    assert [(r.rule, r.at) for r in told] == [("until spinup", 4)]
    assert "|trend| of 'heat' is 0.375 a year over 3 years" in told[0].told[0]
    assert [r.at for r in kinds(found, c.EvaluateRule)] == [2, 4]
    assert kinds(found, c.RolledBack) == []
    spun = np.array([[0.0], [0.5], [0.0]])
    np.testing.assert_array_equal(state_of(campaign, "s", "spinup"), spun)
    # From 1994 on to its own end, and for as many years as declared.
    joined, shifted = range(1994, LATER - 8), range(1994, 1996)
    for name, span in (("joined", joined), ("shifted", shifted)):
        np.testing.assert_array_equal(state_of(campaign, "s", name), spun + sum(span))
    assert "until spinup at 4" in str(campaign.explain("s").factors["edits by rules"])

    again = Campaign("c", root=tmp_path, policies=policies(every=99))
    again.submit(flow(), scenario=Scenario("s"))
    assert again.run(NoSite(nodes=2)).finished
    assert kinds(records(again)[len(found) :], e.SimulationChanged) == []
