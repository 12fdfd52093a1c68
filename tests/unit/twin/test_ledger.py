"""Every node-second that was up is spent on one thing."""

from __future__ import annotations

import math

import pytest

from climorch.twin.ledger import DAY_S, Ledger, Part


def parts(ledger: Ledger) -> dict[str, float]:
    """Name what a ledger has, without what is nothing."""
    spent = ledger.spent()
    assert sum(spent.values()) == pytest.approx(ledger.up_node_s)
    return {part.name: round(s, 6) for part, s in spent.items() if abs(s) > 1e-9}


def opened(*, up: int = 4, held: int = 4, nodes: int = 4) -> Ledger:
    """Make a ledger of one simulation with a lease."""
    ledger = Ledger(0.0)
    ledger.open("s", nodes, 0.0)
    for _ in range(up):
        ledger.node_up(0.0)
    ledger.hold("s", held, 0.0)
    return ledger


def compute(
    ledger: Ledger,
    start_s: float,
    stop_s: float,
    *,
    stage: str = "a",
    segment: int = 0,
    base: int = 4,
    stall_s: float = 0.0,
    base_s: float | None = None,
) -> None:
    """Let a segment run from one time to another."""
    ledger.started("s", stage, base, stall_s, start_s)
    compute_s = stop_s - start_s - stall_s
    ledger.finished(
        "s",
        "a",
        stage,
        segment,
        compute_s=compute_s,
        base_s=compute_s if base_s is None else base_s,
        now_s=stop_s,
    )


def test_nodes_that_nobody_holds_are_free() -> None:
    """Up and leased to nobody."""
    ledger = opened(held=1)

    ledger.close(10.0)

    assert parts(ledger) == {"FREE": 30.0, "IDLE": 10.0}
    assert ledger.up_node_s == 40.0


def test_a_segment_is_pending_until_it_is_committed() -> None:
    """Useful is what a checkpoint covers, once."""
    ledger = opened()
    compute(ledger, 0.0, 10.0)
    ledger.close(10.0)
    assert parts(ledger) == {"PENDING": 40.0}

    ledger.committed("s", "a", "a", 0)
    ledger.committed("s", "a", "a", 0)

    assert parts(ledger) == {"USEFUL": 40.0}
    assert ledger.utilisation == 1.0
    assert (ledger.segments, ledger.accounts["s"].segments) == (1, 1)


def test_a_wide_lease_is_useful_for_what_its_own_nodes_would_have_taken() -> None:
    """Eight nodes in 6 s, four in 10 s: 40 useful, 8 spent on width."""
    ledger = opened(up=8, held=8)
    compute(ledger, 0.0, 6.0, base_s=10.0)
    ledger.committed("s", "a", "a", 0)
    ledger.close(6.0)

    assert parts(ledger) == {"USEFUL": 40.0, "WIDE": 8.0}


def test_a_narrow_lease_is_useful_for_no_more_than_it_spent() -> None:
    """Three nodes of four cannot do more than they were there for."""
    ledger = opened(up=3, held=3)
    compute(ledger, 0.0, 13.0, base_s=10.0)
    ledger.committed("s", "a", "a", 0)
    ledger.close(13.0)

    assert parts(ledger) == {"USEFUL": 39.0}


def test_the_wait_for_a_cut_is_a_stall() -> None:
    """Two of ten seconds."""
    ledger = opened()
    compute(ledger, 0.0, 10.0, stall_s=2.0)
    ledger.committed("s", "a", "a", 0)
    ledger.close(10.0)

    assert parts(ledger) == {"USEFUL": 32.0, "STALL": 8.0}


def test_what_is_rolled_back_or_broken_off_is_lost() -> None:
    """One finished segment and a half one; the worst loss is kept."""
    ledger = opened()
    compute(ledger, 0.0, 10.0)
    ledger.started("s", "a", 4, 0.0, 10.0)
    ledger.broken_off("s", "a", 15.0)
    ledger.rolled_back("s", "a", 15.0, 15.0)
    ledger.rolled_back("s", "a", 2.0, 15.0)
    ledger.close(15.0)

    assert parts(ledger) == {"LOST": 60.0}
    account = ledger.accounts["s"]
    assert (account.lost_s, account.worst_loss_s) == (17.0, 15.0)


def test_a_segment_that_begins_again_loses_what_it_had_and_what_is_redone() -> None:
    """A node dies after 5 s; 3 s of older segments are computed again."""
    ledger = opened()
    ledger.started("s", "a", 4, 0.0, 0.0)
    ledger.node_down("s", 5.0)
    ledger.began_again("s", "a", vain_s=7.0, redo_s=3.0, now_s=7.0)
    ledger.finished("s", "a", "a", 0, compute_s=10.0, base_s=8.0, now_s=20.0)
    ledger.committed("s", "a", "a", 0)
    ledger.close(20.0)

    # 5 s on four nodes, 2 s until it was noticed and 3 s again on three.
    assert parts(ledger) == {"USEFUL": 30.0, "LOST": 35.0}
    assert ledger.accounts["s"].worst_loss_s == 10.0


def test_a_lease_is_held_for_its_states_and_for_its_last_checkpoint() -> None:
    """Restore before, drain after, idle in between."""
    ledger = opened()
    ledger.restoring("s", +1, 0.0)
    ledger.restoring("s", -1, 3.0)
    compute(ledger, 4.0, 10.0)
    ledger.writing("s", +1, 10.0)
    ledger.writing("s", -1, 12.0)
    ledger.committed("s", "a", "a", 0)
    ledger.hold("s", 0, 12.0)
    ledger.close(13.0)

    assert parts(ledger) == {
        "RESTORE": 12.0,
        "IDLE": 4.0,
        "USEFUL": 24.0,
        "DRAIN": 8.0,
        "FREE": 4.0,
    }


def test_stages_side_by_side_share_a_lease_by_what_they_ask_for() -> None:
    """Three nodes and one of four; when the small one waits, its node is idle."""
    ledger = opened()
    ledger.started("s", "a", 3, 0.0, 0.0)
    ledger.started("s", "b", 1, 0.0, 0.0)
    ledger.finished("s", "a", "b", 0, compute_s=4.0, base_s=4.0, now_s=4.0)
    ledger.finished("s", "a", "a", 0, compute_s=10.0, base_s=10.0, now_s=10.0)
    ledger.committed("s", "a", "a", 0)
    ledger.committed("s", "a", "b", 0)
    ledger.close(10.0)

    assert parts(ledger) == {"USEFUL": 34.0, "IDLE": 6.0}


def test_phases_that_overlap_share_what_there_is() -> None:
    """Two stages of four nodes each on a lease of four have half of it each."""
    ledger = opened()
    ledger.started("s", "a", 4, 0.0, 0.0)
    ledger.started("s", "b", 4, 0.0, 0.0)
    ledger.close(10.0)

    assert parts(ledger) == {"PENDING": 40.0}
    charges = ledger.accounts["s"].running
    assert [charge.spent for charge in charges.values()] == [20.0, 20.0]


def test_nodes_that_die_are_not_counted_any_more() -> None:
    """Neither as ours nor in the lease of their holder."""
    ledger = opened(up=5)
    ledger.node_down(None, 10.0)
    ledger.node_down("s", 10.0)
    ledger.close(20.0)

    assert parts(ledger) == {"FREE": 10.0, "IDLE": 70.0}


def test_spans_tell_how_many_nodes_a_lease_had() -> None:
    """One span from each change to the next."""
    ledger = opened()
    ledger.hold("s", 4, 0.0)
    ledger.hold("s", 2, 5.0)
    ledger.hold("s", 0, 8.0)
    ledger.hold("s", 3, 9.0)
    ledger.close(10.0)

    spans = [(s.nodes, s.start_s, s.stop_s) for s in ledger.spans]
    assert spans == [(4, 0.0, 5.0), (2, 5.0, 8.0), (3, 9.0, 10.0)]


def test_days_have_what_was_up_and_what_was_useful_of_them() -> None:
    """A segment counts on the day on which it was finished."""
    ledger = opened()
    compute(ledger, 0.0, DAY_S / 2)
    compute(ledger, DAY_S / 2, DAY_S + 100.0, segment=1)
    ledger.committed("s", "a", "a", 0)
    ledger.committed("s", "a", "a", 1)
    ledger.close(2 * DAY_S + 50.0)

    assert [day.up_s for day in ledger.days] == [4 * DAY_S, 4 * DAY_S, 200.0]
    useful = [day.parts[Part.USEFUL] for day in ledger.days]
    assert useful == [2 * DAY_S, 2 * DAY_S + 400.0, 0.0]
    idle = [day.parts[Part.IDLE] for day in ledger.days]
    # Counted when it ends, which is on the third day.
    assert idle == [0.0, 0.0, 4 * (DAY_S - 50.0)]


def test_waits_end_with_a_lease_and_the_last_one_lasts() -> None:
    """Each wait is kept; one that goes on counts up to now."""
    account = opened().accounts["s"]
    account.waits_since_s = 5.0
    account.leased(8.0)
    account.leased(9.0)
    account.waits_since_s = 20.0

    assert account.waits == [3.0]
    assert account.all_waits(21.0) == [3.0, 1.0]


def test_utilisation_of_nothing_is_not_a_number() -> None:
    """Where no node was ever up there is nothing to divide by."""
    assert math.isnan(Ledger(0.0).utilisation)
