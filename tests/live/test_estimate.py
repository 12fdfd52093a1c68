"""What is learned live serves the next simulation."""

from __future__ import annotations

from pathlib import Path

import pytest

from climorch import Campaign, InvalidInputError, Scenario
from climorch.model import events as e
from climorch.testing.models import box_workflow
from tests.live.cases import here, kinds, policies, records


def test_a_member_is_estimated_from_the_one_before(tmp_path: Path) -> None:
    """Without a guess: after one member ran, the next one has a number."""
    wf = box_workflow("boxes", segments=6)
    campaign = Campaign("c", root=tmp_path, policies=policies(every=2))
    with pytest.raises(InvalidInputError, match="stage 'air'"):
        campaign.estimate(wf, scenario=Scenario("m01"))
    campaign.submit(wf, scenario=Scenario("m01"))
    assert campaign.run(here(1)).finished

    found = kinds(records(campaign), e.SegmentFinished)
    assert {fact.nodes for fact in found} == {1}
    computed_s = sum(fact.seconds for fact in found)
    done = campaign.estimate(wf, scenario=Scenario("m01"))
    assert done.remaining_s.p90 == 0.0
    assert done.spent_s >= computed_s
    assert done.spent_node_hours == pytest.approx(done.spent_s / 3600)

    new = campaign.estimate(wf, scenario=Scenario("m02"))
    assert [(row.basis, row.segments, row.samples) for row in new.stages] == [
        ("others", 6, 6),
        ("others", 6, 6),
    ]
    assert 0 < new.duration_s.p10 < new.duration_s.p50 < new.duration_s.p90
    # The stages run in turn: their segments are the least it takes.
    assert new.duration_s.p90 > computed_s / 3
