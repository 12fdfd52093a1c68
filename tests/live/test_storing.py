"""A campaign whose variables have codecs and a precision of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from climorch import Campaign, Scenario
from climorch.model import events as e
from climorch.model.codec import LZ4, Codec
from climorch.model.scope import Scope
from climorch.model.workflow import Workflow
from climorch.storage import trials
from climorch.storage.manifest import read_manifest
from climorch.testing.faults import until_record
from climorch.testing.models import box_workflow
from tests.live.cases import here, kinds, policies, records

SEGMENTS = 6
CODECS = {"heat": Codec("zstd", 3), "mask": Codec("none")}


def stored(scope: Scope) -> Workflow:
    """Make two coupled boxes with a scope."""
    wf, told = Workflow("boxes"), box_workflow(segments=SEGMENTS, work_s=0.02)
    for stage in told.stages:
        wf.stage(
            stage.name,
            stage.step,
            init=stage.init,
            span=stage.span,
            reads=stage.reads,
            chunks=stage.chunks,
            scope=scope,
        )
    return wf


def heats(campaign: Campaign) -> list[xr.Dataset]:
    """Open the newest state with plain xarray."""
    state = campaign.checkpoints("s")[0] / "state.zarr"
    return [xr.open_zarr(state / name).load() for name in ("air", "sea")]


@pytest.mark.live
def test_a_run_that_is_resumed_ends_the_same_whatever_its_codecs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped and run again: the bits of an undisturbed run with the default codec.

    The first checkpoint tells what others would make of it.
    """
    monkeypatch.setattr(trials, "LEAST_BYTES", 1)
    bits = {"heat": 12}
    plain = Campaign("c", root=tmp_path / "plain", policies=policies())
    plain.submit(stored(Scope(keep_bits=bits)), scenario=Scenario("s"))
    assert plain.run(here()).finished

    wf = stored(Scope(keep_bits=bits, codecs=CODECS))
    campaign = Campaign("c", root=tmp_path / "own", policies=policies())
    campaign.submit(wf, scenario=Scenario("s"))
    run = campaign.start(here())
    until_record(tmp_path / "own", "c", e.CheckpointCommitted, count=2, run=run)
    run.stop()
    assert campaign.status()["s"].progress < 1.0
    again = Campaign("c", root=tmp_path / "own", policies=policies())
    again.submit(wf, scenario=Scenario("s"))
    assert again.run(here()).finished

    for one, two in zip(heats(plain), heats(again), strict=True):
        assert one.identical(two)
        assert np.any(one["heat"].to_numpy() != 0)
    specs = read_manifest(again.checkpoints("s")[0]).arrays["state"]["air"]
    assert {s.name: (s.codec, s.keep_bits) for s in specs} == {
        "heat": (CODECS["heat"], 12),
        "scaled": (LZ4, None),
        "mask": (CODECS["mask"], None),
    }

    first, *_ = kinds(records(again), e.CheckpointCommitted)
    assert {(t.stage, t.variable, t.codec) for t in first.tried if t.used} == {
        (stage, name, CODECS.get(name, LZ4))
        for stage in ("air", "sea")
        for name in ("heat", "scaled", "mask")
    }
    assert {t.codec for t in first.tried} >= set(trials.CANDIDATES)
    assert all(t.stored_bytes > 0 and t.raw_bytes <= t.whole_bytes for t in first.tried)
