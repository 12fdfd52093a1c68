"""Rot in a running campaign is found before it is needed, and what follows."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path

import pytest

from climorch import Alarm, Campaign, Scenario
from climorch.engine import driver, scrubbing
from climorch.model import commands as c
from climorch.model import events as e
from climorch.rules import Scrub
from climorch.testing.faults import committed_twice, until, until_record
from climorch.testing.models import box_workflow, reference_run
from tests.live.cases import ended, here, kinds, policies, records, same

SEGMENTS = 30
OFTEN = Scrub(bytes_per_s=1e9, after_s=0.0, every_s=0.5)
MASK = "state.zarr/air/mask/c/0/0"
HEAT = "state.zarr/air/heat/c/0/0"


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for what is due many times a second."""
    often = functools.partial(scrubbing.Scrubber, look_s=0.05)
    monkeypatch.setattr(driver, "Scrubber", often)


def campaign_of(tmp_path: Path, heard: list[Alarm]) -> Campaign:
    """One simulation, checkpointed at every boundary and read all the time."""
    rules = replace(policies(keep=SEGMENTS), scrub=OFTEN, full_every=2)
    campaign = Campaign("c", root=tmp_path, policies=rules, on_alarm=heard.append)
    campaign.submit(box_workflow(segments=SEGMENTS, work_s=0.1), scenario=Scenario("s"))
    return campaign


def flip(path: Path) -> bytes:
    """Change one bit of a file in place, as a disk does; return what it was."""
    good = path.read_bytes()
    bad = bytearray(good)
    bad[len(bad) // 2] ^= 1
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.write(bad)
    return good


def at(campaign: Campaign, boundary: int) -> Path:
    """The checkpoint at a boundary."""
    return next(p for p in campaign.checkpoints("s") if p.name.endswith(f"-{boundary}"))


def test_rot_is_found_and_repaired_from_another_copy(tmp_path: Path) -> None:
    """While it runs; `verify` sees it too, and sees that it is gone."""
    heard: list[Alarm] = []
    campaign = campaign_of(tmp_path, heard)
    run = campaign.start(here())
    until_record(tmp_path, "c", e.CheckpointCommitted, count=4, run=run)
    assert campaign.checkpoints("s").verify().good

    # Of one full checkpoint, shared with the one that is linked to it.
    path = at(campaign, 3) / MASK
    good = flip(path)

    fact = until_record(tmp_path, "c", e.CheckpointScrubbed, run=run)
    run.stop()
    assert fact.repaired == (MASK,)
    assert (fact.bad, fact.damaged) == ((), False)
    assert path.read_bytes() == good
    assert campaign.checkpoints("s").verify().good
    assert not (tmp_path / "c" / "damaged").exists()
    assert heard == []


def test_rot_without_another_copy_is_an_alarm_until_it_is_made_up_for(
    tmp_path: Path,
) -> None:
    """It is set aside before anybody needs it; the next one comes from memory."""
    heard: list[Alarm] = []
    campaign = campaign_of(tmp_path, heard)
    run = campaign.start(here())
    until_record(tmp_path, "c", e.CheckpointCommitted, count=4, run=run)
    newest = campaign.checkpoints("s")[0]
    boundary = int(newest.name.rpartition("-")[2])
    flip(newest / HEAT)

    fact = until_record(tmp_path, "c", e.CheckpointScrubbed, run=run)
    assert (fact.boundary, fact.damaged) == (boundary, True)
    assert [line.split()[0] for line in fact.bad] == [HEAT]
    until(lambda: len(heard) == 2, what="two newer ones are committed")
    told = campaign.explain("s").factors["checkpoints of air"]
    assert told["found damaged"] == (boundary,)
    run.stop()

    assert [(a.kind, a.event, a.simulation) for a in heard] == [
        ("damage", "begins", "s"),
        ("damage", "ends", "s"),
    ]
    assert len(list((tmp_path / "c" / "damaged").iterdir())) == 1
    assert campaign.checkpoints("s").verify().good
    found = records(campaign)
    assert kinds(found, c.RolledBack) == []
    assert committed_twice(found) == []
    heat = ended(campaign, "s")
    reached = int(campaign.checkpoints("s")[0].name.rpartition("-")[2])
    assert same(heat, reference_run("s", segments=reached))
