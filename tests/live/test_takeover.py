"""A driver dies or is paused and another one follows it, here or on another host."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from climorch import ConflictError
from climorch.model import commands as c
from climorch.model import events as e
from climorch.storage.draft import DRAFT, read_draft
from climorch.storage.lock import SILENCE_S
from climorch.storage.manifest import read_manifest
from climorch.testing.faults import records_of, until, until_record
from climorch.testing.injector import STEPS
from tests.live.cases import here, kinds, records
from tests.live.faulty_script import campaign_of
from tests.live.fire import (
    check,
    fault,
    files_of,
    finish_here,
    from_elsewhere,
    is_stopped,
    lock_of,
    script,
    stopped_outside_a_transaction,
)

# The other steps take minutes: with the benchmarks, as the whole matrix of kills.
KILLED = {"before the manifest"}
PAUSED = {"before the commit"}


def steps(all_of_them: Iterable[str], by_default: set[str]) -> list[Any]:
    """Return the steps, those beyond the default marked."""
    return [
        pytest.param(step, marks=() if step in by_default else pytest.mark.benchmark)
        for step in all_of_them
    ]


IN_DRIVER = [name for name, step in STEPS.items() if step.place == "driver"]
# A step that follows at once on one of these would show the same.
STOPPED = [
    "directories made",
    "before the manifest",
    "after the manifest",
    "before the commit",
    "after the commit",
    "before the journal",
    "publishing",
    "deleting",
]


def passage(step: str) -> tuple[int, int]:
    """In which passage of a step to die, and in how many segments that will come."""
    return (1, 10) if step in {"deleting", "deleted"} else (3, 6)


@pytest.mark.live
@pytest.mark.timeout(300)
@pytest.mark.parametrize("step", steps(IN_DRIVER, KILLED))
def test_a_driver_killed_in_any_step_is_followed_at_once(
    tmp_path: Path, step: str
) -> None:
    """On the same host: no wait; bitwise equal, every command has one outcome."""
    root = tmp_path / "root"
    call, segments = passage(step)
    with (
        fault(root, step=step, call=call) as injection,
        script(root, injection, keep=2, segments=segments) as killed,
    ):
        assert killed.finish(timeout_s=240)[0] == -signal.SIGKILL
        assert injection.victims() == [killed.pid]
        until(lambda: killed.orphans() == [], what="every process is gone")

    campaign = finish_here(root, keep=2, segments=segments)

    check(campaign, segments=segments)
    found = records(campaign)
    commits = [(f.simulation, f.boundary) for f in kinds(found, e.CheckpointCommitted)]
    assert sorted(commits) == sorted(set(commits))
    deleted = [(f.simulation, f.boundary) for f in kinds(found, e.CheckpointDeleted)]
    assert sorted(deleted) == sorted(set(deleted))
    asked = {(f.simulation, f.boundary) for f in kinds(found, c.DeleteCheckpoint)}
    assert set(deleted) == asked
    kept = {
        (n, int(p.name.rpartition("-")[2]))
        for n in "st"
        for p in campaign.checkpoints(n)
    }
    assert kept == set(commits) - set(deleted)
    assert [f.reason for f in kinds(found, e.DriverStopped)] == ["done"]


@pytest.mark.live
@pytest.mark.timeout(300)
@pytest.mark.benchmark
def test_another_host_waits_for_the_silence_and_then_takes_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused while heartbeats come and for 90 s after the last one, then let in."""
    campaign = campaign_of({"root": str(tmp_path), "segments": 12})

    def refused(now_s: float) -> float:
        from_elsewhere(monkeypatch, now_s=now_s)
        with pytest.raises(ConflictError, match="if it is dead try again in") as caught:
            campaign.start(here())
        assert caught.value.facts["reason"] == "held"
        return float(caught.value.facts["retry_after_s"])

    with script(tmp_path, segments=12, work_s=0.2, heartbeat_s=0.2) as old:
        until_record(tmp_path, "c", e.SegmentFinished, count=2, timeout_s=60)
        first_s = lock_of(tmp_path).heartbeat_s
        assert refused(first_s + SILENCE_S - 0.5) > 0
        until(lambda: lock_of(tmp_path).heartbeat_s > first_s, what="a heartbeat")
        # Silent for long enough, were it not for the heartbeat that came.
        assert refused(first_s + SILENCE_S) > 0
        old.send(signal.SIGKILL)
        old.finish(timeout_s=240)
        until(lambda: old.orphans() == [], what="every process is gone")
    last_s = lock_of(tmp_path).heartbeat_s
    assert refused(last_s + SILENCE_S - 0.5) == pytest.approx(0.5)
    from_elsewhere(monkeypatch, now_s=last_s + SILENCE_S)

    assert campaign.run(here(2)).finished

    check(campaign, segments=12)
    started = kinds(records(campaign), e.DriverStarted)
    assert [f.epoch for f in started] == [1, 2]


@pytest.mark.live
@pytest.mark.timeout(300)
@pytest.mark.parametrize("step", steps(STOPPED, PAUSED))
def test_a_paused_driver_that_wakes_up_after_a_takeover_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """It commits, publishes and deletes nothing, and ends with a ConflictError."""
    root = tmp_path / "root"
    call, segments = passage(step)
    with (
        fault(root, step=step, signal="stop", call=call) as injection,
        script(root, injection, keep=2, segments=segments) as old,
    ):
        until(
            lambda: injection.fired and is_stopped(old.pid),
            what="it is stopped",
            timeout_s=240,
        )
        from_elsewhere(monkeypatch, now_s=lock_of(root).heartbeat_s + SILENCE_S)
        campaign = finish_here(root, keep=2, segments=segments)
        before, rows = files_of(root), len(records_of(root, "c"))

        old.send(signal.SIGCONT)

        status, printed = old.finish(timeout_s=240)
        assert status == 1, printed
        assert "climorch.errors.ConflictError" in printed.splitlines()[-1], printed
        until(lambda: old.orphans() == [], what="every process is gone")
    assert files_of(root) == before
    assert len(records_of(root, "c")) == rows
    check(campaign, segments=segments)


@pytest.mark.live
@pytest.mark.timeout(300)
def test_workers_of_a_paused_driver_cannot_write_after_a_takeover(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that wakes up in mid-chunk finds its folder gone."""
    root = tmp_path / "root"
    what = {"step": "chunk hashed", "signal": "stop", "victim": "worker", "call": 30}
    with (
        fault(root, **what) as injection,
        script(root, injection, nodes_here=False) as old,
    ):
        until(lambda: injection.fired, what="a worker is stopped", timeout_s=240)
        old.send(signal.SIGSTOP)
        (worker,) = injection.victims()
        until(lambda: is_stopped(worker), what="it is stopped")
        stopped_outside_a_transaction(old, root)
        from_elsewhere(monkeypatch, now_s=lock_of(root).heartbeat_s + SILENCE_S)
        campaign = finish_here(root)
        before = files_of(root)

        os.kill(worker, signal.SIGCONT)
        old.send(signal.SIGCONT)

        status, printed = old.finish(timeout_s=240)
        assert status == 1, printed
        assert "ConflictError" in printed.splitlines()[-1], printed
        until(lambda: old.orphans() == [], what="every process is gone")
    assert files_of(root) == before
    check(campaign)


@pytest.mark.live
@pytest.mark.timeout(300)
def test_a_complete_checkpoint_of_a_dead_driver_is_finished_not_written_again(
    tmp_path: Path,
) -> None:
    """All chunks have receipts, there is no manifest: its segments are not computed."""
    root = tmp_path / "root"
    with (
        fault(root, step="before the manifest", call=3) as injection,
        script(root, injection) as killed,
    ):
        assert killed.finish(timeout_s=240)[0] == -signal.SIGKILL
    left: dict[str, int] = {}
    for path in (root / "c" / "inflight").rglob(DRAFT):
        draft = read_draft(path.parents[1])
        assert draft is not None
        plan = draft.manifest
        # Where all outputs are in, all chunks were written before.
        wanted = sum(map(len, plan.outputs.values()))
        if len(list(path.parent.glob("*~*"))) == wanted:
            left[plan.simulation] = plan.boundary
            assert not (path.parents[1] / "MANIFEST.json").exists()
    assert left

    def computed(name: str) -> list[e.SegmentFinished]:
        every = kinds(records_of(root, "c"), e.SegmentFinished)
        return [f for f in every if f.simulation == name and f.segment < left[name]]

    done = {name: computed(name) for name in left}

    campaign = finish_here(root)

    for name, boundary in left.items():
        paths = campaign.checkpoints(name)
        (path,) = [p for p in paths if p.name.endswith(f"-{boundary}")]
        assert read_manifest(path).epoch == 1
        assert computed(name) == done[name]
    check(campaign)
