"""The spine as a user sees it: through the public API and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import climorch as co


def warm(state: xr.Dataset, inputs: Any, segment: co.Segment) -> co.Advance:
    """Warm a column by the scenario's rate."""
    heat = state["heat"] + float(segment.params["rate"])
    output = heat.expand_dims(time=[segment.start]).to_dataset(name="heat")
    return co.Advance(state=state.assign(heat=heat), output=output)


def cold(segment: co.Segment, inputs: Any) -> xr.Dataset:
    """Start at zero."""
    return xr.Dataset({"heat": ("lat", np.zeros(4))}, coords={"lat": np.arange(4.0)})


def study(root: Path) -> co.Campaign:
    """Two scenarios of three years."""
    wf = co.Workflow("warming")
    wf.stage(
        "column",
        warm,
        init=cold,
        span=co.Span("2000-01-01", "2003-01-01", every="1YS", calendar="noleap"),
        chunks={"lat": 2},
    )
    campaign = co.Campaign("study", root=root)
    campaign.submit(wf, scenario=co.Scenario("low", params={"rate": 1.0}))
    campaign.submit(wf, scenario=co.Scenario("high", params={"rate": 2.0}))
    return campaign


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a study that has run."""
    root = tmp_path_factory.mktemp("root")
    assert study(root).run(co.LocalSite(nodes=2, in_process=True)).finished
    return root


def test_results_of_all_scenarios_are_read_as_one_ensemble(root: Path) -> None:
    """Each scenario is a child with its whole series."""
    tree = study(root).ensemble("column")

    assert tree["low/heat"].isel(lat=0).to_numpy().tolist() == [1.0, 2.0, 3.0]
    assert tree["high/heat"].isel(lat=0).to_numpy().tolist() == [2.0, 4.0, 6.0]


def test_run_again_a_finished_study_computes_nothing(root: Path) -> None:
    """The second run has nothing to add to the journal but its own coming."""
    campaign = study(root)
    before = campaign.status().to_pandas()

    status = campaign.run(co.LocalSite(nodes=2, in_process=True))

    assert status.finished
    after = status.to_pandas()
    # Of all that is told only the newest checkpoint has changed: it is older.
    age = "checkpoint_age_s"
    assert (after[age] > before[age]).all()
    assert after.drop(columns=age).equals(before.drop(columns=age))


def test_a_checkpoint_opens_with_plain_xarray(root: Path) -> None:
    """The last state of a scenario is an ordinary Zarr store."""
    newest = study(root).checkpoints("high")[0]

    state = xr.open_zarr(newest / "state.zarr" / "column")

    assert state["heat"].to_numpy().tolist() == [6.0, 6.0, 6.0, 6.0]


def test_status_and_explain_tell_how_far_and_why(root: Path) -> None:
    """A finished simulation says so in words and numbers."""
    campaign = study(root)

    assert [(s.simulation, s.progress) for s in campaign.status()] == [
        ("low", 1.0),
        ("high", 1.0),
    ]
    assert campaign.explain("low").status.why == "every stage is committed to its end"


def test_submitted_with_other_parameters_it_is_a_conflict(root: Path) -> None:
    """A simulation stays what it was."""
    wf = co.Workflow("warming")
    wf.stage(
        "column",
        warm,
        init=cold,
        span=co.Span("2000-01-01", "2003-01-01", every="1YS", calendar="noleap"),
        chunks={"lat": 2},
    )

    with pytest.raises(co.ConflictError, match="low"):
        co.Campaign("study", root=root).submit(
            wf, scenario=co.Scenario("low", params={"rate": 7.0})
        )
