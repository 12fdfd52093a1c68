"""What the facade says without running anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from climorch import (
    Campaign,
    InvalidInputError,
    Resources,
    Scenario,
    Workflow,
)
from climorch.testing.models import box_workflow


def guessed(seconds: float) -> Workflow:
    """A workflow of two coupled boxes of which one segment takes so long."""
    plain = box_workflow("boxes", segments=5)
    wf = Workflow("boxes")
    for stage in plain.stages:
        wf.stage(
            stage.name,
            stage.step,
            init=stage.init,
            span=stage.span,
            reads=stage.reads,
            chunks=stage.chunks,
            resources=Resources(nodes=2, segment_s=seconds),
        )
    return wf


def test_an_estimate_needs_no_run(tmp_path: Path) -> None:
    """Duration and node-hours come from guesses; nothing is written."""
    campaign = Campaign("c", root=tmp_path / "root")
    found = campaign.estimate(guessed(360.0), scenario=Scenario("m01"))

    # Five boundaries, two stages in turn, six minutes each, on two nodes; the
    # middle of a sum of doubtful parts is a little above the sum of middles.
    assert found.duration_s.p50 == pytest.approx(3800.0, rel=0.03)
    assert found.node_hours.p50 == pytest.approx(found.duration_s.p50 / 1800)
    assert found.node_hours.p10 < 1.3
    assert found.node_hours.p90 > 3.0
    assert not (tmp_path / "root").exists()


def test_an_estimate_without_any_knowledge_says_what_is_missing(
    tmp_path: Path,
) -> None:
    """Every stage without a guess is a fault of one error."""
    campaign = Campaign("c", root=tmp_path)
    with pytest.raises(InvalidInputError, match="nothing is known") as caught:
        campaign.estimate(box_workflow("boxes", segments=5), scenario=Scenario("m01"))

    assert [fault.place for fault in caught.value.faults] == [
        "stage 'air'",
        "stage 'sea'",
    ]


def test_an_estimate_refuses_what_submit_would(tmp_path: Path) -> None:
    """A workflow with faults, or a project that nobody declared, is no plan."""
    wf = Workflow("empty")
    with pytest.raises(InvalidInputError, match="project"):
        Campaign("c", root=tmp_path).estimate(
            wf, scenario=Scenario("m01", project="nobody")
        )
