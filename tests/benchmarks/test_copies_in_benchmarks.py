"""What the benchmarks of copies in partners' memory rest on."""

from __future__ import annotations

import tomllib

import pytest

from benchmarks.campaign_months import SCENARIO, checkpoint_share, play
from benchmarks.checkpoint_overhead import Design
from benchmarks.copy_windows import ChosenCopies, differences
from climorch.core.progress import Policies
from climorch.policy.partnering import CopyPace, PartnerCopy
from climorch.twin.ledger import Part


def test_days_with_copies_costs_less_than_the_cap() -> None:
    """The months' scenario on a tenth of its nodes, which fail 500 times as often."""
    told = tomllib.loads(SCENARIO.read_text())
    told["days"], told["nodes"], told["simulations"]["count"] = 4, 30, 10
    told["failures"]["mtbf_years"] /= 500
    told["absence_of_demand"]["until_day"] = 2

    twin, shares, _ = play(told, rules=Policies(checkpointing=PartnerCopy()))

    share = checkpoint_share(twin.ledger.spent())
    assert 0 < share <= 0.02
    assert shares.rungs["partner"] > 0
    lost_s = max(a.worst_loss_s for a in twin.ledger.accounts.values())
    assert lost_s <= 3600


def test_what_stalls_is_a_share_of_what_is_leased() -> None:
    """Nodes that nobody holds do not count."""
    spent = dict.fromkeys(Part, 0.0)
    spent |= {Part.USEFUL: 97.0, Part.STALL: 1.0, Part.LOST: 2.0, Part.FREE: 900.0}

    assert checkpoint_share(spent) == 0.01


def test_copies_are_made_where_they_were_chosen_and_nowhere_else() -> None:
    """Boundaries are counted from the last copy on, as the orchestrator does."""
    chosen = ChosenCopies(boundaries=frozenset({2, 5}))
    made, last = [], 0
    for boundary in range(1, 8):
        pace = CopyPace(boundaries=boundary - last, since_s=1.0, cost_s=9.0, nodes=2)
        if chosen.copy_due(pace):
            made.append(boundary)
            last = boundary

    assert made == [2, 5]
    assert isinstance(chosen, PartnerCopy)


def test_pairs_of_windows_are_compared_whichever_comes_first() -> None:
    """With, without, without, with: a machine that slows down favours neither."""
    design = Design(pairs=2, window=4, segment_s=1.0)

    assert design.has_checkpoint == [True, False, False, True]
    assert differences(design, [5.0, 4.0, 4.5, 6.0]) == pytest.approx([1.0, 1.5])


def test_no_rung_is_counted_twice() -> None:
    """A restore is told once."""
    told = tomllib.loads(SCENARIO.read_text())
    told["days"], told["nodes"], told["simulations"]["count"] = 1, 30, 3

    twin, shares, _ = play(told)

    begun = sum(shares.rungs.values())
    attempts = sum(s.attempt for _, s in twin.orchestrator.state.sets())
    assert begun == attempts
