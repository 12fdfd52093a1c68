"""Leases that move, over weeks of virtual time: what it saves and what it costs.

Forty nodes, of which each is slowed down to a third for twelve hours about every
ten days; segments of 20 minutes whose durations vary by a tenth. *Output* is
committed segments times the nodes of their simulation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest

from climorch.core.progress import Policies
from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.protection import Protection
from climorch.model.scenario import Scenario
from climorch.model.windows import Window
from climorch.policy.checkpointing import EverySegments
from climorch.policy.moving import Moving
from climorch.twin.costs import Amdahl, Overheads, StageCost, Work
from climorch.twin.loads import Load, Loads
from tests.unit.core.script import submitted
from tests.unit.twin.stage import Play, stage

DAY_S = 86_400.0
OFF = Moving(slow_factor=math.inf)
BY_CHANCE = Loads(every_s=10 * DAY_S, lasts_s=DAY_S / 2, slow=3.0, pace_cv=0.1)
QUIET = Loads(pace_cv=0.15)


@dataclass(frozen=True)
class Run:
    """What came of a run."""

    play: Play

    @property
    def output(self) -> int:
        """Committed segments times nodes."""
        return sum(
            sum(s.committed_segments.values()) * simulation.plan.nodes
            for simulation in self.play.twin.orchestrator.state.simulations.values()
            for s in simulation.sets.values()
        )

    def all(self, kind: type[Any]) -> list[tuple[float, Any]]:
        """Records of a kind with their times."""
        return [(t, r) for t, r in self.play.records if isinstance(r, kind)]

    @property
    def moves(self) -> list[tuple[float, c.MovePlanned]]:
        """Moves that were begun."""
        return [(t, r) for t, r in self.all(c.MovePlanned) if r.leave]


def run(
    loads: Loads,
    moving: Moving | None = None,
    *,
    days: float = 10,
    widths: Sequence[int] = (1, 2, 4, 8, 3) * 2,
    noise_cv: float = 0.1,
    cost: StageCost | None = None,
    **more: Any,
) -> Run:
    """Run simulations of some widths on forty nodes."""
    rules = Policies(checkpointing=EverySegments(count=3), moving=moving or Moving())
    play = Play(
        cost=cost or Amdahl(seconds=1200.0),
        overheads=Overheads(),
        noise_cv=noise_cv,
        nodes=40,
        policies=rules,
        loads=loads,
        **more,
    )
    for number, width in enumerate(widths):
        play.submit(stage(segments=2_000, nodes=width), name=f"s{number}")
    play.run(days * DAY_S)
    return Run(play)


@pytest.fixture(scope="module")
def moved() -> Run:
    """Ten days with the rule."""
    return run(BY_CHANCE, seed=3)


def test_moves_save_half_of_what_slow_nodes_cost(moved: Run) -> None:
    """Against the same loads without the rule, and against no loads at all."""
    stayed, best = run(BY_CHANCE, OFF, seed=3), run(Loads(), OFF, seed=3)
    lost = best.output - stayed.output
    assert lost > 0.05 * best.output
    assert moved.output - stayed.output >= 0.5 * lost


def test_slow_nodes_are_found_and_no_others(moved: Run) -> None:
    """Each that is shunned was loaded when its last segment began, about."""
    nodes = moved.play.twin.world._prices._loads
    shunned = moved.all(c.NodeShunned)
    assert len(shunned) >= 10
    for now_s, found in shunned:
        times = [now_s - 300.0 * k for k in range(18)]
        assert any(nodes.slow(found.node, t) > 1 for t in times)
    assert all(2.0 < r.slow < 4.5 for _, r in shunned)


def test_it_takes_three_segments_to_find_one(moved: Run) -> None:
    """Slow ones, of an hour each: no node is left later than that."""
    nodes = moved.play.twin.world._prices._loads
    for now_s, found in moved.all(c.NodeShunned):
        begun_s = now_s
        while nodes.slow(found.node, begun_s) > 1:
            begun_s -= 600.0
        assert now_s - begun_s <= 5 * 3600.0 * 1.3


def test_nobody_moves_back_and_forth(moved: Run) -> None:
    """A simulation rests between two moves, and each leaves a slow node."""
    at: dict[str, list[float]] = {}
    for now_s, move in moved.moves:
        at.setdefault(move.simulation, []).append(now_s)
    assert all(b - a >= 3600.0 for t in at.values() for a, b in pairwise(t))
    assert len(moved.moves) <= len(moved.all(c.NodeShunned))
    starts = len(moved.all(c.StartAttempt))
    assert starts == 10 + len(moved.moves)


def test_noise_drift_and_uneven_nodes_move_nobody() -> None:
    """Segments and measurements vary by 15 %, nodes by 5 %, all drifts by 1 % a day."""
    found = run(QUIET, noise_cv=0.15, drift_per_day=0.01, speed_cv=0.05)
    assert found.all(c.NodeShunned) == found.moves == []


def test_among_single_nodes_noise_moves_one_in_a_month() -> None:
    """With noise of 20 % each in segments and measurements, of thirty nodes."""
    found = run(Loads(pace_cv=0.2), widths=(1,) * 30, noise_cv=0.2, days=5)
    segments = len(found.all(e.SegmentFinished))
    assert segments > 10_000
    # Such a move costs about a minute of one node.
    assert len(found.moves) <= 10


@pytest.mark.parametrize("widths", [(1,) * 30, (1, 2, 4, 8, 3) * 2])
def test_what_slows_the_whole_site_moves_nobody(widths: tuple[int, ...]) -> None:
    """Two days in which storage or network make all segments three times longer."""
    poor = Load(start_s=1.5 * DAY_S, stop_s=3.5 * DAY_S, slow=3.0)
    found = run(Loads(given=(poor,), pace_cv=0.1), widths=widths, days=5)
    assert found.moves == []
    assert found.play.twin.orchestrator.state.paces.shunned == {}


def stiff(work: Work, nodes: float) -> float:
    """Cost of a model that is three times as dear from its hundredth segment on."""
    return Amdahl(seconds=1200.0)(work, nodes) * (3.0 if work.segment >= 100 else 1.0)


def test_a_model_that_got_dearer_moves_once_and_clears_its_node() -> None:
    """Another node takes as long: the first one is not to blame."""
    found = run(QUIET, widths=(1,), cost=stiff, days=8)
    assert len(found.moves) <= 1
    assert [r.why for _, r in found.all(c.NodeTrusted)] == [
        f"{move.seek[0]} takes as long for s0" for _, move in found.moves
    ]
    assert found.play.twin.orchestrator.state.paces.shunned == {}


def test_where_nothing_is_free_all_advance_and_little_moves() -> None:
    """More demand than nodes: slow ones go to who comes last, nobody thrashes."""
    crowd = (1, 2, 4, 8, 3) * 3
    on = run(BY_CHANCE, widths=crowd, days=6)
    off = run(BY_CHANCE, OFF, widths=crowd, days=6)
    assert on.output >= 0.98 * off.output
    for simulation in on.play.twin.orchestrator.state.simulations.values():
        assert simulation.sets["a"].committed > 0
    assert len(on.moves) <= 2 * len(on.all(c.NodeShunned))


def test_two_runs_of_a_seed_are_the_same() -> None:
    """Loads and measurements among them."""
    one, two = run(BY_CHANCE, days=3), run(BY_CHANCE, days=3)
    assert one.play.records == two.play.records
    assert run(BY_CHANCE, days=3, seed=2).play.records != one.play.records


def serviced(early: float) -> Run:
    """Ten protected simulations, four nodes serviced for a day every other day."""
    rules = Policies(checkpointing=EverySegments(count=3), moving=Moving(early=early))
    play = Play(
        cost=Amdahl(seconds=1200.0),
        overheads=Overheads(),
        noise_cv=0.1,
        nodes=24,
        policies=rules,
    )
    for number in range(10):
        fact = submitted(stage(segments=2_000, nodes=2), name=f"s{number}")
        scenario = Scenario(f"s{number}", protection=Protection(level=1))
        play.twin.post(
            e.SimulationSubmitted(
                simulation=fact.simulation, scenario=scenario, plan=fact.plan
            )
        )
    for number in range(5):
        start_s = (2 * number + 1) * DAY_S
        nodes = tuple(f"node-{(4 * number + i) % 24}" for i in range(4))
        window = Window(
            name=f"w{number}", start_s=start_s, stop_s=start_s + DAY_S, nodes=nodes
        )
        play.twin.post(e.WindowDeclared(window=window), after_s=start_s - DAY_S / 2)
    play.run(10 * DAY_S)
    return Run(play)


def test_protected_simulations_leave_early_and_lose_nothing_by_it() -> None:
    """Hours before the windows, once for each, at no more than 1 % of the output."""
    early, late = serviced(4.0), serviced(0.0)
    assert late.moves == []
    assert len(early.moves) >= 5
    for now_s, move in early.moves:
        starts = [
            w.window.start_s
            for _, w in early.all(e.WindowDeclared)
            if set(w.window.nodes) & set(move.leave) and w.window.start_s > now_s
        ]
        assert min(starts) - now_s >= 3600.0
    assert early.all(c.RolledBack) == []
    assert early.output >= 0.99 * late.output
    gone = [r for _, r in early.all(c.SetLease) if "window" in r.why]
    assert gone == []
