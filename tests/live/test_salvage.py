"""Copies that are written out after a loss, and what goes wrong meanwhile."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

from climorch import (
    Advance,
    BackendError,
    Campaign,
    LocalSite,
    Policies,
    Resources,
    Scenario,
    Segment,
)
from climorch.engine.copying import Copies
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.commands import SalvageCopy
from climorch.policy.partnering import PartnerCopy
from climorch.testing.faults import (
    Script,
    committed_twice,
    fail_in,
    kill_node,
)
from tests.live.cases import (
    add_one,
    boxed,
    column,
    here,
    kinds,
    records,
)
from tests.live.copy_cases import (
    RARELY,
    SEGMENTS,
    campaign_of,
    check,
    holders,
    of_one_block,
    once_held,
    partnered,
    restored,
    spare,
)

SCRIPT = Path(__file__).with_name("campaign_script.py")


@pytest.mark.live
@pytest.mark.parametrize(
    ("second", "expected"),
    [
        pytest.param(spare, (4, "partner"), id="spare", marks=pytest.mark.benchmark),
        pytest.param(
            of_one_block, (0, "init"), id="partner", marks=pytest.mark.benchmark
        ),
    ],
)
def test_a_second_node_lost_while_a_copy_is_written_out(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    second: Callable[[list[set[str]]], set[str]],
    expected: tuple[int, str],
) -> None:
    """If it was not the partner the rest is enough, else the disk has to do."""
    site, campaign = LocalSite(nodes=4), partnered(tmp_path)
    salvage = Copies.salvage

    async def dying(self: Copies, command: SalvageCopy) -> None:
        for node in second(await holders(self)):
            kill_node(site, node)
        await salvage(self, command)

    monkeypatch.setattr(Copies, "salvage", dying)
    once_held(monkeypatch, site, 4, lambda found: ["node001"])

    assert campaign.run(site).finished

    assert restored(check(campaign))[:2] == [(0, "init"), expected]


@pytest.mark.live
@pytest.mark.parametrize(
    ("die", "after", "begun"),
    [
        # The copy is gone with the driver and its nodes.
        pytest.param(
            "checkpoints.begin",
            False,
            (0, "init"),
            id="nothing",
            marks=pytest.mark.benchmark,
        ),
        # A folder that is whole is finished by whoever finds it.
        pytest.param("commit.promote", False, (4, "checkpoint"), id="written"),
        # A commit that no row tells of is found on the disk.
        pytest.param(
            "commit.promote",
            True,
            (4, "checkpoint"),
            id="committed",
            marks=pytest.mark.benchmark,
        ),
    ],
)
def test_a_driver_killed_while_it_writes_a_copy_is_followed_by_one_that_ends_the_same(
    tmp_path: Path, die: str, after: bool, begun: tuple[int, str]
) -> None:
    """What is on the disk whole is taken, what is not is computed again."""
    given = json.dumps(
        {
            "root": str(tmp_path),
            "simulations": "s",
            "segments": SEGMENTS,
            "nodes": 4,
            "gang": 4,
            "copies": True,
            "lose": 4,
            "die": f"climorch.storage.{die}",
            "call": 1,
            "after": after,
        }
    )
    environment = {"PYTHONPATH": str(SCRIPT.parents[2])}
    with Script(SCRIPT, given, environment=environment) as killed:
        assert killed.finish()[0] == -signal.SIGKILL

    campaign = campaign_of(tmp_path, PartnerCopy(disk=RARELY, most_overhead=1.0))
    assert campaign.run(here(4)).finished

    found = check(campaign)
    assert len(kinds(found, c.SalvageCopy)) == 1
    assert restored(found) == [(0, "init"), begun]


def failing(at: int, fails: int) -> Callable[..., Advance]:
    """Make a step that raises so many times in one segment."""
    left = fails

    def step(state: xr.Dataset, inputs: Any, segment: Segment) -> Advance:
        nonlocal left
        # So that each boundary is held before the next one is reached.
        time.sleep(0.5)
        if segment.index == at and left:
            left -= 1
            raise ValueError("told to fail")
        return add_one(state, inputs, segment)

    return step


def counted(root: Path, *, fails: int, salvage_s: float = 60.0) -> Campaign:
    """Make a campaign that counts to six and fails in its fourth segment."""
    strategy = PartnerCopy(disk=RARELY, most_overhead=1.0, salvage_s=salvage_s)
    campaign = Campaign("c", root=root, policies=Policies(checkpointing=strategy))
    wf = column(failing(3, fails), segments=6, resources=Resources(nodes=2))
    campaign.submit(wf, scenario=Scenario("s"))
    return campaign


def test_a_copy_is_written_once_the_storage_works_again(tmp_path: Path) -> None:
    """Two tries fail, the third is the checkpoint that the next attempt starts from."""
    campaign = counted(tmp_path, fails=1)
    error = BackendError("the disk has a bad moment")
    undo = fail_in("climorch.storage.checkpoints.begin", error, when=lambda n: n <= 2)
    try:
        assert campaign.run(here(2)).finished
    finally:
        undo()

    found = records(campaign)
    assert boxed(campaign, "s") == [6.0] * 4
    assert restored(found) == [(0, "init"), (3, "partner")]
    assert len(kinds(found, c.SalvageCopy)) == 1
    assert committed_twice(found) == []


def test_a_copy_that_cannot_be_written_in_time_is_given_up(tmp_path: Path) -> None:
    """The older state serves, and what was computed is computed again."""
    campaign = counted(tmp_path, fails=1, salvage_s=2.0)
    error = BackendError("the disk is away")
    undo = fail_in("climorch.storage.checkpoints.begin", error, when=lambda n: n <= 2)
    try:
        assert campaign.run(here(2)).finished
    finally:
        undo()

    found = records(campaign)
    assert boxed(campaign, "s") == [6.0] * 4
    assert restored(found) == [(0, "init"), (0, "init")]
    assert kinds(found, e.SalvageFailed) == []
    assert committed_twice(found) == []


def test_a_model_that_fails_again_ends_with_its_newest_state_on_the_disk(
    tmp_path: Path,
) -> None:
    """Its budget is used up as without copies; three segments are kept."""
    campaign = counted(tmp_path, fails=99)

    status = campaign.run(here(2))

    assert [s.status for s in status] == ["failed"]
    assert boxed(campaign, "s") == [3.0] * 4
    assert restored(records(campaign))[1:] == [(3, "partner"), (3, "partner")]
