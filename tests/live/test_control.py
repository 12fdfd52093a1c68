"""A second process reads a campaign and steers it while a driver runs."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

from climorch import (
    Campaign,
    InvalidInputError,
    NotFoundError,
    SimulationStatus,
)
from climorch.model import commands as c
from climorch.model import events as e
from climorch.storage import inbox
from climorch.testing.faults import Script, committed_twice, until
from climorch.testing.models import reference_run
from tests.live.cases import ended, kinds, records, same

SCRIPT = Path(__file__).with_name("campaign_script.py")
LONG = 1500


def script(root: Path, **given: Any) -> Script:
    """Drive the campaign in a process of its own, on nodes of that process."""
    return Script(
        SCRIPT,
        json.dumps({"root": str(root), "nodes_here": True, **given}),
        environment={"PYTHONPATH": str(SCRIPT.parents[2])},
    )


def becomes(
    campaign: Campaign, simulation: str, status: str, driver: Script | None = None
) -> SimulationStatus:
    """Wait until a simulation has a status, as this process sees it."""

    def look() -> SimulationStatus | None:
        if driver is not None and not driver.alive:
            raise AssertionError(driver.finish())
        found = [s for s in campaign.status() if s.simulation == simulation]
        return next((s for s in found if s.status == status), None)

    return until(look, what=f"{simulation} is {status}", timeout_s=240)


def computes(campaign: Campaign, simulation: str, driver: Script) -> SimulationStatus:
    """Wait until a simulation runs and has committed something."""

    def look() -> SimulationStatus | None:
        if not driver.alive:
            raise AssertionError(driver.finish())
        found = [s for s in campaign.status() if s.simulation == simulation]
        return next((s for s in found if s.nodes and s.committed), None)

    return until(look, what=f"{simulation} computes", timeout_s=240)


def results(campaign: Campaign) -> xr.Dataset | None:
    """Results of s, once there are any."""
    try:
        return campaign.results("s", "sea")
    except NotFoundError:
        return None


def leaves(driver: Script, status: int) -> None:
    """Wait until the driver has ended, with nothing behind it."""
    assert driver.finish(timeout_s=240)[0] == status
    until(lambda: driver.orphans() == [], what="every process is gone")


def end(campaign: Campaign, driver: Script, *names: str) -> None:
    """Cancel what still runs and see the driver leave."""
    for name in names:
        campaign.cancel(name)
    leaves(driver, 3)
    assert waiting(campaign) == []
    assert committed_twice(records(campaign)) == []


def waiting(campaign: Campaign) -> list[str]:
    """What lies in the inbox."""
    folder = campaign.root / campaign.name / inbox.FOLDER
    return sorted(path.name for path in folder.iterdir() if path.name != "junk")


def taken(campaign: Campaign) -> list[e.WishTaken]:
    """Wishes in the journal."""
    return kinds(records(campaign), e.WishTaken)


@pytest.mark.live
def test_pause_from_a_second_process_that_reads_meanwhile(tmp_path: Path) -> None:
    """Status, explanation and results are read; the paused one frees its node."""
    campaign = Campaign("c", root=tmp_path)
    with script(tmp_path, segments=LONG) as driver:
        seen = computes(campaign, "s", driver)
        assert seen.rate_sypd is not None
        assert seen.rate_sypd > 0
        assert seen.expected_end_s is not None
        assert seen.expected_end_s > time.time()
        assert seen.checkpoint_age_s is not None
        assert "s is running: its turn" in str(campaign.explain("s"))
        published = until(lambda: results(campaign), what="results", timeout_s=240)
        assert published.sizes["time"] >= 1
        with pytest.raises(NotFoundError, match="'z'"):
            campaign.pause("z")

        campaign.pause("s")

        paused = becomes(campaign, "s", "paused", driver)
        assert (paused.nodes, paused.computed) == (0, paused.committed)
        assert paused.expected_end_s is None
        assert campaign.explain("s").status.why == "paused"
        assert computes(campaign, "t", driver).nodes >= 1
        (wish,) = taken(campaign)
        assert wish.wish == e.PauseRequested(simulation="s")
        assert f"({os.getpid()})" in wish.by
        end(campaign, driver, "s", "t")


@pytest.mark.live
@pytest.mark.benchmark
def test_resume_from_a_second_process(tmp_path: Path) -> None:
    """A simulation that was paused before the driver began goes on."""
    campaign = Campaign("c", root=tmp_path)
    with script(tmp_path, segments=LONG) as driver:
        before = computes(campaign, "s", driver).committed
        campaign.pause("s")
        becomes(campaign, "s", "paused", driver)

        campaign.resume("s")

        becomes(campaign, "s", "running", driver)
        until(lambda: campaign.status()["s"].committed > before, what="it goes on")
        end(campaign, driver, "s", "t")


@pytest.mark.live
def test_cancel_from_a_second_process(tmp_path: Path) -> None:
    """It ends for good; what is committed can be read, the other one finishes."""
    campaign = Campaign("c", root=tmp_path)
    with script(tmp_path, segments=8, work_s=0.1) as driver:
        computes(campaign, "s", driver)

        campaign.cancel("s")

        assert becomes(campaign, "s", "cancelled", driver).nodes == 0
        leaves(driver, 3)

    assert campaign.status()["t"].status == "finished"
    assert same(ended(campaign, "t"), reference_run("t", segments=8))
    assert campaign.status()["s"].committed < 16
    assert campaign.checkpoints("s")
    assert waiting(campaign) == []


@pytest.mark.live
def test_prioritize_from_a_second_process(tmp_path: Path) -> None:
    """The one that was last in line is the next to get the node."""
    campaign = Campaign("c", root=tmp_path)
    with script(tmp_path, segments=LONG, nodes=1, simulations="stu") as driver:
        computes(campaign, "s", driver)
        assert campaign.status()["u"].why == "goes after t"

        campaign.prioritize("u", priority=7)

        until(lambda: campaign.status()["u"].priority == 7, what="u has its priority")
        assert campaign.explain("t").status.why == "goes after u"
        campaign.cancel("s")
        becomes(campaign, "u", "running", driver)
        assert campaign.status()["t"].status == "waiting"
        end(campaign, driver, "u", "t")


@pytest.mark.live
def test_drain_and_undrain_from_a_second_process(tmp_path: Path) -> None:
    """Who holds the node checkpoints and moves on; the bits are the same."""
    campaign = Campaign("c", root=tmp_path)
    with script(tmp_path, segments=10, work_s=0.1, every=50) as driver:
        until(
            lambda: len([s for s in campaign.status() if s.computed and s.nodes]) == 2,
            what="both compute",
            timeout_s=240,
        )
        (node,) = [n.node for n in campaign.status().nodes if n.simulation == "s"]
        with pytest.raises(NotFoundError, match="'nowhere' is not known"):
            campaign.drain("nowhere")

        campaign.drain(node)

        until(lambda: campaign.status()["s"].nodes == 0, what="s gives it back")
        moved = campaign.status()["s"]
        assert moved.computed == moved.committed > 0
        (drained,) = [n for n in campaign.status().nodes if n.draining]
        assert (drained.node, drained.up, drained.simulation) == (node, True, None)
        assert f"drained: {node}" in moved.why
        campaign.undrain(node)
        leaves(driver, 0)

    assert committed_twice(records(campaign)) == []
    for name in ("s", "t"):
        assert same(ended(campaign, name), reference_run(name, segments=10))
    assert waiting(campaign) == []


@pytest.mark.live
@pytest.mark.benchmark
def test_maintenance_and_withdrawal_from_a_second_process(tmp_path: Path) -> None:
    """Who is on the node leaves it at a boundary, and comes back when it is free."""
    campaign = Campaign("c", root=tmp_path)
    with script(tmp_path, segments=8, work_s=0.1, every=50) as driver:
        until(
            lambda: len([s for s in campaign.status() if s.computed and s.nodes]) == 2,
            what="both compute",
            timeout_s=240,
        )
        (node,) = [n.node for n in campaign.status().nodes if n.simulation == "s"]
        now_s = time.time()
        with pytest.raises(NotFoundError, match="'nowhere': not known"):
            campaign.maintenance("nowhere", now_s, now_s + 600)
        with pytest.raises(InvalidInputError, match="3 nodes are asked for, 2 are up"):
            campaign.reserve(3, now_s, now_s + 600, holder="s")

        name = campaign.maintenance(node, now_s, now_s + 600, hard=False)
        # Before the driver has taken the first one, the same is no second.
        assert campaign.maintenance(node, now_s, now_s + 600, hard=False) == name

        until(lambda: campaign.status()["s"].nodes == 0, what="s gives it back")
        moved = campaign.status()["s"]
        assert moved.computed == moved.committed > 0
        (window,) = campaign.explain("s").factors["windows"]
        assert (window["window"], window["shuts it out"]) == (name, True)
        assert campaign.explain("t").factors["nodes held"] != (node,)
        campaign.withdraw(name)
        leaves(driver, 0)

    found = records(campaign)
    assert [type(wish.wish) for wish in taken(campaign)] == [
        e.WindowDeclared,
        e.WindowWithdrawn,
    ]
    assert kinds(found, c.RolledBack) == []
    for name in ("s", "t"):
        assert same(ended(campaign, name), reference_run(name, segments=8))
    assert waiting(campaign) == []


@pytest.mark.live
def test_a_driver_killed_between_journal_and_removal_takes_no_wish_twice(
    tmp_path: Path,
) -> None:
    """The next one finds the file, knows the wish, and only removes it."""
    campaign = Campaign("c", root=tmp_path)
    die = "climorch.storage.inbox.remove"
    with script(tmp_path, segments=LONG, die=die, call=1) as killed:
        computes(campaign, "s", killed)
        campaign.pause("s")
        leaves(killed, -signal.SIGKILL)
    assert len(waiting(campaign)) == len(taken(campaign)) == 1
    assert campaign.status()["s"].status == "paused"

    # Given while nobody drives: shown at once, taken by the next one.
    campaign.resume("s")
    campaign.prioritize("t", priority=4)
    assert campaign.status()["s"].status == "waiting"
    assert campaign.status()["t"].priority == 4
    with script(tmp_path, segments=LONG) as driver:
        becomes(campaign, "s", "running", driver)
        until(lambda: waiting(campaign) == [], what="the inbox is empty")
        end(campaign, driver, "s", "t")

    told = Counter(wish.id for wish in taken(campaign))
    assert set(told.values()) == {1}
    assert [type(wish.wish) for wish in taken(campaign)][:3] == [
        e.PauseRequested,
        e.ResumeRequested,
        e.PriorityRequested,
    ]


@pytest.mark.live
def test_a_wish_outlives_a_driver_that_never_looked(tmp_path: Path) -> None:
    """Given to a driver that is frozen and then killed, the next one obeys."""
    campaign = Campaign("c", root=tmp_path)
    with script(tmp_path, segments=LONG) as frozen:
        computes(campaign, "s", frozen)
        frozen.send(signal.SIGSTOP)
        campaign.pause("s")
        campaign.drain("node001")
        frozen.send(signal.SIGKILL)
        leaves(frozen, -signal.SIGKILL)
    assert taken(campaign) == []
    assert campaign.status()["s"].status == "paused"
    rows = len(records(campaign))

    with script(tmp_path, segments=LONG) as driver:
        until(lambda: campaign.status()["t"].nodes == 1, what="t runs", timeout_s=240)
        until(lambda: waiting(campaign) == [], what="the inbox is empty")
        assert campaign.status()["s"].nodes == 0
        end(campaign, driver, "s", "t")

    # Before the first node was leased: nothing of s ran in between.
    leased = [r.nodes for r in kinds(records(campaign)[rows:], c.SetLease) if r.nodes]
    assert set(leased) == {("node000",)}


@pytest.mark.live
def test_junk_in_the_inbox_is_set_aside_and_told_and_stops_nothing(
    tmp_path: Path,
) -> None:
    """Proper wishes beside it are taken; each piece is one alarm."""
    campaign = Campaign("c", root=tmp_path)
    alarms = tmp_path / "alarms.txt"
    with script(tmp_path, segments=LONG, alarms=str(alarms)) as driver:
        computes(campaign, "s", driver)
        folder = tmp_path / "c" / inbox.FOLDER
        folder.mkdir(exist_ok=True)
        (folder / "00000000000000000001-0123456789ab.json").write_bytes(b"\x00junk")
        os.mkfifo(folder / "00000000000000000002-0123456789ab.json")
        (folder / "readme.txt").write_text("what is this folder?")
        campaign.pause("s")

        becomes(campaign, "s", "paused", driver)
        until(lambda: waiting(campaign) == [], what="the inbox is clean")
        end(campaign, driver, "s", "t")

    told = alarms.read_text().splitlines()
    assert len([line for line in told if line.startswith("inbox begins")]) == 3
    assert len(list((folder / "junk").iterdir())) == 3
    assert "'readme.txt' in the inbox is no wish" in alarms.read_text()
