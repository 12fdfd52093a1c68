"""Numbers that blow up: found on the nodes, tried again otherwise, and written down."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cftime
import numpy as np
import pytest
import xarray as xr

from climorch import Advance, Campaign, Scenario, Segment
from climorch.model import events as e
from climorch.model.commands import AskRemedy, SimulationFailed
from climorch.model.workflow import Workflow
from climorch.rules import BlowUp, Checks, Retry
from climorch.testing.faults import committed_twice
from climorch.testing.misdeeds import Misdeed, misbehaving, strikes
from tests.live.cases import add_one, boxed, column, here, kinds, policies, records


def grows(state: xr.Dataset, inputs: Any, segment: Segment) -> Advance:
    """Grow by a rate, and say so."""
    heat = state["heat"] + segment.params["rate"]
    date = cftime.DatetimeNoLeap(segment.start.year, 6, 1)
    output = xr.Dataset(
        {"heat": (("time", "lat"), heat.data[None])}, coords={"time": [date]}
    )
    return Advance(state=state.assign(heat=heat), output=output)


def growing(checks: Checks) -> Workflow:
    """Six years of it."""
    return column(grows, segments=6, checks=checks)


def test_a_blow_up_goes_back_and_goes_on_with_other_parameters(tmp_path: Path) -> None:
    """Two checkpoints back; results show the new course only, and what was tried."""
    told: list[BlowUp] = []

    def slower(blow_up: BlowUp) -> Retry:
        told.append(blow_up)
        return Retry(params={"rate": blow_up.params["rate"] / 4}, back=2)

    wf = growing(Checks(bounds={"heat": (-1.0, 7.0)}))
    wf.remedy(slower)
    campaign = Campaign("c", root=tmp_path, policies=policies())
    campaign.submit(wf, scenario=Scenario("s", params={"rate": 2.0}))
    assert campaign.run(here()).finished

    # Where exactly depends on how long a checkpoint takes: one is in flight at most.
    (blow_up,) = told
    assert (blow_up.number, blow_up.params) == (1, {"rate": 2.0})
    assert blow_up.boundary <= 3 < blow_up.reached
    assert blow_up.message.startswith(
        "OutOfBoundsError: stage 'box', variable 'heat': 4 values are out of bounds, "
    )
    results = campaign.results("s", "box")
    (tried,) = json.loads(results.attrs["climorch_tries"])
    back = tried["computed again from boundary"]
    assert back < max(blow_up.boundary, 1)
    assert tried["params"] == {"rate": 0.5}
    course = [2.0 * k for k in range(1, back + 1)]
    course += [2.0 * back + 0.5 * k for k in range(1, 7 - back)]
    assert results["heat"][:, 0].values.tolist() == course
    assert boxed(campaign, "s") == [course[-1]] * 4
    assert "values are out of bounds" in results.attrs["history"]
    assert "try 1" in campaign.explain("s").factors["blow-ups of box"]
    found = records(campaign)
    assert committed_twice(found) == []
    assert len(kinds(found, AskRemedy)) == len(kinds(found, e.RemedyGiven)) == 1


@pytest.mark.parametrize("kind", ["NaN", "Inf", "out of bounds"])
def test_what_was_an_accident_is_over_with_the_next_try(
    tmp_path: Path, kind: str
) -> None:
    """The same parameters; bitwise as if nothing had been."""
    wf = column(add_one, segments=4, checks=Checks(bounds={"heat": (0.0, 1e6)}))
    wf = misbehaving(wf, Misdeed(kind=kind, stage="box"), tmp_path / "strikes")
    wf.remedy(lambda _: Retry(), tries=1)
    campaign = Campaign("c", root=tmp_path, policies=policies())
    campaign.submit(wf, scenario=Scenario("s"))
    assert campaign.run(here()).finished
    assert strikes(tmp_path / "strikes") == 1
    assert boxed(campaign, "s") == [4.0] * 4
    assert len(kinds(records(campaign), e.RemedyGiven)) == 1


def test_tries_are_bounded_and_others_go_on(tmp_path: Path) -> None:
    """A metric that is out of bounds at once, whatever is changed."""

    def counted(state: xr.Dataset, inputs: Any, segment: Segment) -> Advance:
        metrics = {"drift": segment.params.get("drift", 0.0)}
        return replace(add_one(state, inputs, segment), metrics=metrics)

    wf = column(counted, segments=2, checks=Checks(bounds={"drift": (-1.0, 1.0)}))
    wf.remedy(lambda _: Retry(reseed=True), tries=2)
    campaign = Campaign("c", root=tmp_path, policies=policies())
    campaign.submit(wf, scenario=Scenario("bad", params={"drift": float(np.pi)}))
    campaign.submit(wf, scenario=Scenario("good"))
    status = campaign.run(here(2))
    assert (status["bad"].status, status["good"].status) == ("failed", "finished")
    assert status["bad"].why == (
        "numerical blow-up: quarantined after 2 tries: OutOfBoundsError: stage 'box', "
        "segment 0, metric 'drift': 3.14159 is out of bounds, expected -1 to 1"
    )
    (failed,) = kinds(records(campaign), SimulationFailed)
    assert failed.simulation == "bad"
