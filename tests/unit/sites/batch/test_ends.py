"""When nodes go is told once, and again where that moves."""

from __future__ import annotations

import pytest

from climorch.sites.batch.jobs import Closure, JobState
from tests.unit.sites.batch.bench import Bench


@pytest.fixture
def bench() -> Bench:
    """Return a keeper on a fake batch system."""
    return Bench()


async def test_a_job_is_succeeded_before_its_host_goes(bench: Bench) -> None:
    """For maintenance, or by a warning: it may go on, and nobody computes there."""
    await bench.look(0.0)
    for number in ("1", "2"):
        bench.fake.becomes(
            number, state=JobState.RUNNING, hosts=("n" + number,), ends_s=3600.0
        )
    bench.fake.closures_ = [
        Closure(name="m", hosts=("n1",), start_s=500.0, stop_s=900.0)
    ]
    await bench.keeper.ask_closures()
    await bench.look(430.0)
    assert bench.fake.took("submit") == 2
    await bench.look(445.0)
    assert bench.fake.took("submit") == 3
    bench.keeper.ends.warn("n2.2", 480.0, "SIGTERM")
    await bench.look(450.0)
    assert bench.fake.took("submit") == 4
    await bench.look(600.0)
    assert bench.fake.took("submit") == 4


async def test_an_end_is_told_again_only_where_it_moves(bench: Bench) -> None:
    """To maintenance, to a warning; or away from both."""
    await bench.look(0.0)
    bench.fake.becomes("1", state=JobState.RUNNING, hosts=("n1",), ends_s=3600.0)
    await bench.look(10.0)
    await bench.look(20.0)
    bench.fake.closures_ = [
        Closure(name="m", hosts=("n1",), start_s=500.0, stop_s=900.0),
        Closure(name="past", hosts=(), start_s=1.0, stop_s=9.0),
        Closure(name="other", hosts=("n2",), start_s=100.0, stop_s=900.0),
    ]
    await bench.keeper.ask_closures()
    await bench.look(30.0)
    bench.keeper.ends.warn("n1.1", 60.0, "SIGTERM")
    bench.keeper.ends.warn("n1.1", 60.5, "SIGTERM")

    assert bench.news.ends == [
        ("n1.1", 3600.0, "its job ends"),
        ("n1.1", 500.0, "maintenance m"),
        ("n1.1", 60.0, "SIGTERM"),
    ]


async def test_a_warning_holds_until_the_job_is_over(bench: Bench) -> None:
    """The queue still tells the walltime of a job that is preempted."""
    await bench.look(0.0)
    bench.fake.becomes("1", state=JobState.RUNNING, hosts=("n1",), ends_s=3600.0)
    await bench.look(10.0)
    bench.keeper.ends.warn("n1.1", 60.0, "SIGTERM")
    await bench.look(20.0)
    assert bench.news.ends[-1] == ("n1.1", 60.0, "SIGTERM")
    # It is there long after: it was given its time back.
    await bench.look(700.0)
    assert bench.news.ends[-1] == ("n1.1", 3600.0, "its job ends")


async def test_what_is_taken_back_is_told_though_its_end_was_known(
    bench: Bench,
) -> None:
    """A job that was cancelled starts no programs; when it is killed nobody knows."""
    await bench.look(0.0)
    bench.fake.becomes("1", state=JobState.RUNNING, hosts=("n1",), ends_s=100.0)
    await bench.look(10.0)
    bench.keeper.ends.warn("n1.1", 150.0, "SIGTERM", recalled=True)
    bench.keeper.ends.warn("n1.1", 150.0, "SIGTERM", recalled=True)
    await bench.look(20.0)
    assert bench.news.ends[1:] == [("n1.1", 100.0, "SIGTERM")]
    assert bench.news.recalls == [("n1.1", 100.0)]
    # It is there long after: it was given its time back.
    bench.fake.becomes("1", state=JobState.RUNNING, hosts=("n1",), ends_s=3600.0)
    await bench.look(760.0)
    assert bench.news.ends[-1] == ("n1.1", 3600.0, "its job ends")
    assert len(bench.news.recalls) == 1


async def test_a_warning_gives_no_node_more_time(bench: Bench) -> None:
    """What is told when the walltime is over sounds as if there were a grace."""
    await bench.look(0.0)
    bench.fake.becomes("1", state=JobState.RUNNING, hosts=("n1",), ends_s=180.0)
    await bench.look(10.0)
    bench.keeper.ends.warn("n1.1", 168.0, "SIGUSR1")
    bench.keeper.ends.warn("n1.1", 238.0, "SIGTERM")
    await bench.look(170.0)
    bench.keeper.ends.warn("n1.1", 239.0, "SIGTERM")
    await bench.look(180.0)
    assert bench.news.ends == [
        ("n1.1", 180.0, "its job ends"),
        ("n1.1", 168.0, "SIGUSR1"),
    ]
    # Ten minutes later it is there and is warned for another reason.
    bench.fake.becomes("1", state=JobState.RUNNING, hosts=("n1",), ends_s=9000.0)
    await bench.look(800.0)
    bench.keeper.ends.warn("n1.1", 830.0, "SIGTERM")
    await bench.look(810.0)
    assert bench.news.ends[2:] == [
        ("n1.1", 9000.0, "its job ends"),
        ("n1.1", 830.0, "SIGTERM"),
    ]
