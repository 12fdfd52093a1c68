"""Campaigns on a real Slurm: renewals, losses, maintenance, drivers that die."""

from __future__ import annotations

import json
import signal
import ssl
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from distributed import Client
from distributed.security import Security

from climorch import Alarm, Campaign, Run, Scenario
from climorch.core.site_ports import Site
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.commands import Record
from climorch.sites.slurm import Manner, SlurmSite
from climorch.testing.faults import Script, committed_twice, until
from climorch.testing.models import box_workflow, reference_run
from climorch.testing.site_suite import SiteSuite
from tests.live.cases import ended, policies, records, same
from tests.slurm.mini import MiniSlurm

pytestmark = [pytest.mark.slurm, pytest.mark.usefixtures("slurm")]

SCRIPT = Path(__file__).with_name("campaign_script.py")


def site(folder: Path, nodes: int = 2, **more: Any) -> SlurmSite:
    """One host per node, asked every second."""
    given: dict[str, Any] = {
        "cores": 4,
        "walltime_s": 600.0,
        "warn_s": 20.0,
        "start_s": 25.0,
        "manner": Manner(poll_s=1.0, look_s=1.0, patience_s=60.0),
    }
    return SlurmSite("c", folder=folder, nodes=nodes, **{**given, **more})


def campaign(root: Path, *, segments: int, work_s: float, **more: Any) -> Campaign:
    """Two simulations of two coupled boxes."""
    made = Campaign("c", root=root, policies=policies(every=5), **more)
    workflow = box_workflow(segments=segments, work_s=work_s)
    for name in "st":
        made.submit(workflow, scenario=Scenario(name))
    return made


def check(made: Campaign, *, segments: int) -> None:
    """Every bit is that of an undisturbed run, nothing was committed twice."""
    for name in "st":
        assert same(ended(made, name), reference_run(name, segments=segments))
    assert committed_twice(records(made)) == []


def busy(slurm: MiniSlurm) -> dict[str, str]:
    """Return jobs that run and the host of each."""
    told = slurm.call("squeue", "-h", "-t", "R", "-o", "%A %N").split()
    return dict(zip(told[::2], told[1::2], strict=True))


def none_left(slurm: MiniSlurm) -> bool:
    """Whether the queue is empty and no agent of ours is left."""
    return not slurm.call("squeue", "-h").strip() and not _agents(slurm)


def _agents(slurm: MiniSlurm) -> list[int]:
    found = []
    # Others on this machine may have a Slurm of their own.
    ours = f"SLURM_CONF={slurm.environment['SLURM_CONF']}".encode()
    for entry in Path("/proc").iterdir():
        try:
            if (
                entry.name.isdecimal()
                and b"batch/agent.py" in (entry / "cmdline").read_bytes()
                and ours in (entry / "environ").read_bytes().split(b"\0")
            ):
                found.append(int(entry.name))
        except OSError:
            pass
    return found


def finished(run: Run, simulation: str) -> int:
    """Count the segments of a simulation that were computed."""
    return sum(
        isinstance(record, e.SegmentFinished) and record.simulation == simulation
        for record, _ in run.facts()
    )


def computed_once(facts: list[Record]) -> bool:
    """Whether each segment that was finished was finished once, and some were."""
    computed = Counter(
        (fact.simulation, fact.stage, fact.segment)
        for fact in facts
        if isinstance(fact, e.SegmentFinished)
    )
    return set(computed.values()) == {1}


def leases(run: Run) -> set[str]:
    """Return all nodes that were ever leased."""
    return {
        node
        for record, _ in run.facts()
        if isinstance(record, c.SetLease)
        for node in record.nodes
    }


class TestConformance(SiteSuite):
    """Nodes of Slurm are nodes like any others."""

    @pytest.fixture
    def make_site(self, tmp_path: Path) -> Callable[[int], Site]:
        return lambda nodes: site(tmp_path, nodes, cores=1)


@pytest.mark.benchmark
def test_a_campaign_outlives_its_jobs_and_what_befalls_them(
    slurm: MiniSlurm, tmp_path: Path
) -> None:
    """Jobs of a minute are renewed, one is cancelled, a node loses its power."""
    segments = 90
    made = campaign(tmp_path / "root", segments=segments, work_s=0.3)
    run = made.start(site(tmp_path / "meet", walltime_s=60.0))
    until(lambda: finished(run, "s") > 5, what="the first segments")
    slurm.call("scancel", next(iter(busy(slurm))))
    until(lambda: finished(run, "t") > 20, what="more segments")
    hosts = Counter(busy(slurm).values())
    host = next(iter(hosts))
    slurm.crash(host)
    assert run.wait(timeout_s=300.0)

    check(made, segments=segments)
    # Two at first, one each for the cancelled and the crashed one, and renewals.
    assert len({node.rpartition(".")[2] for node in leases(run)}) >= 6
    until(lambda: not _agents(slurm), what="the agents' end")
    slurm.start_node(host)
    until(lambda: none_left(slurm), what="an empty queue")


def test_jobs_of_a_driver_that_was_killed_serve_the_next_one(
    slurm: MiniSlurm, tmp_path: Path
) -> None:
    """No queue time is lost: the same jobs, the same bits."""
    given = {
        "root": str(tmp_path / "root"),
        "folder": str(tmp_path / "meet"),
        "segments": 40,
        "work_s": 0.2,
        "walltime_s": 600.0,
    }
    seen = Campaign("c", root=tmp_path / "root")
    with Script(SCRIPT, json.dumps(given)) as first:
        until(
            lambda: any(isinstance(r, e.CheckpointCommitted) for r in records(seen)),
            what="a checkpoint",
        )
        before = busy(slurm)
        first.send(signal.SIGKILL)
    with Script(SCRIPT, json.dumps(given)) as second:
        code, printed = second.finish(timeout_s=120.0)
    assert code == 0, printed

    check(seen, segments=40)
    told = slurm.call("squeue", "-h", "--states=all", "--name=c", "-o", "%A %S")
    begun_s = {line.split()[0]: line.split()[1] for line in told.splitlines()}
    newest = sorted(begun_s, key=int)[-2:]
    assert set(newest) == set(before)
    until(lambda: none_left(slurm), what="an empty queue")


@pytest.mark.benchmark
def test_nodes_are_left_before_maintenance_that_slurm_announces(
    slurm: MiniSlurm, tmp_path: Path
) -> None:
    """With a checkpoint, and nothing computed twice."""
    made = campaign(tmp_path / "root", segments=60, work_s=0.3)
    run = made.start(site(tmp_path / "meet"))
    until(lambda: finished(run, "s") > 5 and finished(run, "t") > 5, what="segments")
    host = next(iter(busy(slurm).values()))
    slurm.call(
        *("scontrol", "create", "reservation", "reservationname=m1", "user=root"),
        *("starttime=now+20", "duration=10", f"nodes={host}"),
        "flags=maint,ignore_jobs",
    )
    try:
        assert run.wait(timeout_s=200.0)
    finally:
        slurm.call("scontrol", "delete", "reservationname=m1")

    check(made, segments=60)
    facts = records(made)
    (moved,) = {
        (fact.node, fact.reason)
        for fact in facts
        if isinstance(fact, e.NodeDeadline) and "maintenance" in fact.reason
    }
    assert moved[0].partition(".")[0] == host
    assert moved[1] == "maintenance m1"
    # Whoever was there left at a boundary: each segment was computed once.
    assert computed_once(facts)
    until(lambda: none_left(slurm), what="an empty queue")


def test_a_preempted_node_has_the_time_of_grace(
    slurm: MiniSlurm, tmp_path: Path
) -> None:
    """Its agent hears of it at once; what computes there leaves at a boundary."""
    made = campaign(tmp_path / "root", segments=40, work_s=0.3)
    manner = Manner(poll_s=1.0, look_s=1.0, patience_s=60.0, grace_s=20.0)
    run = made.start(site(tmp_path / "meet", partition="low", manner=manner))
    until(lambda: finished(run, "s") > 5 and finished(run, "t") > 5, what="segments")
    host = next(iter(busy(slurm).values()))
    better = slurm.call(
        *("sbatch", "--parsable", "--partition=normal", f"--nodelist={host}"),
        *("--exclusive", "--time=1", "--output=/dev/null", "--wrap=sleep 20"),
    ).strip()
    try:
        assert run.wait(timeout_s=200.0)
    finally:
        slurm.call("scancel", better)

    check(made, segments=40)
    facts = records(made)
    # By the agent, or by the queue, which then tells another end.
    moved = {f.node.partition(".")[0] for f in facts if isinstance(f, e.NodeDeadline)}
    assert host in moved
    assert computed_once(facts)
    until(lambda: none_left(slurm), what="an empty queue")


def test_a_job_that_slurm_refuses_is_told_with_its_words(
    slurm: MiniSlurm, tmp_path: Path
) -> None:
    """The campaign waits; once it is stopped nothing is left."""
    alarms: list[Alarm] = []
    made = campaign(tmp_path / "root", segments=2, work_s=0.0, on_alarm=alarms.append)
    run = made.start(site(tmp_path / "meet", partition="nowhere"))
    until(lambda: bool(alarms), what="an alarm")
    run.stop()

    assert alarms[0].kind == "site"
    assert "invalid partition specified: nowhere" in alarms[0].text


def test_a_look_ahead_finds_what_slurm_would_refuse(
    slurm: MiniSlurm, tmp_path: Path
) -> None:
    """And nothing where all is well; no job is submitted."""
    assert site(tmp_path).preflight() == []
    (fault,) = site(tmp_path, partition="nowhere").preflight()
    assert "invalid partition specified: nowhere" in fault.problem
    assert none_left(slurm)


async def test_nobody_without_the_key_gets_in(slurm: MiniSlurm, tmp_path: Path) -> None:
    """Neither a plain client nor one with a key of its own."""
    one = site(tmp_path)
    address = await one.open()
    try:
        assert address.startswith("tls://")
        with pytest.raises((OSError, TimeoutError)):
            await Client(address.replace("tls", "tcp"), asynchronous=True, timeout=2)
        with pytest.raises((OSError, ssl.SSLError, TimeoutError)):
            await Client(
                address, asynchronous=True, timeout=2, security=Security.temporary()
            )
        async with Client(address, asynchronous=True, security=one.security) as mine:
            assert mine.scheduler_info()["workers"] == {}
    finally:
        await one.close()


def test_a_fixture_that_is_down_would_be_noticed(slurm: MiniSlurm) -> None:
    """All nodes answer: the tests above ran on a real Slurm."""
    end_s = time.monotonic() + 60.0
    while "idle" not in slurm.call("sinfo", "-h", "-n", "n1", "-o", "%t"):
        assert time.monotonic() < end_s
        time.sleep(0.5)
    assert slurm.call("sinfo", "--version").startswith("slurm")
