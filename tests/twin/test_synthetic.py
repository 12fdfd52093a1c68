"""The benchmark of replays, on a workload that it makes: all but the time it takes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.swf_replay import Row, broken_order, measure, synthetic
from climorch.policy.backfill import RULES


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    """Replay a month of made-up jobs under every rule."""
    workload = synthetic(3_000)
    return [
        measure(workload, policy, clairvoyant=known)
        for policy in RULES
        for known in (False, True)
    ]


def test_a_made_up_workload_is_the_same_each_time() -> None:
    """A seed gives one workload: by arrival, within the machine, below its requests."""
    one, two = synthetic(500).jobs, synthetic(500).jobs

    assert (one.submit_s == two.submit_s).all()
    assert (one.submit_s[1:] >= one.submit_s[:-1]).all()
    assert int(one.processors.max()) <= one.machine
    assert (one.run_s <= one.request_s).all()


def test_the_rules_come_in_their_known_order(rows: list[Row]) -> None:
    """Backfill beats first come first served, and shortest first beats EASY."""
    assert list(broken_order(rows)) == []


def test_an_order_that_is_broken_is_named(rows: list[Row]) -> None:
    """Were EASY better than shortest first, the benchmark would say so."""
    better = [
        replace(row, slowdown=1.0) if row.policy == "easy" else row for row in rows
    ]

    assert list(broken_order(better)) == [
        "synthetic: sjbf is not better than easy",
        "synthetic: sjbf is not better than easy",
    ]
