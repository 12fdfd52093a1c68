"""Work that waits for a disk keeps nobody waiting for long."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from climorch.engine.threads import DiskThreads
from climorch.testing.faults import until


@pytest.fixture
def answers() -> Iterator[threading.Event]:
    """A disk that hangs until this is set; set at the end."""
    answers = threading.Event()
    yield answers
    answers.set()
    until(
        lambda: not any("climorch-disk" in t.name for t in threading.enumerate()),
        what="every thread has ended",
    )


async def test_results_and_errors_come_back() -> None:
    """With positional and named arguments, in the context of the caller."""
    who = contextvars.ContextVar("who", default="nobody")
    who.set("me")
    disk = DiskThreads()

    def work(a: int, *, b: int) -> tuple[int, int, str]:
        return a, b, who.get()

    assert await disk.run(work, 1, b=2) == (1, 2, "me")
    with pytest.raises(FileNotFoundError):
        await disk.run(Path("/not/there").read_bytes)


async def test_a_few_run_beside_each_other(answers: threading.Event) -> None:
    """The third begins when one of two has ended."""
    disk, begun = DiskThreads(at_once=2, patience_s=600.0), list[int]()

    def work(number: int) -> None:
        begun.append(number)
        if number < 2:
            answers.wait()

    tasks = [asyncio.create_task(disk.run(work, number)) for number in range(3)]
    while len(begun) < 2:
        await asyncio.sleep(0)
    for _ in range(20):
        await asyncio.sleep(0)
    assert sorted(begun) == [0, 1]
    answers.set()
    await asyncio.gather(*tasks)
    assert sorted(begun) == [0, 1, 2]


async def test_those_that_hang_are_not_counted(answers: threading.Event) -> None:
    """However many never return, the next one is done."""
    disk = DiskThreads(at_once=2, patience_s=0.001)
    hanging = [asyncio.create_task(disk.run(answers.wait)) for _ in range(20)]
    assert await asyncio.wait_for(disk.run(lambda: "done"), 60) == "done"
    assert not any(task.done() for task in hanging)
    answers.set()
    assert await asyncio.gather(*hanging) == [True] * 20


async def test_cancelled_work_holds_its_place_until_it_takes_long(
    answers: threading.Event,
) -> None:
    """Nobody waits for it, and it goes on; its place is given back once."""
    disk = DiskThreads(at_once=1, patience_s=0.001)
    begun = threading.Event()

    def hang() -> None:
        begun.set()
        answers.wait()

    work = asyncio.create_task(disk.run(hang))
    while not begun.is_set():
        await asyncio.sleep(0)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert await asyncio.wait_for(disk.run(lambda: 1), 60) == 1
    answers.set()
    gates = [threading.Event() for _ in range(2)]
    slow = DiskThreads(at_once=1, patience_s=600.0)
    first = asyncio.create_task(slow.run(gates[0].wait))
    second = asyncio.create_task(slow.run(gates[1].wait))
    gates[0].set()
    assert await first
    assert not second.done()
    gates[1].set()
    assert await second


async def test_once_closed_nothing_begins(answers: threading.Event) -> None:
    """Whoever tries, or waits for a place, is cancelled; what runs goes on."""
    disk = DiskThreads(at_once=1)
    first = asyncio.create_task(disk.run(answers.wait))
    second = asyncio.create_task(disk.run(answers.wait))
    await asyncio.sleep(0)
    disk.close()
    with pytest.raises(asyncio.CancelledError):
        await disk.run(answers.wait)
    answers.set()
    assert await first
    with pytest.raises(asyncio.CancelledError):
        await second


def test_a_loop_that_is_closed_is_not_waited_for(answers: threading.Event) -> None:
    """The driver left; what hangs ends some day, and nothing is raised."""

    async def leave() -> None:
        work = asyncio.create_task(DiskThreads().run(answers.wait))
        while not any("climorch-disk" in t.name for t in threading.enumerate()):
            await asyncio.sleep(0)
        work.cancel()

    asyncio.run(leave())
