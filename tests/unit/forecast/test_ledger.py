"""Nodes, leases, months and projects in the books of a journal."""

from __future__ import annotations

import math

import pytest

from climorch.errors import InvalidInputError
from climorch.forecast.ledger import KINDS, Bookkeeper
from climorch.forecast.parts import Part
from climorch.model import events as e
from climorch.model.scenario import Scenario
from tests.unit.core.script import plan, submitted
from tests.unit.forecast.journal import BEGIN_S, Journal
from tests.unit.twin.stage import stage

HOUR_S = 3600.0


def test_books_without_a_record_are_empty() -> None:
    """Nothing was used, and nobody knows when it is."""
    keeper = Bookkeeper()
    keeper.close()

    assert math.isnan(keeper.now_s)
    assert (keeper.books.of, keeper.free) == ({}, {})


def test_hours_belong_to_the_month_in_which_they_were_spent() -> None:
    """A segment over midnight of a month, a lease and free nodes are divided there."""
    journal = Journal()
    journal.lease(0, "n1")
    journal.attempt(0)
    journal.start(HOUR_S - 10, 0)
    journal.finish(HOUR_S + 30, 0)
    journal.commit(HOUR_S + 60, 0)

    found = {
        (x.month, x.stage, part.name): x.node_s[part]
        for x in journal.ledger(HOUR_S + 60).entries
        for part in Part
        if x.node_s[part]
    }
    assert found == {
        ("2026-01", "", "RESTORE"): 2,
        ("2026-01", "", "IDLE"): HOUR_S - 12,
        ("2026-01", "a", "USEFUL"): 10,
        ("2026-01", "", "FREE"): HOUR_S,
        ("2026-02", "", "IDLE"): 30,
        ("2026-02", "a", "USEFUL"): 30,
        ("2026-02", "", "FREE"): 60,
    }


def test_months_are_cut_where_a_period_begins() -> None:
    """Ten seconds before the cut, five after it."""
    journal = Journal(cuts=(BEGIN_S + 10,))
    journal.lease(0, "n1")

    ledger = journal.ledger(15)
    idle = [x.node_s[Part.IDLE] for x in ledger.entries if x.simulation]
    assert idle == [10, 5]
    later = ledger.select(since_s=BEGIN_S + 10)
    assert later.node_s(Part.IDLE, Part.FREE) == 10
    assert [(x.since_s - BEGIN_S, x.until_s - BEGIN_S) for x in later.entries] == [
        (10, HOUR_S),
        (10, HOUR_S),
    ]


def test_a_project_pays_from_the_moment_on_at_which_a_simulation_changes() -> None:
    """What runs meanwhile is divided there, too."""
    journal = Journal()
    journal.lease(0, "n1")
    journal.attempt(0)
    journal.start(2, 0)
    change = e.SimulationChanged(
        simulation="s", scenario=Scenario("s", project="q"), plan=plan(stage())
    )
    journal.tell(6, change)
    journal.finish(12, 0)
    journal.commit(12, 0)

    ledger = journal.ledger(12)
    useful = {x.project: x.node_s[Part.USEFUL] for x in ledger.entries if x.stage}
    assert useful == {"p": 4, "q": 6}
    assert ledger.select(project="q").held_node_s == 6
    assert {x.project: x.institution for x in ledger.entries if x.stage} == {
        "p": "i",
        "q": "q",
    }


def test_an_end_that_moves_makes_a_simulation_incomplete_again() -> None:
    """It is complete at its last commit, and not while more is asked for."""
    journal = Journal(stage(segments=1))
    journal.lease(0, "n1")
    journal.attempt(0)
    journal.start(2, 0)
    journal.finish(12, 0)
    journal.commit(13, 0)
    assert [(x.simulation, x.at_s) for x in journal.ledger(13).completed] == [
        ("s", BEGIN_S + 13)
    ]
    longer = plan(stage(segments=2))
    change = e.SimulationChanged(simulation="s", scenario=Scenario("s"), plan=longer)
    journal.tell(14, change)

    assert journal.ledger(14).completed == ()


def test_a_rule_is_followed_once() -> None:
    """Simulations that a rule adds have books; told again it changes nothing."""
    journal = Journal()
    added = submitted(name="t")
    answer = e.RuleEvaluated(simulation="s", rule="r", at=1, added=(added,))
    journal.tell(5, answer, answer, added)

    assert list(journal.keeper.books.of) == ["s", "t"]


def test_a_node_that_is_lost_is_held_no_more() -> None:
    """One that comes back is free; losses of strangers are nothing."""
    journal = Journal()
    journal.lease(0, "n1", "n2")
    journal.tell(10, e.NodeLost(node="n1"), e.NodeLost(node="n9"))
    journal.tell(20, e.NodeJoined(node="n1", cores=4))
    # Its loss was never noticed.
    journal.tell(30, e.NodeJoined(node="n2", cores=4))
    journal.lease(40, "n1", "gone")

    assert journal.parts(50) == {"IDLE": 20 + 20 + 10, "FREE": 10 + 20 + 10}


def test_cores_and_memory_are_those_of_the_nodes() -> None:
    """One node of 4 cores and a GiB for 10 s, then both; the rest is free."""
    journal = Journal()
    journal.lease(0, "n1")
    journal.lease(10, "n1", "n2")

    ledger = journal.ledger(20)
    cores = {x.simulation: x.core_s for x in ledger.entries}
    assert cores == {"s": 120, "": 40}
    memory = {x.simulation: x.memory_byte_s for x in ledger.entries}
    assert memory == {"s": 30 * 2**30, "": 10 * 2**30}


def test_a_journal_of_a_coarse_twin_is_refused() -> None:
    """Its facts stand for many segments."""
    journal = Journal()
    fact = e.SetAdvanced(
        simulation="s",
        set="a",
        attempt=1,
        seconds={},
        nodes=1,
        running={},
        since_s=0.0,
        from_boundary=0,
    )

    with pytest.raises(InvalidInputError, match="coarse"):
        journal.tell(1, fact)


def test_kinds_that_cost_nothing_need_not_be_read() -> None:
    """Of what the fold knows, the books take these; plans and wishes cost nothing."""
    assert {"SegmentFinished", "DriverStarted", "SetLease", "StorageCounted"} <= KINDS
    assert not {"CheckpointPlanned", "WishTaken", "ResultsPublished"} & KINDS
