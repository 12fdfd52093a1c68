"""What the tests of copies in partners' memory share."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from climorch import (
    Campaign,
    LocalSite,
    Policies,
    Scenario,
)
from climorch.engine.copying import Copies, Copy
from climorch.engine.rooting import blocks_in
from climorch.model import events as e
from climorch.model.commands import BeginCopy, Record
from climorch.policy.checkpointing import CheckpointStrategy, EverySegments
from climorch.policy.partnering import PartnerCopy
from climorch.policy.retention import KeepLast
from climorch.testing.faults import (
    committed_twice,
    kill_node,
)
from climorch.testing.models import box_workflow, reference_run
from tests.live.cases import (
    ended,
    kinds,
    records,
    same,
)

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
