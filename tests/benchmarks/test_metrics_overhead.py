"""The benchmark of what measuring costs, without its campaign."""

from __future__ import annotations

import pytest

from benchmarks.metrics_overhead import (
    WARM_UP,
    Watch,
    compared,
    heartbeat_s,
    switched_on,
)


def test_windows_lie_so_that_a_drift_falls_out() -> None:
    """With, without, without, with; segments before the first one are measured."""
    switched = [switched_on(segment, 2) for segment in range(WARM_UP + 10)]

    assert switched[:WARM_UP] == [True] * WARM_UP
    assert switched[WARM_UP:] == [*(True,) * 2, *(False,) * 4, *(True,) * 4]


def test_a_window_is_noted_once() -> None:
    """At its first segment, with the CPU seconds of all processes."""
    watch = Watch(window=2)
    for segment in range(WARM_UP + 4):
        watch.begins(segment)

    assert len(watch.seen) == 2
    (first_s, first_cpu_s), (second_s, second_cpu_s) = watch.seen
    assert first_s <= second_s
    assert 0 < first_cpu_s <= second_cpu_s
    assert not watch.on


def test_a_heartbeat_costs_next_to_nothing() -> None:
    """Far below a millisecond even on a busy machine."""
    assert 0 < heartbeat_s(200) < 1e-3


def test_what_measuring_costs_is_the_difference_of_neighbours() -> None:
    """A tenth of a second per segment of one, whichever window comes first."""
    watch = Watch(window=2)
    at_s = cpu_s = 0.0
    watch.seen.append((at_s, cpu_s))
    for on in (True, False, False, True):
        at_s += 2.2 if on else 2.0
        cpu_s += 1.0
        watch.seen.append((at_s, cpu_s))

    found = compared(watch, pairs=2)
    assert found["wall_extra_s"] == pytest.approx(0.1)
    assert found["cpu_extra_s"] == pytest.approx(0.0)
    assert float(found["share_of_time"]) == pytest.approx(0.01, abs=1e-3)
    assert 0 < float(found["share_of_cpu"]) < 1e-3
