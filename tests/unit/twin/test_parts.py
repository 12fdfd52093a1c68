"""Segments of several parts on a virtual cluster."""

from __future__ import annotations

import math

import msgspec
import pytest

from climorch.core.pacing import pace_at, too_long
from climorch.core.progress import Policies
from climorch.model import events as e
from climorch.model.plan import StagePlan
from climorch.policy.checkpointing import EverySegments
from climorch.policy.limits import Limits
from climorch.twin.costs import Amdahl, Work
from climorch.twin.hazards import Absence
from climorch.twin.learning import learn
from climorch.twin.site import TwinSite
from tests.unit.core.script import Script, submitted
from tests.unit.twin.stage import FREE, Play, stage
from tests.unit.twin.test_losses import lost

UNCAPPED = Limits(most_overhead=math.inf, most_exposure_s=math.inf)
DONE = ("attempt", "SegmentFinished", "CheckpointCommitted", "back")


def parted(segments: int = 2, parts: int = 4) -> StagePlan:
    """Make a stage of segments of several parts, a second of model time each."""
    return msgspec.structs.replace(stage(segments=segments * parts), parts=parts)


def played(
    *absences: Absence, exposed_s: float = math.inf, coarse: bool = False
) -> Play:
    """Run two segments of 40 s in four parts; each one's end is checkpointed."""
    play = Play(
        nodes=1,
        cost=Amdahl(seconds=40.0),
        overheads=FREE,
        absences=absences,
        policies=Policies(
            checkpointing=EverySegments(),
            limits=Limits(most_overhead=math.inf, most_exposure_s=exposed_s),
        ),
        coarse=coarse,
    )
    play.submit(parted())
    play.run()
    return play


def test_a_part_takes_its_share_and_only_whole_segments_count_for_a_strategy() -> None:
    """Ten seconds each; checkpoints at the end of the first segment and of all."""
    assert played().told(*DONE) == [
        "0 attempt s.a #1 from 0",
        "10 SegmentFinished s.a 0",
        "20 SegmentFinished s.a 1",
        "30 SegmentFinished s.a 2",
        "40 SegmentFinished s.a 3",
        "40 CheckpointCommitted s",
        "50 SegmentFinished s.a 4",
        "60 SegmentFinished s.a 5",
        "70 SegmentFinished s.a 6",
        "80 SegmentFinished s.a 7",
        "80 CheckpointCommitted s",
    ]


def test_the_cap_on_exposure_has_a_segment_checkpointed_inside() -> None:
    """At most 28 of 60 s: after two parts a third would be too far."""
    play = played(exposed_s=60.0)

    commits = [t for t, _ in play.facts(e.CheckpointCommitted)]
    assert commits == [20.0, 40.0, 60.0, 80.0]


def test_a_loss_costs_what_follows_the_newest_part() -> None:
    """At 35 s, noticed a second later: from the second part, not from the beginning."""
    gone = lost("node-0", at_s=35.0, until_s=100.0)

    assert played(gone, exposed_s=60.0).told("attempt", "back") == [
        "0 attempt s.a #1 from 0",
        "36 back s.a to 2: 1 segments, 16 s, NODE_LOST",
        "100 attempt s.a #2 from 2",
    ]
    assert played(gone).told("attempt", "back")[1:] == [
        "36 back s.a to 0: 3 segments, 36 s, NODE_LOST",
        "100 attempt s.a #2 from 0",
    ]


def test_coarse_mode_goes_through_parts_as_fine_mode_does() -> None:
    """The same checkpoints of 12 segments, at the same times."""
    found = []
    for coarse in (False, True):
        play = Play(
            nodes=1,
            cost=Amdahl(seconds=40.0),
            overheads=FREE,
            policies=Policies(checkpointing=EverySegments(count=2), limits=UNCAPPED),
            coarse=coarse,
        )
        play.submit(parted(segments=12))
        play.run()
        told = [(t, f.boundary) for t, f in play.facts(e.CheckpointCommitted)]
        for _, fact in play.facts(e.SetAdvanced):
            told += [(w.committed_s, w.boundary) for w in fact.written]
        found.append(sorted(told))

    assert found[0] == found[1]
    assert found[0] == [(80.0 * k, 8 * k) for k in range(1, 7)]


@pytest.mark.parametrize(
    ("began", "boundary", "counted"),
    [(0, 3, 0), (0, 4, 1), (4, 7, 0), (6, 8, 1), (2, 13, 3)],
)
def test_a_strategy_is_told_of_ends_of_segments(
    began: int, boundary: int, counted: int
) -> None:
    """Where it began inside of one, the end of that counts."""
    s = Script()
    s.tell(submitted(parted(segments=4)))
    held = s.set()
    held.from_boundary = began

    pace = pace_at(s.orchestrator.state, s.simulation(), held, boundary, 0.0, math.inf)

    assert pace.boundaries == counted


def test_the_remedy_for_segments_that_are_too_long_names_parts() -> None:
    """And with enough of them there is no fault."""
    found = {}
    for parts in (1, 4):
        s = Script()
        plan = parted(segments=2, parts=parts)
        guess = msgspec.structs.replace(plan.resources, segment_s=6000.0 / parts)
        s.tell(submitted(msgspec.structs.replace(plan, resources=guess)))
        found[parts] = list(too_long(s.orchestrator.state, s.simulation(), Limits()))

    assert found[4] == []
    (fault,) = found[1]
    assert "let its step yield states (stage(parts=...))" in fault.remedy


def test_a_rehearsal_learns_segments_from_their_parts() -> None:
    """Ten seconds for each of four parts: the twin's costs are of whole segments."""
    s = Script()
    s.nodes("n0")
    s.tell(submitted(parted(segments=10)))
    s.restored()
    for part in range(6):
        s.finished(part)

    site = learn(TwinSite(nodes=1), s.orchestrator.state, [], {})

    assert site.costs is not None
    cost = site.costs.of("w", "a")
    assert cost is not None
    assert cost(Work("s", "w", "a", 0, 1, {}), 1) == pytest.approx(40.0, rel=0.02)
