"""How fast shares of decayed usage follow the shares that were agreed.

Time is counted in half-lives, nodes as fractions of all: the figures hold for any
campaign. Those in docs/decisions/026 come from here.
"""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from climorch.policy.fairtree import Account
from climorch.policy.sharing import Sharing, targets
from climorch.policy.usage import Usage, decayed, grown

GAIN = Sharing().gain
STEPS = 1000
# What a project has that held all nodes for ever.
ALL = 1 / math.log(2)


def tree(shares: dict[str, float], usage: dict[str, float]) -> Account:
    """Make a tree of one level."""
    return Account(
        name="",
        children=tuple(
            Account(name=name, share=share, usage=usage[name])
            for name, share in shares.items()
        ),
    )


def history(
    shares: dict[str, float],
    usage: dict[str, float],
    *,
    gain: float = GAIN,
    half_lives: int = 1,
) -> list[dict[str, float]]:
    """Let all hold their targets; return the parts of the usage after each step."""
    usage = dict(usage)
    found = []
    for _ in range(half_lives * STEPS):
        held = targets(
            tree(shares, usage), dict.fromkeys(shares, 1.0), capacity=1.0, gain=gain
        )
        for name, nodes in held.items():
            left = decayed(usage[name], elapsed_s=1 / STEPS, half_life_s=1.0)
            usage[name] = left + grown(nodes, elapsed_s=1 / STEPS, half_life_s=1.0)
        total = sum(usage.values())
        found.append({name: used / total for name, used in usage.items()})
    return found


def behind_after_one(share: float, gain: float) -> float:
    """Compute how far behind one is a half-life after it returned, in closed form.

    It gets everything until ``s + g (s - u) = 1``, which is at
    ``2 ** -t = (1 - s) (1 + 1 / g)``; then the difference halves 1 + g times as
    fast as usage does.
    """
    free = (1 - share) * (1 + 1 / gain)
    if free <= 0.5:
        return share - 0.5
    return (1 - share) / gain * math.pow(0.5 / free, 1 + gain)


@pytest.mark.parametrize(
    ("share", "gain", "points"),
    [
        (0.2, 3.0, 1.25),
        (1 / 3, 3.0, 2.22),
        (0.4, 3.0, 3.05),
        (0.5, 3.0, 5.27),
        (0.5, 6.0, 2.83),
        (0.1, 7.0, 0.04),
        (0.2, 7.0, 0.09),
        (1 / 3, 7.0, 0.32),
        (0.4, 7.0, 0.68),
        (0.5, 7.0, 2.45),
        # Holding every node for a half-life makes half of the usage, never more.
        (0.6, 7.0, 10.0),
    ],
)
def test_who_was_away_is_back_within_a_half_life(
    share: float, gain: float, points: float
) -> None:
    """With the default gain, less than 3 points are missing up to a share of half."""
    found = history(
        {"away": share, "other": 1 - share}, {"away": 0.0, "other": ALL}, gain=gain
    )
    behind = share - found[-1]["away"]

    assert behind * 100 == pytest.approx(points, abs=0.02)
    if share >= 1 / 3:
        # Below that, one is back so soon that the step of this test shows.
        assert behind == pytest.approx(behind_after_one(share, gain), abs=2e-4)


@pytest.mark.parametrize("share", [0.1, 1 / 3, 0.5, 0.7])
@pytest.mark.parametrize("gain", [1.0, 3.0, 7.0, 20.0])
def test_nobody_gets_beyond_its_share_while_catching_up(
    share: float, gain: float
) -> None:
    """The difference shrinks in every step and never changes sign."""
    found = history(
        {"away": share, "other": 1 - share},
        {"away": 0.0, "other": ALL},
        gain=gain,
        half_lives=3,
    )
    behind = [share - parts["away"] for parts in found]

    assert min(behind) >= -1e-6
    assert all(b <= a + 1e-6 for a, b in pairwise(behind))


@pytest.mark.parametrize(
    ("away", "points"),
    [
        (("a",), 0.29),
        # Two that are away at once are entitled to more than half together.
        (("a", "b"), 10.0),
    ],
)
def test_the_others_share_the_burden(away: tuple[str, ...], points: float) -> None:
    """Whoever returns, all are within these points one half-life later."""
    shares = {"a": 0.3, "b": 0.3, "c": 0.4}
    present = [name for name in shares if name not in away]
    total = sum(shares[name] for name in present)
    usage = {n: ALL * shares[n] / total if n in present else 0.0 for n in shares}
    found = history(shares, usage)[-1]
    worst = max(abs(found[name] - share) for name, share in shares.items())

    assert worst * 100 == pytest.approx(points, abs=0.1)


def gangs(share: float, *, gain: float, dead: float) -> tuple[float, float, int]:
    """Let two projects hold gangs of 5 of 100 nodes, hour by hour for six weeks.

    A gang changes hands where its new owner misses ``dead`` of it, and not before
    it ran for four hours. Returns how many points the one that was away is behind
    after a week, the most that it was ever ahead, and how many gangs changed hands
    in the five weeks after that.
    """
    week, size, count = 168, 5, 20
    shares = {"a": share, "b": 1 - share}
    usage = {
        "a": Usage(at_s=0.0),
        "b": Usage(at_s=0.0, decayed_node_s=100 * week * ALL),
    }
    since: dict[str, list[int]] = {"a": [], "b": [-week] * count}
    behind, moved = [], 0
    for hour in range(6 * week):
        want = targets(
            tree(shares, {name: u.decayed_node_s for name, u in usage.items()}),
            dict.fromkeys(shares, 100.0),
            capacity=100.0,
            gain=gain,
        )
        for giver, taker in (("a", "b"), ("b", "a")):
            while want[taker] - len(since[taker]) * size >= dead * size and any(
                hour - start >= 4 for start in since[giver]
            ):
                since[giver].remove(min(since[giver]))
                since[taker].append(hour)
                moved += hour >= week
        for name, u in usage.items():
            held = Usage(
                at_s=hour,
                nodes=len(since[name]) * size,
                decayed_node_s=u.decayed_node_s,
            )
            usage[name] = held.at(hour + 1, half_life_s=week)
        total = sum(u.decayed_node_s for u in usage.values())
        behind.append((share - usage["a"].decayed_node_s / total) * 100)
    return behind[week - 1], -min(behind), moved


@pytest.mark.parametrize(
    ("share", "dead", "late", "ahead", "moved"),
    [
        # Shares that whole gangs can meet: a few move, then none.
        (0.3, 1.0, -0.01, 0.01, 0),
        (0.5, 1.0, 2.19, 0.00, 4),
        # Shares between two gangs: one gang goes back and forth, rarely.
        (0.37, 1.0, 0.23, 0.29, 11),
        # If the nearest number of gangs were taken, every second hour.
        (0.37, 0.5, 0.53, -0.06, 623),
    ],
)
def test_whole_gangs_do_not_go_back_and_forth(
    share: float, dead: float, late: float, ahead: float, moved: int
) -> None:
    """Whoever waits until a whole gang is missing sees no oscillation."""
    found = gangs(share, gain=GAIN, dead=dead)

    assert found[0] == pytest.approx(late, abs=0.02)
    assert found[1] == pytest.approx(ahead, abs=0.02)
    assert found[2] == moved
