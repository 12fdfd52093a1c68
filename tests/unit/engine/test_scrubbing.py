from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from climorch.core.alarms import AlarmBook, Trouble
from climorch.core.state import CampaignState
from climorch.engine.alarms import Alarms
from climorch.engine.scrubbing import Scrubber
from climorch.engine.threads import DiskThreads
from climorch.errors import BackendError
from climorch.model.alarm import Alarm, AlarmKind
from climorch.model.events import CheckpointScrubbed, Fact
from climorch.policy.scrubbing import Scrub
from climorch.storage.checkpoints import CheckpointStore, Scrubbed


@dataclass
class Disk:
    """Checkpoints that are found as they are said to be, in the order of reading."""

    found: dict[int, Scrubbed | Exception] = field(default_factory=dict)
    read: list[int] = field(default_factory=list)
    size: int = 0

    def scrub(
        self, simulation: str, name: str, boundary: int, *, pace: Callable[[int], None]
    ) -> Scrubbed:
        self.read.append(boundary)
        pace(self.size)
        answer = self.found.pop(boundary, Scrubbed())
        if isinstance(answer, Exception):
            raise answer
        return answer


class Told:
    """Alarms, without the thread that hands them on."""

    def __init__(self, heard: list[Alarm]) -> None:
        self.heard, self.book = heard, AlarmBook()

    def begin(
        self, kind: AlarmKind, text: str, *, simulation: str, subject: str
    ) -> None:
        trouble = Trouble(kind=kind, subject=subject, text=text, simulation=simulation)
        self.heard += self.book.begin(trouble, 0.0)

    def end(self, kind: AlarmKind, *, subject: str) -> None:
        self.heard += self.book.end(kind, subject, 0.0)


class State:
    """One set with checkpoints that were committed at some times."""

    def __init__(self, **committed_s: float) -> None:
        self.commits = {
            int(name[1:]): SimpleNamespace(
                boundary=int(name[1:]),
                committed_s=at,
                good=True,
                deleting=False,
                published=True,
            )
            for name, at in committed_s.items()
        }

    def sets(self) -> list[Any]:
        simulation = SimpleNamespace(name="s")
        return [(simulation, SimpleNamespace(name="ocean", commits=self.commits))]


def scrubber(
    state: State,
    disk: Disk,
    posted: list[Fact],
    now: list[float],
    policy: Scrub | None = None,
    look_s: float = 10.0,
    heard: list[Alarm] | None = None,
) -> Scrubber:
    return Scrubber(
        policy or Scrub(after_s=10.0, every_s=100.0),
        cast("CampaignState", state),
        cast("CheckpointStore", disk),
        posted.append,
        disk=DiskThreads(),
        alarms=cast("Alarms", Told([] if heard is None else heard)),
        clock=lambda: now[0],
        look_s=look_s,
    )


async def test_each_is_read_when_it_is_due() -> None:
    """Damaged ones and those that go are not; what is good is not told."""
    state, disk, now = State(k1=0.0, k2=5.0, k3=0.0), Disk(), [12.0]
    posted: list[Fact] = []
    state.commits[3].good = False
    made = scrubber(state, disk, posted, now)

    assert [await made.look(), await made.look()] == [True, False]
    now[0] = 15.0
    assert [await made.look(), await made.look()] == [True, False]
    now[0] = 112.0
    state.commits[1].deleting = True
    assert not await made.look()
    now[0] = 115.0
    assert await made.look()
    assert disk.read == [1, 2, 2]
    assert posted == []


async def test_what_is_found_is_a_fact_and_the_rest_is_read_next() -> None:
    """One bad file may be shared: all other checkpoints of the set are due at once."""
    bad = Scrubbed(repaired=("x",), bad=(("y", "is missing"),), damaged=True)
    disk, posted, now = Disk(), list[Fact](), [50.0]
    made = scrubber(State(k1=0.0, k2=1.0), disk, posted, now)
    for _ in range(2):
        await made.look()
    disk.found = {1: bad}
    now[0] = 150.0

    while await made.look():
        pass

    assert disk.read == [1, 2, 1, 2]
    assert posted == [
        CheckpointScrubbed(
            simulation="s",
            set="ocean",
            boundary=1,
            repaired=("x",),
            bad=("y is missing",),
            damaged=True,
        )
    ]


async def test_a_disk_that_fails_puts_it_off() -> None:
    """An error of the file system is no fact about a checkpoint."""
    disk, posted, now = Disk({1: BackendError("no")}), list[Fact](), [50.0]
    made = scrubber(State(k1=0.0), disk, posted, now)

    assert [await made.look(), await made.look()] == [False, False]
    # Again as soon as a new one would be, not a whole round later.
    now[0] = 59.0
    assert not await made.look()
    now[0] = 60.0
    assert await made.look()
    assert disk.read == [1, 1]
    assert posted == []


async def test_bad_diagnostics_without_another_copy_are_told_until_they_go() -> None:
    """The checkpoint stays good; what is found good again, or deleted, is over."""
    bad = Scrubbed(bad=(("outputs/ocean/0/heat/c/0", "is missing"),))
    state, heard, now = State(k1=0.0, k2=0.0), list[Alarm](), [50.0]
    disk = Disk({1: bad, 2: bad})
    made = scrubber(state, disk, [], now, heard=heard)

    assert [await made.look(), await made.look()] == [True, True]
    assert [(a.kind, a.event, a.simulation) for a in heard] == [
        ("damage", "begins", "s")
    ] * 2
    assert heard[0].text == (
        "diagnostics in checkpoint 1 of set ocean are bad, and so are results that "
        "share their files; no other copy is left: outputs/ocean/0/heat/c/0 is missing"
    )
    now[0] = 500.0
    await made.look()
    del state.commits[2]
    await made.look()
    assert [a.event for a in heard[2:]] == ["ends", "ends"]


async def test_what_is_set_aside_is_told_by_the_state() -> None:
    """Not twice: the state knows it too, and for longer."""
    bad = Scrubbed(bad=(("MANIFEST.json", "is missing"),), damaged=True)
    heard: list[Alarm] = []
    posted: list[Fact] = []
    made = scrubber(State(k1=0.0), Disk({1: bad}), posted, [50.0], heard=heard)
    assert await made.look()
    assert (len(posted), heard) == (1, [])


async def test_it_runs_beside_and_leaves_at_once() -> None:
    """A slow reading does not hold the driver up when it leaves."""
    disk = Disk(size=10**9)
    begun = threading.Event()
    scrub = disk.scrub

    def noticed(*args: Any, **kwargs: Any) -> Scrubbed:
        begun.set()
        return scrub(*args, **kwargs)

    disk.scrub = noticed  # type: ignore[method-assign]  # counts as begun
    policy = Scrub(bytes_per_s=1.0, after_s=0.0)
    made = scrubber(State(k1=0.0), disk, [], [1.0], policy)
    made.start()
    assert await asyncio.to_thread(begun.wait, 20)
    await asyncio.wait_for(made.close(), 20)


async def test_an_unforeseen_error_stops_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is logged, and the next look comes."""
    disk, now = Disk({1: ValueError("odd")}), [50.0]
    made = scrubber(State(k1=0.0), disk, [], now, look_s=0.001)
    made.start()
    while len(disk.read) < 2:
        await asyncio.sleep(0.001)
    await made.close()
    assert "scrub failed" in caplog.text


async def test_one_whose_outputs_are_not_published_is_not_read() -> None:
    """Were it set aside, they would be lost though they are good."""
    state, disk = State(k1=0.0), Disk()
    state.commits[1].published = False
    made = scrubber(state, disk, [], [50.0])
    assert not await made.look()
    state.commits[1].published = True
    assert await made.look()
    assert disk.read == [1]


async def test_it_can_be_off() -> None:
    """At no rate nothing is begun."""
    disk = Disk()
    made = scrubber(State(k1=0.0), disk, [], [50.0], Scrub(bytes_per_s=0))
    made.start()
    await made.close()
    assert disk.read == []
