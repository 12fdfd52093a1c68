"""Nodes and drivers die; nothing is lost, repeated or left behind."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from climorch import Campaign, LocalSite, Scenario
from climorch.model import commands as c
from climorch.model import events as e
from climorch.storage.manifest import read_manifest
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


def script(root: Path, **given: Any) -> Script:
    """Run the campaign's script with the library that is being tested."""
    return Script(
        SCRIPT,
        json.dumps({"root": str(root), **given}),
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
@pytest.mark.parametrize(
    "after",
    [
        pytest.param(False, id="before", marks=pytest.mark.benchmark),
        pytest.param(True, id="after"),
    ],
)
def test_a_driver_killed_in_a_commit_is_followed_by_one_that_ends_the_same(
    tmp_path: Path, after: bool
) -> None:
    """Killed before or after the rename, run again: bitwise equal."""
    die = "climorch.storage.commit.promote"
    with script(tmp_path, nodes_here=True, die=die, call=3, after=after) as killed:
        assert killed.finish()[0] == -signal.SIGKILL
        assert killed.orphans() == []

    check(finish_here(tmp_path))


@pytest.mark.live
@pytest.mark.parametrize(
    "seed", [1, *(pytest.param(s, marks=pytest.mark.benchmark) for s in (2, 3))]
)
def test_a_driver_killed_at_a_random_moment_is_followed_by_one_that_ends_the_same(
    tmp_path: Path, seed: int
) -> None:
    """Whatever it was doing: bitwise equal, and no process is left behind."""
    rows = int(np.random.default_rng(seed).integers(10, 120))
    # Nodes as processes once: they must notice that their driver is gone.
    with script(tmp_path, nodes_here=seed != 1) as killed:
        until(
            lambda: len(records_of(tmp_path, "c")) >= rows,
            what=f"{rows} rows",
            timeout_s=240,
        )
        killed.send(signal.SIGKILL)
        assert killed.finish()[0] == -signal.SIGKILL
        until(lambda: killed.orphans() == [], what="every process is gone")

    check(finish_here(tmp_path))


@pytest.mark.live
def test_sigterm_checkpoints_and_leaves_cleanly(tmp_path: Path) -> None:
    """What was computed is committed, the lock is free, no process is left."""
    with script(tmp_path, every=3, segments=60, work_s=0.05) as told:
        until_record(tmp_path, "c", e.SegmentFinished, count=3, timeout_s=60)
        told.send(signal.SIGTERM)
        status, printed = told.finish()
        assert status == 3, printed
        until(lambda: told.orphans() == [], what="every process is gone")

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
    # A simulation's first checkpoint has 12 chunks: 2 of 3 fields of 2 stages.
    die = "climorch.storage.chunks._write"
    with script(
        tmp_path, nodes_here=True, segments=1, work_s=0, die=die, call=12, after=True
    ) as killed:
        assert killed.finish()[0] == -signal.SIGKILL
    noted = [
        msgspec.json.decode(line)
        for notes in (tmp_path / "c" / "inflight").rglob("receipts/*.jsonl")
        for line in notes.read_bytes().splitlines()
        if "output" not in str(notes)
    ]
    found = sum(line["length"] for line in noted)

    campaign = finish_here(tmp_path, segments=1)

    commits = kinds(records(campaign), e.CheckpointCommitted)
    assert len(commits) == 2
    assert 0 < found == sum(fact.bytes_salvaged for fact in commits)
    # All that is in both, less what was there: nothing was written twice.
    whole = sum(
        entry.length
        for name in ("s", "t")
        for key, entry in read_manifest(campaign.checkpoints(name)[0]).entries.items()
        if entry.raw_xxh3
    )
    assert sum(fact.bytes_written for fact in commits) == whole - found
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

    assert run.wait(timeout_s=240)
    check(campaign)
    found = records(campaign)
    lost = [fact.node for fact in kinds(found, e.NodeLost)]
    assert lost[:1] == ["node000"]
    joined = [fact.node for fact in kinds(found, e.NodeJoined)]
    assert joined.count("node000") == 2
    assert not Path(f"/proc/{killed}").exists()
