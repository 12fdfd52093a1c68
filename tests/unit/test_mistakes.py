"""Plausible mistakes at every public name are told in words, never by a raw error."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import climorch as co

# Users have no type checker.
made: Any = co
SPAN = co.Span("2000-01-01", "2002-01-01", every="1YS", calendar="noleap")
INIT = xr.Dataset({"T": ("x", [0.0, 1.0])})
SITE = co.TwinSite(nodes=1)
DAY = timedelta(days=1)
BY = datetime(2099, 1, 1, tzinfo=UTC)


def step(state: Any, inputs: Any, segment: Any) -> Any:
    """Keep everything."""
    return state


def workflow(name: str = "wf", **given: Any) -> co.Workflow:
    """Two stages; the second is declared as given."""
    wf = co.Workflow(name)
    plain: dict[str, Any] = {"init": INIT, "span": SPAN}
    resources = co.Resources(segment_s=1.0)
    wf.stage("a", step, **plain, resources=resources)
    wf.stage("b", step, **{**plain, "resources": resources, **given})
    return wf


def declared(**given: Any) -> Callable[[Any], object]:
    """Submit a stage that is declared as given."""
    return lambda campaign: campaign.submit(
        workflow("other", **given), scenario=co.Scenario("s")
    )


@pytest.fixture
def campaign(tmp_path: Path) -> Any:
    """A campaign with one simulation that never ran."""
    campaign = co.Campaign("c", root=tmp_path)
    campaign.submit(workflow(), scenario=co.Scenario("m"))
    return campaign


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (declared(reads=["a"]), "stage 'b', reads: got a list, expected a mapping"),
        (declared(reads="a"), "reads: got str 'a', expected a mapping"),
        (declared(after="a"), "after: got str 'a', expected a list, each text; name"),
        (declared(after=workflow().stages[0]), "after: got a Stage, expected a list"),
        (declared(after=[workflow().stages[0]]), "after[0]: got a Stage, expected te"),
        (declared(chunks=3), "chunks: got int 3, expected a mapping or None; give len"),
        (declared(chunks=["x"]), "chunks: got a list, expected a mapping"),
        (declared(chunks={"lat": 1}), "stage 'b', chunks 'lat': nothing that it retu"),
        (declared(resources=2), "resources: got int 2, expected a Resources or None"),
        (declared(output_chunk="3"), "output_chunk: got str '3', expected a whole n"),
        (declared(check_finite="no"), "check_finite: got str 'no', expected True or"),
        (declared(scope=["T"]), "scope: got a list, expected a Scope or None"),
        (declared(checks={"T": 1}), "checks: got a dict, expected a Checks or None"),
        (declared(on_demand="x"), "on_demand: got str 'x', expected True or False"),
        (declared(optional=1), "optional: got int 1, expected True or False"),
        (
            declared(checkpointing=co.EverySegments),
            "checkpointing: got the class EverySegments, not one that was made; pass",
        ),
        (lambda c: made.Workflow("w", templates=workflow()), "put it into a list"),
        (lambda c: made.Workflow("w", templates=["x"]), "templates[0]: got str 'x'"),
        (lambda c: made.Project("p", institution=3), "institution: got int 3, expec"),
        (
            lambda c: made.Campaign("c", policies=co.KeepLast()),
            "got a KeepLast, expected a Policies or None; give it as a part of one: "
            "Policies(retention=...)",
        ),
        (lambda c: made.Campaign("c", policies=co.Policies), "make one: Policies(.."),
        (lambda c: made.Campaign("c", projects=co.Project("p")), "put it into a list"),
        (lambda c: made.Campaign("c", projects=["p"]), "projects[0]: got str 'p', exp"),
        (lambda c: made.Campaign("c", root=None), "root: got a NoneType, expected tex"),
        (lambda c: made.Campaign("c", on_alarm=3), "on_alarm: got int 3, expected a f"),
        (lambda c: c.rehearse(2, until=DAY), "site: got int 2, expected a TwinSite"),
        (lambda c: c.rehearse(co.LocalSite(), until=DAY), "site: got a LocalSite, exp"),
        (lambda c: c.rehearse(SITE, until=5), "until: got int 5, expected a datetime"),
        (lambda c: c.rehearse(SITE, until=date(2099, 1, 1)), "until: got a date, exp"),
        (lambda c: c.rehearse(SITE, until=DAY, seeds="3"), "seeds: got str '3', expe"),
        (lambda c: c.rehearse(SITE, until=DAY, seeds=0), "seeds: got (), expected at"),
        (lambda c: c.rehearse(SITE, until=DAY, seeds=[-1]), "seeds: got (-1,), expec"),
        (lambda c: c.rehearse(SITE, until=DAY, policies=3), "policies: got int 3, exp"),
        (lambda c: c.rehearse(SITE, until=DAY, script=[1]), "script[0]: got int 1, ex"),
        (lambda c: c.rehearse(SITE, until=DAY, processes=0), "processes: got 0, expe"),
        (lambda c: c.forecast(months="6"), "months: got str '6', expected a whole num"),
        (
            lambda c: c.forecast(plan=["x"]),
            "plan[0]: got str 'x', expected an Activity",
        ),
        (lambda c: c.forecast(site=2), "site: got int 2, expected a TwinSite or None"),
        (lambda c: c.forecast(queue_wait=DAY), "got a timedelta, expected a tuple (a "),
        (lambda c: c.forecast(power=300), "power: got int 300, expected a Power or N"),
        (lambda c: c.backtest(months="2"), "months: got str '2', expected a whole num"),
        (lambda c: c.nodes_needed(by=3), "by: got int 3, expected a datetime; such as"),
        (lambda c: c.nodes_needed(by=BY, chance="x"), "chance: got str 'x', expected "),
        (lambda c: c.latest_start("m", by=BY), "activity: got str 'm', expected an A"),
        (lambda c: c.results("m", 3), "stage: got int 3, expected text; pass a str"),
        (lambda c: c.explain(None), "name: got a NoneType, expected text; pass a str"),
        (lambda c: made.Resources(nodes="2"), "Resources.nodes: got str '2', expecte"),
        (lambda c: made.Resources(nodes=np.int64(2)), "make it a plain one: its item"),
        (lambda c: made.Resources(memory=None), "Resources.memory: got a NoneType, ex"),
        (lambda c: made.Resources(segment_s=DAY), "give seconds: its total_seconds()"),
        (lambda c: made.Protection(level="2"), "Protection.level: got str '2', expec"),
        (lambda c: made.KeepLast(count="2"), "KeepLast.count: got str '2', expected"),
        (lambda c: made.EverySegments(count=2.5), "EverySegments.count: got float 2.5"),
        (lambda c: made.EveryWall(seconds="3"), "EveryWall.seconds: got str '3', exp"),
        (lambda c: made.Daly(first_cost_s="3"), "Daly.first_cost_s: got str '3', exp"),
        (lambda c: made.Budget(retries="3"), "Budget.retries: got str '3', expected "),
        (lambda c: made.RecoveryPolicy(budgets=3), "RecoveryPolicy.budgets: got int 3"),
        (
            lambda c: made.RecoveryPolicy(budgets={}),
            "RecoveryPolicy.budgets: has no budget for node",
        ),
        (lambda c: made.Sharing(half_life_s="3"), "Sharing.half_life_s: got str '3'"),
        (lambda c: made.Watch(begin_s="3"), "Watch.begin_s: got str '3', expected a n"),
        (lambda c: made.LocalSite(nodes="2"), "nodes: got str '2', expected a whole n"),
        (lambda c: made.TwinSite(nodes="2"), "TwinSite.nodes: got str '2', expected a"),
        (lambda c: made.Isolated(step, timeout_s="x"), "Isolated.timeout_s: got str "),
        (lambda c: made.LiveModel(step, timeout_s="x"), "LiveModel.timeout_s: got st"),
        (lambda c: made.Policies(checkpointing=5), "expected a CheckpointStrategy"),
        (lambda c: made.Policies(retention=co.KeepLast), "make one: KeepLast(...)"),
        (lambda c: made.Policies(watch=5), "Policies.watch: got int 5, expected a Wat"),
    ],
)
def test_a_mistake_is_told(campaign: Any, call: Any, text: str) -> None:
    """Each names what was given where, and what is expected."""
    with pytest.raises(co.InvalidInputError) as caught:
        call(campaign)
    assert text in str(caught.value)
    assert all(fault.remedy for fault in caught.value.faults)


def test_all_mistakes_of_one_call_are_told_together() -> None:
    """One error has a line for each."""
    with pytest.raises(co.InvalidInputError) as caught:
        workflow(reads=["a"], after="a", chunks=3, resources=2)
    assert [fault.place for fault in caught.value.faults] == [
        "stage 'b', reads",
        "stage 'b', after",
        "stage 'b', chunks",
        "stage 'b', resources",
    ]


def test_a_name_that_is_not_there_is_told(tmp_path: Path) -> None:
    """Of a simulation that nobody knows; of one that has no results yet, that."""
    campaign = co.Campaign("c", root=tmp_path)
    campaign.submit(workflow(), scenario=co.Scenario("m"))
    with pytest.raises(co.NotFoundError, match="'n' is not known: the campaign was"):
        campaign.results("n", "a")
    with pytest.raises(co.NotFoundError, match="'m', stage 'a' has published no resu"):
        campaign.results("m", "a")
    assert not campaign.ensemble("a").children
