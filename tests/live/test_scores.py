"""Scores of real results: the same numbers as by hand, whatever goes wrong."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

from climorch import Campaign, LocalSite, Scenario
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.workflow import Workflow
from climorch.rules import Judged, Partial
from climorch.testing.models import box_workflow
from tests.live.cases import NoSite, here, kinds, policies, records, series

SEGMENTS = 4


def home() -> int:
    """Return which process has started the nursery of this one."""
    told = Path(f"/proc/{os.getppid()}/stat").read_text()
    return int(told.rpartition(")")[2].split()[1])


def warmth(results: xr.Dataset, partial: Partial) -> Judged:
    """Mean of the newest heat; says what it was told and where it ran."""
    heat = results["heat"]
    assert heat.sizes["time"] == partial.segments
    assert partial.end.year == 2000 + partial.segments
    return Judged(
        value=float(heat.isel(time=-1).mean()),
        sd=0.5,
        samples=3,
        metrics={
            "air": float(partial.needs["air"]["heat"].isel(time=-1).mean()),
            "home": home(),
        },
    )


def raises(results: xr.Dataset, partial: Partial) -> float:
    """A score with a mistake."""
    raise ValueError(f"nothing at {partial.segments}")


def not_a_number(results: xr.Dataset, partial: Partial) -> float:
    """A score of a run that went wrong."""
    return math.nan


def never_comes(results: xr.Dataset, partial: Partial) -> float:
    """A score that hangs."""
    time.sleep(3600)
    return 0.0


def leaves(results: xr.Dataset, partial: Partial) -> float:
    """A score that takes its process down."""
    os._exit(3)


def flow(**scores: Any) -> Workflow:
    """Four years of two boxes, with scores on the sea."""
    wf = box_workflow(segments=SEGMENTS)
    for name, function in scores.items():
        wf.score(
            name,
            stage="sea",
            function=function,
            threshold=0.0,
            every=2 if name == "warmth" else SEGMENTS,
            needs=["air"] if name == "warmth" else (),
            limit_s=3.0 if name == "hangs" else 300.0,
        )
    return wf


def by_hand(mark: int) -> tuple[float, float]:
    """Mean heat of sea and air at a mark."""
    found = series("s", mark)
    return float(found["sea"][-1].mean()), float(found["air"][-1].mean())


def test_scores_are_those_of_the_results_up_to_their_marks(tmp_path: Path) -> None:
    """On a node, which is part of this process here; once each, also when the
    script is run again; a score that is new then is computed from what is there."""
    campaign = Campaign("c", root=tmp_path, policies=policies(every=1))
    campaign.submit(flow(warmth=warmth), scenario=Scenario("s"))

    assert campaign.run(here(2)).finished

    found = records(campaign)
    facts = kinds(found, e.ScoreEvaluated)
    assert [fact.mark for fact in facts] == [2, 4]
    for fact in facts:
        sea, air = by_hand(fact.mark)
        assert fact.value == pytest.approx(sea, rel=1e-12)
        assert fact.metrics["air"] == pytest.approx(air, rel=1e-12)
        assert (fact.sd, fact.samples) == (0.5, 3)
    assert {fact.metrics["home"] for fact in facts} == {os.getpid()}
    factors = campaign.explain("s").factors["score warmth"]
    assert (factors["mark"], factors["value"]) == (4, facts[-1].value)

    again = Campaign("c", root=tmp_path, policies=policies(every=1))
    again.submit(flow(warmth=warmth), scenario=Scenario("s"))
    assert again.run(NoSite(nodes=2)).finished
    assert kinds(records(again)[len(found) :], c.EvaluateScore) == []

    more = Campaign("c", root=tmp_path, policies=policies(every=1))
    more.submit(flow(warmth=warmth, late=warmth_alone), scenario=Scenario("s"))
    assert more.run(here(1)).finished
    late = kinds(records(more)[len(found) :], e.ScoreEvaluated)
    assert [(f.score, f.mark) for f in late] == [("late", 4)]
    assert late[0].value == facts[-1].value


def warmth_alone(results: xr.Dataset, partial: Partial) -> float:
    """The same of the sea alone."""
    return float(results["heat"].isel(time=-1).mean())


@pytest.mark.live
def test_scores_that_fail_stop_nothing(tmp_path: Path) -> None:
    """Raising, not finite, hanging, dying: each is told, the campaign is finished."""
    campaign = Campaign("c", root=tmp_path, policies=policies(every=2))
    campaign.submit(
        flow(
            raises=raises,
            nan=not_a_number,
            hangs=never_comes,
            leaves=leaves,
            warmth=warmth,
        ),
        scenario=Scenario("s"),
    )

    assert campaign.run(LocalSite(nodes=1)).finished

    found = records(campaign)
    failed = {f.score: f for f in kinds(found, e.ScoreFailed)}
    subject = "score {} of s at 4: "
    assert failed["raises"].message == (
        subject.format("raises") + "ValueError: nothing at 4"
    )
    assert (failed["nan"].message, failed["nan"].not_finite) == (
        "the score is nan",
        True,
    )
    assert "no answer within 3 s; it was killed" in failed["hangs"].message
    assert "left with status 3" in failed["leaves"].message
    good = kinds(found, e.ScoreEvaluated)
    assert [f.mark for f in good] == [2, 4]
    # On the node, not beside the driver.
    assert os.getpid() not in {f.metrics["home"] for f in good}
    faults = campaign.explain("s").factors["score raises"]["faults"]
    assert faults == {4: failed["raises"].message}
