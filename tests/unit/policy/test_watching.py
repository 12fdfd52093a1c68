"""Which nodes are frozen, which tasks are stuck."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from climorch.errors import InvalidInputError
from climorch.policy.watching import (
    Frozen,
    Sight,
    Stuck,
    Vigil,
    Watch,
    counted_s,
    frozen_after_s,
    look,
    period_s,
    stuck_after_s,
)


def watched(
    looks: Iterable[tuple[float, list[Sight]]], *, frozen_s: float = 10.0
) -> list[tuple[float, Any]]:
    """Look again and again; return what was found at which second."""
    vigil = Vigil()
    found = []
    for seconds, sights in looks:
        vigil, verdicts = look(
            vigil, sights, counted_s=seconds, frozen_after_s=frozen_s
        )
        found += [(vigil.clock_s, verdict) for verdict in verdicts]
    return found


def beats(*seen: float, **more: Any) -> list[tuple[float, list[Sight]]]:
    """A look every 4 s at one worker with these last heartbeats."""
    return [(4.0, [Sight(worker="w", last_seen=at, **more)]) for at in seen]


@pytest.mark.parametrize(
    ("looks", "found"),
    [
        pytest.param(beats(1, 2, 3, 4, 5, 6), [], id="it beats"),
        pytest.param(
            beats(1, 1, 1, 1, 1, 1),
            [(16.0, Frozen(worker="w", silent_s=12.0))],
            id="silent, told once",
        ),
        pytest.param(beats(1, 1, 1, 2, 2, 2), [], id="it was slow"),
        pytest.param(beats(1, 1, 1, 1, 1, own_process=False), [], id="in this process"),
        pytest.param(
            beats(9, 9, 9, 3, 3, 3, 3, 3),
            [(28.0, Frozen(worker="w", silent_s=12.0))],
            id="whatever clock it is",
        ),
        pytest.param(
            beats(1, 1, 1, 1, 2, 2, 2, 2),
            [
                (16.0, Frozen(worker="w", silent_s=12.0)),
                (32.0, Frozen(worker="w", silent_s=12.0)),
            ],
            id="silent again after it woke up",
        ),
        pytest.param(
            [*beats(1, 1, 1), (4.0, []), *beats(1, 1, 1)], [], id="gone meanwhile"
        ),
    ],
)
def test_a_worker_that_is_silent_for_too_long_is_frozen(
    looks: list[tuple[float, list[Sight]]], found: list[Any]
) -> None:
    """Silence is measured from the look that noticed the last heartbeat."""
    assert watched(looks) == found


def runs(*tasks: Any, limit_s: float = 10.0) -> list[tuple[float, list[Sight]]]:
    """A look every 4 s at one worker that executes these tasks, one by one."""
    return [
        (
            4.0,
            [
                Sight(
                    worker="w",
                    last_seen=i,
                    executing={} if task is None else {task: limit_s},
                )
            ],
        )
        for i, task in enumerate(tasks)
    ]


@pytest.mark.parametrize(
    ("looks", "found"),
    [
        pytest.param(runs("a", "a", "a", "b", "b", "b"), [], id="each in time"),
        pytest.param(
            runs("a", "a", "a", "a", "a", "a"),
            [(16.0, Stuck(worker="w", task="a", seconds=12.0, limit_s=10.0))],
            id="stuck, told once",
        ),
        pytest.param(runs("a", "a", "a", "a", limit_s=12.0), [], id="just in time"),
        pytest.param(runs("a", "a", "a", None, "a", "a"), [], id="begun anew"),
        pytest.param(
            runs(("a", 1), ("a", 1), ("a", 2), ("a", 2), ("a", 2)),
            [],
            id="sent anew",
        ),
    ],
)
def test_a_task_that_executes_for_too_long_is_stuck(
    looks: list[tuple[float, list[Sight]]], found: list[Any]
) -> None:
    """Its execution is measured from the look that first saw it."""
    assert watched(looks) == found


def test_a_stuck_task_is_told_of_within_the_process_too() -> None:
    """Such a node is never frozen, but a task on it may be stuck."""
    sight = Sight(worker="w", last_seen=1, own_process=False, executing={"a": 5.0})

    assert watched([(4.0, [sight])] * 3) == [
        (12.0, Stuck(worker="w", task="a", seconds=8.0, limit_s=5.0))
    ]


@pytest.mark.parametrize(
    ("elapsed", "counted"),
    [(1.0, 1.0), (2.0, 2.0), (4.0, 4.0), (3600.0, 4.0), (-5.0, 0.0)],
)
def test_time_in_which_nobody_looked_does_not_count(
    elapsed: float, counted: float
) -> None:
    """At most two periods: who was stopped himself was not watching."""
    assert counted_s(elapsed, 2.0) == counted


@given(
    pause=st.floats(0, 1e6),
    at=st.integers(0, 20),
    frozen=st.integers(8, 100).map(float),
)
def test_a_pause_of_the_whole_process_condemns_nobody(
    pause: float, at: int, frozen: float
) -> None:
    """However long: all workers beat again soon after it."""
    period = frozen / 4
    looks = []
    for i in range(21):
        elapsed = period + (pause if i == at else 0.0)
        # The first look after it comes before the heartbeats that wait.
        seen = float(i - 1 if i == at else i)
        looks.append((counted_s(elapsed, period), [Sight(worker="w", last_seen=seen)]))

    assert watched(looks, frozen_s=frozen) == []


@pytest.mark.parametrize(
    ("heartbeat", "after"), [(0.5, 60.0), (2.5, 60.0), (12.0, 60.0), (51.0, 255.0)]
)
def test_many_workers_beat_seldom_and_get_more_time(
    heartbeat: float, after: float
) -> None:
    """Five heartbeats may be missed: 10,000 workers send one every 51 s."""
    assert frozen_after_s(Watch(), heartbeat) == after


def test_a_step_that_holds_the_interpreter_for_20_s_is_not_frozen_by_default() -> None:
    """Model code that is compiled holds it for as long; no heartbeat is sent."""
    every = period_s(Watch())
    looks = [(every, [Sight(worker="w", last_seen=1.0)])] * math.ceil(20 / every)

    assert watched(looks, frozen_s=frozen_after_s(Watch(), 0.5)) == []
    assert watched(looks * 4, frozen_s=frozen_after_s(Watch(), 0.5)) != []


@pytest.mark.parametrize(
    ("watch", "pace", "limit"),
    [
        (Watch(), None, None),
        (Watch(), 10.0, 1800.0),
        (Watch(), 700.0, 2100.0),
        (Watch(stuck_factor=10.0), 600.0, 6000.0),
        (Watch(stuck_factor=math.inf), 600.0, None),
        (Watch(limits_s={"ocean": 120.0}), None, 120.0),
        (Watch(limits_s={"ocean": 120.0}), 600.0, 120.0),
        (Watch(limits_s={"ocean": math.inf}), 600.0, None),
        (Watch(limits_s={"land": 120.0}), None, None),
    ],
)
def test_a_task_may_take_far_longer_than_the_pace_of_its_stage(
    watch: Watch, pace: float | None, limit: float | None
) -> None:
    """A declared limit counts instead; with neither nothing is known."""
    assert stuck_after_s(watch, "ocean", pace) == limit


@pytest.mark.parametrize(
    ("watch", "period"),
    [
        (Watch(), 5.0),
        (Watch(frozen_s=2.0), 0.5),
        (Watch(frozen_s=math.inf, stuck_min_s=4.0), 1.0),
        (Watch(limits_s={"ocean": 1.0}), 0.25),
    ],
)
def test_it_looks_often_enough_for_its_limits(watch: Watch, period: float) -> None:
    """Four times within the shortest, at least every 5 s."""
    assert period_s(watch) == period


def test_a_watch_that_cannot_be_kept_is_refused_with_all_faults() -> None:
    """Each with its place."""
    with pytest.raises(InvalidInputError) as caught:
        Watch(
            frozen_s=0,
            stuck_min_s=-1,
            stuck_factor=1,
            read_s=0,
            begin_s=0,
            limits_s={"a": math.nan},
        )

    assert [fault.place for fault in caught.value.faults] == [
        "Watch.frozen_s",
        "Watch.stuck_min_s",
        "Watch.stuck_factor",
        "Watch.read_s",
        "Watch.begin_s",
        "Watch.limits_s['a']",
    ]


def test_a_task_that_nothing_known_keeps_waiting_is_stuck_as_well() -> None:
    """Once, and on a clock of its own: what it executes has all of its time."""
    kept = {"kept": {"a": 10.0, "b": math.inf}}
    assert watched(beats(1, 2, 3, 4, 5, 6, **kept)) == [
        (16.0, Stuck(worker="w", task="a", seconds=12.0, limit_s=10.0))
    ]
    begun = [*beats(1, 2, 3, **kept), *beats(4, 5, 6, executing={"a": 10.0})]
    assert watched(begun) == []
    again = [*beats(1, 2, 3, **kept), *beats(4), *beats(5, 6, 7, **kept)]
    assert watched(again) == []


def test_what_waits_behind_something_unknown_waits_as_long_as_that_may_take() -> None:
    """A segment that was cancelled in a hang keeps an init that has hours."""
    kept = {"kept": {"init": 1000.0}}
    hung = beats(1, 2, executing={"a": 8.0})
    assert watched([*hung, *beats(3, 4, 5, 6, **kept)]) == [
        (24.0, Stuck(worker="w", task="init", seconds=12.0, limit_s=8.0))
    ]
    # Whatever was there last; what has no limit says nothing.
    later = beats(3, executing={"b": 1000.0, "c": 8.0})
    assert watched([*hung, *later, *beats(4, 5, 6, 7, **kept)]) == []
    unlimited = beats(3, executing={"b": math.inf})
    assert watched([*hung, *unlimited, *beats(4, 5, 6, 7, **kept)]) == []
    # Idle meanwhile or not: it waits from when it waits.
    idle = beats(3, 4, 5, 6)
    assert watched([*hung, *idle, *beats(7, 8, **kept)]) == []


def test_a_silent_worker_may_execute_what_it_was_given() -> None:
    """From its last heartbeat on; what it says that it executes, since it said so."""
    sights = beats(1, 2, 2, 2, 2, 2, given={"a": 10.0, "b": math.inf})
    assert watched(sights, frozen_s=1e9) == [
        (20.0, Stuck(worker="w", task="a", seconds=12.0, limit_s=10.0))
    ]
    assert watched(beats(1, 2, 3, 4, 5, 6, given={"a": 10.0})) == []
