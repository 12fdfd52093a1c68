"""Copies in partners' memory: nodes die, and little has to be computed again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from climorch import (
    LocalSite,
)
from climorch.engine.copying import Copies
from climorch.model import commands as c
from climorch.model import events as e
from climorch.policy.checkpointing import EverySegments
from climorch.policy.partnering import PartnerCopy
from climorch.testing.faults import (
    kill_node,
    until_record,
)
from tests.live.cases import (
    here,
    kinds,
)
from tests.live.copy_cases import (
    RARELY,
    SEGMENTS,
    campaign_of,
    check,
    of_one_block,
    once_held,
    partnered,
    repeated,
    restored,
    spare_pair,
)
from tests.live.test_lineage import plugins_here, scheduler_of


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
@pytest.mark.benchmark
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
@pytest.mark.benchmark
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
