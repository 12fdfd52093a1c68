"""The map from requirements to tests is true: docs/requirements.md."""

from __future__ import annotations

import ast
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

# Issues that are not built yet. Once one has landed it leaves this set, and then no
# row of it may be open.
OPEN_ISSUES: set[int] = set()
ALL_ISSUES = {2, 3, 4, 5, 6, 7, 8}
CAPABILITIES = {"C1", "C2", "C3", "C4", "C5"}

ROW = re.compile(r"^\| ([CR]\d+(?:\.\d+)?) \| (\S.*?) \| (\S.*?) \|$")
OPEN = re.compile(r"^open: issue (\d+)$")
TEST = re.compile(r"^`(tests/[^`\s]+\.py(?:::\w+)+)`$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One requirement.

    Attributes
    ----------
    id : str
        ``R2.7``: the seventh of issue 2; ``C1``: a capability.
    text : str
        What is required.
    tests : tuple of str
        Ids of the tests that show it; empty while it is open.
    issue : int or None
        The issue that will bring the tests; None once there are tests.
    """

    id: str
    text: str
    tests: tuple[str, ...]
    issue: int | None


def parse(line: str) -> Row:
    """Read one row; anything that is not exactly one is an error."""
    row = ROW.match(line)
    if row is None:
        raise ValueError(f"not a row of three filled columns: {line!r}")
    name, text, shown = row.groups()
    still_open = OPEN.match(shown)
    if still_open is not None:
        return Row(id=name, text=text, tests=(), issue=int(still_open.group(1)))
    found = [TEST.match(part) for part in shown.split(", ")]
    if None in found:
        raise ValueError(f"neither tests nor 'open: issue N' in {name}: {shown!r}")
    tests = tuple(test.group(1) for test in found if test is not None)
    return Row(id=name, text=text, tests=tests, issue=None)


def rows_of(page: str) -> list[Row]:
    """Read all rows of a page, its heads and rules left out."""
    return [
        parse(line)
        for line in page.splitlines()
        if line.startswith("|") and not line.startswith(("| Id |", "|---"))
    ]


def existing_tests(root: Path) -> set[str]:
    """Name every test function under tests/, without parameters."""
    found = set()
    for path in sorted((root / "tests").rglob("test_*.py")):
        file = path.relative_to(root).as_posix()
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found |= {f"{file}::{name}" for name in functions(tree)}
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                found |= {f"{file}::{node.name}::{name}" for name in functions(node)}
                if any(
                    isinstance(base, ast.Name) and base.id.endswith("Suite")
                    for base in node.bases
                ):
                    # A conformance suite as a whole; its tests are inherited.
                    found.add(f"{file}::{node.name}")
    return found


def functions(node: ast.Module | ast.ClassDef) -> set[str]:
    """Name the test functions that stand directly in a module or a class."""
    return {
        inner.name
        for inner in node.body
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef)
        and inner.name.startswith("test_")
    }


@pytest.fixture(scope="module")
def rows(project_root: Path) -> list[Row]:
    """Read the map of the project."""
    page = (project_root / "docs" / "requirements.md").read_text(encoding="utf-8")
    return rows_of(page)


def test_every_test_in_the_map_exists(project_root: Path, rows: list[Row]) -> None:
    """A requirement is shown by tests that are there."""
    present = existing_tests(project_root)

    assert [
        f"{row.id}: {test}" for row in rows for test in row.tests if test not in present
    ] == []


def test_every_requirement_is_named_once(rows: list[Row]) -> None:
    """No two rows share an id or a text."""
    ids = Counter(row.id for row in rows)
    texts = Counter(row.text for row in rows)

    assert [name for name, count in ids.items() if count > 1] == []
    assert [text for text, count in texts.items() if count > 1] == []


def test_every_issue_and_capability_has_its_rows(rows: list[Row]) -> None:
    """The map covers all issues and the five capabilities."""
    heads = {row.id.partition(".")[0] for row in rows}

    assert heads == CAPABILITIES | {f"R{issue}" for issue in ALL_ISSUES}


def test_only_requirements_of_unfinished_issues_are_open(rows: list[Row]) -> None:
    """Once an issue has landed, each of its requirements is shown by a test."""
    assert [
        row.id for row in rows if row.issue is not None and row.issue not in OPEN_ISSUES
    ] == []


def test_an_open_requirement_waits_for_its_own_issue(rows: list[Row]) -> None:
    """A requirement is put off to no other issue than the one that brings it."""
    assert [
        row.id
        for row in rows
        if row.issue is not None
        and row.id.startswith("R")
        and row.id.partition(".")[0] != f"R{row.issue}"
    ] == []


def test_a_row_names_tests_or_the_issue_that_brings_them() -> None:
    """Both kinds of row are read, several tests in one row included."""
    assert parse("| R2.1 | It runs | `tests/a/test_b.py::test_c` |").tests == (
        "tests/a/test_b.py::test_c",
    )
    assert parse("| R2.1 | It runs | `tests/t.py::T::test_c`, `tests/u.py::v` |") == (
        Row(
            id="R2.1",
            text="It runs",
            tests=("tests/t.py::T::test_c", "tests/u.py::v"),
            issue=None,
        )
    )
    assert parse("| C1 | It runs | open: issue 3 |").issue == 3


@pytest.mark.parametrize(
    "line",
    [
        "| R2.1 | It runs |  |",
        "| R2.1 | It runs |",
        "| R2.1 |  | open: issue 2 |",
        "| X2 | It runs | open: issue 2 |",
        "| R2.1 | It runs | later |",
        "| R2.1 | It runs | open: issue 2, `tests/a.py::test_b` |",
        "| R2.1 | It runs | `benchmarks/a.py` |",
    ],
)
def test_a_row_that_shows_nothing_is_an_error(line: str) -> None:
    """A row without tests and without an issue cannot pass for one."""
    with pytest.raises(ValueError, match=r"not a row|neither tests"):
        parse(line)


def test_tests_are_found_in_modules_and_classes(tmp_path: Path) -> None:
    """Test functions are named as pytest names them, helpers are not tests."""
    folder = tmp_path / "tests" / "unit"
    folder.mkdir(parents=True)
    (folder / "test_a.py").write_text(
        "def test_one(): ...\nasync def test_two(): ...\ndef helper(): ...\n"
        "class TestB:\n    def test_three(self): ...\n    def other(self): ...\n"
    )

    assert existing_tests(tmp_path) == {
        "tests/unit/test_a.py::test_one",
        "tests/unit/test_a.py::test_two",
        "tests/unit/test_a.py::TestB::test_three",
    }
