"""Every shape of dependencies ends the same, wherever its driver dies on the way."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.shapes import SHAPES


@cache
def told(project_root: Path, folder: Path) -> dict[str, Any]:
    """Return what the script found, by shape."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.twin.shapes_script", str(folder)],
        cwd=project_root,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all rows of the table: they are made in one go."""
    return tmp_path_factory.mktemp("shapes")


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_ends_the_same_wherever_its_driver_dies(
    project_root: Path, folder: Path, name: str
) -> None:
    """Plans, checkpoints, what was dropped and answered; each answer is given once."""
    found = told(project_root, folder)[name]

    assert found["deaths"] >= 4
    assert found["alive"] == []
    assert found["differing"] == []
    wanted = found["wanted"]
    assert wanted["status"] == "finished"
    assert wanted["segments"] == dict(SHAPES[name].segments)
    assert wanted["lacks"] == ([SHAPES[name].lacks] if SHAPES[name].lacks else [])


def test_what_ended_early_or_late_was_followed(
    project_root: Path, folder: Path
) -> None:
    """The next phase begins where the one before it ends now."""
    found = told(project_root, folder)
    for name, before, later in (("until", "spin", "run"), ("extended", "sea", "late")):
        ends = found[name]["wanted"]["boundaries"]
        assert ends[before][-1] == ends[later][0]
    assert found["until"]["wanted"]["answers"] == ["until spin 2", "until spin 4"]
    assert found["extended"]["wanted"]["answers"] == ["longer 2", "longer 4"]


def test_a_driver_that_forgets_answers_is_found_out(
    project_root: Path, folder: Path
) -> None:
    """Else the table would show nothing."""
    assert told(project_root, folder)["forgetful"]["differing"] != []
