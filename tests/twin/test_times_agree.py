"""Times that are read off a journal, and the books of the twin that wrote it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import pytest

from climorch.forecast.ledger import Bookkeeper
from climorch.forecast.timekeeping import Timekeeper
from climorch.model import events as e
from tests.twin.test_ledgers_agree import HOUR_S, rough_play
from tests.unit.twin.stage import Play


def timed(play: Play) -> Timekeeper:
    """Read the journal of a play up to its end."""
    keeper = Bookkeeper()
    timekeeper = Timekeeper(keeper.books)
    for now_s, record in play.records:
        keeper.note(record, now_s)
        timekeeper.note(record, now_s)
    timekeeper.close(play.twin.ledger.now_s)
    return timekeeper


def node_s(spans: Iterable[tuple[str, int, float, float]]) -> dict[str, float]:
    """Add up the node-seconds of leases, by simulation."""
    sums: defaultdict[str, float] = defaultdict(float)
    for name, nodes, start_s, stop_s in spans:
        sums[name] += nodes * (stop_s - start_s)
    return dict(sums)


@pytest.mark.parametrize("until_s", [3 * HOUR_S, 300 * HOUR_S])
def test_leases_waits_and_segments_are_those_of_the_twin(until_s: float) -> None:
    """Through failures and restarts, in the midst of a run and after it."""
    play = rough_play(detect_s=0.0, until_s=until_s)
    times, ledger = timed(play).times, play.twin.ledger

    ours = node_s(
        (name, x.nodes, x.since_s, x.until_s)
        for name, found in times.of.items()
        for x in found.spans
    )
    theirs = node_s((s.simulation, s.nodes, s.start_s, s.stop_s) for s in ledger.spans)
    assert ours == pytest.approx(theirs)
    finished: list[Any] = [f for _, f in play.facts(e.SegmentFinished)]
    for name, found in times.of.items():
        account = ledger.accounts[name]
        waited_s = sum(account.all_waits(ledger.now_s))
        assert found.queue_s == pytest.approx(waited_s, abs=1.0)
        of = [f for f in finished if f.simulation == name]
        assert sum(x.segments for x in found.stages.values()) == len(of)
        took_s = sum(x.seconds for x in found.stages.values())
        assert took_s == pytest.approx(sum(f.seconds for f in of))


def test_a_set_runs_no_longer_than_it_has_a_lease() -> None:
    """And its stages use no more than their share of it."""
    for found in timed(rough_play(detect_s=0.0)).times.of.values():
        for s in found.sets.values():
            assert 0 < s.run_s <= found.held_s
            assert 0 < s.busy_node_s <= s.whole_node_s * (1 + 1e-12)
