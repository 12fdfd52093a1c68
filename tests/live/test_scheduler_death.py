"""The Dask scheduler dies under a driver that lives: another session goes on."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

import pytest

from climorch import BackendError, DaskSite, LocalSite, Run
from climorch.model import events as e
from climorch.testing.faults import records_of, until, until_record
from tests.live.cases import here, kinds, records
from tests.live.outside import Outside, cluster
from tests.live.test_dask_site import check, submitted

logger = logging.getLogger(__name__)

SEGMENTS = 5


def lost_at(root: Path) -> int:
    """Row of the first lost node; -1: none."""
    found = [isinstance(record, e.NodeLost) for record in records_of(root, "c")]
    return found.index(True) if True in found else -1


def times(run: Run, killed_s: float) -> dict[str, float]:
    """Seconds from the kill to what the journal tells of it."""
    found = [(record, now_s) for record, now_s in run.facts()]
    lost = next(i for i, (r, _) in enumerate(found) if isinstance(r, e.NodeLost))
    after = found[lost:]
    seconds = {"noticed": after[0][1] - killed_s}
    for name, kind in (("node", e.NodeJoined), ("computed", e.SegmentFinished)):
        seconds[name] = next(t for r, t in after if isinstance(r, kind)) - killed_s
    return seconds


@pytest.mark.parametrize(
    "site",
    [
        pytest.param(here(2), id="here", marks=pytest.mark.benchmark),
        pytest.param(LocalSite(nodes=2), id="apart"),
    ],
)
@pytest.mark.live
def test_a_local_site_makes_a_new_dask_scheduler(
    tmp_path: Path, site: LocalSite
) -> None:
    """Closed under the driver's feet: new nodes, the same bits, no process left."""
    campaign = submitted(tmp_path, segments=SEGMENTS, work_s=0.03)
    run = campaign.start(site)
    until_record(tmp_path, "c", e.CheckpointCommitted, run=run, timeout_s=60)
    pids = [site.pid(f"node{i:03d}") for i in range(2)]
    scheduler, loop = site.scheduler, run._loop
    assert scheduler is not None
    assert loop is not None

    killed_s = time.time()
    asyncio.run_coroutine_threadsafe(scheduler.close(), loop)

    assert run.wait(timeout_s=240)
    check(campaign, segments=SEGMENTS)
    found = records(campaign)
    assert kinds(found, e.NodeLost)[0].reason != ""
    joined = [fact.node for fact in kinds(found, e.NodeJoined)]
    assert sorted(joined) == ["node000", "node000", "node001", "node001"]
    assert [p for p in pids if p is not None and Path(f"/proc/{p}").exists()] == []
    logger.info("recovery %s", times(run, killed_s))


@pytest.mark.live
def test_a_killed_dask_scheduler_that_comes_back_is_used_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """kill -9; an outside supervisor starts it and its workers: the same bits."""
    campaign = submitted(tmp_path, segments=SEGMENTS, work_s=0.05)
    with Outside(tmp_path) as dask:
        dask.start_scheduler()
        for kind in ("--no-nanny", "--nanny"):
            dask.start_worker(kind)
        run = campaign.start(DaskSite(dask.address))
        until_record(tmp_path, "c", e.CheckpointCommitted, run=run, timeout_s=60)

        killed_s = time.time()
        dask.kill_scheduler()
        until(lambda: lost_at(tmp_path) >= 0, what="the loss is noticed")
        until(
            lambda: "needs 1 node; none such is up" in campaign.explain("s").status.why,
            what="the reason",
        )
        dask.wait_for_workers_to_leave()
        back_s = time.time()
        dask.start_scheduler()
        for kind in ("--no-nanny", "--nanny"):
            dask.start_worker(kind)

        assert run.wait(timeout_s=240)
    assert "the Dask scheduler is gone, with all nodes" in caplog.text
    check(campaign, segments=SEGMENTS)
    logger.info("recovery %s, down %.1f s", times(run, killed_s), back_s - killed_s)


@pytest.mark.benchmark
def test_if_it_does_not_come_back_the_error_says_what_to_do(tmp_path: Path) -> None:
    """After the patience; started again elsewhere, the campaign goes on."""
    campaign = submitted(tmp_path, segments=SEGMENTS, work_s=0.03)
    with cluster(1) as theirs:
        run = campaign.start(DaskSite(theirs.scheduler_address, patience_s=1.0))
        until_record(tmp_path, "c", e.CheckpointCommitted, run=run)

    told = r"no Dask scheduler with nodes for 1 s: .*run the scr"
    with pytest.raises(BackendError, match=told):
        run.wait(timeout_s=240)

    again = submitted(tmp_path, segments=SEGMENTS)
    assert again.run(here(2)).finished
    check(again, segments=SEGMENTS)


def test_a_cluster_object_is_asked_for_its_address_again(tmp_path: Path) -> None:
    """Another Dask scheduler behind the same object is found and used."""

    class Changing:
        """Whatever cluster is there now."""

        now = cluster(1)

        @property
        def scheduler_address(self) -> str:
            return str(self.now.scheduler_address)

    theirs = Changing()
    campaign = submitted(tmp_path, segments=SEGMENTS, work_s=0.03)
    run = campaign.start(DaskSite(theirs))
    until_record(tmp_path, "c", e.CheckpointCommitted, run=run)
    first = theirs.now
    with cluster(2) as second:
        first.close()
        theirs.now = second

        assert run.wait(timeout_s=240)
    check(campaign, segments=SEGMENTS)
