"""Promise with real results: who goes wrong gives way, and goes on last."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from climorch import Campaign, Policies, Scenario
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.workflow import Workflow
from climorch.rules import Partial, SiblingPromise
from climorch.testing.models import box_workflow, reference_run
from tests.live.cases import NoSite, ended, here, kinds, policies, records, same, series

SEGMENTS = 12


def warmth(results: xr.Dataset, partial: Partial) -> float:
    """Mean of the newest heat; nothing where it is beyond all bounds."""
    if partial.params.get("wild") and not partial.complete:
        return math.nan
    return float(results["heat"].isel(time=-1).mean())


def flow() -> Workflow:
    """Twelve years of two boxes, judged every second year."""
    wf = box_workflow(segments=SEGMENTS, work_s=0.3)
    wf.score("warmth", stage="sea", function=warmth, threshold=-10.0, every=2)
    return wf


def rules() -> Policies:
    """Checkpoint at every boundary; promise by siblings."""
    return replace(policies(every=1, keep=30), promise=SiblingPromise())


def submitted(tmp_path: Path) -> Campaign:
    """Three scenarios; the first one goes wrong."""
    campaign, wf = Campaign("c", root=tmp_path, policies=rules()), flow()
    for name in ("wild", "tame", "calm"):
        params = {"wild": name == "wild"}
        campaign.submit(wf, scenario=Scenario(name, params=params))
    return campaign


@pytest.mark.benchmark
def test_who_goes_wrong_is_paused_and_its_nodes_go_to_the_others(
    tmp_path: Path,
) -> None:
    """With its reason, by a checkpoint, at a boundary; it goes on from there once the
    others are done, to the same bits; run again, the script finds all decided."""
    campaign = submitted(tmp_path)

    assert campaign.run(here(1)).finished

    found = records(campaign)
    (pause,) = kinds(found, c.PreemptPlanned)
    assert pause.simulation == "wild"
    assert pause.why.startswith("score warmth is not finite at mark ")
    leases = [r for r in found if isinstance(r, c.SetLease) and r.nodes]
    assert [r.simulation for r in leases] == ["wild", "tame", "calm", "wild"]
    starts = [r for r in kinds(found, c.StartAttempt) if r.simulation == "wild"]
    assert [r.attempt for r in starts] == [1, 2]
    assert 0 < starts[1].boundary < SEGMENTS
    assert kinds(found, c.RolledBack) == []
    for name in ("wild", "tame", "calm"):
        assert same(ended(campaign, name), reference_run(name, segments=SEGMENTS))
    assert "score warmth is not finite" in str(
        [r.pauses for r in kinds(found, c.PromiseRanked)]
    )

    compared = campaign.compare("sea")
    values = compared["value"].sel(metric="warmth")
    assert values.sizes == {"scenario": 3, "model_time": SEGMENTS // 2}
    for name in ("tame", "calm"):
        heat = series(name, SEGMENTS)["sea"]
        by_hand = [heat[k].mean() for k in range(1, SEGMENTS, 2)]
        np.testing.assert_allclose(values.sel(scenario=name), by_hand, rtol=1e-12)
    assert np.isnan(values.sel(scenario="wild")).sum() == SEGMENTS // 2 - 1
    years = [date.year for date in compared["model_time"].to_numpy()]
    assert years == list(range(2002, 2001 + SEGMENTS, 2))

    again = submitted(tmp_path)
    assert again.run(NoSite(nodes=1)).finished
    more = records(again)[len(found) :]
    assert kinds(more, e.ScoreEvaluated) == []
    state = again.explain("tame").factors
    assert state["score warmth"]["mark"] == SEGMENTS
    assert state["promise"]["rule"].startswith("SiblingPromise(")
