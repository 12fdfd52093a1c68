"""Jobs are kept as many as are wanted, whatever the batch system answers."""

from __future__ import annotations

import asyncio

import pytest

from climorch.sites.batch.jobs import JobState
from tests.unit.sites.batch.bench import Bench


@pytest.fixture
def bench() -> Bench:
    """Return a keeper on a fake batch system."""
    return Bench()


async def test_what_is_missing_is_asked_for_once(bench: Bench) -> None:
    """Jobs that wait are on their way."""
    await bench.look(0.0)
    await bench.look(10.0)
    assert bench.fake.took("submit") == 2


async def test_a_failed_question_says_nothing(bench: Bench) -> None:
    """Jobs are neither gone nor asked for again, and somebody is told."""
    await bench.look(0.0)
    bench.fake.broken = "Unable to contact slurm controller"
    await bench.look(10.0)

    assert bench.fake.took("submit") == 2
    assert set(bench.keeper.known) == {"1", "2"}
    assert bench.keeper.ended == []
    assert "does not tell: Unable to contact" in bench.news.troubles["query"]
    bench.fake.broken = ""
    await bench.look(20.0)
    assert bench.news.troubles == {}
    assert bench.fake.took("submit") == 2


async def test_a_submission_without_an_answer_is_not_repeated_blindly(
    bench: Bench,
) -> None:
    """The next question shows that it was taken."""
    bench.fake.silent = True
    await bench.look(0.0)
    assert bench.fake.took("submit") == 1
    bench.fake.silent = False
    await bench.look(10.0)
    await bench.look(20.0)
    assert bench.fake.took("submit") == 2
    assert len(bench.fake.queue) == 2


async def test_refused_submissions_are_told_and_tried_ever_more_rarely(
    bench: Bench,
) -> None:
    """A queue that is full stays full for a while."""
    bench.fake.refuses = "sbatch: error: AssocMaxSubmitJobLimit"
    for now_s in range(0, 200, 10):
        await bench.look(float(now_s))

    assert bench.fake.took("submit") == 5
    assert bench.news.troubles == {
        "submit": "the batch system takes no job: sbatch: error: AssocMaxSubmitJobLimit"
    }
    bench.fake.refuses = ""
    await bench.look(1000.0)
    assert bench.news.troubles == {}
    assert len(bench.fake.queue) == 2


async def test_what_does_not_pass_is_not_tried_for_ever(bench: Bench) -> None:
    """Five times, with the remedy; again only when nodes are started anew."""
    bench.fake.refuses = "sbatch: error: Invalid account"
    told = (
        "the batch system takes no job: sbatch: error: Invalid account; "
        "name another one"
    )
    await bench.look(0.0)
    assert bench.news.troubles == {"submit": told}
    for now_s in range(10, 100_000, 10):
        await bench.look(float(now_s))
    assert bench.fake.took("submit") == 5
    assert bench.news.troubles["submit"] == told
    assert bench.news.troubles["final"] == (
        f"{told}; no other one is tried before the campaign is started anew"
    )
    bench.fake.refuses = ""
    await bench.look(200_000.0)
    assert bench.fake.took("submit") == 5
    bench.keeper.again()
    assert bench.news.troubles == {"submit": told}
    await bench.look(200_010.0)
    assert bench.fake.took("submit") == 7
    assert bench.news.troubles == {}


async def test_nodes_that_are_started_anew_wait_as_those_before(bench: Bench) -> None:
    """What may pass is not tried sooner for it."""
    bench.fake.refuses = "sbatch: error: AssocMaxSubmitJobLimit"
    await bench.look(0.0)
    await bench.look(10.0)
    bench.keeper.again()
    await bench.look(20.0)
    assert bench.fake.took("submit") == 2


async def test_jobs_of_an_earlier_driver_are_taken_over(bench: Bench) -> None:
    """They are found by their tag; their ends are told."""
    await bench.look(0.0)
    for number in ("1", "2"):
        bench.fake.becomes(
            number, state=JobState.RUNNING, hosts=("n" + number,), ends_s=3600.0
        )
    bench.keeper = bench.another()
    await bench.look(100.0)

    assert bench.fake.took("submit") == 2
    assert bench.news.ends == [
        ("n1.1", 3600.0, "its job ends"),
        ("n2.2", 3600.0, "its job ends"),
    ]


async def test_a_job_is_succeeded_before_it_ends(bench: Bench) -> None:
    """By as long as jobs have waited and nodes take to start."""
    await bench.look(0.0)
    for number in ("1", "2"):
        bench.fake.becomes(
            number,
            state=JobState.RUNNING,
            hosts=("n",),
            submitted_s=0.0,
            started_s=40.0,
            ends_s=3640.0,
        )
    await bench.look(50.0)
    await bench.look(3539.0)
    assert bench.fake.took("submit") == 2
    await bench.look(3541.0)
    assert bench.fake.took("submit") == 4


@pytest.mark.parametrize(
    "state", [JobState.WALLTIME, JobState.PREEMPTED, JobState.NODE_FAILED, None]
)
async def test_why_a_job_ended_is_kept(bench: Bench, state: JobState | None) -> None:
    """One that is missing from an answer did not succeed: nobody knows."""
    await bench.look(0.0)
    bench.fake.becomes("1", state=JobState.RUNNING, hosts=("n1",), ends_s=3600.0)
    await bench.look(10.0)
    if state is None:
        bench.fake.queue = [j for j in bench.fake.queue if j.id != "1"]
    else:
        bench.fake.becomes("1", state=state, hosts=("n1",), started_s=5, ends_s=99)
    await bench.look(100.0)

    (job,) = bench.keeper.ended
    assert (job.id, job.state) == ("1", state or JobState.UNKNOWN)
    await bench.look(110.0)
    assert len(bench.keeper.ended) == 1
    assert bench.fake.took("submit") == 3


async def test_jobs_that_end_at_once_are_not_asked_for_without_end(
    bench: Bench,
) -> None:
    """Each pause is twice the one before; somebody is told where the log is."""
    for now_s in range(0, 400, 10):
        await bench.look(float(now_s))
        for job in list(bench.fake.queue):
            if job.state is JobState.QUEUED:
                bench.fake.becomes(
                    job.id, state=JobState.FAILED, started_s=1.0, ends_s=2.0
                )

    assert bench.fake.took("submit") <= 12
    assert "ended as soon as it had begun" in bench.news.troubles["quick"]


async def test_a_job_that_waits_for_what_never_comes_is_told(bench: Bench) -> None:
    """With the remedy, once; and no longer once it has what it waited for."""
    await bench.look(0.0)
    bench.fake.becomes("1", state=JobState.QUEUED, reason="TooMuch")
    await bench.look(10.0)
    assert bench.news.troubles == {"hopeless": "job 1 waits for TooMuch: ask for less"}
    bench.fake.becomes("1", state=JobState.RUNNING, hosts=("n",), ends_s=3600.0)
    await bench.look(20.0)
    assert bench.news.troubles == {}


async def test_the_end_takes_all_jobs_with_it(bench: Bench) -> None:
    """Who waits at once; who has nodes gets a moment to give them back."""
    await bench.look(0.0)
    bench.fake.becomes("1", state=JobState.RUNNING, hosts=("n",), ends_s=3600.0)
    await bench.keeper.end(patience_s=0.0)
    assert bench.fake.queue == []
    assert bench.fake.calls[-1] == ("cancel", "2", "1")
    assert bench.keeper.known == {}


async def test_jobs_that_end_by_themselves_are_not_cancelled(bench: Bench) -> None:
    """Their agents were told that it is over."""
    await bench.look(0.0)
    for number in ("1", "2"):
        bench.fake.becomes(number, state=JobState.RUNNING, hosts=("n",))
    asked = bench.fake.took("query")
    ending = asyncio.create_task(bench.keeper.end(patience_s=30.0))
    while bench.fake.took("query") == asked:
        await asyncio.sleep(0)
    for number in ("1", "2"):
        bench.fake.becomes(number, state=JobState.DONE)
    await ending
    assert bench.fake.took("cancel") == 0


async def test_where_nobody_answers_what_was_known_is_ended(bench: Bench) -> None:
    """It is tried, whatever comes of it."""
    await bench.look(0.0)
    bench.fake.broken = "down"
    await bench.keeper.end(patience_s=0.0)
    assert bench.fake.calls[-1] == ("cancel", "1", "2")


async def test_a_job_held_after_a_failed_launch_is_released_once(bench: Bench) -> None:
    """Slurm holds it, nobody's will does."""
    await bench.look(0.0)
    bench.fake.becomes("1", state=JobState.HELD, restarts=1, submitted_s=1.0)
    await bench.look(10.0)
    await bench.look(20.0)
    assert bench.fake.took("release") == 1
