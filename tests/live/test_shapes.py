"""Every shape of dependencies, through a driver that is killed in the middle of it."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from climorch import Campaign
from climorch.model import commands as c
from climorch.model import events as e
from climorch.testing.fake_disk import FakeDisk
from climorch.testing.faults import Script, committed_twice
from climorch.testing.invariants.auditor import Auditor
from tests.live.cases import here, kinds, records, same, state_of
from tests.live.shapes_script import campaign_of
from tests.shapes import NAME, SHAPES

SCRIPT = Path(__file__).with_name("shapes_script.py")

# All are tried in virtual time; here one that needs real fields.
BY_DEFAULT = "transform"
ROWS: list[Any] = [
    pytest.param(name, marks=() if name == BY_DEFAULT else pytest.mark.benchmark)
    for name in SHAPES
]


def killed(root: Path, shape: str) -> None:
    """Run a shape until its driver is killed in the middle of it."""
    given = {"root": str(root), "shape": shape, "call": SHAPES[shape].commits}
    environment = {"PYTHONPATH": str(SCRIPT.parents[2])}
    with Script(SCRIPT, json.dumps(given), environment=environment) as script:
        assert script.finish(timeout_s=200)[0] == -signal.SIGKILL


def needed(shape: str) -> dict[str, int]:
    """Return the segments of the stages that are computed to their end.

    How much of one that fails is committed before depends on how fast the disk is.
    """
    found = SHAPES[shape].segments
    return {g: n for g, n in found.items() if not SHAPES[shape].lacks or g == "need"}


def heat(campaign: Campaign, shape: str) -> dict[str, Any]:
    """Return the last heat of each stage that is computed."""
    return {stage: state_of(campaign, NAME, stage) for stage in needed(shape)}


@pytest.mark.live
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ROWS)
def test_a_shape_ends_as_by_hand_though_its_driver_was_killed(
    tmp_path: Path, name: str
) -> None:
    """Bit by bit, in order, nothing committed twice; what is missing is said."""
    killed(tmp_path, name)
    campaign = campaign_of(tmp_path, name)
    before = campaign.status()[NAME].committed
    shape = SHAPES[name]
    assert 0 < before < sum(shape.segments.values())

    assert campaign.run(here(3)).finished

    assert same(heat(campaign, name), shape.by_hand())
    found = records(campaign)
    assert committed_twice(found) == []
    auditor = Auditor(FakeDisk())
    for record in found:
        auditor.take(record)
    status = campaign.status()[NAME]
    least, most = sum(needed(name).values()), sum(shape.segments.values())
    assert least <= status.committed <= most
    if not shape.lacks:
        assert kinds(found, c.SetDropped) == []
        return
    dropped = kinds(found, c.SetDropped)
    assert {record.set for record in dropped} == {shape.lacks}
    assert all("RuntimeError: made to fail" in record.message for record in dropped)
    assert "finished without extra" in status.why
    assert "RuntimeError" in campaign.explain(NAME).factors["goes on without"]["extra"]


@pytest.mark.benchmark
def test_a_state_that_is_made_from_another_says_where_it_comes_from(
    tmp_path: Path,
) -> None:
    """Once: what follows comes from its own checkpoints."""
    campaign = campaign_of(tmp_path, "transform")

    assert campaign.run(here(2)).finished

    rungs = [(r.set, r.rung) for r in kinds(records(campaign), e.SetRestored)]
    assert rungs == [("coarse", "init"), ("fine", "transform")]
