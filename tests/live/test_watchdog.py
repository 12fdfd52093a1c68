"""Frozen nodes and stuck segments: found, killed, replaced, and nothing is lost."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask
import numpy as np
import psutil
import pytest
import xarray as xr
from distributed import Client

from climorch import Advance, Budget, Campaign, LocalSite, Scenario, Segment, Watch
from climorch.engine.plugin import LeasePlugin
from climorch.model import events as e
from climorch.model.events import Cause
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
from tests.live.lease_cases import soon

FROZEN_S = 3.0


def gone(pid: int) -> bool:
    """Whether a process has ended."""
    return (
        not psutil.pid_exists(pid)
        or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    )


@contextmanager
def nothing_left_behind() -> Iterator[None]:
    """No process that was started here runs any more at the end."""
    before = {p.pid for p in psutil.Process().children(recursive=True)}
    yield

    def left() -> list[list[str]]:
        found = []
        for process in psutil.Process().children(recursive=True):
            try:
                line = process.cmdline()
            except psutil.Error:
                continue
            # The two servers that Python keeps for the processes to come.
            own = any("forkserver" in w or "resource_tracker" in w for w in line)
            # A worker is forked from the server and has its command line.
            forked = psutil.pid_exists(process.pid) and process.parents()[0] != ME
            if process.pid not in before and line and (not own or forked):
                found.append(line)
        return found

    until(lambda: not left(), what="every process has ended")


ME = psutil.Process()


@pytest.mark.live
def test_a_frozen_node_is_killed_and_replaced_and_costs_no_bit(tmp_path: Path) -> None:
    """SIGSTOP: no heartbeat, no end; its process is killed, another one joins."""
    rules = policies(watch=Watch(frozen_s=FROZEN_S))
    campaign = Campaign("c", root=tmp_path, policies=rules)
    campaign.submit(
        box_workflow(segments=8, nodes=2, work_s=0.1), scenario=Scenario("s")
    )
    site = LocalSite(nodes=2)
    with nothing_left_behind():
        run = campaign.start(site)
        until_record(
            tmp_path, "c", e.CheckpointCommitted, count=2, run=run, timeout_s=60
        )
        pid = site.pid("node001")
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        lost = until_record(tmp_path, "c", e.NodeLost, run=run, timeout_s=60)
        assert lost.node == "node001"
        assert lost.reason.startswith("frozen: no heartbeat for ")
        assert gone(pid)
        until_record(tmp_path, "c", e.NodeJoined, count=3, run=run, timeout_s=60)
        assert site.pid("node001") not in (None, pid)
        assert run.wait(timeout_s=120)

    found = records(campaign)
    assert same(ended(campaign, "s"), reference_run("s", segments=8))
    assert committed_twice(found) == []
    assert [fact.node for fact in kinds(found, e.NodeLost)] == ["node001"]


@pytest.mark.live
@pytest.mark.benchmark
def test_without_the_watch_a_frozen_node_stays(tmp_path: Path) -> None:
    """Nobody else notices: Dask's own limit is off."""
    rules = policies(watch=Watch(frozen_s=float("inf")))
    campaign = Campaign("c", root=tmp_path, policies=rules)
    campaign.submit(box_workflow(segments=8, work_s=0.1), scenario=Scenario("s"))
    site = LocalSite(nodes=1)
    run = campaign.start(site)
    until_record(tmp_path, "c", e.CheckpointCommitted, run=run, timeout_s=60)
    pid = site.pid("node000")
    scheduler = site.scheduler
    assert pid is not None
    assert scheduler is not None
    os.kill(pid, signal.SIGSTOP)
    (worker,) = scheduler.workers.values()
    # Far more than Dask waits for, and than the other test does.
    until(lambda: time.time() - worker.last_seen > 2 * FROZEN_S, what="it is silent")

    assert list(scheduler.workers.values()) == [worker]
    os.kill(pid, signal.SIGCONT)
    run.kill()
    run.wait(timeout_s=240)


WORKER = """
import asyncio, sys
from distributed import Worker

async def main():
    async with Worker(sys.argv[1], name="alone", nthreads=2,
                      resources={"cpu": 1, "io": 1}, dashboard=False) as worker:
        await worker.finished()

asyncio.run(main())
"""


@pytest.mark.live
async def test_a_frozen_node_without_a_nanny_is_fenced_and_leaves() -> None:
    """It is removed at once; when it wakes up it is told to leave, and ends."""
    site = LocalSite(nodes=1)
    address = await site.open()
    scheduler = site.scheduler
    assert scheduler is not None
    heard: list[Any] = []
    with subprocess.Popen([sys.executable, "-c", WORKER, scheduler.address]) as alone:
        try:
            async with Client(address, asynchronous=True, set_as_default=False) as c:
                c.subscribe_topic("climorch", lambda event: heard.append(event[1]))
                await c.register_plugin(LeasePlugin(Watch(frozen_s=FROZEN_S)))
                await c.wait_for_workers(1, timeout=60)
                alone.send_signal(signal.SIGSTOP)
                await soon(lambda: not scheduler.workers, "it is removed")
                alone.send_signal(signal.SIGCONT)
                await soon(lambda: alone.poll() is not None, "it has left")
                lost = [x for x in heard if x["what"] == "lost"]
                assert [x["node"] for x in lost] == ["alone"]
                assert lost[0]["reason"].startswith("frozen: no heartbeat")
        finally:
            alone.kill()
            await site.close()


def hangs_once(state: xr.Dataset, inputs: Any, segment: Segment) -> Advance:
    """Count; in segment 2 a task does not end, the first time."""
    after = add_one(state, inputs, segment)
    if segment.index == segment.params["hang_in"]:
        heat = after.state["heat"]
        # With `meta`, lest Dask try the function while it builds the graph.
        held = heat.data.map_blocks(
            hang, segment.params["file"], meta=np.empty(0, dtype=heat.dtype)
        )
        after = Advance(state=after.state.assign(heat=heat.copy(data=held)))
    return after


def hang(block: Any, file: str) -> Any:
    """Wait for ever, unless somebody has done so before."""
    path = Path(file)
    with path.open("a") as seen:
        seen.write(f"{os.getpid()}\n")
    if len(path.read_text().splitlines()) == 1 or "always" in path.name:
        while True:
            time.sleep(0.01)
    return block


@pytest.mark.live
@pytest.mark.parametrize(
    "watch",
    [
        pytest.param(Watch(stuck_min_s=2.0, stuck_factor=4.0), id="pace"),
        pytest.param(
            Watch(stuck_factor=float("inf"), limits_s={"box": 4.0}),
            id="declared",
            marks=pytest.mark.benchmark,
        ),
    ],
)
def test_a_stuck_segment_is_told_killed_and_computed_again(
    tmp_path: Path, watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    """By the measured pace of its stage or a declared limit; it counts as a hang."""
    file = tmp_path / "hung"
    campaign = Campaign("c", root=tmp_path, policies=policies(watch=watch))
    params = {"file": str(file), "hang_in": 2}
    campaign.submit(column(hangs_once), scenario=Scenario("s", params=params))
    with nothing_left_behind():
        run = campaign.start(LocalSite(nodes=1))
        assert run.wait(timeout_s=120)

    assert boxed(campaign, "s") == [4.0] * 4
    found = records(campaign)
    failed = kinds(found, e.SegmentFailed)
    assert [(f.stage, f.segment, f.cause) for f in failed] == [("box", 2, Cause.HANG)]
    assert failed[0].message.startswith("stuck: s, stage box, segment 2 has been ")
    assert "alarm" not in failed[0].message
    assert failed[0].message in caplog.text
    lost = kinds(found, e.NodeLost)
    assert [fact.reason for fact in lost] == [failed[0].message]
    assert gone(int(file.read_text().splitlines()[0]))
    assert committed_twice(found) == []


@pytest.mark.live
@pytest.mark.benchmark
def test_a_segment_that_hangs_again_and_again_fails_its_simulation(
    tmp_path: Path,
) -> None:
    """Within the retry budget of hangs, not that of lost nodes."""
    rules = policies(
        watch=Watch(limits_s={"box": 1.0}),
        budgets={Cause.HANG: Budget(retries=1)},
    )
    campaign = Campaign("c", root=tmp_path, policies=rules)
    params = {"file": str(tmp_path / "always"), "hang_in": 0}
    campaign.submit(column(hangs_once), scenario=Scenario("s", params=params))
    with nothing_left_behind():
        status = campaign.run(LocalSite(nodes=1))

    assert status["s"].status == "failed"
    assert status["s"].why.startswith("hang: stuck: s, stage box, segment 0 has been ")
    failed = kinds(records(campaign), e.SegmentFailed)
    assert [f.cause for f in failed] == [Cause.HANG] * 2


def test_a_node_in_this_process_is_never_condemned(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A stuck task there is an alarm, told once; nothing can be killed."""
    watch = Watch(frozen_s=0.2, limits_s={"box": 0.3})
    file = tmp_path / "hung"
    campaign = Campaign("c", root=tmp_path, policies=policies(watch=watch))
    params = {"file": str(file), "hang_in": 1}
    campaign.submit(column(slow_once), scenario=Scenario("s", params=params))

    def told() -> int:
        return caplog.text.count("cannot be restarted: end the campaign")

    with caplog.at_level(logging.ERROR, logger="climorch"):
        run = campaign.start(here())
        until(lambda: told() or None, what="the alarm")
        file.write_text("go on")
        assert run.wait(timeout_s=240)

    assert told() == 1
    assert boxed(campaign, "s") == [4.0] * 4
    assert kinds(records(campaign), e.NodeLost) == []
    assert kinds(records(campaign), e.SegmentFailed) == []


def slow_once(state: xr.Dataset, inputs: Any, segment: Segment) -> Advance:
    """Count; in one segment a task waits for a file."""
    after = add_one(state, inputs, segment)
    if segment.index == segment.params["hang_in"]:
        heat = after.state["heat"]
        # With `meta`, lest Dask try the function while it builds the graph.
        held = heat.data.map_blocks(
            wait_for, segment.params["file"], meta=np.empty(0, dtype=heat.dtype)
        )
        after = Advance(state=after.state.assign(heat=heat.copy(data=held)))
    return after


def wait_for(block: Any, file: str) -> Any:
    """Return once a file is there."""
    until(lambda: Path(file).exists(), what="the test lets it go on")
    return block


async def test_dask_itself_condemns_nobody() -> None:
    """Its own limit goes by the wall clock: a pause would condemn every node."""
    site = here()
    await site.open()
    try:
        assert site.scheduler is not None
        assert site.scheduler.worker_ttl is None
    finally:
        await site.close()
    assert dask.config.get("distributed.scheduler.worker-ttl") is not None
