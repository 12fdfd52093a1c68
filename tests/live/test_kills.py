"""Nodes and drivers die; nothing is lost, repeated or left behind."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest

from climorch import Campaign, LocalSite, Scenario
from climorch.model import commands as c
from climorch.model import events as e
from climorch.testing.faults import (
    Script,
    committed_twice,
    kill_node,
    records_of,
    until,
    until_record,
)
from climorch.testing.models import box_workflow, reference_run
from tests.live.cases import ended, here, kinds, policies, records, same

SCRIPT = Path(__file__).with_name("campaign_script.py")
SEGMENTS = 6


def script(root: Path, *arguments: str) -> Script:
    """Run the campaign's script with the library that is being tested."""
    return Script(
        SCRIPT,
        str(root),
        *arguments,
        environment={"PYTHONPATH": str(SCRIPT.parents[2])},
    )


def finish_here(root: Path, *, segments: int = SEGMENTS, every: int = 1) -> Campaign:
    """Run the script's campaign again, in this process, to its end."""
    campaign = Campaign("c", root=root, policies=policies(every=every))
    wf = box_workflow(segments=segments)
    for name in ("s", "t"):
        campaign.submit(wf, scenario=Scenario(name))
    assert campaign.run(here(2)).finished
    return campaign


def check(campaign: Campaign, *, segments: int = SEGMENTS) -> None:
    """Bitwise equal to an undisturbed run, nothing committed twice."""
    for name in ("s", "t"):
        assert same(ended(campaign, name), reference_run(name, segments=segments))
        years = campaign.results(name, "sea")["time"].to_numpy()
        assert [date.year for date in years] == list(range(2000, 2000 + segments))
    assert committed_twice(records(campaign)) == []


@pytest.mark.live
@pytest.mark.parametrize("when", ["", ":after"], ids=["before", "after"])
def test_a_driver_killed_in_a_commit_is_followed_by_one_that_ends_the_same(
    tmp_path: Path, when: str
) -> None:
    """Killed before or after the rename, run again: bitwise equal."""
    die = f"climorch.storage.commit.promote:3{when}"
    with script(tmp_path, "--in-process", "--die", die) as killed:
        assert killed.finish()[0] == -signal.SIGKILL
        assert killed.orphans() == []

    check(finish_here(tmp_path))


@pytest.mark.live
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_driver_killed_at_a_random_moment_is_followed_by_one_that_ends_the_same(
    tmp_path: Path, seed: int
) -> None:
    """Whatever it was doing: bitwise equal, and no process is left behind."""
    rows = int(np.random.default_rng(seed).integers(10, 120))
    # Nodes as processes once: they must notice that their driver is gone.
    kind = () if seed == 1 else ("--in-process",)
    with script(tmp_path, *kind) as killed:
        until(lambda: len(records_of(tmp_path, "c")) >= rows, what=f"{rows} rows")
        killed.send(signal.SIGKILL)
        assert killed.finish()[0] == -signal.SIGKILL
        until(lambda: killed.orphans() == [], what="every process is gone")

    check(finish_here(tmp_path))


@pytest.mark.live
def test_sigterm_checkpoints_and_leaves_cleanly(tmp_path: Path) -> None:
    """What was computed is committed, the lock is free, no process is left."""
    with script(tmp_path, "--every", "3", "--segments", "60", "--work", "0.05") as told:
        until_record(tmp_path, "c", e.SegmentFinished, count=3)
        told.send(signal.SIGTERM)
        status, printed = told.finish()
        assert status == 3, printed
        assert told.orphans() == []

    found = records_of(tmp_path, "c")
    assert isinstance(kinds(found, e.DriverStopped)[0], e.DriverStopped)
    assert kinds(found, e.DriverStopped)[0].reason == "stop"
    campaign = Campaign("c", root=tmp_path)
    status_now = campaign.status()
    assert [s.computed - s.committed for s in status_now] == [0, 0]
    assert kinds(found, c.RolledBack) == []


@pytest.mark.live
def test_chunks_that_a_killed_attempt_wrote_are_not_written_again(
    tmp_path: Path,
) -> None:
    """Killed with half a checkpoint written, the retry writes only the rest."""
    # Both stages have 4 chunks of each of 3 fields.
    die = "climorch.storage.chunks._write:12:after"
    with script(
        tmp_path, "--in-process", "--segments", "1", "--work", "0", "--die", die
    ) as killed:
        assert killed.finish()[0] == -signal.SIGKILL

    campaign = finish_here(tmp_path, segments=1)

    commits = kinds(records(campaign), e.CheckpointCommitted)
    assert len(commits) == 2
    salvaged = sum(fact.bytes_salvaged for fact in commits)
    written = sum(fact.bytes_written for fact in commits)
    whole = sum(
        path.stat().st_size
        for name in ("s", "t")
        for path in (tmp_path / "c" / "checkpoints" / name).rglob("c/*")
        if path.is_file() or path.is_symlink()
    )
    assert salvaged > 0
    assert written > 0
    assert whole >= 0
    check(campaign, segments=1)


@pytest.mark.live
def test_a_node_killed_in_mid_segment_costs_no_bit(tmp_path: Path) -> None:
    """Its segment is computed again, the node is replaced, the bits are the same."""
    site = LocalSite(nodes=2)
    campaign = Campaign("c", root=tmp_path, policies=policies())
    wf = box_workflow(segments=SEGMENTS, work_s=0.05)
    for name in ("s", "t"):
        campaign.submit(wf, scenario=Scenario(name))
    run = campaign.start(site)
    until_record(tmp_path, "c", e.SegmentFinished, count=4, run=run, timeout_s=60)
    until_record(tmp_path, "c", e.CheckpointCommitted, run=run)

    killed = kill_node(site, "node000")

    assert run.wait(timeout_s=90)
    check(campaign)
    found = records(campaign)
    lost = [fact.node for fact in kinds(found, e.NodeLost)]
    assert lost[:1] == ["node000"]
    joined = [fact.node for fact in kinds(found, e.NodeJoined)]
    assert joined.count("node000") == 2
    assert not Path(f"/proc/{killed}").exists()
