"""Replays: small ones by hand, larger ones against plain counting."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from climorch.errors import InvalidInputError
from climorch.forecast.swf import Jobs
from climorch.twin.swf_replay import Replay, replay
from tests.property.counting import Job, replay_starts

POLICIES = ("conservative", "easy", "fcfs", "sjbf")

Rows = list[tuple[int, int, int, int]]


def jobs_of(rows: Rows, machine: int = 4) -> Jobs:
    """Make jobs of submit, run, request and processors."""
    table = np.asarray(rows, dtype=np.int64).reshape(-1, 4)
    return Jobs(
        number=np.arange(1, len(table) + 1),
        submit_s=table[:, 0],
        run_s=table[:, 1],
        request_s=table[:, 2],
        processors=table[:, 3],
        machine=machine,
    )


def starts(rows: Rows, policy: str, machine: int = 4) -> list[int]:
    """Return when each job starts."""
    found: list[int] = replay(jobs_of(rows, machine), policy=policy).start_s.tolist()
    return found


# Three of four processors until 10; a head that needs all; then a short and a long one.
HEAD: Rows = [(0, 10, 10, 3), (1, 10, 10, 4), (2, 5, 8, 1), (3, 5, 20, 1)]
# The second that waits needs all; a long narrow one would delay it, not the head.
SECOND: Rows = [(0, 10, 10, 3), (1, 10, 10, 2), (2, 10, 10, 4), (3, 99, 99, 1)]
# Two that would overtake, the later one shorter.
SHORT: Rows = [(0, 20, 20, 2), (1, 20, 20, 4), (1, 4, 8, 4), (2, 9, 9, 2), (2, 8, 8, 2)]


@pytest.mark.parametrize(
    ("rows", "policy", "expected"),
    [
        (HEAD, "fcfs", [0, 10, 20, 20]),
        (HEAD, "easy", [0, 10, 2, 20]),
        (HEAD, "sjbf", [0, 10, 2, 20]),
        (HEAD, "conservative", [0, 10, 2, 20]),
        (SECOND, "fcfs", [0, 10, 20, 30]),
        (SECOND, "easy", [0, 10, 102, 3]),
        (SECOND, "conservative", [0, 10, 20, 30]),
        (SHORT, "easy", [0, 20, 40, 2, 11]),
        (SHORT, "sjbf", [0, 20, 40, 2, 11]),
    ],
)
def test_small_schedules(rows: Rows, policy: str, expected: list[int]) -> None:
    """Each rule starts a handful of jobs when it should, worked out by hand."""
    assert starts(rows, policy) == expected


def test_the_shortest_overtakes_first_when_room_appears() -> None:
    """Two wait for the same processors: in order under EASY, else the shorter one."""
    # Two of four end early at 5; until 20 the head of four cannot start.
    rows: Rows = [
        (0, 20, 20, 2),
        (0, 5, 15, 2),
        (1, 9, 9, 4),
        (2, 9, 9, 2),
        (3, 8, 8, 2),
    ]

    assert starts(rows, "easy") == [0, 0, 20, 5, 29]
    assert starts(rows, "sjbf") == [0, 0, 20, 29, 5]


def test_knowing_the_run_times_changes_who_fits() -> None:
    """With true run times a job fits before the head that its request kept out."""
    jobs = jobs_of([(0, 10, 10, 3), (1, 10, 10, 4), (2, 5, 20, 1)])

    assert replay(jobs).start_s.tolist() == [0, 10, 20]
    known = replay(jobs, clairvoyant=True)
    assert known.start_s.tolist() == [0, 10, 2]
    assert known.clairvoyant


def test_an_early_end_moves_reservations_forward() -> None:
    """Under conservative all that can start earlier do so when a job ends early."""
    rows: Rows = [(0, 4, 50, 4), (1, 10, 10, 3), (2, 10, 10, 2), (3, 10, 10, 1)]

    assert starts(rows, "conservative") == [0, 4, 14, 4]


def test_a_reservation_starts_though_nothing_ends_then() -> None:
    """At its time a reservation is due, whether or not an event brings it up."""
    # The fourth, reserved until 20, keeps the third from moving when the first ends at
    # 5, and starts at 5 itself; so nothing ends at 20 any more.
    rows: Rows = [(0, 5, 20, 2), (0, 8, 8, 1), (1, 10, 10, 4), (2, 12, 12, 2)]

    assert starts(rows, "conservative") == [0, 0, 20, 5]


def test_behind_the_depth_nobody_starts() -> None:
    """With one reservation at a time the others wait until it is their turn."""
    rows: Rows = [(0, 10, 10, 3), (1, 10, 10, 4), (2, 5, 8, 1), (3, 2, 2, 1)]
    jobs = jobs_of(rows)

    def starts_at(depth: int | None) -> list[int]:
        found = replay(jobs, policy="conservative", depth=depth)
        return [int(start) for start in found.start_s]

    assert starts_at(None) == [0, 10, 2, 7]
    assert starts_at(2) == [0, 10, 2, 7]
    assert starts_at(1) == [0, 10, 20, 20]


def test_arrivals_come_before_the_ends_of_the_same_second() -> None:
    """What arrives when another job ends early meets a machine that is still full."""
    # At 5 one of two processors is free; the other one's job has asked until 9.
    rows: Rows = [(0, 5, 9, 1), (5, 10, 10, 2), (5, 3, 3, 1)]

    assert starts(rows, "easy", machine=2) == [0, 8, 5]


def test_an_estimate_that_ends_this_second_frees_its_processor() -> None:
    """An arrival may start on a processor whose job ends by its estimate now."""
    # Else the first arrival would wait, and the second one take what is free.
    rows: Rows = [(0, 5, 5, 1), (5, 10, 10, 2), (5, 1, 1, 1)]

    assert starts(rows, "easy", machine=2) == [0, 5, 15]


def test_an_arrival_does_not_pass_those_who_can_start_this_second() -> None:
    """Where estimates end this second the whole queue is looked at, in order."""
    rows: Rows = [(0, 5, 5, 2), (0, 5, 5, 1), (1, 10, 10, 2), (2, 10, 10, 1)]

    assert starts([*rows, (5, 4, 4, 1)], "easy", machine=3) == [0, 0, 5, 5, 15]


def test_a_job_may_take_no_time() -> None:
    """A job that ends in the second of its start gives its processors back."""
    rows: Rows = [(0, 0, 1, 4), (0, 10, 10, 4)]

    for policy in POLICIES:
        assert starts(rows, policy) == [0, 0]


def test_figures_of_a_replay() -> None:
    """Waits, bounded slowdown and utilisation of two jobs, worked out by hand."""
    found = replay(jobs_of([(0, 20, 40, 3), (10, 5, 5, 2)]), policy="fcfs")

    assert found.wait_s.tolist() == [0, 10]
    # The second one: (10 + 5) s over 10 s, as shorter runs count 10 s.
    assert found.bounded_slowdown.tolist() == [1.0, 1.5]
    assert found.mean_bounded_slowdown == 1.25
    assert found.mean_wait_s == 5.0
    # 3 × 20 + 2 × 5 processor-seconds of 4 × 25.
    assert found.utilisation == 0.7
    assert (found.policy, found.machine) == ("fcfs", 4)


def test_a_replay_is_a_table() -> None:
    """Each job has a row under its number."""
    table = replay(jobs_of([(0, 20, 40, 3), (10, 5, 5, 2)])).to_pandas()

    assert table.index.name == "job"
    assert table.loc[2].to_dict() == {
        "submit_s": 10,
        "wait_s": 10,
        "run_s": 5,
        "request_s": 5,
        "processors": 2,
        "bounded_slowdown": 1.5,
    }


def test_nothing_to_replay_has_no_figures() -> None:
    """Without jobs, or without time, figures are NaN."""
    none = replay(jobs_of([]))

    assert math.isnan(none.mean_bounded_slowdown)
    assert math.isnan(none.mean_wait_s)
    assert math.isnan(none.utilisation)
    assert math.isnan(replay(jobs_of([(3, 0, 1, 1)])).utilisation)


def test_what_cannot_be_replayed_is_told_at_once() -> None:
    """An unknown rule and jobs above the machine are one error with both."""
    with pytest.raises(InvalidInputError) as caught:
        replay(jobs_of([(0, 1, 1, 5), (0, 1, 1, 4), (0, 1, 1, 9)]), policy="lifo")

    assert [str(fault) for fault in caught.value.faults] == [
        "replay.policy: got 'lifo'; one of fcfs, easy, sjbf, conservative",
        "replay.processors: 2 jobs need more than 4: 1, 3; "
        "replay them on a larger machine, or leave them out",
    ]
    with pytest.raises(InvalidInputError, match="got 0, expected >= 1; give None"):
        replay(jobs_of([(0, 1, 1, 1)]), depth=0)
    with pytest.raises(InvalidInputError, match="the machine has 0; say how many"):
        replay(jobs_of([(0, 1, 1, 1)], machine=0))


MACHINE = 5
workloads = st.lists(
    st.tuples(
        st.integers(0, 30),
        st.integers(0, 12),
        st.integers(0, 12),
        st.integers(1, MACHINE),
    ),
    max_size=14,
).map(
    lambda rows: [
        (submit, run, max(run + more, 1), count)
        for submit, run, more, count in sorted(rows, key=lambda row: row[0])
    ]
)


@settings(max_examples=400)
@given(workloads, st.sampled_from(["fcfs", "easy", "sjbf"]))
def test_a_replay_starts_jobs_as_plain_counting_does(rows: Rows, policy: str) -> None:
    """Looking only at what changed gives the starts of a whole pass at each event."""
    counted = [
        Job(submit_s=submit, run_s=run, estimate_s=request, processors=count)
        for submit, run, request, count in rows
    ]

    assert starts(rows, policy, MACHINE) == replay_starts(counted, MACHINE, policy)


@given(
    workloads, st.sampled_from(POLICIES), st.booleans(), st.none() | st.integers(1, 4)
)
def test_every_job_runs_once_and_no_processor_is_used_twice(
    rows: Rows, policy: str, clairvoyant: bool, depth: int | None
) -> None:
    """No job starts before it arrives, and never are more processors used than are."""
    jobs = jobs_of(rows, MACHINE)
    found = replay(jobs, policy=policy, clairvoyant=clairvoyant, depth=depth)

    assert found.start_s.shape == (len(rows),)
    assert (found.wait_s >= 0).all()
    assert most_used(found) <= MACHINE


def most_used(found: Replay) -> int:
    """Count the processors in use in the busiest second; ends come first."""
    jobs, start_s = found.jobs, found.start_s
    changes = [
        *zip((start_s + jobs.run_s).tolist(), (-jobs.processors).tolist(), strict=True),
        *zip(start_s.tolist(), jobs.processors.tolist(), strict=True),
    ]
    used = most = 0
    for _, change in sorted(c for c in changes):
        used += change
        most = max(most, used)
    return most
