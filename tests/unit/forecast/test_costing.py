"""What segments will cost, learned from weekly means."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from climorch.forecast.costing import Costing, learn_costs
from climorch.forecast.witness import WEEK_S, Pieces

NOW_S = 2000 * WEEK_S


def pieces(
    level: Callable[[int], float],
    *,
    weeks: int = 26,
    simulations: int = 6,
    count: int = 5,
    cv: float = 0.3,
    spread: float = 0.1,
    nodes: int = 2,
    seed: int = 1,
) -> list[Pieces]:
    """Make weekly means about a level that may change, Gamma noise."""
    rng = np.random.default_rng(seed)
    found = []
    for name in range(simulations):
        own = math.exp(spread * float(rng.standard_normal()))
        for week in range(weeks):
            drawn = level(week) * own * rng.gamma(cv**-2, cv**2, count)
            found.append(
                Pieces(
                    workflow="w",
                    stage="a",
                    simulation=f"s{name}",
                    nodes=nodes,
                    week=2000 - weeks + week,
                    count=count,
                    mean_s=float(drawn.mean()),
                    squares=float(((drawn - drawn.mean()) ** 2).sum()),
                )
            )
    return found


def learned(found: list[Pieces], gang: int = 2, **guesses: float) -> Costing:
    """Learn from pieces of simulations that ask for so many nodes."""
    return learn_costs(
        found,
        gangs={p.simulation: gang for p in found},
        guesses={("w", stage): s for stage, s in guesses.items()},
        as_of_s=NOW_S,
    )


def test_a_steady_cost_is_learned() -> None:
    """The level within a few percent, the noise, and how many segments it rests on."""
    found = learned(pieces(lambda _: 1000.0))

    assert found.centre["w", "a"] == pytest.approx(1000.0, rel=0.08)
    assert found.noise_cv == pytest.approx(0.3, abs=0.03)
    assert found.pieces == {("w", "a"): 780}
    assert found.changes == ()
    assert abs(found.trend_per_month) < 0.02


def test_draws_are_worlds_about_what_is_known() -> None:
    """The same seed the same world; worlds spread as far as the level is not known."""
    few = learned(pieces(lambda _: 1000.0, weeks=2, simulations=1, count=2))
    many = learned(pieces(lambda _: 1000.0))
    place = ("w", "a")

    assert many.draw(3) == many.draw(3)
    spreads = [
        float(np.std([math.log(found.draw(k).seconds[place]) for k in range(200)]))
        for found in (few, many)
    ]
    assert spreads[0] > 2 * spreads[1]
    assert spreads[1] > 0.02


def test_a_simulation_keeps_what_it_differs_by() -> None:
    """One that is measured has a factor of its own, another one draws it."""
    found = pieces(lambda _: 1000.0, spread=0.0)
    slow = [
        Pieces(
            workflow="w",
            stage="a",
            simulation="slow",
            nodes=2,
            week=p.week,
            count=p.count,
            mean_s=1.3 * p.mean_s,
            squares=1.69 * p.squares,
        )
        for p in found
        if p.simulation == "s0"
    ]

    draw = learned([*found, *slow]).draw(0)

    ratio = draw.mean_s("w", "a", "slow") / draw.mean_s("w", "a", "s1")
    assert ratio == pytest.approx(1.3, rel=0.12)
    new = {name: draw.mean_s("w", "a", name) for name in ("x", "y")}
    assert new["x"] != new["y"]
    assert new["x"] == draw.mean_s("w", "a", "x")


def test_a_change_of_level_is_found() -> None:
    """Since when, by how much; the level is the one after it."""
    found = learned(pieces(lambda week: 1000.0 if week < 14 else 1400.0))

    (change,) = found.changes
    assert change.place == ("w", "a")
    assert abs(change.week - 1988) <= 1
    assert change.ratio == pytest.approx(1.4, rel=0.08)
    assert found.centre["w", "a"] == pytest.approx(1400.0, rel=0.08)


def test_a_trend_is_learned_and_goes_on_in_part() -> None:
    """Three percent a month; worlds let some of it go on."""
    found = learned(pieces(lambda week: 1000.0 * 1.03 ** ((week - 26) / (30 / 7))))

    assert found.trend_per_month == pytest.approx(0.03, abs=0.015)
    drifts = [found.draw(seed).drift_per_day * 30 for seed in range(100)]
    assert 0.003 < float(np.mean(drifts)) < found.trend_per_month


def test_old_weeks_count_less() -> None:
    """What a level was years ago says little about today's."""
    now = pieces(lambda _: 1000.0, weeks=6, cv=0.05, spread=0.0, simulations=1)
    old = [
        Pieces(
            workflow="w",
            stage="a",
            simulation=p.simulation,
            nodes=2,
            week=p.week - 500,
            count=p.count,
            mean_s=2 * p.mean_s,
            squares=4 * p.squares,
        )
        for p in now
    ]

    assert learned([*old, *now]).centre["w", "a"] < 1250.0


def test_seconds_are_those_on_the_nodes_that_are_asked_for() -> None:
    """What was measured on a wider lease is scaled, by Amdahl's law."""
    wide = learned(pieces(lambda _: 1000.0, nodes=4), gang=2)

    # Speedups 1 / (0.1 + 0.9 / n): 3.077 on four nodes and 1.818 on two.
    expected = 1000.0 * 3.0769 / 1.8182
    assert wide.centre["w", "a"] == pytest.approx(expected, rel=0.08)


def test_without_a_segment_a_guess_is_taken_with_doubt() -> None:
    """Half to twice of it in most worlds, all stages of it off alike."""
    found = learned([], a=600.0, b=300.0)
    draws = [found.draw(seed) for seed in range(200)]

    assert found.pieces == {("w", "a"): 0, ("w", "b"): 0}
    assert found.centre == {("w", "a"): 600.0, ("w", "b"): 300.0}
    logs = [math.log(d.seconds["w", "a"] / 600.0) for d in draws]
    assert float(np.std(logs)) == pytest.approx(0.5, abs=0.08)
    assert all(
        d.seconds["w", "a"] == pytest.approx(2 * d.seconds["w", "b"]) for d in draws
    )
    assert draws[0].drift_per_day == 0.0


def test_levels_are_covered_as_they_are_said_to_be() -> None:
    """Of forty pasts, P10 to P90 of the level holds the true one in most."""
    held = 0
    for seed in range(40):
        found = learned(pieces(lambda _: 1000.0, seed=seed, simulations=3, spread=0.0))
        draws = [found.draw(k).mean_s("w", "a", "s0") for k in range(60)]
        low, high = np.quantile(draws, (0.1, 0.9))
        held += int(low <= 1000.0 <= high)

    assert 26 <= held <= 40
