"""The rules of pytest_results.json: who writes it and what it may tell."""

from __future__ import annotations

import json
import platform
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.report_scrub import (
    COMMITTED,
    DEFAULT_MARKS,
    PARTIAL,
    machine_words,
    scrub,
    slim,
)

INI = """
[pytest]
testpaths = tests
asyncio_default_fixture_loop_scope = function
addopts =
    --json-report --json-report-file=pytest_results.json
    -m "not benchmark and not slurm"
markers = benchmark: slow
"""
SUITE = """
import pytest

def test_first(): pass
def test_second(): pass

@pytest.mark.benchmark
def test_slow(): pass
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """Make a project of two default tests and a benchmark."""
    pytester.makeini(INI)
    folder = pytester.mkdir("tests")
    (folder / "test_some.py").write_text(SUITE)
    (folder / "test_other.py").write_text("def test_third(): pass\n")
    return pytester


def run(suite: pytest.Pytester, *args: str) -> pytest.RunResult:
    """Run the little project with the plugin under test."""
    return suite.runpytest_inprocess("-p", "tests.report_scrub", *args)


def read(suite: pytest.Pytester, name: str) -> dict[str, Any]:
    """Read a report that the little project wrote."""
    report: dict[str, Any] = json.loads((suite.path / name).read_text())
    return report


@pytest.mark.parametrize(
    "args",
    [
        (),
        ("tests",),
        (".",),
        ("--json-report", "--json-report-file=pytest_results.json"),
    ],
    ids=["plain", "folder", "root", "same-flags-again"],
)
def test_a_run_of_the_whole_default_suite_writes_the_committed_file(
    suite: pytest.Pytester, args: tuple[str, ...]
) -> None:
    """A run of the whole default suite, however asked for, is the one recorded."""
    run(suite, *args).assert_outcomes(passed=3, deselected=1)

    report = read(suite, COMMITTED)
    assert [test["nodeid"] for test in report["tests"]] == [
        "tests/test_other.py::test_third",
        "tests/test_some.py::test_first",
        "tests/test_some.py::test_second",
    ]
    assert report["summary"]["passed"] == 3
    assert not (suite.path / PARTIAL).exists()


@pytest.mark.parametrize(
    "args",
    [
        ("-k", "first"),
        ("tests/test_some.py",),
        ("-m", "benchmark"),
        ("--deselect", "tests/test_some.py::test_first"),
        ("--ignore", "tests/test_other.py"),
        ("--lf",),
        ("--collect-only",),
        ("-k", "first", "--json-report-file=pytest_results.json"),
    ],
    ids=lambda args: args[0].strip("-"),
)
def test_a_partial_run_leaves_the_committed_file_alone(
    suite: pytest.Pytester, args: tuple[str, ...]
) -> None:
    """A run of a part of the suite writes beside the committed file, never into it."""
    (suite.path / COMMITTED).write_text("the record")

    run(suite, *args)

    assert (suite.path / COMMITTED).read_text() == "the record"
    assert "tests" in read(suite, PARTIAL)


def test_a_run_that_was_broken_off_leaves_the_committed_file_alone(
    suite: pytest.Pytester,
) -> None:
    """A run that stops at its first failure has not run the whole suite."""
    (suite.path / COMMITTED).write_text("the record")
    (suite.path / "tests" / "test_a.py").write_text("def test_a(): assert False\n")

    run(suite, "-x").assert_outcomes(failed=1, deselected=1)

    assert (suite.path / COMMITTED).read_text() == "the record"
    assert read(suite, PARTIAL)["summary"]["failed"] == 1


def test_a_full_run_with_failures_is_recorded_with_them(
    suite: pytest.Pytester,
) -> None:
    """A full run that fails is written down as what it was."""
    (suite.path / "tests" / "test_a.py").write_text("def test_a(): assert False\n")

    run(suite).assert_outcomes(passed=3, failed=1, deselected=1)

    assert read(suite, COMMITTED)["summary"]["failed"] == 1


def test_another_file_is_written_where_the_user_asks(suite: pytest.Pytester) -> None:
    """A file of another name gets the report of any run, scrubbed likewise."""
    run(suite, "-k", "first", "--json-report-file=mine.json")

    report = read(suite, "mine.json")
    assert [test["nodeid"] for test in report["tests"]] == [
        "tests/test_some.py::test_first"
    ]
    assert report["root"] == "."
    assert not (suite.path / PARTIAL).exists()


def test_no_report_is_written_where_the_user_wants_none(
    suite: pytest.Pytester,
) -> None:
    """The word none in place of a file name means that no file is written."""
    run(suite, "--json-report-file=none").assert_outcomes(passed=3, deselected=1)

    assert not (suite.path / COMMITTED).exists()
    assert not (suite.path / PARTIAL).exists()


def test_the_plugin_is_silent_without_json_report(pytester: pytest.Pytester) -> None:
    """Without --json-report there is nothing to scrub and nothing is written."""
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")
    pytester.makepyfile("def test_a(): pass")

    pytester.runpytest_inprocess("-p", "tests.report_scrub").assert_outcomes(passed=1)

    assert not (pytester.path / COMMITTED).exists()


def test_the_report_tells_nothing_of_the_machine(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root folder, home, host name and environment never reach the report."""
    monkeypatch.setenv("HOME", "/home/jane")
    (suite.path / "tests" / "test_a.py").write_text(
        "import logging, pathlib, platform\n"
        "def test_a():\n"
        "    here = f'{pathlib.Path.cwd()} {pathlib.Path.home()} {platform.node()}'\n"
        "    logging.getLogger('x').warning('at %s', here)\n"
        "    raise OSError(here)\n"
    )

    run(suite).assert_outcomes(passed=3, failed=1, deselected=1)

    text = (suite.path / COMMITTED).read_text()
    report = json.loads(text)
    assert report["root"] == "."
    assert report["environment"] == {}
    assert str(suite.path) not in text
    assert "/home/jane" not in text
    assert platform.node() not in text
    assert report["tests"][0]["call"]["log"] == [
        {"name": "x", "levelname": "WARNING", "lineno": 4, "msg": "at . ~ <host>"}
    ]


def test_scrubbing_replaces_the_longest_folder_first() -> None:
    """A folder within another is named by its own stand-in, whole words only."""
    words = machine_words(Path("/data/project"))

    assert scrub(
        {
            "a": ["/data/project/x.py", ("/data/projects", 1.23456)],
            "b": None,
            "c": True,
        },
        words,
    ) == {"a": ["./x.py", ["/data/projects", 1.2346]], "b": None, "c": True}


def test_scrubbing_hides_the_user_in_temporary_folders() -> None:
    """The folder that pytest names after the user loses the name."""
    words = machine_words(Path("/data/project"))

    assert scrub("at /x/pytest-of-jane/pytest-0", words) == (
        "at /x/pytest-of-user/pytest-0"
    )


def test_logs_and_streams_stay_for_failed_stages_only() -> None:
    """Of a stage that passed, outcome and duration are kept and nothing else."""
    report = {
        "collectors": [1],
        "tests": [
            {
                "keywords": ["k"],
                "setup": {"outcome": "passed", "duration": 1.0, "stdout": "s"},
                "call": {
                    "outcome": "failed",
                    "stdout": "kept",
                    "log": [{"msg": "m", "process": 7}],
                },
                "teardown": {"outcome": "failed"},
            },
            {"setup": {"outcome": "skipped"}},
        ],
    }

    slim(report)

    assert report == {
        "tests": [
            {
                "setup": {"outcome": "passed", "duration": 1.0},
                "call": {"outcome": "failed", "stdout": "kept", "log": [{"msg": "m"}]},
                "teardown": {"outcome": "failed"},
            },
            {"setup": {"outcome": "skipped"}},
        ]
    }


def test_the_default_marks_are_those_of_the_project(project_root: Path) -> None:
    """What counts as the whole suite is what plain pytest selects."""
    config = tomllib.loads((project_root / "pyproject.toml").read_text())
    options = config["tool"]["pytest"]["ini_options"]["addopts"]

    assert options[options.index("-m") + 1] == DEFAULT_MARKS
    assert f"--json-report-file={COMMITTED}" in options
