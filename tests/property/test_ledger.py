"""Every node-second of a journal is spent on exactly one thing, whatever goes wrong."""

from __future__ import annotations

import pytest

from climorch.core.state import CampaignState
from climorch.forecast.accounts import Book
from climorch.forecast.booked import Ledger, booked
from climorch.forecast.ledger import Bookkeeper
from climorch.forecast.parts import Part
from climorch.testing.seeds.drawing import draw_case
from climorch.testing.seeds.machine import Machine

# Rounding only: sums of up to 1e7 node-seconds.
EQUAL_S = 1e-3


def played(seed: int) -> tuple[Machine, Bookkeeper, Ledger]:
    """Play the campaign of a seed to its end, and keep books of its journal."""
    machine = Machine(draw_case(seed))
    machine.play()
    keeper = Bookkeeper()
    for record, now_s in machine.journal:
        keeper.note(record, now_s)
    return machine, keeper, booked(keeper, "drawn")


def hours_are_counted_once(ledger: Ledger, state: CampaignState) -> None:
    """The parts sum to what was up, and without what was free to what was held."""
    assert ledger.node_s() == pytest.approx(state.up_node_s, abs=EQUAL_S)
    held_s = state.held_node_s(state.now_s)
    assert ledger.held_node_s == pytest.approx(held_s, abs=EQUAL_S)
    for name, simulation in state.simulations.items():
        own = sum(x.held_node_s for x in ledger.entries if x.simulation == name)
        assert own == pytest.approx(simulation.node_s, abs=EQUAL_S)
    least = min((x for entry in ledger.entries for x in entry.node_s), default=0.0)
    assert least > -EQUAL_S
    lost_s = sum(loss.node_s for loss in ledger.losses)
    assert lost_s == pytest.approx(ledger.node_s(Part.LOST), abs=EQUAL_S)


def every_segment_is_useful_once(book: Book, ledger: Ledger, name: str) -> None:
    """Whatever was computed twice, a plan that is done has each segment once."""
    own = [entry for entry in ledger.entries if entry.simulation == name]
    assert sum(x.segments for x in own) == sum(s.segments for s in book.plan.stages)


@pytest.mark.parametrize("first", range(0, 40, 20))
def test_each_hour_is_counted_once_through_whatever_happens(first: int) -> None:
    """Crashes, preemptions, re-runs and deaths of drivers lose and double nothing."""
    met = dict.fromkeys(Part, 0.0)
    gaps = 0
    for seed in range(first, first + 20):
        machine, keeper, ledger = played(seed)
        state = machine.replica.state
        hours_are_counted_once(ledger, state)
        for name, simulation in state.simulations.items():
            book = keeper.books.of[name]
            assert book.complete == simulation.complete
            if book.complete:
                every_segment_is_useful_once(book, ledger, name)
            stored = sum(s.stored_bytes for s in simulation.sets.values())
            assert book.stored_bytes == stored
            assert (book.lease.restoring, book.lease.writing) == (0, 0)
        for part in Part:
            met[part] += ledger.node_s(part)
        gaps += len(ledger.gaps)

    rare = (Part.WIDE, Part.PENDING, Part.RECOMPUTED)
    assert min(met[part] for part in Part if part not in rare) > 0.0
    assert gaps > 0


def test_books_that_forget_a_death_of_a_driver_are_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The test of the test: nodes held beyond a driver's last row do not balance."""
    monkeypatch.setattr(Bookkeeper, "_driver_started", lambda *_: None)

    found = 0
    for seed in range(6):
        try:
            machine, _, ledger = played(seed)
            hours_are_counted_once(ledger, machine.replica.state)
        except AssertionError:
            found += 1

    assert found > 0
