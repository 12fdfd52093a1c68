"""All findings together."""

from __future__ import annotations

import pytest

from climorch.forecast.booked import Ledger
from climorch.forecast.entries import Entry
from climorch.forecast.insights import found as module
from climorch.forecast.insights.finding import Finding, Gain, Kind, Study
from climorch.forecast.insights.found import FINDERS, Insights, insights
from climorch.forecast.parts import Part
from climorch.forecast.timings import LeaseSpan, Slowness, Times
from tests.unit.forecast.insights.made import simulation


def finding(gain: float, kind: Kind = Kind.QUEUE) -> Finding:
    """Make a finding."""
    return Finding(
        kind=kind,
        about="campaign",
        message="it is slow",
        evidence={},
        gain=gain,
        of=Gain.TIME,
        change="be faster",
    )


def test_the_largest_gain_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever found it."""
    finders = (
        lambda study: [finding(0.1)],
        lambda study: [finding(0.3, Kind.BALANCE), finding(0.2)],
    )
    monkeypatch.setattr(module, "FINDERS", finders)

    found = insights(Ledger(campaign="c"), Times(), longest_s=1.0)
    assert [x.gain for x in found] == [0.3, 0.2, 0.1]
    assert [x.gain for x in found.of(Kind.QUEUE)] == [0.2, 0.1]
    table = found.to_pandas()
    assert table["kind"].tolist() == ["balance", "queue-bound", "queue-bound"]
    assert str(found).splitlines()[0] == (
        "balance (campaign): it is slow. be faster (+30% of time)"
    )


def test_a_campaign_that_has_not_begun_has_no_findings() -> None:
    """Every finder can do with nothing."""
    found = insights(Ledger(campaign="c"), Times(), longest_s=1.0)

    assert (len(found), len(FINDERS)) == (0, 8)
    assert str(found).endswith("nothing found that would gain enough")
    assert list(found.to_pandas().columns) == [
        *("kind", "about", "message", "gain", "of", "change")
    ]
    assert found == Insights(campaign="c")


def test_what_is_found_is_found_in_the_ledger_and_in_times() -> None:
    """One simulation on one of two nodes, which holds up nobody."""
    node_s = [0.0] * len(Part)
    node_s[Part.USEFUL] = node_s[Part.FREE] = 100.0
    ledger = Ledger(
        campaign="c",
        as_of_s=100.0,
        entries=(Entry(since_s=0.0, until_s=100.0, node_s=tuple(node_s)),),
    )
    made = simulation(held_s=100.0, spans=[LeaseSpan(1, 0.0, 100.0)])
    times = Times(of={"s": made}, nodes={"n1": Slowness(10, 5, 1.0)})

    (only,) = insights(ledger, times, longest_s=1.0)
    assert (only.kind, only.gain) == (Kind.COMPUTE, 0.5)


def test_sets_are_alike_if_workflow_and_resources_are() -> None:
    """Whatever simulation they are of."""
    study = Study(
        times=Times(of={"s": simulation(), "t": simulation()}),
        entries=(),
        ends={},
        as_of_s=0.0,
        longest_s=1.0,
    )
    ((about, group),) = study.groups()
    assert about == "workflow 'w', set 'a'"
    assert len(group) == 2
