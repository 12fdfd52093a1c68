"""A driver that is killed while it deletes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.storage import deletion_kills as kills


def test_a_kill_in_the_middle_of_a_deletion_is_harmless(
    tmp_path: Path, project_root: Path
) -> None:
    """After kill -9 between two changes to the disk all others are good; it ends."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.storage.deletion_kills", str(tmp_path)],
        cwd=project_root,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)

    assert found["faults"] == {}
    # A folder is made, four names and their folders flushed, files removed.
    assert found["kills"][:10] == list(range(10))
    assert len(found["kills"]) > 11


def test_a_deletion_that_destroys_what_others_need_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check is not blind: a lost file, a lost checkpoint and a full trash."""

    store = kills.prepare(tmp_path)
    second = store.load("m01", "earth", 2)
    (second.path / "state.zarr/land/snow/c/0").unlink()
    assert kills.faults_after(tmp_path) == [f"{second.path} is bad"]

    monkeypatch.setattr(kills, "delete", lambda store: store.delete("m01", "earth", 3))
    assert kills.faults_after(tmp_path) == [
        f"{second.path} is bad",
        "after all there are [2]",
        "the trash is not empty",
    ]
