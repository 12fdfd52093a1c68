"""A driver that was superseded while it was paused changes nothing that others see."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from climorch.errors import ConflictError
from climorch.storage import durable, growth, passage, results
from climorch.storage.checkpoints import CheckpointStore
from tests.unit.storage.checkpoint_cases import names, open_store, request, save
from tests.unit.storage.result_cases import Rig, output, tas


def seen(root: Path) -> dict[str, tuple[int, str]]:
    """Inode and content of every file that is committed, published or thrown away."""
    return {
        str(path.relative_to(root)): (
            path.stat().st_ino,
            hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for folder in ("checkpoints", "results", "trash", "damaged")
        for path in sorted((root / "cmip" / folder).rglob("*"))
        if path.is_file()
    }


def interrupted(
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    name: str,
    meanwhile: Callable[[], object],
    call: int = 1,
) -> None:
    """Let something happen just before a call of a function, as in a pause."""
    real, calls = getattr(module, name), 0

    def paused(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            monkeypatch.setattr(module, name, real)
            meanwhile()
        return real(*args, **kwargs)

    monkeypatch.setattr(module, name, paused)


@pytest.mark.parametrize("deed", ["delete", "set_aside"])
def test_a_paused_deletion_is_not_carried_out_after_a_takeover(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deed: str
) -> None:
    """What the older driver wanted to remove may be what the newer one lives on."""
    store = open_store(tmp_path)
    save(store, request())
    before = seen(tmp_path)
    interrupted(monkeypatch, durable, "rename_durably", lambda: open_store(tmp_path, 2))
    with pytest.raises(ConflictError, match="directory is gone"):
        getattr(store, deed)("m01", "earth", 1)
    assert seen(tmp_path) == before


@pytest.mark.parametrize("deed", ["delete", "set_aside"])
def test_a_removal_that_was_begun_is_ended_by_the_next_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deed: str
) -> None:
    """Killed half-way, the checkpoint is in the trash or aside, not lost."""
    store = open_store(tmp_path)
    save(store, request())

    def die() -> None:
        raise KeyboardInterrupt

    interrupted(monkeypatch, durable, "rename_durably", die, call=2)
    with pytest.raises(KeyboardInterrupt):
        getattr(store, deed)("m01", "earth", 1)
    assert store.list("m01", "earth") == []

    open_store(tmp_path, 2)

    (home,) = [p for p in ("trash", "damaged") if (tmp_path / "cmip" / p).exists()]
    assert home == ("trash" if deed == "delete" else "damaged")
    (kept,) = (tmp_path / "cmip" / home).iterdir()
    assert (kept / "MANIFEST.json").exists()
    assert names(tmp_path / "cmip/inflight/2/_salvage-1.fenced") == ["m01"]


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (growth, "link_through"),
        (results, "write_through"),
        (passage, "_place"),
    ],
)
@pytest.mark.parametrize("call", [1, 2])
def test_a_paused_publication_changes_nothing_after_a_takeover(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Any, name: str, call: int
) -> None:
    """Results that the newer driver made longer do not become shorter again."""
    rig = Rig(tmp_path)
    rig.publish(1, {0: output(0)}, done=1)
    second = rig.commit(2, {1: output(2)}, done=2)
    third = rig.commit(3, {2: output(4)}, done=3)
    after: dict[str, tuple[int, str]] = {}

    def take_over() -> None:
        CheckpointStore(tmp_path, "cmip", 2).fence()
        newer = results.ResultStore(tmp_path, "cmip", 2)
        newer.publish(second)
        newer.publish(third)
        after.update(seen(tmp_path))

    interrupted(monkeypatch, module, name, take_over, call)
    with pytest.raises(ConflictError, match="directory is gone"):
        rig.results.publish(second)

    assert seen(tmp_path) == after
    assert rig.read()["tas"].to_numpy().tolist() == tas(0, 1, 2, 3, 4, 5)


def test_a_superseded_driver_stages_nothing_and_empties_no_trash(
    tmp_path: Path,
) -> None:
    """Its own folder is never made again."""
    rig = Rig(tmp_path)
    rig.publish(1, {0: output(0)}, done=1)
    rig.checkpoints.delete("m01", "ocean", 1, now_s=0.0)
    open_store(tmp_path, 2)
    with pytest.raises(ConflictError, match="directory is gone"):
        rig.stage(1, output(2))
    with pytest.raises(ConflictError, match="taken over by driver 2"):
        rig.checkpoints.purge_trash(1e9)
    assert names(tmp_path / "cmip" / "inflight") == ["2"]
    assert len(os.listdir(tmp_path / "cmip" / "trash")) == 1
