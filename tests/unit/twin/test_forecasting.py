"""Drawn worlds, played by the twin."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from climorch.forecast.activities import Slippage
from climorch.forecast.failing import FailureDraw, OutageDraw
from climorch.forecast.unfolded import edges_of
from climorch.forecast.worlds import Prospect, left_of, prospect
from climorch.twin.costs import Amdahl, Costs, Work
from climorch.twin.forecasting import Foreseen, foresee, foresee_once, site_in
from climorch.twin.hazards import Failures, Outages
from climorch.twin.rehearsal import Play
from climorch.twin.site import TwinSite
from tests.unit.twin.months import DAY_S, POLICIES, activity, pasts
from tests.unit.twin.stage import OVERHEADS

MARCH = pasts()[1]


def foreseen(*plan: Any, site: dict[str, Any] | None = None, **more: Any) -> Foreseen:
    """Play the month of March."""
    edges_s = edges_of(MARCH.as_of_s, 1)
    known: Prospect = prospect(
        MARCH.state,
        left_of(MARCH.state, ()),
        plan=tuple(plan),
        workflows={},
        ledger=MARCH.ledger,
        seen=MARCH.seen,
        slips=Slippage(),
        nodes=6,
        edges_s=edges_s,
        **more,
    )
    play = Play(
        state=MARCH.state,
        policies=POLICIES,
        workflows={},
        site=TwinSite(nodes=6, overheads=OVERHEADS, **(site or {})),
        begin_s=edges_s[0],
        until_s=edges_s[-1] - edges_s[0],
        coarse=True,
    )
    return Foreseen(known=known, play=play)


def test_a_world_is_what_the_campaign_would_do() -> None:
    """All six nodes are held in March, for who pays for them."""
    found = foresee_once(foreseen(), 0)

    days = {name: node_s / DAY_S for name, (node_s,) in found.node_s.items()}
    assert days == pytest.approx({"p": 4 * 31, "q": 2 * 31}, rel=0.02)
    assert found.projects == {"one": "p", "two": "p", "three": "q"}
    assert found.ended_s == {}
    assert found.seed == 0


def test_worlds_differ_and_come_again() -> None:
    """The same seeds, the same worlds."""
    asked = foreseen()

    several = foresee(asked, range(8))

    assert several[:2] == foresee(asked, (0, 1))
    assert len({world.node_s["p"] for world in several}) > 1


def test_planned_activities_are_submitted_in_their_worlds() -> None:
    """One of a single node, which waits for none, and ends."""
    small = activity("small", segments=4, nodes=1, punctual=True)
    wide = {"site": {"costs": Costs(default=Amdahl(seconds=3600.0))}}

    found = foresee_once(foreseen(small, **wide), 3)

    assert found.projects["small"] == "p"
    assert "small" in found.ended_s


def test_nodes_that_wait_in_a_queue_are_held_later() -> None:
    """Ten days of a month are missing."""
    (late,) = foresee(foreseen(wait_s=(10 * DAY_S, 10 * DAY_S)), (0,))
    (now,) = foresee(foreseen(), (0,))

    held, more = (sum(c.node_s["q"]) / DAY_S for c in (late, now))
    assert more - held == pytest.approx(2 * 10, abs=0.5)


def test_what_the_user_says_of_a_site_stays() -> None:
    """Costs, failures and outages; else they are drawn."""
    given: dict[str, Any] = {
        "costs": Costs(default=Amdahl(seconds=1.0), noise_cv=0.5),
        "failures": Failures(mtbf_s=1.0),
        "outages": (Outages(every_s=9.0, lasts_s=1.0),),
    }
    asked = foreseen(site=given)

    kept = site_in(asked.play.site, asked.known, asked.known.world(0))

    assert (kept.failures, kept.outages) == (given["failures"], given["outages"])
    assert kept.costs == given["costs"]


def test_what_a_site_leaves_open_is_drawn() -> None:
    """Costs with their noise, failures, outages of a share of the nodes."""
    asked = foreseen()
    outage = OutageDraw(every_s=1000.0, lasts_s=10.0, sigma=0.0, share=0.5)
    failing = FailureDraw(mtbf_s=50.0, repair_s=5.0, sigma=0.1, outage=outage)
    world = dataclasses.replace(asked.known.world(0), failures=failing)

    site = site_in(asked.play.site, asked.known, world)

    assert site.failures == Failures(mtbf_s=50.0, repair_median_s=5.0, repair_sigma=0.1)
    (drawn,) = site.outages
    assert drawn.nodes == ("node-0", "node-1", "node-2")
    assert site.costs is not None
    assert site.costs.noise_cv == pytest.approx(0.2, abs=0.02)
    whole = dataclasses.replace(outage, share=1.0)
    all_of = dataclasses.replace(failing, outage=whole, mtbf_s=None)
    site = site_in(
        asked.play.site, asked.known, dataclasses.replace(world, failures=all_of)
    )
    assert (site.failures, site.outages[0].nodes) == (None, ())
    none = dataclasses.replace(all_of, outage=None)
    site = site_in(
        asked.play.site, asked.known, dataclasses.replace(world, failures=none)
    )
    assert site.outages == ()


def test_a_cost_is_that_of_its_world_on_the_nodes_at_hand() -> None:
    """By Amdahl's law, the same for each segment of a simulation."""
    asked = foreseen()
    world = asked.known.world(0)
    site = site_in(asked.play.site, asked.known, world)
    assert site.costs is not None
    cost = site.costs.stages["w", "a"]

    two, four = (cost(Work("one", "w", "a", 0, 2, {}), nodes) for nodes in (2, 4))

    assert two == pytest.approx(world.costs.mean_s("w", "a", "one"))
    assert two / four == pytest.approx(3.0769 / 1.8182, rel=1e-4)
    assert cost(Work("one", "w", "a", 9, 2, {}), 2) == two
