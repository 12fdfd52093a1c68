"""Questions about months to come: what is refused, assumed and answered."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from climorch.core.lifecycle import Control
from climorch.errors import InvalidInputError
from climorch.forecast.entries import Power
from climorch.forecast.history import History
from climorch.forecast.ledger import Gap
from climorch.forecast.past import past_of
from climorch.forecast.projection import Forecast
from climorch.forecast.trust import Basis
from climorch.model import events as e
from climorch.model.causes import Cause
from climorch.twin.asking import Question, forecast_from, site_of
from climorch.twin.costs import Amdahl, Costs
from climorch.twin.site import TwinSite
from tests.unit.twin.months import ASKED, DAY_S, activity, pasts

MARCH = pasts()[1]
HOUR_S = 3600.0


def forecast(past: Any = MARCH, *, facts: Any = (), **more: Any) -> Forecast:
    """Forecast two months from March on in three worlds."""
    given: dict[str, Any] = {"months": 2, "seeds": (0, 1, 2)} | more
    question = Question(**given)
    asked = dataclasses.replace(ASKED, facts=tuple(facts))
    return forecast_from(past, question, asked, begin_s=past.as_of_s or DAY_S)


@pytest.mark.parametrize("quick", [True, False])
def test_months_to_come_are_forecast(quick: bool) -> None:
    """March was full, and April less so: 4448 and 2338 node-hours came."""
    found = forecast(quick=quick, power=Power(watts_per_node=1000.0))

    total = found.total()
    assert total.p50 == pytest.approx(4448 + 2338, rel=0.15)
    assert found.mode == ("quick" if quick else "twin")
    assert found.trust.basis is Basis.PROVEN
    assert found.trust.failures == MARCH.seen.nodes.failures > 0
    assert found.projects == ("p", "q")
    assert found.to_pandas()["kwh_p50"].max() > 1000.0
    assert found.notes[0] == "On 6 nodes, as many as there mostly were lately."
    assert len(found.node_hours) == 3


def test_the_same_question_has_the_same_answer() -> None:
    """Seeds say all."""
    assert forecast().to_xarray().identical(forecast().to_xarray())
    assert Question().worlds == tuple(range(20))
    assert Question(quick=True).worlds == tuple(range(200))


def test_a_plan_adds_to_what_is_submitted() -> None:
    """With a note while nobody knows how late plans are."""
    plain = forecast()
    more = forecast(
        plan=(activity("new", segments=60, nodes=1),), site=TwinSite(nodes=9)
    )

    assert more.total().p50 > plain.total().p50 + 300.0
    assert any("how late plans are" in note for note in more.notes)
    assert not any("as many as there" in note for note in more.notes)


def test_what_fails_or_is_paused_stays_so() -> None:
    """And is named; a new driver would try the first one again."""
    state = dataclasses.replace(MARCH.state)
    failed = dataclasses.replace(
        state.simulations["one"], failed=(Cause.MODEL, "it raised")
    )
    paused = dataclasses.replace(state.simulations["two"], control=Control.PAUSED)
    state.simulations = {**state.simulations, "one": failed, "two": paused}

    found = forecast(dataclasses.replace(MARCH, state=state))

    assert found.total(project="p").p90 == 0.0
    assert found.total(project="q").p50 == pytest.approx(2 * 61 * 24, rel=0.02)
    assert "Paused or failed, and taken to stay so: one, two." in found.notes


def test_gaps_of_the_journal_are_told() -> None:
    """Nothing is made up for them."""
    gap = Gap(since_s=1.0, until_s=2.0, nodes=3)
    ledger = dataclasses.replace(MARCH.ledger, gaps=(gap,))

    notes = forecast(dataclasses.replace(MARCH, ledger=ledger), quick=True).notes

    assert any("1 times a driver died" in note for note in notes)


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ({"months": 0}, "months"),
        ({"months": 121}, "months"),
        ({"seeds": (-1,)}, "seeds"),
        ({"wait_s": (5.0, 1.0)}, "queue_wait"),
        ({"wait_s": (-5.0, 1.0)}, "queue_wait"),
        ({"wait_s": (0.0, float("inf"))}, "queue_wait"),
    ],
)
def test_questions_that_make_no_sense_are_refused(
    more: dict[str, Any], place: str
) -> None:
    """With what is wrong."""
    with pytest.raises(InvalidInputError) as caught:
        Question(**more)
    assert [fault.place for fault in caught.value.faults] == [place]


def test_histories_in_other_units_are_refused() -> None:
    """Core-hours are not added to node-hours."""
    cores = History(unit="core h", months=("2027-01",), days=(31.0,), used=(1.0,))

    with pytest.raises(InvalidInputError) as caught:
        Question(history=cores)
    assert caught.value.faults[0].remedy == "convert it to node-hours first"


def test_a_history_is_reconciled_with_by_its_worth() -> None:
    """Three steady years count; the campaign's own two months do not."""
    long = History(
        unit="node h",
        months=tuple(f"{2024 + k // 12}-{k % 12 + 1:02d}" for k in range(36)),
        days=(30.0,) * 36,
        used=tuple(9000.0 + 300 * (k % 3) for k in range(36)),
    )

    found = forecast(history=long, quick=True, site=TwinSite(nodes=60))

    assert found.outlook is not None
    assert found.total().p50 > 1.2 * forecast(quick=True).total().p50
    assert forecast(quick=True).outlook is None


def test_faults_of_plan_and_submissions_come_together() -> None:
    """Gangs larger than the site, names twice, strangers."""
    plan = (activity("big", nodes=9), activity("twice"), activity("twice"))
    with pytest.raises(InvalidInputError) as caught:
        forecast(plan=plan, site=TwinSite(nodes=1))
    assert [fault.place for fault in caught.value.faults] == [
        "activity 'twice'",
        "activity 'big', nodes",
        "activity 'twice', nodes",
        "activity 'twice', nodes",
        "simulation 'one', nodes",
        "simulation 'two', nodes",
        "simulation 'three', nodes",
    ]


def test_an_empty_journal_needs_a_site_and_rests_on_guesses() -> None:
    """It says so."""
    empty = past_of(())
    planned = activity("new")
    fact = e.SimulationSubmitted(
        simulation="new", scenario=planned.scenario, plan=planned.plan
    )
    with pytest.raises(InvalidInputError, match="cannot be forecast") as caught:
        forecast(empty, facts=[fact])
    assert "no node was ever up" in caught.value.faults[0].problem

    found = forecast(empty, facts=[fact], site=TwinSite(nodes=2))
    assert found.trust.basis is Basis.GUESS
    assert "No segment was ever finished: everything rests on guesses." in found.notes
    nothing = forecast(empty, site=TwinSite(nodes=2), quick=True)
    assert (nothing.trust.basis, nothing.total().p90) == (Basis.EMPTY, 0.0)


def test_a_site_is_as_nodes_have_been() -> None:
    """As many, as large, under their names; overheads as measured."""
    site = site_of(MARCH, Question())

    assert (site.nodes, site.cores) == (6, 1)
    assert set(site.names) == {f"node-{k}" for k in range(6)}
    assert site.overheads is not None
    fewer = dataclasses.replace(MARCH.seen.nodes, usual=5)
    seen = dataclasses.replace(MARCH.seen, nodes=fewer)
    assert site_of(dataclasses.replace(MARCH, seen=seen), Question()).names == ()


def test_costs_that_are_given_are_taken() -> None:
    """What if segments took an hour: all of it is over within weeks."""
    fast = TwinSite(nodes=6, costs=Costs(default=Amdahl(seconds=HOUR_S)))

    found = forecast(site=fast)

    assert {c.share for c in found.completions} == {1.0}
