"""An existing Dask cluster as a site: a campaign comes, computes and leaves."""

from __future__ import annotations

import functools
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import pytest
from distributed import Client, LocalCluster, Scheduler, Worker

from climorch import (
    Campaign,
    ConflictError,
    DaskSite,
    InvalidInputError,
    Scenario,
)
from climorch.engine import plugin, worker
from climorch.engine.tags import TOPIC
from climorch.model import commands as c
from climorch.model import events as e
from climorch.testing.faults import Script, committed_twice, until, until_record
from climorch.testing.models import box_workflow, reference_run
from tests.live.cases import ended, kinds, policies, records, same
from tests.live.outside import Outside, cluster, where

SCRIPT = Path(__file__).with_name("campaign_script.py")


def submitted(
    root: Path, *, segments: int = 4, nodes: int = 1, **more: Any
) -> Campaign:
    """Two simulations of two boxes."""
    campaign = Campaign("c", root=root, policies=policies())
    wf = box_workflow(segments=segments, nodes=nodes, **more)
    for name in ("s", "t"):
        campaign.submit(wf, scenario=Scenario(name))
    return campaign


def check(campaign: Campaign, *, segments: int = 4) -> None:
    """Every bit is that of an undisturbed run, nothing was committed twice."""
    for name in ("s", "t"):
        assert same(ended(campaign, name), reference_run(name, segments=segments))
    assert committed_twice(records(campaign)) == []


def on_scheduler(dask_scheduler: Scheduler) -> dict[str, Any]:
    """What is on a Dask scheduler that a campaign could have left there."""
    return {
        "plugins": sorted(dask_scheduler.plugins),
        "worker plugins": sorted(dask_scheduler.worker_plugins),
        "resources": {r: w for r, w in dask_scheduler.resources.items() if w},
        "offered": [dict(w.resources) for w in dask_scheduler.workers.values()],
        "used": [dict(w.used_resources) for w in dask_scheduler.workers.values()],
        "events": [
            topic
            for topic, events in dask_scheduler.get_events().items()
            if topic.startswith(TOPIC) and events
        ],
        "tasks": sorted(map(str, dask_scheduler.tasks)),
        "stealing": "stealing" in dask_scheduler.periodic_callbacks,
    }


def on_worker(dask_worker: Worker) -> dict[str, Any]:
    """What is on a worker that a campaign could have left there."""
    return {
        "plugins": sorted(dask_worker.plugins),
        "executors": sorted(dask_worker.executors),
        "resources": dict(dask_worker.state.total_resources),
        "available": dict(dask_worker.state.available_resources),
    }


def traces(client: Client) -> tuple[Any, Any]:
    """Everything on a cluster that a campaign could have left there."""
    return client.run_on_scheduler(on_scheduler), client.run(on_worker)


@pytest.fixture
def theirs() -> Iterator[LocalCluster]:
    """Two workers of a cluster object, with stealing as Dask has it."""
    stealing: dict[str, Any] = {"distributed.scheduler.work-stealing": True}
    with cluster(2, **stealing) as made:
        yield made


def test_a_campaign_runs_on_a_cluster_and_leaves_it_as_it_was(
    tmp_path: Path, theirs: LocalCluster
) -> None:
    """Correct to the bit; then plugins, places, resources, threads, events are gone."""
    campaign = submitted(tmp_path)
    with Client(theirs, set_as_default=False) as client:
        before = traces(client)

        assert campaign.run(DaskSite(theirs)).finished

        until(lambda: traces(client) == before, what="no trace is left")
        assert before[0]["stealing"]
        places = client.gather(client.map(where, range(20), pure=False))
        assert set(places) == set(client.scheduler_info()["workers"])
    check(campaign)
    # The names of Dask's own: numbers.
    assert {n.node for n in kinds(records(campaign), e.NodeJoined)} == {"0", "1"}


def test_foreign_work_waits_for_free_nodes_and_has_its_own_places_back(
    tmp_path: Path, theirs: LocalCluster
) -> None:
    """On leaving, what was kept off leased nodes runs, where its owner wanted it."""
    campaign = submitted(tmp_path, segments=40, work_s=0.05)
    with Client(theirs, set_as_default=False) as client:
        wanted = sorted(client.scheduler_info()["workers"])
        run = campaign.start(DaskSite(theirs))
        until_record(
            tmp_path, "c", c.SetLease, where=lambda r: bool(r.nodes), count=2, run=run
        )
        until_record(tmp_path, "c", e.SegmentFinished, run=run)
        futures = [client.submit(where, i, workers=[a]) for i, a in enumerate(wanted)]
        for future in futures:
            until(
                functools.partial(client.run_on_scheduler, waits, future.key),
                what="a foreign task that waits",
            )
        run.stop()
        assert client.gather(futures) == wanted


def waits(key: Any, dask_scheduler: Scheduler) -> bool:
    """Whether a task waits for a worker."""
    state = dask_scheduler.tasks.get(key)
    return state is not None and state.state == "no-worker"


def test_a_campaign_for_which_no_worker_is_free_is_refused(
    tmp_path: Path, theirs: LocalCluster
) -> None:
    """It is told who holds them and what helps; the first goes on."""
    first = submitted(tmp_path / "one", segments=10, work_s=0.02)
    run = first.start(DaskSite(theirs))
    until_record(tmp_path / "one", "c", e.SegmentFinished, run=run)

    with pytest.raises(
        ConflictError, match=r"2 held by campaign 'c' of user .*DaskSite\(nodes="
    ):
        submitted(tmp_path / "two").run(DaskSite(theirs))

    assert run.wait(timeout_s=240)
    check(first, segments=10)


def test_dask_that_is_set_otherwise_is_told_with_a_remedy(tmp_path: Path) -> None:
    """All settings at once, each with what to start the Dask scheduler with."""
    with LocalCluster(
        n_workers=1, processes=False, dashboard_address=":0", memory_limit=0
    ) as plain:
        with pytest.raises(InvalidInputError) as caught:
            submitted(tmp_path).run(DaskSite(plain))
        with Client(plain, set_as_default=False) as client:
            left, _ = traces(client)
    told = {fault.place: fault.remedy for fault in caught.value.faults}
    assert sorted(told) == [
        "Dask scheduler, allowed-failures",
        "Dask scheduler, worker-saturation",
    ]
    remedy = told["Dask scheduler, allowed-failures"]
    assert "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES=1000" in remedy
    assert left["stealing"]
    assert plugin.NAME not in left["plugins"]


@pytest.mark.benchmark
def test_a_cluster_object_that_scales_replaces_a_lost_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The site asks the cluster for as many nodes as it had; the bits are the same."""
    monkeypatch.setattr("climorch.sites.dask.SCALE_S", 0.2)
    quickly = {"distributed.deploy.lost-worker-timeout": "0.1s"}
    campaign = submitted(tmp_path, segments=10, nodes=2, work_s=0.02)
    with cluster(2) as theirs, dask.config.set(quickly):
        site = DaskSite(theirs)
        assert site.most_nodes == 2
        run = campaign.start(site)
        until_record(tmp_path, "c", e.CheckpointCommitted, run=run)

        theirs.sync(theirs.workers[0].close, executor_wait=False)

        assert run.wait(timeout_s=240)
    check(campaign, segments=10)
    joined = kinds(records(campaign), e.NodeJoined)
    assert len(joined) >= 3


@pytest.mark.live
def test_a_driver_that_is_killed_leaves_the_cluster_to_others(tmp_path: Path) -> None:
    """kill -9: nothing of ours is there, what waited runs, the next one goes on."""
    with cluster(1, protocol="tcp://") as theirs:
        address = theirs.scheduler_address
        given = {"root": str(tmp_path), "address": address, "work_s": 0.05}
        with (
            Client(theirs, set_as_default=False) as client,
            Script(
                SCRIPT,
                json.dumps({**given, "segments": 8}),
                environment={"PYTHONPATH": str(SCRIPT.parents[2])},
            ) as killed,
        ):
            before = traces(client)
            until_record(tmp_path, "c", e.CheckpointCommitted, timeout_s=90)
            future = client.submit(where, 1)
            until(
                functools.partial(client.run_on_scheduler, waits, future.key),
                what="a foreign task that waits",
            )

            killed.send(signal.SIGKILL)

            assert future.result(timeout=30) == next(iter(before[1]))
            del future
            until(
                lambda: traces(client) == before,
                what="no trace is left",
            )
            assert killed.finish()[0] == -signal.SIGKILL
        campaign = submitted(tmp_path, segments=8)
        assert campaign.run(DaskSite(address)).finished
    check(campaign, segments=8)


@pytest.mark.live
def test_a_campaign_runs_on_workers_that_were_started_by_hand(tmp_path: Path) -> None:
    """With and without a nanny, named or not; afterwards nothing of ours is there."""
    campaign = submitted(tmp_path, nodes=2)
    with Outside(tmp_path) as theirs:
        theirs.start_scheduler()
        theirs.start_worker("--no-nanny")
        theirs.start_worker("--nanny", "--name", "big machine/7")

        site = DaskSite(theirs.address, min_nodes=2)
        assert campaign.run(site).finished

        with Client(theirs.address, set_as_default=False) as client:
            left, workers = traces(client)
            places = client.gather(client.map(where, range(20), pure=False))
            assert len(set(places)) == 2
    assert theirs.left() == []
    assert plugin.NAME not in left["plugins"]
    assert worker.NAME not in left["worker plugins"]
    assert left["resources"] == {}
    assert [w["resources"] for w in workers.values()] == [{}, {}]
    check(campaign)
    names = sorted(n.node for n in kinds(records(campaign), e.NodeJoined))
    assert [name[:14] for name in names] == ["big-machine-7-", "tcp-127.0.0.1-"]


def test_with_fewer_nodes_it_goes_on_and_with_too_few_it_waits(tmp_path: Path) -> None:
    """A site that cannot replace a node: explain says what is missing."""
    campaign = submitted(tmp_path, segments=12, nodes=2, work_s=0.02)
    with cluster(3) as theirs:
        # An address cannot scale.
        run = campaign.start(DaskSite(theirs.scheduler_address, min_nodes=3))
        until_record(tmp_path, "c", e.CheckpointCommitted, run=run)
        for lost, node in enumerate(sorted(theirs.workers)[:2], start=1):
            theirs.sync(theirs.workers[node].close, executor_wait=False)
            until_record(tmp_path, "c", e.NodeLost, count=lost, run=run)
            if lost == 1:
                before = len(kinds(records(campaign), e.SegmentFinished))
                until_record(
                    tmp_path, "c", e.SegmentFinished, count=before + 4, run=run
                )
        until(
            lambda: "needs 2 nodes; 1 such is up" in campaign.explain("s").status.why,
            what="the reason",
        )
        assert {s.status for s in campaign.status()} == {"waiting"}
        theirs.scale(4)

        assert run.wait(timeout_s=240)
    check(campaign, segments=12)
