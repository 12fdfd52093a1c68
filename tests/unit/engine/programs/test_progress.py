"""Whether a program goes on, by what it writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from climorch.engine.child import ModelFailedError
from climorch.engine.programs.progress import Progress
from climorch.model.events import Cause
from climorch.model.programs import Command


class Clock:
    """A clock that stands where it is put."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def watched(folder: Path, clock: Clock, **given: Any) -> Progress:
    """A program that has to say something every ten seconds."""
    given = {"progress": r"step \d+", "stall_s": 10.0, **given}
    return Progress(Command(argv=["x"], restart={"a": "b"}, **given), folder, clock)


def test_new_lines_keep_it_going(tmp_path: Path) -> None:
    """The same line again does not, nor one that is not whole."""
    clock, log = Clock(), tmp_path / "log.txt"
    progress = watched(tmp_path, clock)
    for now_s, text in ((5.0, "step 1\n"), (14.0, "step 2\n"), (23.0, "st")):
        clock.now_s = now_s
        with log.open("a") as file:
            file.write(text)
        progress.look()
    assert progress.last == "step 2"
    clock.now_s = 24.5
    with log.open("a") as file:
        file.write("ep 2\nnothing new\n")
    with pytest.raises(ModelFailedError) as caught:
        progress.look()
    assert caught.value.cause is Cause.HANG
    assert caught.value.message == (
        "no progress for 10 s; the last one was 'step 2'; it was killed"
    )


def test_one_that_never_says_anything_hangs(tmp_path: Path) -> None:
    """Also where its file is never there."""
    clock = Clock()
    progress = watched(tmp_path, clock, progress_file="progress")
    clock.now_s = 10.0
    progress.look()
    clock.now_s = 10.1
    with pytest.raises(ModelFailedError, match="there was none"):
        progress.look()


def test_lines_of_an_earlier_launch_say_nothing(tmp_path: Path) -> None:
    """A file that is written anew is read from its beginning."""
    (tmp_path / "log.txt").write_text("step 7\n")
    clock = Clock()
    progress = watched(tmp_path, clock)
    progress.look()
    assert progress.last == ""
    (tmp_path / "log.txt").write_text("step8\nstep 1\n"[6:])
    (tmp_path / "log.txt").write_text("s 1\n")
    progress.look()
    (tmp_path / "log.txt").write_text("s 1\nstep 2\n")
    progress.look()
    assert progress.last == "step 2"


@pytest.mark.parametrize("progress", ["", "step"])
def test_without_a_limit_nothing_hangs(tmp_path: Path, progress: str) -> None:
    """However long it is silent."""
    clock = Clock()
    looks = watched(tmp_path, clock, progress=progress, stall_s=None)
    clock.now_s = 1e6
    looks.look()
