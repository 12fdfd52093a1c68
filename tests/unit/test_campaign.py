"""What the facade says without running anything."""

from __future__ import annotations

import logging
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from climorch import (
    Campaign,
    Daly,
    EverySegments,
    InvalidInputError,
    NotFoundError,
    Policies,
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


def test_windows_are_told_from_any_process_before_anything_ran(tmp_path: Path) -> None:
    """They are shown at once, changed by name, and withdrawn."""
    campaign = Campaign("c", root=tmp_path)
    campaign.submit(box_workflow("boxes", segments=5), scenario=Scenario("m01"))
    name = campaign.maintenance(
        ["n0", "n1"], "2999-12-01T08:00Z", "2999-12-01T20:00+01:00"
    )
    kept = campaign.reserve(
        3, 32_500_000_000.0, 32_500_003_600.0, holder="m01", name="k"
    )

    # As another process sees them.
    other = Campaign("c", root=tmp_path)
    assert [w.window for w in other.status().windows] == ["k", name]
    assert (name, kept) == ("maintenance-29991201T080000Z", "k")
    table = other.status().windows_to_pandas()
    assert table.loc["k", ["count", "holder", "placed"]].tolist() == [3, "m01", False]
    assert (
        campaign.maintenance(["n1", "n0"], "2999-12-01T08:00Z", "2999-12-01T19:00Z")
        == name
    )
    assert len(list((tmp_path / "c" / "inbox").iterdir())) == 2
    other.withdraw(name)
    assert [w.window for w in campaign.status().windows] == ["k"]
    assert "window k: 3 nodes, not chosen yet, kept for m01 from 2999-" in str(
        campaign.status()
    )
    with pytest.raises(NotFoundError, match=r"no window 'x'; there are \['k'\]"):
        campaign.withdraw("x")


def test_windows_that_cannot_be_leave_nothing_behind(tmp_path: Path) -> None:
    """One error with every fault; no wish is written."""
    campaign = Campaign("c", root=tmp_path)
    with pytest.raises(InvalidInputError) as caught:
        campaign.reserve("n0", datetime(2020, 1, 1), 5.0, holder="x", name="a b")  # noqa: DTZ001 - the fault

    assert [fault.place for fault in caught.value.faults] == [
        "start",
        "stop",
        "holder",
        "name",
    ]
    assert not (tmp_path / "c").exists()


class Broken:
    """No strategy: it cannot be asked."""


def test_strategies_of_stages_and_scenarios_reach_the_rules(tmp_path: Path) -> None:
    """They come with what is submitted; the same scenario without one has none."""
    campaign = Campaign("c", root=tmp_path, policies=Policies(full_every=3))
    wf = box_workflow("boxes", segments=5)
    coupled = Workflow("boxes")
    for stage in wf.stages:
        coupled.stage(
            stage.name,
            stage.step,
            init=stage.init,
            span=stage.span,
            reads=stage.reads,
            chunks=stage.chunks,
            checkpointing=EverySegments(count=2) if stage.name == "sea" else None,
        )
    campaign.submit(coupled, scenario=Scenario("m01"), checkpointing=Daly())
    campaign.submit(coupled, scenario=Scenario("m02"))

    rules = campaign.policies
    assert rules.full_every == 3
    assert rules.overrides.stages == {("boxes", "sea"): EverySegments(count=2)}
    assert rules.overrides.scenarios == {"m01": Daly()}
    campaign.submit(coupled, scenario=Scenario("m01"))
    assert rules.overrides.scenarios == {}


def test_what_is_no_strategy_is_refused(tmp_path: Path) -> None:
    """For a scenario and for a stage, both told at once."""
    wf = Workflow("boxes")
    (stage, *_) = box_workflow("boxes", segments=5).stages
    broken: Any = Broken()
    wf.stage(
        stage.name, stage.step, init=stage.init, span=stage.span, checkpointing=broken
    )

    with pytest.raises(InvalidInputError) as caught:
        Campaign("c", root=tmp_path).submit(
            wf, scenario=Scenario("m01"), checkpointing=broken
        )

    assert [(f.place, f.problem) for f in caught.value.faults] == [
        (
            f"workflow 'boxes', stage '{stage.name}', checkpointing",
            "Broken has no method due(pace)",
        ),
        ("scenario 'm01', checkpointing", "Broken has no method due(pace)"),
    ]


def test_too_long_segments_are_warned_of_when_submitted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With the remedy; the simulation is taken all the same."""
    campaign = Campaign("c", root=tmp_path)
    with caplog.at_level(logging.WARNING, logger="climorch.campaign"):
        campaign.submit(guessed(3600.0), scenario=Scenario("long"))
        # Two stages in turn: 24 min, and half a minute for the checkpoint.
        other = Campaign("d", root=tmp_path)
        other.submit(guessed(720.0), scenario=Scenario("short"))

    (record,) = caplog.records
    assert "simulation 'long', set 'air'" in record.getMessage()
    assert "take up to 7230 s" in record.getMessage()
    assert "shorter segments (Span(every=...))" in record.getMessage()
