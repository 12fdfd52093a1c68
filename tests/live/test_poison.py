"""A task that kills its nodes, and a node that kills its tasks, told apart live."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from climorch import Campaign, LocalSite, Policies, Scenario
from climorch.model.commands import NodeQuarantined
from climorch.model.events import Cause
from climorch.policy.reliability import TOGETHER_S
from climorch.rules import Quarantine
from climorch.testing.misdeeds import Misdeed, misbehaving, strikes
from climorch.testing.models import box_workflow, reference_run
from tests.live.cases import ended, kinds, policies, records, same


def quick(monkeypatch: pytest.MonkeyPatch, quarantine: Quarantine) -> Policies:
    """Rules for seconds instead of days; losses within a minute are no outage."""
    assert TOGETHER_S == 60.0
    monkeypatch.setattr("climorch.policy.reliability.TOGETHER_S", 0.05)
    monkeypatch.setattr("climorch.core.fold_nodes.TOGETHER_S", 0.05)
    rules = policies()
    return replace(rules, recovery=replace(rules.recovery, quarantine=quarantine))


@pytest.mark.live
@pytest.mark.benchmark
def test_a_poison_task_ends_its_simulation_and_spares_the_nodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It kills a node with each try; the others finish and no node is set apart."""
    rules = quick(monkeypatch, Quarantine(alone_after=3))
    campaign = Campaign("c", root=tmp_path, policies=rules)
    marks = tmp_path / "marks"
    bad = misbehaving(
        box_workflow("bad", segments=4), Misdeed(kind="poison", times=99), marks
    )
    campaign.submit(bad, scenario=Scenario("bad"))
    good = box_workflow("good", segments=8, work_s=0.1)
    campaign.submit(good, scenario=Scenario("good"))
    status = campaign.run(LocalSite(nodes=3))

    assert strikes(marks) >= 3
    assert (status["bad"].status, status["good"].status) == ("failed", "finished")
    assert status["bad"].why.startswith(f"{Cause.POISON.value}: quarantined, poison: ")
    assert kinds(records(campaign), NodeQuarantined) == []
    assert same(ended(campaign, "good"), reference_run("good", segments=8))


@pytest.mark.live
@pytest.mark.benchmark
def test_a_bad_node_is_set_apart_and_every_simulation_finishes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever computes there loses it, until nobody gets it any more."""
    rules = quick(
        monkeypatch,
        Quarantine(node_after=2, most_nodes=0.5, poison_after=99, alone_after=99),
    )
    campaign = Campaign("c", root=tmp_path, policies=rules)
    marks = tmp_path / "marks"
    names = [f"s{i}" for i in range(4)]
    misdeed = Misdeed(kind="bad node", node="node001", times=99)
    for name in names:
        wf = misbehaving(box_workflow(name, segments=3), misdeed, marks)
        campaign.submit(wf, scenario=Scenario(name))
    assert campaign.run(LocalSite(nodes=2)).finished

    assert strikes(marks) >= 2
    (found,) = kinds(records(campaign), NodeQuarantined)
    assert found.node == "node001"
    for name in names:
        assert same(ended(campaign, name), reference_run(name, segments=3))
