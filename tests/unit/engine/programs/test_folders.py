"""Each run has a folder of its own; what left early is taken up from there."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from climorch.engine.programs.folders import (
    CHECKPOINT_NOTE,
    note_checkpoint,
    own_folder,
    take_up,
)

RESTART = {"new": "old"}


def test_two_runs_never_share_a_folder(tmp_path: Path) -> None:
    """Not even those of one attempt, which Dask may compute twice."""
    names = [own_folder(tmp_path / "s" / "3-1.2", 9).name for _ in range(3)]
    assert names == ["3-1.2", "3-1.2~1", "3-1.2~2"]


def test_the_newest_folders_stay(tmp_path: Path) -> None:
    """As evidence; older ones go with the next run."""
    for number in range(4):
        left = tmp_path / f"0-1.{number}"
        left.mkdir()
        (left / "partial").touch()
        os.utime(left, ns=(number, number))
    own_folder(tmp_path / "0-1.9", 2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0-1.2", "0-1.3", "0-1.9"]
    own_folder(tmp_path / "0-2.1", 0)
    assert [p.name for p in tmp_path.iterdir()] == ["0-2.1"]


def left_early(folder: Path, content: bytes = b"half") -> Path:
    """A run that left early."""
    made = own_folder(folder, 9)
    (made / "new").write_bytes(content)
    note_checkpoint(made, "digest", RESTART)
    return made


def test_what_left_early_is_taken_up(tmp_path: Path) -> None:
    """The newest one of the same segment that was given the same."""
    os.utime(left_early(tmp_path / "3-1.1", b"older"), ns=(1, 1))
    newest = left_early(tmp_path / "3-1.2")
    left_early(tmp_path / "4-1.3", b"another segment")
    run = own_folder(tmp_path / "3-2.1", 9)
    assert take_up(run, "digest", RESTART) == newest
    assert (run / "old").read_bytes() == b"half"


@pytest.mark.parametrize(
    "wrong", ["digest", "file", "names", "gone", "note", "not a note"]
)
def test_what_is_not_as_it_was_noted_is_left(tmp_path: Path, wrong: str) -> None:
    """The segment begins at its beginning then."""
    left = left_early(tmp_path / "3-1.1")
    digest, restart = "digest", RESTART
    match wrong:
        case "digest":
            digest = "another"
        case "file":
            (left / "new").write_bytes(b"hall")
        case "names":
            restart = {"new": "other"}
        case "gone":
            (left / "new").unlink()
        case "note":
            (left / CHECKPOINT_NOTE).write_bytes(b"{")
        case "not a note":
            (left / CHECKPOINT_NOTE).write_text(json.dumps(["digest"]))
    run = own_folder(tmp_path / "3-2.1", 9)
    assert take_up(run, digest, restart) is None
    assert not (run / "old").exists()
