"""The gates that .ci/run closes: coverage floors and the committed report."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests import coverage_gate, report_gate


def measured(**lines: tuple[int, int]) -> dict[str, Any]:
    """Make a coverage report of one file per package: covered of all lines."""
    return {
        "files": {
            f"climorch/{package}/a.py": {
                "summary": {
                    "num_statements": total,
                    "covered_lines": covered,
                    "num_branches": 0,
                    "covered_branches": 0,
                }
            }
            for package, (covered, total) in lines.items()
        }
    }


ENOUGH = {
    "core": (95, 100),
    "engine": (90, 100),
    "model": (95, 100),
    "policy": (95, 100),
    "storage": (95, 100),
}


def test_lines_and_branches_count_together_over_a_package() -> None:
    """Coverage of a package is that of its lines and branches in one sum."""
    report = {
        "files": {
            "climorch/core/a.py": {
                "summary": {
                    "num_statements": 10,
                    "covered_lines": 9,
                    "num_branches": 6,
                    "covered_branches": 3,
                }
            },
            "climorch/core/b.py": {
                "summary": {
                    "num_statements": 4,
                    "covered_lines": 4,
                    "num_branches": 0,
                    "covered_branches": 0,
                }
            },
            "climorch/cores.py": {"summary": {}},
        }
    }

    assert coverage_gate.covered_percent(report, "core") == 80.0


def test_coverage_at_the_floors_is_enough() -> None:
    """A package exactly at its floor passes."""
    assert coverage_gate.judge(measured(**ENOUGH)) == (
        [
            "core      95.00 %  floor 95 %  ok",
            "engine    90.00 %  floor 90 %  ok",
            "model     95.00 %  floor 95 %  ok",
            "policy    95.00 %  floor 95 %  ok",
            "storage   95.00 %  floor 95 %  ok",
        ],
        True,
    )


def test_one_package_below_its_floor_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A package below its floor fails the whole gate and is named."""
    path = tmp_path / "coverage.json"
    path.write_text(json.dumps(measured(**{**ENOUGH, "engine": (89, 100)})))

    assert coverage_gate.main(path) == 1
    assert "engine    89.00 %  floor 90 %  TOO LOW" in capsys.readouterr().out


def test_a_package_that_was_not_measured_fails() -> None:
    """A package without a measured file does not count as covered."""
    without = {name: lines for name, lines in ENOUGH.items() if name != "core"}

    lines, passed = coverage_gate.judge(measured(**without))

    assert not passed
    assert lines[0] == "core        nan %  floor 95 %  TOO LOW"


def test_enough_coverage_gives_exit_status_zero(tmp_path: Path) -> None:
    """Where every floor is reached the gate is open."""
    path = tmp_path / "coverage.json"
    path.write_text(json.dumps(measured(**ENOUGH)))

    assert coverage_gate.main(path) == 0


def outcomes(**tests: str) -> dict[str, Any]:
    """Make a test report of names and outcomes."""
    return {"tests": [{"nodeid": name, "outcome": how} for name, how in tests.items()]}


def test_a_committed_report_of_the_same_tests_passes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The committed report passes where it lists the tests collected, all green."""
    committed, fresh = tmp_path / "committed.json", tmp_path / "fresh.json"
    committed.write_text(json.dumps(outcomes(a="passed", b="skipped")))
    fresh.write_text(json.dumps(outcomes(b="passed", a="failed")))

    assert report_gate.main(committed, fresh) == 0
    assert "0 differences" in capsys.readouterr().out


def test_every_way_to_be_out_of_date_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tests that are gone, new, listed twice or red in the record fail the gate."""
    committed, fresh = tmp_path / "committed.json", tmp_path / "fresh.json"
    record = outcomes(gone="passed", red="failed", twice="passed")
    record["tests"].append({"nodeid": "twice", "outcome": "passed"})
    committed.write_text(json.dumps(record))
    fresh.write_text(json.dumps(outcomes(red="passed", twice="passed", new="passed")))

    assert report_gate.main(committed, fresh) == 1
    assert capsys.readouterr().out.splitlines() == [
        "twice: listed 2 times",
        "gone: listed, but no such test was collected",
        "new: collected, but not listed; commit the report of a full run",
        "red: listed as failed; commit a green run",
        "committed test report: 4 differences from this suite",
    ]


def test_the_check_of_everything_can_be_run(project_root: Path) -> None:
    """The script that runs every check is executable and stops at a failure."""
    script = project_root / ".ci" / "run"

    assert os.access(script, os.X_OK)
    assert "set -euo pipefail" in script.read_text()
