"""Who starts, who overtakes and what is kept, worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest

from climorch.policy.availability import NodeBits, Profile
from climorch.policy.backfill import RULES, conservative, easy, fcfs, overtake, sjbf
from climorch.policy.queueing import Plan, Request, Reservation, Rule, Shadow

NODES = NodeBits("abcdefgh")
NOW_S = 100.0


def bits(names: str) -> int:
    """Return nodes of one letter as bits."""
    return NODES.mask(names)


def want(name: str, nodes: int, estimate_s: float, eligible: str = "") -> Request:
    """Make a request; without a word every node will do."""
    return Request(
        name=name,
        nodes=nodes,
        estimate_s=estimate_s,
        eligible=bits(eligible) if eligible else -1,
    )


def busy(names: str, **until_s: float) -> Profile:
    """Make a profile of nodes, some of which are held until a time."""
    profile = Profile(bits(names), start_s=NOW_S)
    for held, stop_s in until_s.items():
        profile = profile.take(bits(held), NOW_S, stop_s)
    return profile


def starts(plan: Plan) -> dict[str, str]:
    """Name who starts and where."""
    return {who: "".join(NODES.names(nodes)) for who, nodes in plan.starts.items()}


def waits(plan: Plan) -> dict[str, tuple[float, float, str]]:
    """Name who waits, from when until when it is reserved and on which nodes."""
    return {
        who: (place.start_s, place.stop_s, "".join(NODES.names(place.nodes)))
        for who, place in plan.reservations.items()
    }


# Two free, a and b until 110, c and d until 120.
SIX = busy("abcdef", ab=110.0, cd=120.0)


@pytest.mark.parametrize("rule", list(RULES.values()), ids=list(RULES))
def test_where_all_fit_all_start_in_order(
    rule: Rule,
) -> None:
    """With room for everybody every rule gives low nodes to the first."""
    plan = rule(SIX, [want("x", 1, 5), want("y", 1, 5)], NOW_S)

    assert starts(plan) == {"x": "e", "y": "f"}
    assert waits(plan) == {}
    assert plan.never == ()
    assert plan.shadow is None
    assert plan.profile.free_at(NOW_S) == 0
    assert SIX.free_at(NOW_S) == bits("ef")


@pytest.mark.parametrize("rule", list(RULES.values()), ids=list(RULES))
def test_nobody_waits_and_nobody_starts(rule: Rule) -> None:
    """An empty queue changes nothing."""
    plan = rule(SIX, [], NOW_S)

    assert starts(plan) == {}
    assert plan.profile == SIX


@pytest.mark.parametrize("rule", list(RULES.values()), ids=list(RULES))
def test_what_is_larger_than_the_site_blocks_nobody(rule: Rule) -> None:
    """A request that fits nowhere, ever, is told apart and passed over."""
    plan = rule(
        SIX, [want("huge", 7, 5), want("rare", 2, 5, "f"), want("x", 2, 5)], 100.0
    )

    assert plan.never == ("huge", "rare")
    assert starts(plan) == {"x": "ef"}


def test_first_come_first_served_stops_at_the_first_that_waits() -> None:
    """Nobody overtakes, and nobody behind the head is even looked at."""

    def queue() -> Iterator[Request]:
        yield want("x", 1, 5)
        yield want("head", 2, 30)
        raise AssertionError("reads on")

    plan = fcfs(SIX, queue(), NOW_S)

    assert starts(plan) == {"x": "e"}
    assert waits(plan) == {"head": (105.0, 135.0, "")}


@pytest.mark.parametrize(
    ("behind", "expected"),
    [
        ([want("x", 2, 10)], {"x": "ef"}),
        ([want("x", 2, 10.5)], {}),
        ([want("x", 1, 10.5)], {"x": "e"}),
        ([want("x", 1, 99), want("y", 1, 99)], {"x": "e"}),
        ([want("x", 1, 99), want("y", 1, 10)], {"x": "e", "y": "f"}),
        ([want("x", 3, 1), want("y", 1, 1)], {"y": "e"}),
        ([want("x", 1, 10), want("y", 1, 99), want("z", 1, 1)], {"x": "e", "y": "f"}),
    ],
    ids=[
        "until the shadow time",
        "past it",
        "past it on an extra node",
        "one extra node only",
        "extra and short",
        "too large",
        "no node left",
    ],
)
def test_easy_lets_overtake_who_does_not_delay_the_head(
    behind: list[Request], expected: dict[str, str]
) -> None:
    """The head of three nodes has its shadow time at 110 s, with one extra node."""
    plan = easy(SIX, [want("head", 3, 50), *behind], NOW_S)

    assert starts(plan) == expected
    assert waits(plan) == {"head": (110.0, 160.0, "")}


def test_the_shadow_tells_what_is_kept_for_the_head() -> None:
    """Shadow time, usable and extra nodes, less what long ones have taken."""
    head = want("head", 3, 50)

    before = fcfs(SIX, [head], NOW_S).shadow
    after = easy(SIX, [head, want("x", 1, 99), want("y", 1, 9)], NOW_S).shadow

    assert before == Shadow(head=head, start_s=110.0, usable=bits("abef"))
    assert before.extra == 1
    assert after == Shadow(head=head, start_s=110.0, usable=bits("abf"))
    assert after.extra == 0


def test_who_overtakes_gets_nodes_that_the_head_cannot_use() -> None:
    """Nodes that are too small for the head go first, so two long ones fit."""
    # The head needs large nodes, a to d; e and f are small.
    profile = busy("abcdef", ab=110.0, cd=150.0).give(bits("d"), NOW_S, 150.0)
    head = want("head", 3, 50, "abcd")

    plan = easy(profile, [head, want("x", 1, 99), want("y", 1, 99)], NOW_S)

    assert starts(plan) == {"x": "e", "y": "f"}
    assert waits(plan) == {"head": (110.0, 160.0, "")}


def test_a_window_on_its_nodes_moves_the_head_and_lets_others_in() -> None:
    """The head waits until nodes are free for its whole time, past a window."""
    profile = busy("abcd", ab=110.0).block(bits("ab"), 120.0, 140.0)

    plan = easy(
        profile, [want("head", 4, 20), want("x", 2, 40), want("y", 2, 41)], 100.0
    )

    # c and d would do for x until the head has all four at 140 s.
    assert waits(plan) == {"head": (140.0, 160.0, "")}
    assert starts(plan) == {"x": "cd"}


def test_nothing_starts_that_would_run_into_a_window() -> None:
    """Free nodes with a deadline take only what ends before it."""
    profile = busy("abcd", ab=200.0).block(bits("c"), 130.0)
    head = want("head", 3, 10)

    plan = easy(
        profile, [head, want("x", 2, 31), want("y", 1, 31), want("z", 1, 30)], 100
    )

    assert starts(plan) == {"y": "d", "z": "c"}


def test_a_free_node_with_a_deadline_is_no_way_round_the_head() -> None:
    """Who cannot use what the head spares gets no node that the head needs."""
    # c is free, but not for the 60 s of x nor for the head; the head needs a and b.
    profile = busy("abc", a=110.0).block(bits("c"), 150.0, 160.0)

    plan = easy(profile, [want("head", 2, 100), want("x", 1, 60)], NOW_S)

    assert starts(plan) == {}
    assert waits(plan) == {"head": (110.0, 210.0, "")}


def test_the_shortest_estimate_overtakes_first() -> None:
    """With room for one, EASY takes the first in order and SJBF the shortest."""
    queue = [want("head", 5, 50), want("x", 2, 9), want("y", 2, 8), want("z", 2, 8)]

    assert starts(easy(SIX, queue, NOW_S)) == {"x": "ef"}
    assert starts(sjbf(SIX, queue, NOW_S)) == {"y": "ef"}


def test_who_joins_the_queue_is_looked_at_alone() -> None:
    """A plan goes on with a newcomer from what the shadow left."""
    head = want("head", 3, 50)
    first = easy(SIX, [head, want("x", 1, 99)], NOW_S)
    assert first.shadow is not None

    late = overtake(first.profile, [want("y", 1, 5)], 105.0, shadow=first.shadow)
    later = overtake(first.profile, [want("y", 1, 6)], 105.0, shadow=first.shadow)

    assert starts(late) == {"y": "f"}
    assert waits(late) == {"head": (110.0, 160.0, "")}
    assert starts(later) == {}


def test_conservative_gives_everybody_a_place() -> None:
    """What fits between those before it starts; all others know when and where."""
    queue = [
        want("head", 3, 10),
        want("next", 6, 10),
        want("short", 2, 10),
        want("long", 1, 30),
        want("last", 5, 10),
    ]

    plan = conservative(SIX, queue, NOW_S)

    assert starts(plan) == {"short": "ef"}
    assert waits(plan) == {
        "head": (110.0, 120.0, "abe"),
        "next": (120.0, 130.0, "abcdef"),
        "long": (130.0, 160.0, "a"),
        "last": (130.0, 140.0, "bcdef"),
    }
    assert plan.shadow is None


def test_easy_delays_the_second_where_conservative_does_not() -> None:
    """A long narrow request overtakes two under EASY, and none of them otherwise."""
    profile = busy("abcd", abc=110.0)
    queue = [want("head", 2, 10), want("second", 4, 10), want("x", 1, 100)]

    assert starts(easy(profile, queue, NOW_S)) == {"x": "d"}
    plan = conservative(profile, queue, NOW_S)
    assert starts(plan) == {}
    assert waits(plan)["second"] == (120.0, 130.0, "abcd")


def test_a_place_is_on_nodes_that_are_not_free_for_longer() -> None:
    """Nodes with a window right after are used up first."""
    profile = busy("abc").block(bits("b"), 110.0, 120.0)

    assert starts(conservative(profile, [want("x", 1, 10)], NOW_S)) == {"x": "b"}
    assert starts(conservative(profile, [want("x", 2, 10)], NOW_S)) == {"x": "ab"}


def test_promises_are_kept_or_come_earlier() -> None:
    """When somebody ends early places move forward in order, never back."""
    queue = [want("head", 3, 10), want("next", 6, 10), want("last", 5, 10)]
    first = conservative(SIX, queue, NOW_S)
    freed = first.profile.advance(105.0).give(bits("ab"), 105.0, 110.0)

    second = conservative(freed, queue, 105.0, reserved=first.reservations)

    assert waits(first) == {
        "head": (110.0, 120.0, "abe"),
        "next": (120.0, 130.0, "abcdef"),
        "last": (130.0, 140.0, "abcde"),
    }
    assert starts(second) == {"head": "abe"}
    assert waits(second) == {
        "next": (120.0, 130.0, "abcdef"),
        "last": (130.0, 140.0, "abcde"),
    }


def test_a_promise_due_now_starts_on_its_nodes() -> None:
    """At the time reserved a request starts, whoever else is in the queue."""
    first = conservative(SIX, [want("head", 3, 10)], NOW_S)
    due = first.profile.advance(110.0)

    second = conservative(
        due,
        [want("new", 1, 5), want("head", 3, 10)],
        110.0,
        reserved=first.reservations,
    )

    assert starts(second) == {"new": "f", "head": "abe"}


def test_a_promise_that_was_missed_is_planned_anew() -> None:
    """What should have started before now gets the earliest place there is."""
    first = conservative(SIX, [want("head", 3, 10)], NOW_S)
    # Nobody started it at 110 s, and its nodes have become somebody else's window.
    later = first.profile.advance(112.0)

    second = conservative(
        later, [want("head", 3, 10)], 112.0, reserved=first.reservations
    )

    assert starts(second) == {"head": "abe"}
    assert second.profile.free_at(121.0) == bits("cdf")


def test_a_depth_bounds_how_many_hold_a_reservation() -> None:
    """Starts do not count; behind the depth nobody has a place, nor starts."""
    queue = [
        want("now", 1, 5),
        want("head", 3, 10),
        want("next", 6, 10),
        want("small", 1, 1),
    ]

    plan = conservative(SIX, queue, NOW_S, depth=2)

    assert starts(plan) == {"now": "e"}
    assert list(plan.reservations) == ["head", "next"]
    assert starts(conservative(SIX, queue, NOW_S)) == {"now": "e", "small": "f"}


def test_who_was_promised_a_place_keeps_it_whoever_comes_before() -> None:
    """A newcomer put in front finds the depth used up by what was promised."""
    first = conservative(SIX, [want("head", 3, 10)], NOW_S)

    plan = conservative(
        first.profile,
        [want("urgent", 1, 1), want("head", 3, 10), want("late", 1, 1)],
        NOW_S,
        reserved=first.reservations,
        depth=1,
    )

    assert starts(plan) == {}
    assert waits(plan) == {"head": (110.0, 120.0, "abe")}


def test_reservations_are_values() -> None:
    """A reservation without nodes says that they are chosen at the start."""
    assert Reservation(start_s=1.0, stop_s=2.0).nodes == 0


def test_an_endless_request_takes_what_nothing_cuts() -> None:
    """An estimate without an end fits only where no window comes."""
    profile = busy("ab").block(bits("a"), 500.0, 600.0)

    plan = easy(profile, [want("x", 1, math.inf), want("y", 1, 50)], NOW_S)

    assert starts(plan) == {"x": "b", "y": "a"}
