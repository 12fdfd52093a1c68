"""What goes wrong in a step, on the disk or in the journal, and what it costs."""

from __future__ import annotations

import errno
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from climorch import (
    Advance,
    BackendError,
    Budget,
    Campaign,
    InternalError,
    Scenario,
    Segment,
)
from climorch.engine.plugin import LeasePlugin
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.events import Cause
from climorch.storage import durable
from climorch.storage.journal import SqliteJournal
from climorch.testing.faults import committed_twice, until, until_record
from climorch.testing.models import box_workflow, reference_run
from tests.live.cases import (
    add_one,
    boxed,
    column,
    ended,
    here,
    kinds,
    policies,
    records,
    same,
)


def once_committed(segment: Segment) -> None:
    """Wait for the checkpoint at boundary 2."""
    folder = Path(segment.params["folder"])
    until(lambda: list(folder.glob("*/*-2")) or None, what="the checkpoint")


def fragile(state: xr.Dataset, inputs: Any, segment: Segment) -> Advance:
    """Count, and break in segment 2 of simulations that are told to."""
    if segment.index == 2 and segment.params.get("break"):
        once_committed(segment)
        raise ValueError("the model is wrong here")
    return add_one(state, inputs, segment)


def blows_up(block: Any, wrong: bool) -> Any:
    """Add one, or become NaN."""
    return np.full_like(block, np.nan) if wrong else block + 1.0


def unstable(state: xr.Dataset, inputs: Any, segment: Segment) -> Advance:
    """Count, and blow up in segment 2."""
    if segment.index == 2:
        once_committed(segment)
    heat = state["heat"].copy(
        data=state["heat"].data.map_blocks(blows_up, segment.index == 2, dtype=float)
    )
    output = heat.expand_dims(time=[segment.start]).to_dataset()
    return Advance(state=state.assign(heat=heat), output=output)


def test_a_failing_step_is_retried_within_its_budget_and_fails_only_its_simulation(
    tmp_path: Path,
) -> None:
    """The others finish, and a corrected script goes on from the last commit."""
    budget = policies(every=2, budgets={Cause.MODEL: Budget(retries=2)})
    campaign = Campaign("c", root=tmp_path, policies=budget)
    wf = column(fragile)
    params = {"break": True, "folder": str(tmp_path / "c" / "checkpoints" / "bad")}
    campaign.submit(wf, scenario=Scenario("bad", params=params))
    campaign.submit(wf, scenario=Scenario("good"))

    status = campaign.run(here(2))

    assert (status["bad"].status, status["good"].status) == ("failed", "finished")
    told, _, place = status["bad"].why.partition(" (")
    assert told == "error in the model: ValueError: the model is wrong here"
    assert place.startswith(__file__)
    assert place.endswith(", in fragile)")
    assert status["bad"].committed == 2
    # A commit makes a fresh start: only failures after it count.
    found = records(campaign)
    commit = next(
        i
        for i, record in enumerate(found)
        if isinstance(record, e.CheckpointCommitted) and record.simulation == "bad"
    )
    failed = kinds(found[commit:], e.SegmentFailed)
    assert [(f.simulation, f.segment, f.cause) for f in failed] == [
        ("bad", 2, Cause.MODEL)
    ] * 3
    assert boxed(campaign, "bad") == [2.0] * 4

    mended = Campaign("c", root=tmp_path, policies=budget)
    mended_wf = column(add_one)
    mended.submit(mended_wf, scenario=Scenario("bad", params=params))
    mended.submit(mended_wf, scenario=Scenario("good"))
    mended.resume("bad")
    assert mended.run(here()).finished
    assert boxed(mended, "bad") == [4.0] * 4
    assert committed_twice(records(mended)) == []


def test_a_blow_up_fails_its_simulation_and_publishes_nothing_of_it(
    tmp_path: Path,
) -> None:
    """NaN is never committed: checkpoints and results end at the last good one."""
    campaign = Campaign("c", root=tmp_path, policies=policies(every=2))
    params = {"folder": str(tmp_path / "c" / "checkpoints" / "s")}
    campaign.submit(column(unstable), scenario=Scenario("s", params=params))

    status = campaign.run(here())

    assert status["s"].status == "failed"
    assert status["s"].why.startswith("numerical blow-up: ")
    assert "'heat': 4 values are NaN" in status["s"].why
    assert [p.name for p in campaign.checkpoints("s")] == ["2002-01-01-2"]
    assert boxed(campaign, "s") == [2.0] * 4
    assert campaign.results("s", "box")["heat"].to_numpy().tolist() == [
        [1.0] * 4,
        [2.0] * 4,
    ]


def test_a_damaged_newest_checkpoint_is_set_aside_for_the_one_before(
    tmp_path: Path,
) -> None:
    """Its segments are rolled back, computed again and end with the same bits."""
    campaign = Campaign("c", root=tmp_path, policies=policies(every=2))
    wf = box_workflow(segments=12, work_s=0.02)
    campaign.submit(wf, scenario=Scenario("s"))
    run = campaign.start(here())
    until_record(tmp_path, "c", e.CheckpointCommitted, count=2, run=run)
    run.stop()
    newest = campaign.checkpoints("s")[0]
    boundary = int(newest.name.rpartition("-")[2])
    chunk = newest / "state.zarr" / "air" / "heat" / "c" / "0" / "0"
    data = bytearray(chunk.read_bytes())
    data[len(data) // 2] ^= 1
    chunk.chmod(0o644)
    chunk.write_bytes(data)

    again = Campaign("c", root=tmp_path, policies=policies(every=2))
    again.submit(wf, scenario=Scenario("s"))
    assert again.run(here()).finished

    assert same(ended(again, "s"), reference_run("s", segments=12))
    found = records(again)
    failed = kinds(found, e.RestoreFailed)
    assert [(f.boundary, f.damaged, f.cause) for f in failed] == [
        (boundary, True, Cause.CORRUPT)
    ]
    rolled = kinds(found, c.RolledBack)
    assert rolled[-1].boundary < boundary
    assert committed_twice(found) == []
    assert len(list((tmp_path / "c" / "damaged").iterdir())) == 1


def test_a_checkpoint_that_cannot_be_written_is_made_up_for_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Computing goes on while the disk is full; once it is not, all is committed."""
    full = threading.Event()
    write = durable.write_durably

    def write_durably(path: Any, data: Any) -> Any:
        # But what probes the root at the start: that would be told at once.
        if full.is_set() and data:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, data)

    monkeypatch.setattr(durable, "write_durably", write_durably)
    campaign = Campaign("c", root=tmp_path, policies=policies())
    campaign.submit(box_workflow(segments=8, work_s=0.02), scenario=Scenario("s"))
    full.set()
    run = campaign.start(here())
    until_record(tmp_path, "c", e.CheckpointFailed, count=2, run=run)
    assert campaign.status()["s"].committed == 0
    full.clear()

    assert run.wait(timeout_s=240)

    found = records(campaign)
    assert {f.cause for f in kinds(found, e.CheckpointFailed)} == {Cause.STORAGE}
    # Nothing was rolled back: every segment was computed once.
    assert kinds(found, c.RolledBack) == []
    assert len(kinds(found, e.SegmentFinished)) == 16
    assert same(ended(campaign, "s"), reference_run("s", segments=8))


def test_while_the_journal_fails_nothing_irrevocable_is_done_and_all_lands_later(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Computing goes on provisionally; rows, commits and results follow."""
    broken = threading.Event()
    refused = 0
    append = SqliteJournal.append

    def failing(self: SqliteJournal, rows: Any) -> Any:
        nonlocal refused
        if broken.is_set():
            refused += 1
            raise BackendError("the disk is full")
        return append(self, rows)

    monkeypatch.setattr(SqliteJournal, "append", failing)
    campaign = Campaign("c", root=tmp_path, policies=policies())
    campaign.submit(box_workflow(segments=6, work_s=0.02), scenario=Scenario("s"))
    run = campaign.start(here())
    until_record(tmp_path, "c", e.ResultsPublished, run=run)
    broken.set()
    until(lambda: refused >= 1, what="the journal is refused")
    rows = len(records(campaign))
    shown = len(campaign.checkpoints("s"))
    begun = campaign.status()["s"].computed
    until(lambda: campaign.status()["s"].computed >= begun + 2, what="it computes")
    # Not committed meanwhile, though checkpoints were due at every boundary.
    assert len(campaign.checkpoints("s")) <= shown + 1
    assert len(records(campaign)) == rows
    assert "the journal cannot be written" in caplog.text
    broken.clear()

    assert run.wait(timeout_s=240)

    found = records(campaign)
    assert len(kinds(found, e.SegmentFinished)) == 12
    assert len(kinds(found, c.SegmentCommitted)) == 12
    assert same(ended(campaign, "s"), reference_run("s", segments=6))
    assert campaign.results("s", "sea").sizes["time"] == 6


def test_an_exception_in_a_hook_stops_the_campaign_loudly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dask swallows what hooks raise; the campaign ends with that error instead."""

    def broken(self: LeasePlugin, *given: Any) -> None:
        raise RuntimeError("a hook is broken")

    campaign = Campaign("c", root=tmp_path, policies=policies())
    wf = box_workflow(segments=12, work_s=0.02)
    campaign.submit(wf, scenario=Scenario("s"))
    run = campaign.start(here())
    until_record(tmp_path, "c", e.SegmentFinished, run=run)
    monkeypatch.setattr(LeasePlugin, "_stamp_all", broken)

    with pytest.raises(InternalError, match="RuntimeError: a hook is broken"):
        run.wait(timeout_s=240)

    monkeypatch.undo()
    again = Campaign("c", root=tmp_path, policies=policies(every=10))
    again.submit(wf, scenario=Scenario("s"))
    assert again.run(here()).finished
    assert same(ended(again, "s"), reference_run("s", segments=12))
