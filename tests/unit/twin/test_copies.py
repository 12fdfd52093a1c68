"""Copies in partners' memory on a virtual cluster."""

from __future__ import annotations

from dataclasses import replace

import pytest

from climorch.core.progress import Policies
from climorch.model import events as e
from climorch.model.windows import Window
from climorch.policy.checkpointing import EverySegments
from climorch.policy.partnering import PartnerCopy
from climorch.twin.costs import Work
from climorch.twin.hazards import Absence
from climorch.twin.storage import BadSpell, Storage
from tests.unit.twin.stage import OVERHEADS, Play, stage
from tests.unit.twin.test_losses import lost

STORY = (
    "attempt",
    "SegmentFinished",
    "CopyHeld",
    "CopyFailed",
    "NodeLost",
    "salvage",
    "SalvageFailed",
    "CheckpointCommitted",
    "abandon",
    "back",
)
COPYING = Policies(
    checkpointing=PartnerCopy(
        disk=EverySegments(count=99), most_overhead=1.0, salvage_s=20.0
    )
)

UNCOPIED = Policies(checkpointing=EverySegments(count=99))


def played(
    *absences: Absence,
    nodes: int = 4,
    segments: int = 3,
    policies: Policies = COPYING,
    storage: Storage | None = None,
) -> Play:
    """Run one simulation on all nodes; each loss is noticed after a second."""
    play = Play(
        nodes=nodes,
        overheads=OVERHEADS,
        absences=absences,
        detect_s=1.0,
        policies=policies,
        storage=storage or Storage(),
    )
    play.submit(stage(segments=segments, nodes=nodes))
    play.run()
    return play


def test_copies_stall_a_set_shortly_and_are_held_after_their_time() -> None:
    """Half a second at each boundary; the disk is written at the end only."""
    play = played(segments=2)

    assert play.told(*STORY) == [
        "0 attempt s.a #1 from 0",
        "13 SegmentFinished s.a 0",
        "14.5 CopyHeld s",
        "23.5 SegmentFinished s.a 1",
        "25 CopyHeld s",
        "26.5 CheckpointCommitted s",
        "26.5 abandon s.a #1",
    ]


def test_a_loss_costs_what_was_computed_since_the_copy() -> None:
    """The copy is written in 3 s, then the set goes on from there."""
    play = played(lost("node-1", at_s=18.0, until_s=30.0))

    assert play.told(*STORY)[2:9] == [
        "14.5 CopyHeld s",
        "19 NodeLost node-1",
        "19 salvage s.a 1 #1 until 39",
        "22 CheckpointCommitted s",
        "22 abandon s.a #1",
        "22 back s.a to 1: 0 segments, 6 s, NODE_LOST",
        "30 attempt s.a #2 from 1",
    ]


@pytest.mark.parametrize(
    ("second", "saved"),
    [("node-1", False), ("node-2", True), ("node-3", False)],
)
def test_only_neighbours_in_the_ring_lose_a_copy_together(
    second: str, saved: bool
) -> None:
    """Node 0 and the one after or before it, not the one across."""
    play = played(
        lost("node-0", at_s=18.0, until_s=30.0), lost(second, at_s=18.0, until_s=30.0)
    )

    assert bool(play.facts(e.SalvageFailed)) is not saved
    (_, begun), *_ = [
        (t, fact) for t, fact in play.facts(e.SetRestored) if fact.attempt == 2
    ]
    assert begun.boundary == (1 if saved else 0)


def test_a_partner_that_dies_while_the_copy_is_written_ends_that() -> None:
    """The blocks that only it held are gone."""
    play = played(
        lost("node-0", at_s=18.0, until_s=40.0), lost("node-1", at_s=20.0, until_s=40.0)
    )

    assert play.told("salvage", "SalvageFailed", "back") == [
        "19 salvage s.a 1 #1 until 39",
        "20 SalvageFailed s",
        "20 back s.a to 0: 1 segments, 16 s, NODE_LOST",
    ]


def test_another_node_that_dies_meanwhile_does_not() -> None:
    """What it held, its partner holds."""
    play = played(
        lost("node-0", at_s=18.0, until_s=40.0), lost("node-2", at_s=20.0, until_s=40.0)
    )

    assert play.told("SalvageFailed", "back") == [
        "22 back s.a to 1: 0 segments, 6 s, NODE_LOST"
    ]


def test_storage_that_is_too_slow_is_waited_for_until_the_limit() -> None:
    """Then the older checkpoint serves, and the books balance."""
    slow = Storage(spells=(BadSpell(start_s=15.0, stop_s=60.0, factor=50.0),))
    play = played(lost("node-1", at_s=18.0, until_s=30.0), storage=slow)

    assert play.told("salvage", "CheckpointCommitted", "back")[:2] == [
        "19 salvage s.a 1 #1 until 39",
        "39 back s.a to 0: 1 segments, 16 s, NODE_LOST",
    ]


def test_a_small_loss_while_a_copy_is_made_breaks_the_attempt() -> None:
    """What was cut was on one node only: the copy before is written."""
    play = played(lost("node-4", at_s=24.0, until_s=40.0), nodes=5)

    assert play.told(*STORY)[3:10] == [
        "23.5 SegmentFinished s.a 1",
        "25 NodeLost node-4",
        "25 CopyFailed s",
        "25 salvage s.a 1 #1 until 45",
        "28 CheckpointCommitted s",
        "28 abandon s.a #1",
        "28 back s.a to 1: 1 segments, 11.5 s, NOT_DURABLE",
    ]


def test_a_small_loss_later_is_healed_from_the_copy() -> None:
    """Only the segment under way is computed again, on four nodes."""
    play = played(lost("node-4", at_s=30.0), nodes=5)

    assert play.told("salvage", "abandon", "NodeLost") == [
        "31 NodeLost node-4",
        "46.5 abandon s.a #1",
    ]


def test_two_nodes_are_lost_with_all_they_hold() -> None:
    """Each was the only partner of the other."""
    play = played(
        lost("node-0", at_s=18.0, until_s=30.0),
        lost("node-1", at_s=18.5, until_s=30.0),
        nodes=2,
    )

    assert play.told("salvage", "SalvageFailed", "back") == [
        "19 salvage s.a 1 #1 until 39",
        "19 SalvageFailed s",
        "19 back s.a to 0: 1 segments, 16 s, NODE_LOST",
    ]


def test_a_restore_from_a_copy_says_so_with_its_bytes_and_seconds() -> None:
    """A second to start and four to read; where the disk served it says checkpoint."""
    overheads = replace(OVERHEADS, state_bytes=800)
    play = Play(
        nodes=4,
        overheads=overheads,
        absences=(lost("node-1", at_s=18.0, until_s=30.0),),
        detect_s=1.0,
        policies=COPYING,
    )
    play.submit(stage(segments=3, nodes=4))
    play.run()

    told = [fact for _, fact in play.facts(e.SetRestored)]
    assert [(f.rung, f.bytes_read, f.seconds) for f in told] == [
        ("init", 0, 3.0),
        ("partner", 800, 5.0),
    ]
    disk = played(lost("node-1", "node-2", at_s=18.0, until_s=30.0))
    assert [f.rung for _, f in disk.facts(e.SetRestored)] == ["init", "init"]


def overrun(work: Work, nodes: float) -> float:
    """Let the fourth segment take far longer than those before it."""
    return 60.0 if work.segment == 3 else 10.0


def test_a_copy_is_on_the_disk_before_a_hard_window_takes_its_nodes() -> None:
    """What is lost began after the copy; without copies it was two segments more."""
    lost_s = {}
    for name, policies in (("with", COPYING), ("without", UNCOPIED)):
        play = Play(
            nodes=4, overheads=OVERHEADS, detect_s=1.0, policies=policies, cost=overrun
        )
        play.submit(stage(segments=6, nodes=4))
        window = Window(name="w", start_s=80.0, stop_s=100.0)
        play.twin.post(e.WindowDeclared(window=window))
        play.run()
        lost_s[name] = play.told("back")
    assert lost_s == {
        "with": ["80 back s.a to 3: 0 segments, 43.5 s, WALLTIME"],
        "without": ["80 back s.a to 1: 2 segments, 64 s, WALLTIME"],
    }
