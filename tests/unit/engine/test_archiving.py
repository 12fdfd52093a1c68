"""Transfers to an archive, one at a time, at their rate, until they work."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from climorch.engine.alarms import Alarms
from climorch.engine.archiving import Archiver, open_archive
from climorch.engine.services import Services
from climorch.errors import BackendError, InvalidInputError
from climorch.model import commands as c
from climorch.model import events as e
from climorch.policy.archiving import Archive
from climorch.storage.archive import ArchiveStore
from climorch.storage.checkpoints import CheckpointStore
from climorch.storage.depot import Folder
from climorch.storage.results import ResultStore
from tests.unit.storage.checkpoint_cases import open_store, request, save

FAST = 1e12


class World:
    """A campaign's disk, an archive of it, and what is told of both."""

    def __init__(self, tmp_path: Path, *, bytes_per_s: float = FAST) -> None:
        self.rules = Archive(
            url=(tmp_path / "tape").as_uri(), bytes_per_s=bytes_per_s, poll_s=0.01
        )
        self.store = open_store(tmp_path / "disk")
        self.facts: asyncio.Queue[e.Fact] = asyncio.Queue()
        self.told: list[str] = []
        self.failed: list[BaseException] = []
        archive = open_archive(self.rules, "cmip")
        assert archive is not None
        self.archive: ArchiveStore = archive
        recall = SimpleNamespace(recall=None)
        simulation = SimpleNamespace(sets={"earth": recall})
        self.recall = recall
        services = SimpleNamespace(
            checkpoints=self.store,
            results=ResultStore(tmp_path / "disk", "cmip"),
            state=SimpleNamespace(simulations={"m01": simulation}),
            post=self.facts.put_nowait,
            lost=self.failed.append,
        )
        alarms = SimpleNamespace(
            begin=lambda kind, text, **more: self.told.append(text),
            end=lambda kind, **more: self.told.append("over"),
        )
        self.archiver = Archiver(
            self.rules, archive, cast("Services", services), cast("Alarms", alarms)
        )


def put(boundary: int) -> c.ArchiveCheckpoint:
    """Ask for a checkpoint to be archived."""
    return c.ArchiveCheckpoint(simulation="m01", set="earth", boundary=boundary)


def test_without_rules_there_is_no_archive(tmp_path: Path) -> None:
    """And one that cannot be opened is told before anything runs."""
    assert open_archive(None, "cmip") is None
    with pytest.raises(InvalidInputError, match=r"Archive\.url"):
        open_archive(Archive(url="s3://"), "cmip")


async def test_a_checkpoint_goes_and_comes_back(tmp_path: Path) -> None:
    """With what is needed to find it again."""
    world = World(tmp_path)
    checkpoint = save(world.store, request(1))
    world.archiver.start(put(1))
    done = await world.facts.get()

    assert isinstance(done, e.CheckpointArchived)
    assert (done.boundary, done.folder) == (1, checkpoint.manifest.folder)
    world.store.set_aside("m01", "earth", 1)
    world.archiver.start(
        c.RecallCheckpoint(
            simulation="m01", set="earth", boundary=1, folder=done.folder
        )
    )
    back = await world.facts.get()
    assert isinstance(back, e.CheckpointRecalled)
    assert (back.boundary, back.attempt, back.bytes > 0) == (1, 1, True)
    assert world.store.verify(world.store.load("m01", "earth", 1)).good
    await world.archiver.close()
    assert world.failed == []


async def test_what_cannot_be_had_is_told_at_once(tmp_path: Path) -> None:
    """A checkpoint that is gone, an archive that was never there, no results."""
    world = World(tmp_path)
    world.archiver.start(put(7))
    gone = await world.facts.get()
    world.archiver.start(
        c.RecallCheckpoint(simulation="m01", set="earth", boundary=7, folder="x")
    )
    never = await world.facts.get()
    world.archiver.start(c.ArchiveResults(simulation="m01", stage="ocean"))
    nothing = await world.facts.get()

    assert isinstance(gone, e.ArchivingFailed)
    assert "is missing" in gone.message
    assert isinstance(never, e.RecallFailed)
    assert isinstance(nothing, e.ResultsArchived)
    assert (nothing.bytes, nothing.url) == (0, "")
    await world.archiver.close()


async def test_an_archive_out_of_reach_is_an_alarm_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once it works, that is told too."""
    world = World(tmp_path)
    save(world.store, request(1))
    real, tries = Folder.put, []

    def failing(
        self: Folder, path: str, write: Callable[[Any], None], **more: int
    ) -> None:
        tries.append(path)
        if len(tries) == 1:
            raise BackendError("no network")
        real(self, path, write, **more)

    monkeypatch.setattr(Folder, "put", failing)
    monkeypatch.setattr("climorch.engine.archiving.FIRST_WAIT_S", 0.01)
    world.archiver.start(put(1))
    done = await world.facts.get()

    assert isinstance(done, e.CheckpointArchived)
    assert len(tries) == 2
    assert "no network" in world.told[0]
    assert world.told[1:] == ["over"]
    await world.archiver.close()


async def test_uploads_go_one_at_a_time_and_a_recall_passes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What hangs in an upload holds up other uploads, and no recall."""
    world = World(tmp_path)
    first = save(world.store, request(1))
    for boundary in (2, 3):
        save(world.store, request(boundary, shift=float(boundary)))
    world.archive.put_checkpoint(first)
    gate, began = threading.Event(), []
    real = Folder.put

    def hanging(
        self: Folder, path: str, write: Callable[[Any], None], **more: int
    ) -> None:
        began.append(path)
        gate.wait(20)
        real(self, path, write, **more)

    monkeypatch.setattr(Folder, "put", hanging)
    world.archiver.start(put(2))
    world.archiver.start(put(3))
    world.store.set_aside("m01", "earth", 1)
    world.archiver.start(
        c.RecallCheckpoint(
            simulation="m01", set="earth", boundary=1, folder=first.manifest.folder
        )
    )
    assert isinstance(await world.facts.get(), e.CheckpointRecalled)
    assert len(began) == 1
    gate.set()
    both = [await world.facts.get(), await world.facts.get()]
    assert [f.boundary for f in both if isinstance(f, e.CheckpointArchived)] == [2, 3]
    await world.archiver.close()


async def test_a_recall_that_takes_long_is_told_once_and_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until it is there."""
    world = World(tmp_path)
    checkpoint = save(world.store, request(1))
    world.archive.put_checkpoint(checkpoint)
    world.store.set_aside("m01", "earth", 1)
    looks: list[str] = []

    def away(self: Folder, path: str) -> bool:
        looks.append(path)
        return len(looks) > 3

    monkeypatch.setattr(Folder, "ask_back", away)
    world.archiver.start(
        c.RecallCheckpoint(
            simulation="m01", set="earth", boundary=1, folder=checkpoint.manifest.folder
        )
    )
    assert isinstance(await world.facts.get(), e.RecallDelayed)
    world.recall.recall = SimpleNamespace(delayed=True)
    back = await world.facts.get()
    while isinstance(back, e.RecallDelayed):
        # Looked at once more before the state had it.
        back = await world.facts.get()

    assert isinstance(back, e.CheckpointRecalled)
    assert len(looks) == 4
    await world.archiver.close()


async def test_nobody_waits_for_an_archive_out_of_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That what is asked back is late is told once, and it comes when it can."""
    world = World(tmp_path)
    checkpoint = save(world.store, request(1))
    world.archive.put_checkpoint(checkpoint)
    world.store.set_aside("m01", "earth", 1)
    real, tries = Folder.ask_back, []

    def failing(self: Folder, path: str) -> bool:
        tries.append(path)
        if len(tries) < 3:
            world.recall.recall = SimpleNamespace(delayed=len(tries) == 2)
            raise BackendError("no network")
        return real(self, path)

    monkeypatch.setattr(Folder, "ask_back", failing)
    monkeypatch.setattr("climorch.engine.archiving.FIRST_WAIT_S", 0.01)
    world.archiver.start(
        c.RecallCheckpoint(
            simulation="m01", set="earth", boundary=1, folder=checkpoint.manifest.folder
        )
    )
    late, back = await world.facts.get(), await world.facts.get()

    assert isinstance(late, e.RecallDelayed)
    assert "no network" in late.message
    assert isinstance(back, e.CheckpointRecalled)
    assert len(tries) == 3
    await world.archiver.close()


async def test_a_transfer_keeps_its_rate_and_ends_with_the_driver(
    tmp_path: Path,
) -> None:
    """In the middle, if need be; it is begun anew then."""
    world = World(tmp_path, bytes_per_s=1.0)
    save(world.store, request(1))
    world.archiver.start(put(1))
    tape = tmp_path / "tape"
    while not list(tape.rglob(".tmp-*")):
        await asyncio.sleep(0)
    await world.archiver.close()
    # Its thread leaves within the pause that it is in.
    deadline_s = time.monotonic() + 20
    while list(tape.rglob(".tmp-*")) and time.monotonic() < deadline_s:
        await asyncio.sleep(0)

    assert list(tape.rglob("*.zip")) == []
    assert list(tape.rglob(".tmp-*")) == []
    assert world.facts.empty()


async def test_what_nobody_foresaw_stops_the_campaign(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of ours is not tried again and again."""
    world = World(tmp_path)
    save(world.store, request(1))
    error = RuntimeError("ours")

    def wrong(self: CheckpointStore, *place: object) -> None:
        raise error

    monkeypatch.setattr(CheckpointStore, "load", wrong)
    world.archiver.start(put(1))
    while not world.failed:
        await asyncio.sleep(0)

    assert world.failed == [error]
    await world.archiver.close()
