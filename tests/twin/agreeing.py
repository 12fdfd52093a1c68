"""The same campaign in fine and in coarse mode, and what must be the same of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.plan import Coupling, StagePlan
from climorch.twin.costs import Overheads
from tests.unit.core.script import stage as make_stage
from tests.unit.twin.stage import Play, stage

__all__ = ["COUPLED", "USUAL", "agree", "alike", "told_in_one"]

DAY_S = 86_400.0

# What is decided about nodes and attempts; the rest follows from it.
DECISIONS = (
    c.SetLease,
    c.PreemptPlanned,
    c.ShrinkPlanned,
    c.StartAttempt,
    c.AbandonAttempt,
    c.RolledBack,
    c.EvaluateRule,
)
# Clocks differ by what is rounded where times are added up in another order.
CLOCK_S = 1e-3


def decisions(play: Play) -> list[tuple[float, c.Record]]:
    """Return what was decided; losses without the digits that are rounding."""
    found: list[tuple[float, c.Record]] = []
    for now_s, record in play.records:
        if isinstance(record, c.RolledBack):
            record = c.RolledBack(
                simulation=record.simulation,
                set=record.set,
                attempt=record.attempt,
                boundary=record.boundary,
                segments=record.segments,
                lost_s=round(record.lost_s),
                cause=record.cause,
            )
        elif isinstance(record, c.AbandonAttempt):
            record = c.AbandonAttempt(
                simulation=record.simulation,
                set=record.set,
                attempt=record.attempt,
                why=record.why,
            )
        if isinstance(record, DECISIONS):
            found.append((now_s, record))
    return found


def agree(
    prepare: Callable[[Play], None], *, until_s: float = 30 * DAY_S, **how: Any
) -> tuple[Play, Play]:
    """Play in both modes; see that everything that counts is the same."""
    fine, coarse = Play(**how), Play(**how, coarse=True)
    for play in (fine, coarse):
        prepare(play)
        play.run(until_s)

    ours, theirs = decisions(coarse), decisions(fine)
    assert [record for _, record in ours] == [record for _, record in theirs]
    assert [t for t, _ in ours] == pytest.approx([t for t, _ in theirs], abs=CLOCK_S)
    assert coarse.twin.ended == fine.twin.ended
    alike(coarse, fine)
    return fine, coarse


def alike(coarse: Play, fine: Play) -> None:
    """See that state and books are the same in the end."""
    ours, theirs = (p.twin.orchestrator.state.simulations for p in (coarse, fine))
    assert ours.keys() == theirs.keys()
    for name, simulation in ours.items():
        other = theirs[name]
        assert simulation.lease == other.lease
        assert simulation.node_s == pytest.approx(other.node_s)
        assert simulation.interruptions == other.interruptions
        for s, t in zip(simulation.sets.values(), other.sets.values(), strict=True):
            assert (s.phase, s.attempt, s.done) == (t.phase, t.attempt, t.done)
            assert s.running == t.running
            assert s.committed == t.committed
            assert s.committed_segments == t.committed_segments
            assert s.seconds == pytest.approx(t.seconds)
            assert s.pace_s == pytest.approx(t.pace_s)
            assert s.started_s == pytest.approx(t.started_s)
            assert s.copies == t.copies
            assert shown(s.shown) == pytest.approx(shown(t.shown))
    books, others = coarse.twin.ledger, fine.twin.ledger
    assert books.segments == others.segments
    assert coarse.parts() == pytest.approx(fine.parts(), rel=1e-6, abs=1e-3)
    assert [d.up_s for d in books.days] == pytest.approx([d.up_s for d in others.days])
    for name, account in books.accounts.items():
        other_account = others.accounts[name]
        assert account.segments == other_account.segments
        assert account.worst_loss_s == pytest.approx(other_account.worst_loss_s)
        assert [i.why for i in account.interruptions] == [
            i.why for i in other_account.interruptions
        ]


def shown(found: Any) -> dict[tuple[str, int, str], float]:
    """Return what was learned of each stage, flat."""
    return {
        (stage, nodes, what): getattr(learned, what)
        for stage, widths in found.items()
        for nodes, learned in widths.items()
        for what in ("count", "centre", "variance")
    }


def told_in_one(play: Play) -> int:
    """Count the segments of which nobody heard one by one."""
    return sum(
        len(took)
        for _, fact in play.facts(e.SetAdvanced)
        for took in fact.seconds.values()
    )


USUAL: dict[str, Any] = {
    "noise_cv": 0.2,
    "overheads": Overheads(checkpoint_s=3.0, stall_s=0.5),
    "nodes": 2,
}

COUPLED: dict[str, tuple[StagePlan, ...]] = {
    "in turn": (
        stage("air", segments=80, reads={"sea": Coupling.PREVIOUS}),
        stage("sea", segments=80, reads={"air": Coupling.SAME}),
    ),
    "side by side": (
        stage("air", segments=80, reads={"sea": Coupling.PREVIOUS}),
        stage("sea", segments=80, reads={"air": Coupling.PREVIOUS}),
    ),
    "nested": (
        make_stage("air", boundaries=range(161), reads={"sea": Coupling.PREVIOUS}),
        make_stage("sea", boundaries=range(0, 161, 4), reads={"air": Coupling.SAME}),
    ),
    "two sets": (stage("air", segments=80), stage("sea", segments=60)),
    "phases": (
        stage("spin", segments=50),
        stage("air", segments=50, after=("spin",)),
    ),
}
