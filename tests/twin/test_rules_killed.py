"""A driver dies wherever a question or an answer of a rule becomes durable."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def told(project_root: Path, folder: Path, *flags: str) -> dict[str, Any]:
    """Return what the script found."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.twin.ruled_script", str(folder), *flags],
        cwd=project_root,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def test_what_a_rule_asked_for_holds_exactly_once_wherever_the_driver_dies(
    project_root: Path, tmp_path: Path
) -> None:
    """Before and after every such row: plans, branches, priorities, checkpoints."""
    found = told(project_root, tmp_path)

    assert found["moments"] >= 40
    assert found["alive"] == []
    assert found["differing"] == []
    wanted = found["wanted"]
    assert sorted(wanted["simulations"]) == ["s", "s-branch", "t", "t-branch"]
    assert wanted["twice"] == []
    assert len(wanted["answers"]) == 16
    of_s = wanted["simulations"]["s"]
    assert "'late': [1, 2]" in of_s[-1]
    # A condition ended it early, and what comes after it followed.
    assert "'spin': [1, 2], 'spun': [1, 2]" in of_s[-1]
    assert "until spin" in of_s[2]
    # A rule that raises stops nobody, and is told.
    assert "finished" in of_s
    assert any("KeyError: 'dry'" in str(value) for value in of_s)


def test_a_driver_that_forgets_answers_is_found_out(
    project_root: Path, tmp_path: Path
) -> None:
    """Else the test above would show nothing."""
    found = told(project_root, tmp_path, "forgetful")

    assert any(outcome["twice"] for *_, outcome in found["differing"])
