"""Accounts and limits of a real Slurm: what it refuses or lets wait is told so."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from climorch import Alarm, Campaign
from climorch.testing.faults import until
from tests.slurm.mini import MiniSlurm, missing, running
from tests.slurm.test_slurm import campaign, check, none_left, site

pytestmark = pytest.mark.slurm

# Of the only user; that of others is not.
ACCOUNTS = {
    "climate": (),
    "short": ("MaxWall=1",),
    "poor": ("GrpTRESMins=cpu=2",),
    "small": ("MaxTRESPerJob=node=1",),
    "single": ("MaxJobs=1",),
    "full": ("MaxSubmitJobs=0",),
}


@pytest.fixture(scope="module")
def books() -> Iterator[MiniSlurm]:
    """Start a Slurm that knows accounts; leave nothing of it."""
    lacking = missing("slurmdbd", "mariadbd", "mariadb-install-db", "sacctmgr")
    if lacking:
        pytest.skip(
            f"no Slurm with accounts: {', '.join(lacking)} missing; install Debian's "
            "slurmdbd and mariadb-server"
        )
    with running(nodes=2, accounts=True) as mini:
        add = ("sacctmgr", "-i", "add")
        for name, limits in {**ACCOUNTS, "others": ()}.items():
            mini.call(*add, "account", name, "cluster=mini", *limits)
        mine = f"account={','.join(ACCOUNTS)}"
        mini.call(*add, "user", "root", mine, "defaultaccount=climate", "cluster=mini")
        mini.call(*add, "qos", "closed")
        mini.call(*add, "qos", "brief", "MaxWall=1", "Flags=DenyOnLimit")
        modify = ("sacctmgr", "-i", "modify", "user", "root", "set")
        mini.call(*add, "qos", "thin", "MaxTRESPerUser=node=1")
        mini.call(*modify, "qos+=brief,thin")
        yield mini


NO_ACCOUNT = "Invalid account or account/partition combination specified"


@pytest.mark.parametrize(
    ("more", "words", "remedy"),
    [
        ({"account": "nobody"}, NO_ACCOUNT, "name one that sacctmgr show assoc"),
        ({"account": "others"}, NO_ACCOUNT, "name one that sacctmgr show assoc"),
        ({"partition": "nowhere"}, "Invalid partition name", "sinfo -s"),
        ({"qos": "nothing"}, "Invalid qos specification", "name another one"),
        ({"qos": "closed"}, "Invalid qos specification", "name another one"),
        ({"constraint": "gpu"}, "Invalid feature", "what constraint asks for"),
        ({"cores": 99}, "node configuration is not available", "lower nodes_per_job"),
        ({"memory": "99 GiB"}, "node configuration is not available", "or memory"),
        ({"account": "full"}, "AssocMaxSubmitJobLimit", "change partition, account"),
    ],
)
def test_a_look_ahead_tells_the_one_error_and_its_remedy(
    books: MiniSlurm, tmp_path: Path, more: dict[str, Any], words: str, remedy: str
) -> None:
    """In Slurm's words; nothing is submitted."""
    (fault,) = site(tmp_path, **more).preflight()

    assert words in fault.problem
    assert remedy in fault.remedy
    assert not books.call("squeue", "-h").strip()


def test_a_look_ahead_finds_nothing_where_the_account_is_right(
    books: MiniSlurm, tmp_path: Path
) -> None:
    """The test above would fail for any account otherwise."""
    assert site(tmp_path, account="climate", partition="normal").preflight() == []


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let sbatch and squeue write down each call, and be themselves."""
    log, programs = tmp_path / "asked", tmp_path / "bin"
    programs.mkdir()
    for name in ("sbatch", "squeue"):
        path = programs / name
        path.write_text(
            f'#!/bin/sh\necho {name} >>{log}\nexec {shutil.which(name)} "$@"\n'
        )
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return log


def test_a_wrong_account_is_not_tried_for_ever(
    books: MiniSlurm, tmp_path: Path, asked: Path
) -> None:
    """Five times; the campaign waits, with an alarm that says what to do."""
    alarms: list[Alarm] = []
    made = campaign(tmp_path / "root", segments=2, work_s=0.0, on_alarm=alarms.append)
    run = made.start(site(tmp_path / "meet", account="nobody"))
    end = "no other one is tried before the campaign is started anew"
    until(lambda: any(end in alarm.text for alarm in alarms), what="the last alarm")
    before = asked.read_text().count("squeue")
    until(lambda: asked.read_text().count("squeue") > before + 5, what="five looks")
    run.stop()

    assert asked.read_text().count("sbatch") == 5
    assert NO_ACCOUNT in alarms[-1].text
    assert "name one that sacctmgr show assoc" in alarms[-1].text
    assert none_left(books)


@pytest.mark.benchmark
@pytest.mark.parametrize(
    ("more", "reason", "remedy"),
    [
        ({"account": "short"}, "AssocMaxWallDurationPerJobLimit", "lower nodes_per"),
        ({"account": "poor"}, "AssocGrpCPUMinutesLimit", "budget is used up"),
        (
            {"account": "small", "nodes_per_job": 2},
            "AssocMaxNodePerJobLimit",
            "lower nodes_per_job",
        ),
        ({"partition": "brief"}, "PartitionTimeLimit", "lower walltime"),
        (
            {"partition": "narrow", "nodes_per_job": 2},
            "PartitionNodeLimit",
            "ask for fewer",
        ),
        (
            {"partition": "others"},
            "account not permitted to use this partition",
            "does not admit",
        ),
    ],
)
def test_a_job_that_waits_for_ever_is_told_with_the_reason_and_the_remedy(
    books: MiniSlurm, tmp_path: Path, more: dict[str, Any], reason: str, remedy: str
) -> None:
    """Once; no other job is asked for meanwhile."""
    alarms: list[Alarm] = []
    made = campaign(tmp_path / "root", segments=2, work_s=0.0, on_alarm=alarms.append)
    one = site(tmp_path / "meet", **more)
    run = made.start(one)
    until(lambda: bool(alarms), what="an alarm")
    jobs = books.call("squeue", "-h", "-o", "%A").split()
    run.stop()

    assert alarms[0].kind == "site"
    assert reason in alarms[0].text
    assert remedy in alarms[0].text
    assert len(jobs) == 2 // one.keeper.request.nodes
    assert none_left(books)


@pytest.mark.benchmark
def test_where_one_job_may_run_a_campaign_of_two_ends_on_one(
    books: MiniSlurm, tmp_path: Path
) -> None:
    """Somebody is told why the second node does not come."""
    alarms: list[Alarm] = []
    made = campaign(tmp_path / "root", segments=10, work_s=0.1, on_alarm=alarms.append)
    run = made.start(site(tmp_path / "meet", account="single"))
    assert run.wait(timeout_s=120.0)

    check(made, segments=10)
    assert "AssocMaxJobsLimit: no more jobs may run at once" in alarms[0].text
    until(lambda: none_left(books), what="an empty queue")


def test_whoever_waits_behind_a_limit_reads_it(
    books: MiniSlurm, tmp_path: Path
) -> None:
    """One node at once: the simulation that has none says why, in Slurm's word."""
    made = campaign(tmp_path / "root", segments=200, work_s=0.1)
    run = made.start(site(tmp_path / "meet", account="climate", qos="thin"))

    def one_has_a_node() -> bool:
        status = made.status()
        return any(s.nodes for s in status) and "QOSMax" in str(status.site)

    try:
        until(one_has_a_node, what="a job that runs and one that waits")
        reader = Campaign("c", root=tmp_path / "root")
        told = [one.explain(name).status.why for one in (made, reader) for name in "st"]
    finally:
        run.stop()

    words = (
        "for QOSMaxNodePerUserLimit: no more of that may be held at once; lower nodes, "
        "end other jobs, or name another QOS or account"
    )
    (line,) = (waiting for waiting in told[:2] if words in waiting)
    assert "1 job of 1 node waits in Slurm (QOS thin, account climate) since" in line
    assert words in " ".join(told[2:])
    until(lambda: none_left(books), what="an empty queue")
