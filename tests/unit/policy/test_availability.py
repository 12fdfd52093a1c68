"""What is free when, step by step and against a table of seconds."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from climorch.errors import InternalError, InvalidInputError, NotFoundError
from climorch.policy.availability import NodeBits, Profile, Slot
from climorch.policy.bits import lowest

NODES = NodeBits("stuv")


def bits(names: str) -> int:
    """Return nodes of one letter as bits."""
    return NODES.mask(names)


def shown(profile: Profile) -> list[tuple[float, str]]:
    """Write a profile with the letters of its nodes."""
    return [(start_s, "".join(NODES.names(free))) for start_s, free in profile]


def test_nodes_and_bits_name_each_other() -> None:
    """Nodes keep their order as bits, the first one lowest, and come back by name."""
    nodes = NodeBits(["n3", "n1", "n2"])

    assert nodes.mask(["n1", "n3"]) == 0b011
    assert nodes.mask([]) == 0
    assert nodes.names(0b101) == ("n3", "n2")
    assert nodes.names(0) == ()
    assert nodes.every == 0b111
    assert len(nodes) == 3


def test_nodes_that_cannot_be_told_apart_are_refused() -> None:
    """A name given twice is named in the error."""
    with pytest.raises(InvalidInputError, match="named more than once: b, c;"):
        NodeBits("abcbc")


def test_a_node_that_is_not_there_is_named() -> None:
    """An unknown node is an error with its name."""
    with pytest.raises(NotFoundError, match="node 'z' is not one of these") as caught:
        NODES.mask("sz")

    assert caught.value.facts == {"node": "z"}


@pytest.mark.parametrize(
    ("nodes", "count", "expected"),
    [
        (0b10110, 0, 0),
        (0b10110, 2, 0b00110),
        (0b10110, 3, 0b10110),
        (0b10110, 9, 0b10110),
        (0, 3, 0),
        ((1 << 100) - 1, 7, 0b1111111),
        ((1 << 100) - (1 << 40), 50, (1 << 90) - (1 << 40)),
        (int("10" * 20, 2), 8, int("10" * 8, 2)),
    ],
    ids=["none", "two", "all", "fewer", "empty", "seven", "fifty", "every-second"],
)
def test_the_lowest_of_some_nodes(nodes: int, count: int, expected: int) -> None:
    """As many as asked for are chosen from the low end; all where they are fewer."""
    assert lowest(nodes, count) == expected


def test_what_is_taken_is_free_again_after() -> None:
    """Taken nodes are missing from their start until before their stop."""
    free = Profile(bits("stuv"), start_s=5.0)

    taken = free.take(bits("st"), 10.0, 20.0).take(bits("u"), 5.0, math.inf)

    assert shown(taken) == [(5.0, "stv"), (10.0, "v"), (20.0, "stv")]
    assert shown(free) == [(5.0, "stuv")]
    assert len(taken) == 3


def test_giving_back_early_leaves_no_trace() -> None:
    """What is given back for the rest of its time makes neighbours one again."""
    free = Profile(bits("stuv"))
    taken = free.take(bits("st"), 0.0, 20.0)

    assert shown(taken.give(bits("st"), 12.0, 20.0)) == [(0.0, "uv"), (12.0, "stuv")]
    assert taken.give(bits("st"), 0.0, 20.0) == free
    assert hash(taken.give(bits("st"), 0.0, 20.0)) == hash(free)


def test_what_touches_becomes_one_interval() -> None:
    """Nodes taken over adjoining spans leave one interval, not two."""
    taken = Profile(bits("st")).take(bits("s"), 0.0, 10.0).take(bits("s"), 10.0, 20.0)

    assert shown(taken) == [(0.0, "t"), (20.0, "st")]


@pytest.mark.parametrize(
    ("start_s", "stop_s"), [(10.0, 10.0), (10.0, 3.0), (-4.0, 0.0)]
)
def test_no_time_changes_nothing(start_s: float, stop_s: float) -> None:
    """A span that is empty, or over before the profile begins, takes nothing."""
    free = Profile(bits("st")).take(bits("s"), 5.0, 30.0)

    assert free.take(bits("t"), start_s, stop_s) == free


def test_the_part_before_the_start_is_not_kept() -> None:
    """A span that began before the profile counts from the profile's start."""
    taken = Profile(bits("st"), start_s=10.0).take(bits("s"), 2.0, 15.0)

    assert shown(taken) == [(10.0, "t"), (15.0, "st")]


def test_no_node_is_taken_twice() -> None:
    """Taking what is not free all the time is an error that tells when and what."""
    taken = Profile(bits("stu")).take(bits("st"), 10.0, 20.0)

    with pytest.raises(InternalError, match="at 10 s that are not free") as caught:
        taken.take(bits("tu"), 0.0, 12.0)

    assert caught.value.facts == {"nodes": bits("t")}


def test_nothing_is_given_back_twice() -> None:
    """Giving back what is free is an error that tells when and what."""
    taken = Profile(bits("stu")).take(bits("st"), 10.0, 20.0)

    with pytest.raises(InternalError, match="at 20 s that are free then") as caught:
        taken.give(bits("s"), 10.0, 21.0)

    assert caught.value.facts == {"nodes": bits("s")}


def test_windows_may_overlap_what_is_taken_and_each_other() -> None:
    """Blocked nodes are missing whether or not they were free, for good by default."""
    profile = Profile(bits("stuv")).take(bits("s"), 0.0, 10.0)

    blocked = profile.block(bits("st"), 5.0, 15.0).block(bits("t"), 12.0, 20.0)

    assert shown(blocked) == [(0.0, "tuv"), (5.0, "uv"), (15.0, "suv"), (20.0, "stuv")]
    assert shown(blocked.block(bits("v"), 18.0))[-2:] == [(18.0, "su"), (20.0, "stu")]


def test_blocking_joins_what_differed_in_blocked_nodes_alone() -> None:
    """Intervals that a window makes equal become one."""
    profile = Profile(bits("stu")).take(bits("s"), 2.0, 4.0).take(bits("s"), 6.0, 8.0)

    assert shown(profile.block(bits("s"), 0.0, 9.0)) == [(0.0, "tu"), (9.0, "stu")]


def test_the_past_is_forgotten() -> None:
    """Intervals that are over go; what begins later and what holds now stay."""
    profile = Profile(bits("st")).take(bits("s"), 5.0, 10.0)

    assert shown(profile.advance(7.0)) == [(5.0, "t"), (10.0, "st")]
    assert shown(profile.advance(10.0)) == [(10.0, "st")]
    assert profile.advance(4.0) is profile
    assert profile.advance(-1.0) is profile


def test_what_is_free_at_a_moment_and_over_a_span() -> None:
    """A span ends before its stop; before the start all is as at the start."""
    profile = Profile(bits("stu")).take(bits("s"), 5.0, 10.0).take(bits("t"), 8.0, 20.0)

    assert profile.free_at(-3.0) == bits("stu")
    assert profile.free_at(5.0) == bits("tu")
    assert profile.free_at(10.0) == bits("su")
    assert profile.free_over(0.0, 5.0) == bits("stu")
    assert profile.free_over(0.0, 5.5) == bits("tu")
    assert profile.free_over(5.0, 9.0) == bits("u")
    assert profile.free_over(30.0, math.inf) == bits("stu")


def test_the_most_that_is_free_before_a_moment() -> None:
    """Counts nodes free at once before a moment; none before the start."""
    profile = Profile(bits("stuv")).take(bits("stu"), 0.0, 5.0)
    profile = profile.take(bits("st"), 5.0, 9.0)

    assert profile.most_before(0.0) == 0
    assert profile.most_before(5.0) == 1
    assert profile.most_before(5.1) == 2
    assert profile.most_before(9.0) == 2
    assert profile.most_before(math.inf) == 4


# s until 10, t until 20, u until 30; v is serviced from 15 to 25.
BUSY = (
    Profile(bits("stuv"))
    .take(bits("s"), 0.0, 10.0)
    .take(bits("t"), 0.0, 20.0)
    .take(bits("u"), 0.0, 30.0)
    .block(bits("v"), 15.0, 25.0)
)


@pytest.mark.parametrize(
    ("count", "duration_s", "options", "expected"),
    [
        (1, 15.0, {}, (0.0, "v")),
        (1, 15.5, {}, (10.0, "s")),
        (2, 5.0, {}, (10.0, "sv")),
        (2, 5.5, {}, (20.0, "st")),
        (2, 5.5, {"eligible": "tuv"}, (25.0, "tv")),
        (3, 1.0, {}, (25.0, "stv")),
        (4, 1e9, {}, (30.0, "stuv")),
        (5, 1.0, {}, None),
        (2, 1.0, {"eligible": "s"}, None),
        (2, 3.0, {"not_before_s": 12.0}, (12.0, "sv")),
        (2, 3.5, {"not_before_s": 12.0}, (20.0, "st")),
        (2, 5.5, {"before_s": 20.0}, None),
        (2, 5.5, {"before_s": 20.5}, (20.0, "st")),
        (1, math.inf, {}, (10.0, "s")),
        (1, 1.0, {"not_before_s": 99.0}, (99.0, "stuv")),
    ],
)
def test_the_earliest_place(
    count: int,
    duration_s: float,
    options: dict[str, float | str],
    expected: tuple[float, str] | None,
) -> None:
    """The earliest start has enough nodes that stay free long enough."""
    eligible = bits(str(options.get("eligible", "stuv")))
    slot = BUSY.earliest(
        count,
        duration_s,
        eligible=eligible,
        not_before_s=float(options.get("not_before_s", -math.inf)),
        before_s=float(options.get("before_s", math.inf)),
    )

    if expected is None:
        assert slot is None
    else:
        assert slot == Slot(start_s=expected[0], nodes=bits(expected[1]))


def test_a_profile_shows_counts_and_compares_by_value() -> None:
    """What is shown is counts by time; other types are never equal."""
    assert repr(BUSY.advance(20.0)) == (
        "<Profile of free nodes from 20 s: 2, 25 s: 3, 30 s: 4>"
    )
    assert BUSY.advance(20.0) != BUSY
    assert BUSY != "profile"


SPAN = 12
WHOLE = 6

Changes = list[tuple[str, int, int, int]]
CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["take", "block"]),
        st.integers(0, (1 << WHOLE) - 1),
        st.integers(0, SPAN),
        st.integers(0, SPAN),
    ),
    max_size=8,
)


def made(changes: Changes) -> tuple[Profile, list[int]]:
    """Make a profile, and beside it a table of what is free in each second."""
    profile = Profile((1 << WHOLE) - 1)
    table = [(1 << WHOLE) - 1] * (SPAN + 1)
    for how, nodes, start, stop in changes:
        if how == "take":
            for second in range(start, stop):
                nodes &= table[second]
            profile = profile.take(nodes, start, stop)
        else:
            profile = profile.block(nodes, start, stop)
        for second in range(start, stop):
            table[second] &= ~nodes
    return profile, table


def free_in(table: list[int], start: int, stop: int) -> int:
    """Return what is free in all seconds of a span; the last one lasts for ever."""
    nodes = table[min(start, SPAN)]
    for second in range(start, stop):
        nodes &= table[min(second, SPAN)]
    return nodes


@given(CHANGES, st.integers(0, SPAN + 2), st.integers(1, SPAN))
def test_a_profile_says_what_a_table_of_seconds_says(
    changes: Changes, start: int, duration: int
) -> None:
    """Every moment, span and maximum is that of the table; no interval is double."""
    profile, table = made(changes)
    masks = [free for _, free in profile]

    assert [profile.free_at(second) for second in range(SPAN + 1)] == table
    assert profile.free_over(start, start + duration) == free_in(
        table, start, start + duration
    )
    assert profile.most_before(start) == max(
        (free_in(table, s, s + 1).bit_count() for s in range(start)), default=0
    )
    assert all(one != two for one, two in itertools.pairwise(masks))


@given(
    CHANGES,
    st.integers(1, WHOLE),
    st.integers(1, SPAN),
    st.integers(0, (1 << WHOLE) - 1),
    st.integers(0, SPAN),
)
def test_the_earliest_place_is_that_of_a_table_of_seconds(
    changes: Changes, count: int, duration: int, eligible: int, not_before: int
) -> None:
    """Trying second by second finds the same start and the same nodes."""
    profile, table = made(changes)
    tried = (
        Slot(start_s=start, nodes=free_in(table, start, start + duration) & eligible)
        for start in range(not_before, SPAN + 1)
    )
    expected = next((slot for slot in tried if slot.nodes.bit_count() >= count), None)

    found = profile.earliest(
        count, duration, eligible=eligible, not_before_s=not_before
    )

    assert found == expected


@given(CHANGES, st.integers(0, SPAN), st.integers(0, SPAN), st.integers(0, SPAN))
def test_taking_and_giving_back_are_inverse(
    changes: Changes, start: int, stop: int, early: int
) -> None:
    """Given back at once nothing changed; given back early the rest is free."""
    profile, _ = made(changes)
    nodes = profile.free_over(start, stop)
    taken = profile.take(nodes, start, stop)
    early = min(max(start, early), max(start, stop))

    assert taken.give(nodes, start, stop) == profile
    assert taken.give(nodes, early, stop) == profile.take(nodes, start, early)
