"""What jobs wait for is told when it changes, and not at each look."""

from __future__ import annotations

import math
from typing import Any

import pytest

from climorch.model.supply import JobsWaiting, SiteTold
from climorch.sites.batch.bulletin import HELD, Posted, waiting_of
from climorch.sites.batch.jobs import Job, JobRequest, JobState
from tests.unit.sites.batch.bench import Bench, Fake

REQUEST = JobRequest(tag="t", nodes=2, partition="long", qos="high", account="me")
FAKE = Fake()


def job(number: int, reason: str = "", **more: Any) -> Job:
    """A job that waits since as many seconds as its number says."""
    given = {"state": JobState.QUEUED, "submitted_s": float(number), **more}
    return Job(id=str(number), reason=reason, **given)


def told(*waiting: JobsWaiting, **troubles: str) -> SiteTold:
    """What a site may tell."""
    return SiteTold(system="Fake", waiting=waiting, troubles=troubles)


def group(reason: str, jobs: int = 1, **more: Any) -> JobsWaiting:
    """Jobs of two nodes."""
    return JobsWaiting(jobs=jobs, nodes=2, reason=reason, **more)


@pytest.mark.parametrize(
    ("jobs", "found"),
    [
        ([], ()),
        ([job(1, state=JobState.RUNNING), job(2, state=JobState.DONE)], ()),
        (
            [job(3, "Priority"), job(2, "Priority")],
            (group("Priority", jobs=2, since_s=2.0, meaning="others are before it"),),
        ),
        (
            [job(1, "TooMuch")],
            (group("TooMuch", since_s=1.0, meaning="ask for less", lasting=True),),
        ),
        ([job(1, "Strange")], (group("Strange", since_s=1.0),)),
        (
            [job(1, state=JobState.HELD), job(2)],
            (group("", since_s=1.0, meaning=HELD), group("", since_s=2.0)),
        ),
        # Whoever says no time, or a wrong one, comes last.
        (
            [job(1, "A", submitted_s=math.nan), job(2, "B", submitted_s=1e300)],
            (group("A"), group("B")),
        ),
        (
            [job(1, "A", submitted_s=-1.0), job(7, "B")],
            (group("B", since_s=7.0), group("A")),
        ),
        (
            [job(1, "two\nlines " + "x" * 400)],
            (group("two lines " + "x" * 290, since_s=1.0),),
        ),
    ],
)
def test_jobs_that_wait_for_the_same_are_put_together(
    jobs: list[Job], found: tuple[JobsWaiting, ...]
) -> None:
    """Who has waited longest first; who has nodes, or is over, waits for none."""
    assert waiting_of(jobs, FAKE, REQUEST) == found


def test_of_many_reasons_only_some_are_told_apart() -> None:
    """What is journaled stays small; all jobs are counted."""
    found = waiting_of([job(n, f"why {n}") for n in range(100)], FAKE, REQUEST)

    assert len(found) == 20
    assert sum(group.jobs for group in found) == 100
    assert found[-1].reason == "81 other reasons"
    assert found[-1].since_s == 19.0


CALM, BUSY = told(), told(group("Priority"))


@pytest.mark.parametrize(
    ("before", "found", "at_once", "later"),
    [
        (None, CALM, False, False),
        (None, BUSY, True, True),
        (None, told(query="no answer"), True, True),
        (BUSY, BUSY, False, False),
        (BUSY, CALM, True, True),
        # Words alone: whoever looks at the queue sees others each minute.
        (BUSY, told(group("Resources")), False, True),
        (told(query="code 1"), told(query="code 2"), False, True),
        # What somebody could act on.
        (BUSY, told(group("Priority", jobs=2)), True, True),
        (BUSY, told(group("TooMuch", meaning="less", lasting=True)), True, True),
        (BUSY, told(group("Priority"), submit="refused"), True, True),
        (told(group("A"), group("B")), told(group("A", jobs=2)), False, True),
    ],
)
def test_a_change_is_told_once_and_of_words_rarely(
    before: SiteTold | None, found: SiteTold, at_once: bool, later: bool
) -> None:
    """Each report is a row of the journal."""
    posted = Posted(before, 1000.0)

    assert posted.due(found, 1001.0) is at_once
    assert posted.due(found, 1599.0) is at_once
    assert posted.due(found, 1600.0) is later


@pytest.fixture
def bench() -> Bench:
    """Return a keeper on a fake batch system."""
    return Bench()


async def test_what_waits_is_told_and_that_it_came(bench: Bench) -> None:
    """Once each, however often the batch system is asked."""
    await bench.look(0.0)
    assert bench.news.told == []
    bench.fake.becomes("1", state=JobState.QUEUED, reason="TooMuch", submitted_s=1.0)
    bench.fake.becomes("2", state=JobState.RUNNING, hosts=("n",), ends_s=1e6)
    for now_s in range(10, 600, 10):
        await bench.look(float(now_s))
    lasting = JobsWaiting(
        jobs=1,
        nodes=1,
        since_s=1.0,
        reason="TooMuch",
        meaning="ask for less",
        lasting=True,
    )
    # The alarm says the same of one job; here it stands but once.
    assert bench.news.told == [told(lasting)]
    bench.fake.becomes("1", state=JobState.RUNNING, hosts=("m",), ends_s=1e6)
    await bench.look(600.0)
    await bench.look(610.0)
    assert bench.news.told == [told(lasting), told()]


async def test_reasons_that_come_and_go_are_few_rows_a_day(bench: Bench) -> None:
    """Asked each ten seconds for a day, with another reason each time."""
    await bench.look(0.0)
    for turn in range(1, 8640):
        for number in ("1", "2"):
            bench.fake.becomes(
                number,
                state=JobState.QUEUED,
                reason=("Priority", "Resources")[turn % 2],
                submitted_s=0.0,
            )
        await bench.look(10.0 * turn)

    assert 100 <= len(bench.news.told) <= 144


async def test_while_nobody_tells_what_was_known_still_waits(bench: Bench) -> None:
    """A question that failed says nothing of jobs, and is trouble itself."""
    await bench.look(0.0)
    await bench.look(10.0)
    bench.fake.broken = "Unable to contact slurm controller"
    await bench.look(20.0)

    before, now = bench.news.told
    assert before.waiting == now.waiting
    assert now.waiting == (JobsWaiting(jobs=2, nodes=1, since_s=1.0),)
    assert "does not tell: Unable to contact" in now.troubles["query"]
    bench.fake.broken = ""
    await bench.look(30.0)
    assert bench.news.told[-1] == before


async def test_whoever_listens_next_is_told_again(bench: Bench) -> None:
    """A new Dask scheduler, or another driver; nothing where all is well."""
    bench.keeper.again()
    assert bench.news.told == []
    bench.fake.refuses = "sbatch: error: Invalid account"
    await bench.look(0.0)
    bench.keeper.again()

    first, second = bench.news.told
    assert first == second
    assert "takes no job" in first.troubles["submit"]


async def test_what_goes_wrong_in_a_look_is_told_with_the_next(bench: Bench) -> None:
    """Whatever a batch system prints."""
    await bench.look(0.0)
    bench.keeper.trouble("loop", "batch system: it printed nonsense")
    await bench.look(10.0)
    assert bench.news.told[-1].troubles == {"loop": "batch system: it printed nonsense"}


async def test_nobody_need_listen(bench: Bench) -> None:
    """A site may be tried without a campaign."""
    bench.keeper.bulletin.news = None
    await bench.look(0.0)
    await bench.look(10.0)
    assert bench.news.told == []
