"""How many jobs are asked for, and when."""

from __future__ import annotations

import math

import pytest

from climorch.sites.batch.jobs import Job, JobState
from climorch.sites.batch.renewal import (
    Bucket,
    Need,
    Renewal,
    Turn,
    lead_s,
    pause_s,
    renew,
)

WANTED = Renewal(jobs=2, walltime_s=3600.0, start_s=60.0)


def running(number: str, ends_s: float) -> Job:
    """Make a job that has its node."""
    return Job(
        id=number, state=JobState.RUNNING, hosts=("n",), started_s=0.0, ends_s=ends_s
    )


def waiting(number: str, state: JobState = JobState.QUEUED, restarts: int = 0) -> Job:
    """Make a job that waits; higher numbers came later."""
    return Job(id=number, state=state, submitted_s=float(number), restarts=restarts)


@pytest.mark.parametrize(
    ("jobs", "turn"),
    [
        ([], Turn(submit=2)),
        ([waiting("1")], Turn(submit=1)),
        ([waiting("1"), running("2", 5000.0)], Turn()),
        # It ends within the time that a successor needs.
        ([running("1", 1099.0), running("2", 5000.0)], Turn(submit=1)),
        ([running("1", 1101.0), running("2", 5000.0)], Turn()),
        # Its successor waits already.
        ([running("1", 1001.0), running("2", 5000.0), waiting("3")], Turn()),
        # One too many: the newest goes, who computes never.
        (
            [waiting("3"), waiting("1"), running("2", 5000.0)],
            Turn(cancel=("3",)),
        ),
        ([running(str(n), 5000.0) for n in range(4)], Turn()),
        ([running("1", 5e3), running("2", 5e3), waiting("3")], Turn(cancel=("3",))),
        # Nobody knows: it is not asked for twice.
        ([Job(id="1", state=JobState.UNKNOWN), waiting("2")], Turn()),
        # It is on its way out.
        ([Job(id="1", state=JobState.ENDING), waiting("2")], Turn(submit=1)),
        ([Job(id="1", state=JobState.WALLTIME), waiting("2")], Turn(submit=1)),
        # Held because its launch failed; one that somebody holds stays held.
        (
            [waiting("1", JobState.HELD, 1), waiting("2", JobState.HELD)],
            Turn(release=("1",)),
        ),
    ],
)
def test_each_job_is_there_or_on_its_way(jobs: list[Job], turn: Turn) -> None:
    """At 1000 s, with successors that need 100 s."""
    assert renew(WANTED, jobs, now_s=1000.0, ahead_s=100.0) == turn


@pytest.mark.parametrize(
    ("jobs", "needed", "turn"),
    [
        # Who lasts until nothing is needed any more is not succeeded.
        ([running("1", 1050.0)] * 2, Need(until_s=1040.0), Turn()),
        ([running("1", 1050.0)] * 2, Need(until_s=1060.0), Turn(submit=2)),
        ([running("1", 1050.0)] * 2, Need(jobs=1, until_s=1060.0), Turn(submit=1)),
        ([running("1", 1050.0)] * 2, Need(jobs=1.0), Turn(submit=1)),
        # What waits and is not needed is let go; who computes is not.
        ([running("1", 9e9), waiting("2")], Need(jobs=1), Turn(cancel=("2",))),
        ([running("1", 9e9), running("2", 9e9)], Need(jobs=1), Turn()),
        # Should have ended by now: all is needed that was.
        ([running("1", 1050.0)] * 2, Need(until_s=900.0), Turn()),
        ([], Need(until_s=900.0), Turn(submit=2)),
    ],
)
def test_no_job_is_asked_for_that_is_not_needed(
    jobs: list[Job], needed: Need, turn: Turn
) -> None:
    """At 1000 s, with successors that need 100 s."""
    found = renew(WANTED, jobs, now_s=1000.0, ahead_s=100.0, needed=needed)
    assert found == turn


def test_a_job_is_released_once() -> None:
    """One that is held again is held by somebody's will."""
    jobs = [waiting("1", JobState.HELD, 1), waiting("2")]

    turn = renew(WANTED, jobs, now_s=0.0, ahead_s=0.0, released={"1"})
    assert turn == Turn()


@pytest.mark.parametrize(
    ("waits_s", "lead"),
    [
        ([], 60.0),
        ([100.0], 160.0),
        ([0.0] * 9 + [100.0], 70.0),
        # Longer than half a job: every one would have two.
        ([9000.0], 1800.0),
        # Only the newest twenty count.
        ([9000.0] * 50 + [0.0] * 20, 60.0),
    ],
)
def test_successors_are_asked_for_by_how_long_jobs_waited(
    waits_s: list[float], lead: float
) -> None:
    """Nine of ten are there in time."""
    assert lead_s(WANTED, waits_s) == pytest.approx(lead)


def ended(state: JobState, ran_s: float) -> Job:
    """Make a job that is over."""
    return Job(id="1", state=state, started_s=0.0, ends_s=ran_s)


@pytest.mark.parametrize(
    ("jobs", "pause"),
    [
        ([], 0.0),
        ([ended(JobState.FAILED, 5.0)], 10.0),
        ([ended(JobState.FAILED, 5.0)] * 3, 40.0),
        ([ended(JobState.FAILED, math.nan)], 10.0),
        ([ended(JobState.DONE, 2.0)], 10.0),
        ([ended(JobState.FAILED, 5.0)] * 30, 3600.0),
        # It computed; or others ended it.
        ([ended(JobState.FAILED, 5.0), ended(JobState.FAILED, 500.0)], 0.0),
        ([ended(JobState.FAILED, 5.0), ended(JobState.PREEMPTED, 5.0)], 0.0),
        ([ended(JobState.NODE_FAILED, 5.0)], 0.0),
    ],
)
def test_jobs_that_come_to_nothing_are_tried_ever_more_rarely(
    jobs: list[Job], pause: float
) -> None:
    """A broken environment must not cost thousands of jobs in a night."""
    assert pause_s(jobs) == pause


def test_submissions_come_in_a_burst_and_then_at_a_rate() -> None:
    """Time fills the bucket to its brim, not above."""
    bucket = Bucket(tokens=3.0, most=3, every_s=2.0).at(0.0)
    assert bucket.tokens == 3.0
    bucket = bucket.take(3)
    assert bucket.at(3.0).tokens == 1.5
    assert bucket.at(1e9).tokens == 3.0
    # A clock that goes back gives nothing.
    assert bucket.at(-5.0).tokens == 0.0


def test_states_are_waiting_over_or_neither() -> None:
    """What is not known is not over."""
    assert {s for s in JobState if s.waits} == {JobState.QUEUED, JobState.HELD}
    assert {s for s in JobState if not s.waits and not s.over} == {
        JobState.RUNNING,
        JobState.ENDING,
        JobState.UNKNOWN,
    }
