"""The books of a journal and those of the twin that wrote it say the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from climorch.core.progress import Policies
from climorch.forecast.ledger import Bookkeeper
from climorch.forecast.parts import Part
from climorch.model import events as e
from climorch.testing.strategies import policies, submissions
from climorch.twin.costs import Overheads
from climorch.twin.hazards import Failures
from tests.twin.test_invariants import rough
from tests.unit.twin.stage import Play, stage

HOUR_S = 3600.0
# Rounding only: sums of up to 1e9 node-seconds.
EQUAL_S = 1e-3


def parts_of(keeper: Bookkeeper) -> dict[str, float]:
    """Add up what a journal says that nodes were spent on."""
    keeper.close()
    sums = dict.fromkeys(Part, 0.0)
    lines = [line for book in keeper.books.of.values() for line in book.lines.values()]
    for line in [*lines, *keeper.free.values()]:
        for part in Part:
            sums[part] += line.parts[part]
    for book in keeper.books.of.values():
        sums[Part.PENDING] += sum(node_s for _, _, node_s in book.pending())
    return {part.name: node_s for part, node_s in sums.items()}


def compared(play: Play) -> tuple[dict[str, float], dict[str, float]]:
    """Return what the journal and the twin say, in the words of a journal."""
    keeper = Bookkeeper()
    for now_s, record in play.records:
        keeper.note(record, now_s)
    keeper.tick(play.twin.ledger.now_s)
    journal = parts_of(keeper)
    twin = {part.name: s for part, s in play.twin.ledger.spent().items()}
    for books in (journal, twin):
        books["USEFUL"] += books.pop("WIDE") + books.pop("RECOMPUTED")
        if not play.twin.ended:
            # What a loss undid of a segment a journal is told once it has ended.
            books["LOST"] += books.pop("PENDING")
    journal["UP"], twin["UP"] = sum(journal.values()), play.twin.ledger.up_node_s
    return journal, twin


@settings(max_examples=60)
@given(
    submitted=submissions(most_simulations=4),
    rules=policies(patient=True),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_journal_and_its_twin_agree_to_the_second(
    submitted: tuple[e.SimulationSubmitted, ...], rules: Policies, seed: int
) -> None:
    """Part by part, whatever goes wrong, where losses are noticed at once."""
    draw = np.random.default_rng(seed)
    gang = max(s.plan.nodes for s in submitted)
    site = rough(gang + int(draw.integers(4)), draw) | {"detect_s": 0.0}
    play = Play(
        policies=rules,
        cost=lambda work, nodes: 600.0 * work.base / nodes,
        overheads=Overheads(checkpoint_s=60.0, stall_s=5.0),
        seed=seed,
        **site,
    )
    for fact in submitted:
        play.twin.post(fact, after_s=float(draw.integers(2)) * HOUR_S)

    play.run(float(draw.choice([5, 3000])) * HOUR_S)

    journal, twin = compared(play)
    assert journal == pytest.approx(twin, abs=EQUAL_S)


def rough_play(
    *, detect_s: float, seed: int = 8, until_s: float = 300 * HOUR_S
) -> Play:
    """Run a wide, a narrow and a two-stage simulation on nodes that fail often."""
    play = Play(
        seed=seed,
        nodes=14,
        every=2,
        detect_s=detect_s,
        noise_cv=0.2,
        overheads=Overheads(checkpoint_s=60.0, stall_s=5.0),
        failures=Failures(mtbf_s=6 * HOUR_S, repair_median_s=HOUR_S / 2),
        cost=lambda work, nodes: 600.0 * work.base / nodes,
    )
    play.submit(stage(segments=30, nodes=8, most=9), name="wide")
    play.submit(stage(segments=20), name="late", after_s=1000.0)
    play.submit(stage(segments=9), stage("b", segments=9, nodes=2), name="two")
    play.run(until_s)
    return play


def test_every_part_is_met_and_agrees() -> None:
    """Useful, stalled, lost, restoring, draining, idle and free; at last none waits."""
    journal, twin = compared(rough_play(detect_s=0.0))

    assert journal == pytest.approx(twin, abs=EQUAL_S)
    met = {part for part, node_s in journal.items() if node_s > 1.0}
    assert met == {
        *("USEFUL", "STALL", "LOST", "RESTORE", "DRAIN", "IDLE", "FREE", "UP")
    }


def test_what_is_not_committed_yet_is_pending() -> None:
    """In the midst of a run both say how much is computed and not safe."""
    play = rough_play(detect_s=0.0, seed=1, until_s=3 * HOUR_S)
    keeper = Bookkeeper()
    for now_s, record in play.records:
        keeper.note(record, now_s)
    keeper.tick(play.twin.ledger.now_s)

    pending = parts_of(keeper)["PENDING"]

    assert pending > 1000.0
    assert pending == pytest.approx(play.twin.ledger.spent()[Part.PENDING])


def test_a_journal_has_nodes_up_until_their_loss_is_noticed() -> None:
    """The journal exceeds the twin by what lies between deaths and their notice."""
    play = rough_play(detect_s=100.0, until_s=3 * HOUR_S)
    lost = play.facts(e.NodeLost)

    journal, twin = compared(play)

    assert len(lost) > 2
    unnoticed_s = journal["UP"] - twin["UP"]
    assert unnoticed_s == pytest.approx(100.0 * len(lost), abs=EQUAL_S)


def test_books_that_miss_a_loss_do_not_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test of the test: without what a loss undoes the books differ."""
    monkeypatch.setattr(
        "climorch.forecast.accounts.Running.torn", lambda *_: None, raising=True
    )

    journal, twin = compared(rough_play(detect_s=0.0))

    assert abs(journal["LOST"] - twin["LOST"]) > 1.0
