"""Kills a driver with SIGKILL in the middle of a deletion, place after place.

A program of its own: it forks, which a test process with threads should not.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from climorch.core.state import CampaignState
from climorch.engine.recovery import reconcile
from climorch.storage import files
from climorch.storage.checkpoints import CheckpointStore
from tests.unit.storage.checkpoint_cases import open_store, request, save

EACH, STEP = 10, 8


class Killing(files.OsFiles):
    """The real disk, for so many changes; after the last one this process dies."""

    def __init__(self, changes: int) -> None:
        self._left = changes

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name.startswith("_") or name in ("close", "create"):
            return found
        return self._counted(found)

    def _counted(self, change: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any) -> Any:
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            self._left -= 1
            return change(*args)

        return counted


def prepare(root: Path) -> CheckpointStore:
    """Write three checkpoints; the second has files of the first."""
    store = open_store(root)
    first = save(store, request(1))
    second = save(store, request(2, shift=1.0, previous=first))
    save(store, request(3, shift=2.0, previous=second))
    return store


def delete(store: CheckpointStore) -> None:
    """Do what a driver does that has to make room."""
    store.delete("m01", "earth", 1, now_s=100.0)
    store.purge_trash(100.0, older_than_s=0)


def killed_after(store: CheckpointStore, changes: int) -> bool:
    """Delete in a process that dies after so many changes; False: it came through."""
    pid = os.fork()
    if pid == 0:
        with files.using(Killing(changes)):
            delete(store)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return True
    if status:
        sys.exit(f"the child ended with status {status}")
    return False


def faults_after(root: Path) -> list[str]:
    """Take over after a kill, go on, and return what is wrong."""
    store = open_store(root, epoch=2)
    reconcile(CampaignState(), store)
    found = store.list("m01", "earth")
    there = sorted(c.boundary for c in found)
    faults = []
    if there not in ([1, 2, 3], [2, 3]):
        faults.append(f"there are {there}")
    faults += [f"{c.path} is bad" for c in found if not store.verify(c).good]
    # What an orchestrator without an outcome asks for again.
    delete(store)
    if (left := sorted(c.boundary for c in store.list("m01", "earth"))) != [2, 3]:
        faults.append(f"after all there are {left}")
    if any((root / "cmip" / "trash").iterdir()):
        faults.append("the trash is not empty")
    return faults


def main(folder: Path) -> None:
    """Kill at many places; print at which, and what was wrong."""
    faults: dict[str, list[str]] = {}
    kills: list[int] = []
    # At each of the renames, and then at some of the files of the checkpoint.
    for changes in (*range(EACH), *range(EACH, 1000, STEP)):
        root = folder / str(changes)
        root.mkdir()
        if not killed_after(prepare(root), changes):
            sys.stdout.write(json.dumps({"kills": kills, "faults": faults}))
            return
        kills.append(changes)
        if wrong := faults_after(root):
            faults[str(changes)] = wrong
    sys.exit("a deletion has no end")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
