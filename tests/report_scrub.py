"""Decides what of a test run may be kept in the committed pytest_results.json.

Two rules. Only a run of the whole default suite writes that file; any other goes to
a git-ignored one, so that a quick ``-k`` never replaces the record of a full run.
And nothing in it tells of the machine: no folders, host or user names, environment.
Ignores whether the tests passed: a full red run is recorded as one.
"""

from __future__ import annotations

import platform
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

COMMITTED: Final = "pytest_results.json"
PARTIAL: Final = ".pytest_cache/partial_results.json"
DEFAULT_MARKS: Final = "not benchmark and not slurm"

# Anything that leaves tests out, by its name among the options of pytest.
_SELECTIONS: Final = (
    "collectonly",
    "deselect",
    "ignore",
    "ignore_glob",
    "keyword",
    "lf",
    "stepwise",
)
# Finished with all tests passed, or with some failed; else it was broken off.
_COMPLETE_EXITS: Final = (0, 1)
_LOG_FIELDS: Final = ("name", "levelname", "lineno", "msg")


def whole_suite_asked(config: pytest.Config) -> bool:
    """Tell whether the command line asks for the whole default suite.

    Parameters
    ----------
    config : pytest.Config
        Of the run.

    Returns
    -------
    bool
        False where a path, an expression or an option leaves tests out, or where
        other marks than the default ones are selected.
    """
    if any(config.getoption(name, default=None) for name in _SELECTIONS):
        return False
    if config.getoption("markexpr") != DEFAULT_MARKS:
        return False
    if config.args_source is pytest.Config.ArgsSource.TESTPATHS:
        return True
    here = config.invocation_params.dir
    asked = {(here / arg).resolve() for arg in config.args}
    suites = {(config.rootpath / path).resolve() for path in config.getini("testpaths")}
    return config.rootpath.resolve() in asked or (bool(suites) and suites <= asked)


def machine_words(root: Path) -> list[tuple[re.Pattern[str], str]]:
    """List what tells of this machine, each with what stands for it.

    Parameters
    ----------
    root : pathlib.Path
        Root folder of the project.

    Returns
    -------
    list of (pattern, str)
        Longest first, so that a folder is replaced before its parent is.
    """
    host = platform.node()
    # Where two are the same folder, the last one names it.
    words = {
        host: "<host>",
        host.partition(".")[0]: "<host>",
        tempfile.gettempdir(): "<tmp>",
        sys.base_prefix: "<python>",
        sys.prefix: "<python>",
        str(Path.home()): "~",
        str(root.resolve()): ".",
        str(root): ".",
    }
    longest_first = sorted(words.items(), key=lambda pair: -len(pair[0]))
    # Whole words only: a host called "a1" must not eat it out of "a1b".
    return [
        (re.compile(rf"(?<![\w.-]){re.escape(word)}(?![\w-])"), stand_in)
        for word, stand_in in longest_first
        if len(word) > 1
    ] + [(re.compile(r"pytest-of-[\w.-]+"), "pytest-of-user")]


def scrub(value: Any, words: list[tuple[re.Pattern[str], str]]) -> Any:
    """Replace the machine's words in every string of a JSON value.

    Parameters
    ----------
    value : JSON value
        Anything that `json` can write; other objects are taken by their `str`.
    words : list of (pattern, str)
        As `machine_words` gives them.

    Returns
    -------
    JSON value
        A new value; the one given is left as it was.
    """
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {str(key): scrub(inner, words) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [scrub(inner, words) for inner in value]
    text = str(value)
    for pattern, stand_in in words:
        # A function, so that a backslash in the stand-in would stay one.
        text = pattern.sub(_constant(stand_in), text)
    return text


def slim(report: dict[str, Any]) -> None:
    """Drop from a report, in place, what nobody reads later.

    Parameters
    ----------
    report : dict
        As pytest-json-report makes it. Outcomes and durations (seconds) stay;
        logs and streams stay for failed stages only, collectors never.
    """
    report.pop("collectors", None)
    for test in report.get("tests", ()):
        test.pop("keywords", None)
        for name in ("setup", "call", "teardown"):
            stage = test.get(name)
            if stage is None:
                continue
            logs = stage.pop("log", ())
            if stage["outcome"] == "passed":
                stage.pop("stdout", None)
                stage.pop("stderr", None)
            elif logs:
                stage["log"] = [
                    {field: record[field] for field in _LOG_FIELDS if field in record}
                    for record in logs
                ]


class ReportScrub:
    """Plugin that pytest-json-report asks before it writes.

    Parameters
    ----------
    config : pytest.Config
        Of the run.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    @pytest.hookimpl(optionalhook=True)
    def pytest_json_modifyreport(self, json_report: dict[str, Any]) -> None:
        """Scrub the report and choose the file it goes to."""
        slim(json_report)
        cleaned = scrub(json_report, machine_words(self._config.rootpath))
        json_report.clear()
        json_report.update(cleaned, root=".", environment={})
        self._config.option.json_report_file = self._target(json_report)

    def _target(self, report: dict[str, Any]) -> str | None:
        asked: str | None = self._config.option.json_report_file
        root = self._config.rootpath
        if asked is None:
            return None
        if asked != COMMITTED and Path(asked).resolve() != root / COMMITTED:
            return asked
        summary = report["summary"]
        complete = (
            whole_suite_asked(self._config)
            and report["exitcode"] in _COMPLETE_EXITS
            and summary["total"] == summary["collected"] - summary.get("deselected", 0)
        )
        return str(root / (COMMITTED if complete else PARTIAL))


def pytest_configure(config: pytest.Config) -> None:
    """Take part where a report is written at all."""
    if config.getoption("json_report", default=False):
        config.pluginmanager.register(ReportScrub(config), "climorch-report-scrub")


def _constant(text: str) -> Callable[[re.Match[str]], str]:
    return lambda _match: text
