"""Every promise of the benchmarks in virtual time, shortly.

The benchmarks measure months; here their functions run on a smaller site or for less
time, and their bars are looked at one by one. What a run costs is not looked at.
"""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from benchmarks import campaign_months, competition, policies_compared
from climorch.twin.driver import Twin

Months = tuple[dict[str, Any], Twin, campaign_months.Shares, set[str]]


@pytest.fixture(scope="module")
def months() -> Months:
    """Four weeks of the months, on a fifth of its nodes."""
    told = tomllib.loads(campaign_months.SCENARIO.read_text())
    told |= {"days": 28, "nodes": 60}
    # No gang is larger than the share of the least project: beyond its share
    # nobody's protection is a ban.
    told["simulations"] |= {"count": 20, "most_nodes": 8}
    told["absence_of_demand"]["until_day"] = 10
    twin, shares, found = campaign_months.play(told)
    protected = {f.simulation for f in found if f.scenario.protection.level}
    return told, twin, shares, protected


def test_months_are_used(months: Months) -> None:
    """At least 95 % of the node-hours go into committed segments."""
    _, twin, _, _ = months
    assert twin.ledger.utilisation >= campaign_months.BARS["utilisation"]


def test_protected_simulations_are_not_interrupted_for_months(months: Months) -> None:
    """But by outages and maintenance."""
    _, twin, _, protected = months
    assert len(protected) == 2
    assert campaign_months.interruptions(twin, protected) == []


def test_no_failure_costs_more_than_an_hour(months: Months) -> None:
    """Of computing, of any simulation."""
    _, twin, _, _ = months
    worst_s = max(account.worst_loss_s for account in twin.ledger.accounts.values())
    assert 0 < worst_s <= campaign_months.BARS["loss_s"]


def test_shares_are_right_a_half_life_after_a_return(months: Months) -> None:
    """Decayed usage is within 3 points of what was agreed."""
    told, _, shares, _ = months
    assert campaign_months.worst_points(told, shares) <= campaign_months.BARS["points"]


@pytest.fixture(scope="module")
def contests() -> dict[str, competition.Verdict]:
    """Every contest, quickly."""
    told = competition.scenario(quick=True)
    return {name: hold(told) for name, hold in competition.CONTESTS.items()}


COMMON = ("utilisation", "no thrashing", "nobody on serviced nodes", "service")
PROMISES = [
    *(("protected", bar) for bar in ("all advance", "shares", *COMMON)),
    *(("selfish", bar) for bar in ("others advance", "shares", *COMMON)),
    ("crowd", "gang is told"),
    ("crowd", "gang blocks nobody"),
    ("crowd", "those that wait get on"),
    ("budget", "budget kept"),
    ("budget", "all is committed"),
    ("budget", "nothing is lost"),
    ("budget", "nodes are given back"),
    ("budget", "others advance"),
    *(("budget", bar) for bar in COMMON),
]


@pytest.mark.parametrize(("contest", "bar"), PROMISES)
def test_a_contest_is_survived(
    contests: dict[str, competition.Verdict], contest: str, bar: str
) -> None:
    """What `benchmarks/competition.py` promises of it."""
    figures, bars = contests[contest]
    assert bars[bar], figures


def test_every_promise_of_the_contests_is_looked_at(
    contests: dict[str, competition.Verdict],
) -> None:
    """A bar that is added there is added here."""
    judged = {(name, bar) for name, (_, bars) in contests.items() for bar in bars}
    assert judged == set(PROMISES)


@pytest.fixture(scope="module")
def table() -> dict[str, dict[str, float]]:
    """Ten days under each way to give nodes out."""
    told = policies_compared.scenario(quick=True)
    return policies_compared.compared(told)


def test_ours_is_behind_in_nothing_that_it_promises(
    table: dict[str, dict[str, float]],
) -> None:
    """More in use, shorter waits for the first nodes than FIFO and EASY."""
    assert policies_compared.missed(table) == []


def test_backfill_uses_more_than_a_plain_line(
    table: dict[str, dict[str, float]],
) -> None:
    """What ours is compared with is what it is called."""
    assert table["easy"]["utilisation"] > table["fifo"]["utilisation"]
    assert table["fifo"]["interruptions"] <= table["ours"]["interruptions"]


def test_ours_is_told_to_be_behind_where_it_is(
    table: dict[str, dict[str, float]],
) -> None:
    """The comparison can be lost."""
    assert policies_compared.missed({**table, "ours": table["fifo"]}) == [
        "utilisation",
        "mean_first_wait_days",
    ]
