"""Transfers share the storage evenly and end when they have had their seconds."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import simpy

from climorch.errors import InvalidInputError
from climorch.twin.storage import BadSpell, SharedStorage, Storage, Transfer


class Clock:
    """A storage, and when what ended on it."""

    def __init__(self, storage: Storage, begin_s: float = 0.0) -> None:
        self.env = simpy.Environment(begin_s)
        self.storage = SharedStorage(self.env, storage)
        self.ends: dict[str, float] = {}
        self.begun: dict[str, Transfer] = {}

    def at(self, time_s: float, do: Callable[[], None]) -> None:
        """Do something at a time."""
        delay_s = time_s - self.env.now
        self.env.timeout(delay_s).callbacks.append(lambda _: do())

    def begin(self, name: str, at_s: float, seconds: float) -> None:
        """Begin a transfer at a time."""

        def done() -> None:
            self.ends[name] = self.env.now

        def start() -> None:
            self.begun[name] = self.storage.begin(seconds, done)

        self.at(at_s, start)


def test_a_transfer_alone_takes_its_seconds() -> None:
    """On a good day nothing is added, and one of no seconds ends at once."""
    clock = Clock(Storage())
    clock.begin("a", 5.0, 30.0)
    clock.begin("nothing", 6.0, 0.0)

    clock.env.run()

    assert clock.ends == {"a": 35.0, "nothing": 6.0}


def test_transfers_within_the_streams_do_not_slow_each_other() -> None:
    """Up to as many as there are streams go at full speed."""
    clock = Clock(Storage(streams=2))
    clock.begin("a", 0.0, 30.0)
    clock.begin("b", 10.0, 30.0)

    clock.env.run()

    assert clock.ends == {"a": 30.0, "b": 40.0}


def test_more_transfers_than_streams_share_evenly() -> None:
    """Two on one stream go at half the speed while both are there."""
    clock = Clock(Storage(streams=1))
    clock.begin("a", 0.0, 30.0)
    clock.begin("b", 10.0, 10.0)

    clock.env.run()

    # From 10 s on each has half: b ends at 30 s, a has 10 s left then.
    assert clock.ends == {"a": 40.0, "b": 30.0}


def test_a_bad_spell_slows_what_falls_into_it() -> None:
    """Ten times slower from 20 s to 120 s."""
    spell = BadSpell(start_s=20.0, stop_s=120.0, factor=10.0)
    clock = Clock(Storage(spells=(spell,)), begin_s=1000.0)
    clock.begin("before", 1000.0, 10.0)
    clock.begin("across", 1000.0, 25.0)
    clock.begin("through", 1010.0, 30.0)

    clock.env.run()

    assert clock.ends == pytest.approx(
        {"before": 1010.0, "across": 1070.0, "through": 1130.0}
    )


def test_a_cancelled_transfer_ends_without_a_word_and_gives_its_share_back() -> None:
    """The other one goes on at full speed; a second cancel changes nothing."""
    clock = Clock(Storage(streams=1))
    clock.begin("a", 0.0, 30.0)
    clock.begin("b", 0.0, 30.0)
    clock.at(20.0, lambda: clock.storage.cancel(clock.begun["b"]))
    clock.at(21.0, lambda: clock.storage.cancel(clock.begun["b"]))

    clock.env.run()

    assert clock.ends == {"a": 40.0}


def test_transfers_that_end_together_end_in_the_order_of_their_begin() -> None:
    """Ties go by serial number."""
    clock = Clock(Storage(streams=1))
    for name in "cab":
        clock.begin(name, 0.0, 10.0)

    clock.env.run()

    assert list(clock.ends.items()) == [("c", 30.0), ("a", 30.0), ("b", 30.0)]


def test_factors_of_spells_that_overlap_multiply() -> None:
    """A bad day within a bad week."""
    week = BadSpell(start_s=0.0, stop_s=700.0, factor=2.0)
    day = BadSpell(start_s=100.0, stop_s=200.0, factor=5.0)
    storage = Storage(spells=(week, day))

    factors = [storage.factor(s) for s in (0.0, 100.0, 200.0, 700.0)]

    assert factors == [2.0, 10.0, 2.0, 1.0]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Storage(streams=0),
        lambda: BadSpell(start_s=0.0, stop_s=0.0, factor=2.0),
        lambda: BadSpell(start_s=0.0, stop_s=1.0, factor=0.0),
    ],
)
def test_a_storage_that_cannot_be_is_refused(make: Callable[[], object]) -> None:
    """No bandwidth, no span, no factor."""
    with pytest.raises(InvalidInputError):
        make()
