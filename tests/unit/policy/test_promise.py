"""Who promises most: siblings, cost, deadlines, floors, pauses."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from climorch.errors import InvalidInputError
from climorch.policy.promise import SiblingPromise
from climorch.policy.prospects import Prospect, Ranking, Skill

HOUR_S = 3600.0
PLAIN = SiblingPromise(diversity=0, floor=0)


def finished(serial: int, x: float, margin: float, **more: object) -> Prospect:
    """One that is done, with a partial score like its final one."""
    told: dict[str, object] = {
        "spent_node_s": HOUR_S,
        "skills": (Skill(mark=0, margin=margin), Skill(mark=3, margin=margin)),
    }
    return Prospect(
        simulation=f"done{serial}",
        serial=serial,
        params={"x": x},
        planned_node_s=HOUR_S,
        finished=True,
        **(told | more),  # type: ignore[arg-type]
    )


def waiting(serial: int, x: float, **more: object) -> Prospect:
    """One that has nothing yet."""
    told: dict[str, object] = {"planned_node_s": HOUR_S, "left_node_s": HOUR_S}
    return Prospect(
        simulation=f"s{serial}",
        serial=serial,
        params={"x": x},
        **(told | more),  # type: ignore[arg-type]
    )


def halves(n: int = 12) -> list[Prospect]:
    """Finished ones: low x failed, high x did well."""
    return [
        finished(i, float(i), (1.0 if 2 * i >= n else -1.0) + 0.01 * i)
        for i in range(n)
    ]


def names(ranking: Ranking) -> list[str]:
    """In the order of service."""
    return [promise.simulation for promise in ranking.order]


def test_before_anything_is_known_the_order_is_that_of_submission() -> None:
    """Equal chances, equal plans; priority breaks ties first."""
    found = PLAIN.rank(
        [waiting(0, 1), waiting(1, 2), waiting(2, 3, priority=1)], now_s=0
    )

    assert names(found) == ["s2", "s0", "s1"]
    belief = found.order[0].belief
    assert belief is not None
    assert belief.chance == 0.5
    assert found.order[0].worth == pytest.approx(0.5)


def test_near_good_siblings_is_better() -> None:
    """The neighbour of those who did well goes before that of those who did not."""
    found = PLAIN.rank([*halves(), waiting(20, 2.5), waiting(21, 9.5)], now_s=0)

    assert names(found) == ["s21", "s20"]
    first, last = (promise.belief for promise in found.order)
    assert first is not None
    assert last is not None
    assert first.chance > 0.9
    assert last.chance < 0.1
    assert first.known == 12


def test_value_per_node_hour_decides() -> None:
    """Half the chance at a quarter of the cost is better; more value too."""
    done = halves()
    cheap = waiting(20, 9.5, left_node_s=HOUR_S / 4)
    dear = waiting(21, 9.6)

    assert names(PLAIN.rank([*done, dear, cheap], now_s=0)) == ["s20", "s21"]
    valued = replace(dear, value=10.0)
    assert names(PLAIN.rank([*done, valued, cheap], now_s=0)) == ["s21", "s20"]


def test_what_siblings_cost_is_learned() -> None:
    """Those of high x took ten times the plan: so will another."""
    done = [
        replace(p, spent_node_s=(10 if i >= 6 else 1) * HOUR_S)
        for i, p in enumerate(halves())
    ]

    found = PLAIN.rank([*done, waiting(20, 9.5)], now_s=0)

    assert 5 * HOUR_S < found.order[0].cost_node_s < 20 * HOUR_S


def test_who_failed_counts_as_bad() -> None:
    """A simulation without a result speaks against its neighbours."""
    failed = [
        Prospect(simulation=f"f{i}", serial=i, params={"x": float(i)}, failed=True)
        for i in range(3)
    ]
    fine = [finished(i, float(i), 1.0 + 0.1 * i) for i in range(8, 12)]
    mixed = [finished(3, 3.0, -1.0)]

    found = PLAIN.rank(
        [*failed, *mixed, *fine, waiting(20, 0.5), waiting(21, 10.5)], now_s=0
    )

    assert names(found) == ["s21", "s20"]


def test_mandatory_ones_go_first() -> None:
    """Whatever they promise; and those begun before those that are not."""
    found = PLAIN.rank(
        [
            *halves(),
            waiting(20, 9.5),
            waiting(21, 2.5, mandatory=True),
            waiting(22, 2.5, mandatory=True, spent_node_s=1.0),
        ],
        now_s=0,
    )

    assert names(found) == ["s22", "s21", "s20"]
    assert found.order[0].reason == "mandatory"
    assert math.isinf(found.order[0].worth)


@pytest.mark.parametrize(
    ("now_s", "reason"),
    [(0.0, "promise"), (800.0, "deadline"), (1000.0, "deadline"), (1001.0, "late")],
)
def test_a_deadline_presses_and_passes(now_s: float, reason: str) -> None:
    """It goes first once what is left only just fits, and last once it does not."""
    bad = waiting(20, 2.5, deadline_s=2000.0, left_s=1000.0)

    found = PLAIN.rank([*halves(), waiting(21, 9.5), bad], now_s=now_s)

    (promise,) = (p for p in found.order if p.simulation == "s20")
    assert promise.reason == reason
    assert names(found)[0] == ("s20" if reason == "deadline" else "s21")
    if reason == "late":
        assert promise.worth == 0.0


def test_who_computes_is_preferred_a_little() -> None:
    """Hysteresis: an equal or slightly better one does not displace it."""
    holding = waiting(20, 9.0, holding=True, spent_node_s=1.0)
    other = waiting(21, 9.0, value=1.4)

    assert names(PLAIN.rank([*halves(), holding, other], now_s=0)) == ["s20", "s21"]
    better = replace(other, value=1.6)
    assert names(PLAIN.rank([*halves(), holding, better], now_s=0)) == ["s21", "s20"]


def test_where_partial_scores_foretell_a_bad_one_is_paused() -> None:
    """With its evidence in words; it stays in the order."""
    bad = waiting(
        20, 9.5, holding=True, spent_node_s=1.0, skills=(Skill(mark=0, margin=-1.0),)
    )

    found = PLAIN.rank([*halves(), bad, waiting(21, 9.6)], now_s=0)

    assert list(found.pauses) == ["s20"]
    assert (
        "rank correlation of scores at mark 0 with final ones 1.00 of 12"
        in (found.pauses["s20"])
    )
    assert names(found) == ["s21", "s20"]
    (correlation,) = found.correlations
    assert (correlation.mark, correlation.samples) == (0, 12)


def test_with_too_few_samples_nobody_is_paused() -> None:
    """Eleven are not twelve."""
    bad = waiting(
        20, 9.5, holding=True, spent_node_s=1.0, skills=(Skill(mark=0, margin=-1.0),)
    )

    assert not PLAIN.rank([*halves(11), bad, waiting(21, 9.6)], now_s=0).pauses


def test_where_partial_scores_say_nothing_nobody_is_paused() -> None:
    """Early skill that does not foretell is no reason, however bad it looks."""
    done = [
        replace(p, skills=(Skill(mark=0, margin=float((7 * i) % 5)), p.skills[1]))
        for i, p in enumerate(halves())
    ]
    bad = waiting(
        20, 9.5, holding=True, spent_node_s=1.0, skills=(Skill(mark=0, margin=-9.0),)
    )

    found = PLAIN.rank([*done, bad, waiting(21, 9.6)], now_s=0)

    assert not found.pauses
    assert abs(found.correlations[0].rank) < 0.6


def test_nobody_is_paused_for_nobody() -> None:
    """Where none waits, all go on; and each that waits displaces one."""
    bad = [
        waiting(
            20 + i,
            9.5,
            holding=True,
            spent_node_s=1.0,
            skills=(Skill(mark=0, margin=-0.05 * i),),
        )
        for i in range(3)
    ]

    assert not PLAIN.rank([*halves(), *bad], now_s=0).pauses
    found = PLAIN.rank([*halves(), *bad, waiting(30, 9.6)], now_s=0)
    assert list(found.pauses) == ["s22"]


def test_signs_of_failure_pause_at_once() -> None:
    """Whatever scores say; it is served last from then on."""
    sick = waiting(20, 9.5, holding=True, spent_node_s=1.0, failing="drift of 2 K")

    found = PLAIN.rank([*halves(), sick, waiting(21, 2.5)], now_s=0)

    assert found.pauses == {"s20": "drift of 2 K"}
    assert names(found) == ["s21", "s20"]
    assert found.order[1].reason == "failing"


def test_a_floor_lets_the_oldest_start() -> None:
    """Each twentieth start, here each thirteenth, goes to who has waited longest."""
    rule = SiblingPromise(diversity=0, floor=1 / 13)

    found = rule.rank([*halves(), waiting(20, 2.5), waiting(21, 9.5)], now_s=0)
    assert names(found) == ["s20", "s21"]
    assert found.order[0].reason == "floor"

    later = [*halves(13), waiting(20, 2.5), waiting(21, 9.5)]
    assert names(rule.rank(later, now_s=0)) == ["s21", "s20"]
    begun = [replace(p, spent_node_s=1.0) for p in later[13:]]
    assert {p.reason for p in rule.rank([*halves(), *begun], now_s=0).order} == {
        "promise"
    }


def test_another_success_of_a_group_is_worth_less() -> None:
    """Of two alike the one of the group without successes goes first."""
    done = [replace(p, group="a") for p in halves()]
    two = [waiting(20, 9.5, group="a"), waiting(21, 9.5, group="b")]

    with_it = SiblingPromise(diversity=5, floor=0).rank([*done, *two], now_s=0)

    assert names(with_it) == ["s21", "s20"]


def test_an_unscored_end_is_no_observation() -> None:
    """Finished without a score says nothing of skill."""
    done = [replace(p, skills=()) for p in halves()]

    found = PLAIN.rank([*done, waiting(20, 9.5)], now_s=0)

    assert found.order[0].belief is not None
    assert found.order[0].belief.known == 0


def test_numbers_out_of_range_are_collected() -> None:
    """Each with its place."""
    with pytest.raises(InvalidInputError) as caught:
        SiblingPromise(
            diversity=-1,
            floor=2,
            hysteresis=0.5,
            rank_correlation=0,
            samples=2,
            slack=-1,
        )

    assert [fault.place for fault in caught.value.faults] == [
        "SiblingPromise.diversity",
        "SiblingPromise.floor",
        "SiblingPromise.hysteresis",
        "SiblingPromise.rank_correlation",
        "SiblingPromise.samples",
        "SiblingPromise.slack",
    ]
