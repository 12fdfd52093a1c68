"""The thread that looks into the inbox: once each, and gone when journaled."""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from climorch import Alarm, BackendError
from climorch.engine.alarms import Alarms
from climorch.engine.inbox import InboxWatch
from climorch.model import events as e
from climorch.storage import inbox

PAUSE = e.PauseRequested(simulation="s")


class World:
    """An inbox, who watches it, and what was taken."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.heard: list[Alarm] = []
        self.alarms = Alarms(self.heard.append)
        self.watch = InboxWatch(folder, self.alarms)
        self.taken: list[e.WishTaken] = []

    def give(self) -> e.WishTaken:
        """Put a wish there and let the thread look."""
        wish = inbox.put(self.folder, PAUSE, by="me")
        self.watch.look()
        return wish

    async def take(self, count: int) -> None:
        """Wait until so many were taken."""
        async with asyncio.timeout(30):
            while len(self.taken) < count:
                await asyncio.sleep(0.005)

    async def empty(self) -> None:
        """Wait until no wish lies there."""
        async with asyncio.timeout(30):
            while inbox.look(self.folder).wishes:
                await asyncio.sleep(0.005)

    def told(self) -> list[str]:
        """Events of the inbox, once the callback has all."""
        self.alarms.close()
        return [alarm.event for alarm in self.heard]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A watch that runs, and is gone afterwards."""
    made = World(tmp_path / "c" / "inbox")
    made.watch.start(made.taken.append)
    yield made
    await asyncio.to_thread(made.watch.close)
    assert "climorch-inbox" not in {thread.name for thread in threading.enumerate()}


async def test_a_wish_is_taken_once_and_its_file_goes_when_it_is_journaled(
    world: World,
) -> None:
    """Not before; looking again in between hands nothing over twice."""
    first = world.give()
    await world.take(1)
    second = world.give()
    await world.take(2)

    assert world.taken == [first, second]
    assert inbox.look(world.folder).wishes == (first, second)
    world.watch.landed({first.id})
    async with asyncio.timeout(30):
        while inbox.look(world.folder).wishes != (second,):
            await asyncio.sleep(0.005)
    world.watch.landed({first.id, second.id})
    await world.empty()
    assert world.taken == [first, second]


async def test_what_the_driver_began_with_is_only_removed(tmp_path: Path) -> None:
    """Wishes that were read before the start are not handed over again."""
    folder = tmp_path / "inbox"
    known = inbox.put(folder, PAUSE, by="me")
    watch = InboxWatch(folder, Alarms(), [known.id])
    taken: list[e.WishTaken] = []
    watch.start(taken.append)
    new = inbox.put(folder, PAUSE, by="me")
    watch.look()
    async with asyncio.timeout(30):
        while not taken:
            await asyncio.sleep(0.005)
    watch.landed({known.id, new.id})
    # The last thing that it does: what is journaled is removed.
    await asyncio.to_thread(watch.close)

    assert taken == [new]
    assert list(folder.iterdir()) == []


async def test_an_inbox_that_fails_is_told_once_and_when_it_works_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wishes that came meanwhile are taken then."""
    look, looks = inbox.look, 0

    def failing(folder: Path) -> inbox.Found:
        nonlocal looks
        looks += 1
        raise BackendError("stale file handle")

    monkeypatch.setattr(inbox, "look", failing)
    wish = inbox.put(world.folder, PAUSE, by="me")
    async with asyncio.timeout(30):
        while looks < 3:
            world.watch.look()
            await asyncio.sleep(0.005)
    monkeypatch.setattr(inbox, "look", look)
    world.watch.look()
    await world.take(1)

    assert world.taken == [wish]
    await asyncio.to_thread(world.watch.close)
    assert world.told() == ["begins", "ends"]
    assert world.heard[0].text == "the inbox does not work: stale file handle"


async def test_a_file_that_cannot_be_removed_is_not_a_new_wish(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again until it goes; the wish was taken once."""
    tries = 0
    remove = inbox.remove

    def refused(folder: Path, name: str) -> None:
        nonlocal tries
        tries += 1
        if tries < 4:
            raise BackendError("not permitted", errno=errno.EPERM)
        remove(folder, name)

    monkeypatch.setattr(inbox, "remove", refused)
    wish = world.give()
    await world.take(1)
    world.watch.landed({wish.id})
    async with asyncio.timeout(30):
        while tries < 4:
            world.watch.look()
            await asyncio.sleep(0.005)
    await world.empty()

    assert world.taken == [wish]


async def test_junk_that_cannot_be_moved_is_told_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays where it is and hides no wish."""

    def refused(folder: Path, name: str) -> Any:
        raise BackendError("read-only file system")

    monkeypatch.setattr(inbox, "set_aside", refused)
    world.folder.mkdir(parents=True)
    (world.folder / "notes.txt").write_text("hello")
    for count in (1, 2, 3):
        world.give()
        await world.take(count)

    await asyncio.to_thread(world.watch.close)
    assert world.told() == ["begins", "ends"]
    assert "'notes.txt' in the inbox is no wish" in world.heard[0].text
    assert "it is left there" in world.heard[0].text


async def test_a_disk_that_hangs_does_not_hold_the_end_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing gives up on the thread; it ends by itself once the disk answers."""
    hangs, answers = threading.Event(), threading.Event()

    def hanging(folder: Path) -> inbox.Found:
        hangs.set()
        answers.wait(30)
        return inbox.Found()

    monkeypatch.setattr(inbox, "look", hanging)
    watch = InboxWatch(tmp_path / "inbox", Alarms())
    watch.start(lambda wish: None)
    assert await asyncio.to_thread(hangs.wait, 30)
    await asyncio.to_thread(watch.close, 0.01)
    assert watch.alive
    answers.set()
    await asyncio.to_thread(watch.close, 30)
    assert not watch.alive
