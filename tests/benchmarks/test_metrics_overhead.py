"""The benchmark of what measuring costs, without its campaign."""

from __future__ import annotations

from benchmarks.metrics_overhead import WARM_UP, Watch, heartbeat_s, switched_on


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
