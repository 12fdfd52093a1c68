"""Copies in partners' memory: nodes die, and little has to be computed again."""

from __future__ import annotations

import itertools
import json
import signal
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from climorch import Campaign, LocalSite, Policies, Scenario
from climorch.engine.copying import Copies, Copy
from climorch.engine.rooting import blocks_in
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.commands import BeginCopy, Record, SalvageCopy
from climorch.policy.checkpointing import CheckpointStrategy, EverySegments
from climorch.policy.partnering import PartnerCopy
from climorch.policy.retention import KeepLast
from climorch.testing.faults import Script, committed_twice, kill_node, until_record
from climorch.testing.models import box_workflow, reference_run
from tests.live.cases import ended, here, kinds, records, same
from tests.live.test_lineage import plugins_here, scheduler_of

SCRIPT = Path(__file__).with_name("campaign_script.py")
SEGMENTS = 8
RARELY = EverySegments(count=99)


def partnered(root: Path, disk: CheckpointStrategy = RARELY) -> Campaign:
    """Make a campaign that copies at every boundary."""
    return campaign_of(root, PartnerCopy(disk=disk, most_overhead=1.0))


def campaign_of(
    root: Path, strategy: CheckpointStrategy, *, nodes: int = 4, chunk: int = 2
) -> Campaign:
    """Make a campaign of one simulation that holds all nodes."""
    policies = Policies(checkpointing=strategy, retention=KeepLast(count=10))
    campaign = Campaign("c", root=root, policies=policies)
    wf = box_workflow(segments=SEGMENTS, nodes=nodes, chunk=chunk, work_s=0.1)
    campaign.submit(wf, scenario=Scenario("s"))
    return campaign


def once_held(
    monkeypatch: pytest.MonkeyPatch,
    site: LocalSite,
    boundary: int,
    victims: Callable[[list[set[str]]], Iterable[str]],
) -> None:
    """Kill nodes as soon as the copy of a boundary is held, the first time."""
    hold, done = Copies.hold, False

    async def holding(self: Copies, copy: Copy, command: BeginCopy) -> None:
        nonlocal done
        await hold(self, copy, command)
        if command.boundary == boundary and not done:
            done = True
            for node in victims(await holders(self)):
                kill_node(site, node)

    monkeypatch.setattr(Copies, "hold", holding)


async def holders(copies: Copies) -> list[set[str]]:
    """Return the nodes that hold each block of the newest copy."""
    services, newest = copies.services, copies.newest
    assert newest is not None
    futures = [block.future for block in blocks_in(newest.cut.datasets)]
    who_has = await services.client.who_has(futures)
    return [{services.nodes[a] for a in found} for found in who_has.values()]


def of_one_block(found: list[set[str]]) -> set[str]:
    """Choose the nodes without which a block is nowhere."""
    return min(found, key=len)


def spare(found: list[set[str]]) -> set[str]:
    """Choose a node without which every block is still somewhere."""
    nodes = sorted(set.union(*found))
    return {next(n for n in nodes if all(block - {n} for block in found))}


def spare_pair(found: list[set[str]]) -> set[str]:
    """Choose two nodes without which every block is still somewhere."""
    nodes = sorted(set.union(*found))
    return next(
        {m, n}
        for m, n in itertools.combinations(nodes, 2)
        if all(block - {m, n} for block in found)
    )


def check(campaign: Campaign) -> list[Record]:
    """Bitwise equal to an undisturbed run, results whole, nothing done twice."""
    assert same(ended(campaign, "s"), reference_run("s", segments=SEGMENTS))
    for stage in ("air", "sea"):
        years = campaign.results("s", stage)["time"].to_numpy()
        assert [date.year for date in years] == list(range(2000, 2000 + SEGMENTS))
    found = records(campaign)
    assert committed_twice(found) == []
    return found


def restored(found: Iterable[Record]) -> list[tuple[int, str]]:
    """Where each attempt started from."""
    return [(fact.boundary, fact.rung) for fact in kinds(found, e.SetRestored)]


def repeated(found: Iterable[Record]) -> list[tuple[str, int]]:
    """Segments that were computed more than once."""
    counts = Counter((f.stage, f.segment) for f in kinds(found, e.SegmentFinished))
    return sorted(place for place, count in counts.items() if count > 1)


@pytest.mark.live
def test_one_of_four_nodes_lost_costs_at_most_the_segment_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state of the last boundary is taken from partners, to the same bits."""
    site, campaign = LocalSite(nodes=4), partnered(tmp_path)
    once_held(monkeypatch, site, 4, lambda found: ["node001"])

    assert campaign.run(site).finished

    found = check(campaign)
    assert restored(found) == [(0, "init"), (4, "partner")]
    # Of each stage, one may have been finished before the loss was noticed.
    assert set(repeated(found)) <= {("air", 4), ("sea", 4)}
    assert [fact.boundary for fact in kinds(found, c.RolledBack)] == [4]
    factors = campaign.explain("s").factors["set air"]
    assert factors["states came from"] == "partner"
    assert factors["last written from a copy"] == 4
    assert factors["lost by the newest failure, s"] > 0


@pytest.mark.live
def test_without_copies_the_same_loss_costs_all_since_the_disk(
    tmp_path: Path,
) -> None:
    """Every segment is computed again."""
    site, campaign = LocalSite(nodes=4), campaign_of(tmp_path, RARELY)
    run = campaign.start(site)
    until_record(
        tmp_path, "c", e.SegmentFinished, where=lambda f: f.segment == 3, run=run
    )
    kill_node(site, "node001")

    assert run.wait(timeout_s=240)

    found = check(campaign)
    assert restored(found) == [(0, "init"), (0, "init")]
    assert len(repeated(found)) >= 7


@pytest.mark.live
def test_holder_and_partner_lost_leave_the_older_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not all blocks are there: the disk serves, and the bits are the same."""
    site = LocalSite(nodes=4)
    campaign = partnered(tmp_path, disk=EverySegments(count=2))
    once_held(monkeypatch, site, 5, of_one_block)

    assert campaign.run(site).finished

    found = check(campaign)
    begun = restored(found)
    assert begun[0] == (0, "init")
    # The checkpoint of 4 may have been in flight still.
    assert begun[1] in [(2, "checkpoint"), (4, "checkpoint")]
    assert len(kinds(found, e.SalvageFailed)) == 1


@pytest.mark.live
@pytest.mark.benchmark
def test_two_nodes_that_are_no_partners_lost_at_once_cost_no_more_than_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of each block one copy is left."""
    site, campaign = LocalSite(nodes=4), partnered(tmp_path)
    once_held(monkeypatch, site, 4, spare_pair)

    assert campaign.run(site).finished

    assert restored(check(campaign)) == [(0, "init"), (4, "partner")]


@pytest.mark.live
def test_one_of_five_nodes_lost_is_healed_without_a_new_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dask takes the blocks of the boundary from partners and goes on."""
    site = LocalSite(nodes=5)
    strategy = PartnerCopy(disk=RARELY, most_overhead=1.0)
    campaign = campaign_of(tmp_path, strategy, nodes=5, chunk=1)
    once_held(monkeypatch, site, 4, lambda found: ["node001"])

    assert campaign.run(site).finished

    found = check(campaign)
    assert [fact.node for fact in kinds(found, e.NodeLost)] == ["node001"]
    assert restored(found) == [(0, "init")]
    assert repeated(found) == []


@pytest.mark.live
def test_a_node_lost_while_a_copy_is_made_leaves_the_copy_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy that is half there is not used."""
    site, campaign = LocalSite(nodes=4), partnered(tmp_path)
    carry, calls = Copies._carry, 0

    async def dying(self: Copies, blocks: list[Any]) -> int:
        nonlocal calls
        calls += 1
        if calls == 4:
            kill_node(site, "node002")
        return await carry(self, blocks)

    monkeypatch.setattr(Copies, "_carry", dying)

    assert campaign.run(site).finished

    found = check(campaign)
    assert restored(found) == [(0, "init"), (3, "partner")]
    held = [fact.boundary for fact in kinds(found, e.CopyHeld) if fact.attempt == 1]
    assert held == [1, 2, 3]


@pytest.mark.live
@pytest.mark.parametrize(
    ("second", "expected"),
    [
        pytest.param(spare, (4, "partner"), id="spare", marks=pytest.mark.benchmark),
        pytest.param(of_one_block, (0, "init"), id="partner"),
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
    "after",
    [
        pytest.param(False, id="before"),
        pytest.param(True, id="after", marks=pytest.mark.benchmark),
    ],
)
def test_a_driver_killed_while_it_writes_a_copy_is_followed_by_one_that_ends_the_same(
    tmp_path: Path, after: bool
) -> None:
    """Before the commit the copy is gone with it; after it, the checkpoint is there."""
    given = json.dumps(
        {
            "root": str(tmp_path),
            "simulations": "s",
            "segments": SEGMENTS,
            "nodes": 4,
            "gang": 4,
            "copies": True,
            "lose": 4,
            "die": "climorch.storage.commit.promote",
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
    # A commit that no row tells of is found on the disk; a whole folder is finished.
    assert restored(found) == [(0, "init"), (4, "checkpoint")]


def test_copies_are_freed_one_after_the_other(tmp_path: Path) -> None:
    """The nodes hold the roots of a few boundaries, however many there were."""
    site = here(2)
    campaign = campaign_of(
        tmp_path, PartnerCopy(disk=RARELY, most_overhead=1.0), nodes=2, chunk=4
    )
    run = campaign.start(site)
    scheduler = scheduler_of(site)
    boundaries: set[str] = set()
    most = stashes = 0
    while not run.wait(timeout_s=0.02):
        words = [k[0] for k in list(scheduler.tasks) if isinstance(k, tuple)]
        roots = {str(word) for word in words if str(word).startswith("root-")}
        boundaries |= roots
        most = max(most, len(roots))
        stashes = max([stashes, *(len(plugin.stash) for plugin in plugins_here())])
    found = check(campaign)
    assert len(kinds(found, e.CopyHeld)) >= SEGMENTS - 2
    # Three fields of two stages have six roots per boundary: the newest copy, the
    # next one, and what the segment under way began from.
    assert len(boundaries) >= 6 * (SEGMENTS - 2)
    assert most <= 6 * 4
    assert stashes <= 2


def test_where_dask_drops_second_copies_none_is_claimed(tmp_path: Path) -> None:
    """The disk's strategy is used as without partners, and the journal says why."""
    site = here(2)
    disk = EverySegments(count=3)
    campaign = campaign_of(
        tmp_path, PartnerCopy(disk=disk, most_overhead=1.0), nodes=2, chunk=4
    )
    run = campaign.start(site)
    scheduler = scheduler_of(site)
    scheduler.loop.add_callback(scheduler.extensions["amm"].start)
    assert run.wait(timeout_s=120)

    found = check(campaign)
    failed = kinds(found, e.CopyFailed)
    assert failed
    assert all("active memory manager" in fact.message for fact in failed)
    committed = [fact.boundary for fact in kinds(found, e.CheckpointCommitted)]
    assert committed == [3, 6, 8]
