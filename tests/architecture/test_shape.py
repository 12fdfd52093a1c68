"""The shape of the code: an API only, nothing hidden, nothing outgrown."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.sources import (
    Source,
    imports,
    is_type_checking,
    runtime_imports,
    sources,
)

CODE = ("climorch", "tests", "examples", "benchmarks", ".ci")
FILE_LINES = 400
CLASS_LINES = 250
FUNCTION_LINES = 60
PUBLIC_NAMES = 45

# Where an aim of size is missed on purpose: "path" or "path::name", and why.
OUTGROWN: dict[str, str] = {
    # Every verb of the API is one method: a docstring and a line or two.
    "climorch/campaign.py::Campaign": "the facade has a method for each verb",
    # Nineteen things may be said of a stage: each is one line, twice.
    "climorch/model/workflow.py::stage": "what is said of a stage is said in one call",
}

# A web page, a terminal screen or a command line, by the module that makes it.
INTERFACES = {
    "aiohttp.web",
    "argparse",
    "bokeh",
    "click",
    "cmd",
    "curses",
    "dash",
    "django",
    "fastapi",
    "fire",
    "flask",
    "gradio",
    "http.server",
    "ipywidgets",
    "kivy",
    "nicegui",
    "optparse",
    "panel",
    "prompt_toolkit",
    "rich",
    "starlette",
    "streamlit",
    "textual",
    "tkinter",
    "tornado.web",
    "typer",
    "urwid",
    "uvicorn",
    "wsgiref",
}


def inside(name: str, packages: set[str]) -> bool:
    """Tell whether a dotted name is one of some packages or within one."""
    return any(name == known or name.startswith(f"{known}.") for known in packages)


def hidden_imports(source: Source) -> Iterator[str]:
    """Find the imports inside functions."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for line, name in imports(node):
                yield f"{source.path}:{line}: {name} is imported inside {node.name}"


def interface_imports(source: Source, forbidden: set[str]) -> Iterator[str]:
    """Find the imports of what makes a user interface."""
    for line, name in imports(source.tree):
        if inside(name, forbidden):
            yield f"{source.path}:{line}: {name} makes a user interface"


def dask_aliases(source: Source) -> Iterator[str]:
    """Find distributed imported under its other name, unseen by the contracts."""
    for line, name in imports(source.tree):
        if inside(name, {"dask.distributed"}):
            yield f"{source.path}:{line}: import it as distributed"


def outgrown(source: Source) -> Iterator[str]:
    """Find files, classes and functions above the aims of size."""
    length = source.text.count("\n")
    if length > FILE_LINES and source.path not in OUTGROWN:
        yield f"{source.path}: {length} lines, aim {FILE_LINES}; split it by topic"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ClassDef):
            aim = CLASS_LINES
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            aim = FUNCTION_LINES
        else:
            continue
        place = f"{source.path}::{node.name}"
        length = (node.end_lineno or node.lineno) - node.lineno + 1
        if length > aim and place not in OUTGROWN:
            yield f"{place}: {length} lines, aim {aim}; split it"


def test_the_package_has_no_entry_point(project_root: Path) -> None:
    """There is no console command, no graphical one and no python -m."""
    project = tomllib.loads((project_root / "pyproject.toml").read_text())["project"]

    assert {"scripts", "gui-scripts", "entry-points"} & project.keys() == set()
    assert list((project_root / "climorch").rglob("__main__.py")) == []


def test_the_package_makes_no_user_interface(project_root: Path) -> None:
    """No module of the package imports what makes a page, a screen or a command."""
    found = [
        fault
        for source in sources(project_root, "climorch")
        for fault in interface_imports(source, INTERFACES)
    ]

    assert found == []


def test_command_lines_are_parsed_in_examples_and_benchmarks_only(
    project_root: Path,
) -> None:
    """Only examples and benchmarks import argparse."""
    found = [
        fault
        for source in sources(project_root, "climorch", "tests", ".ci")
        for fault in interface_imports(source, {"argparse"})
    ]

    assert found == []


def test_nothing_is_imported_inside_a_function(project_root: Path) -> None:
    """Every import of the package stands at the top of its module."""
    found = [
        fault
        for source in sources(project_root, "climorch")
        for fault in hidden_imports(source)
    ]

    assert found == []


def test_distributed_is_imported_under_its_own_name(project_root: Path) -> None:
    """The package never reaches distributed through dask.distributed."""
    found = [
        fault
        for source in sources(project_root, "climorch")
        for fault in dask_aliases(source)
    ]

    assert found == []


def test_no_module_is_called_utils(project_root: Path) -> None:
    """A module is named by its topic."""
    nameless = {"util", "utils", "helper", "helpers", "common", "misc"}
    found = [
        source.path
        for source in sources(project_root, *CODE)
        if nameless & set(source.module.split("."))
    ]

    assert found == []


def test_files_classes_and_functions_keep_their_size(project_root: Path) -> None:
    """Files stay within 400 lines, classes within 250, functions within 60."""
    found = [
        fault for source in sources(project_root, *CODE) for fault in outgrown(source)
    ]

    assert found == []


def test_every_exception_from_the_sizes_is_still_needed(project_root: Path) -> None:
    """An exception names a reason and something that exists."""
    known = set()
    for source in sources(project_root, *CODE):
        known.add(source.path)
        known.update(
            f"{source.path}::{node.name}"
            for node in ast.walk(source.tree)
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        )

    assert OUTGROWN.keys() - known == set()
    assert [place for place, reason in OUTGROWN.items() if not reason.strip()] == []


def test_the_package_offers_at_most_45_names(project_root: Path) -> None:
    """What a user has to learn fits on a page, and every name of it is sorted."""
    text = (project_root / "climorch" / "__init__.py").read_text()
    names = next(
        ast.literal_eval(node.value)
        for node in ast.parse(text).body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id == "__all__"
    )

    assert len(names) <= PUBLIC_NAMES
    assert len(set(names)) == len(names)


def test_the_package_never_leaves_work_undone(project_root: Path) -> None:
    """No stub, no note of work to do and no line hidden from coverage."""
    # Joined here, so that this file does not find itself.
    marks = re.compile(
        "|".join(
            [
                "raise NotImplemented" + "Error",
                "TO" + "DO",
                "FIX" + "ME",
                "no" + " cover",
            ]
        )
    )
    found = [
        f"{source.path}:{number}"
        for source in sources(project_root, *CODE)
        for number, line in enumerate(source.text.splitlines(), start=1)
        if marks.search(line)
    ]

    assert found == []


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("def f():\n    import os", "a.py:2: os is imported inside f"),
        ("async def f():\n    from os import path", "a.py:2: os.path is imported"),
        ("from http.server import HTTPServer", "a.py:1: http.server.HTTPServer makes"),
        ("import dask.distributed as dd", "a.py:1: import it as distributed"),
        ("from dask import distributed", "a.py:1: import it as distributed"),
        ("x = 1\n" * 401, "a.py: 401 lines, aim 400"),
        ("def f():\n" + "    x = 1\n" * 60, "a.py::f: 61 lines, aim 60"),
        ("class C:\n" + "    x = 1\n" * 250, "a.py::C: 251 lines, aim 250"),
    ],
    ids=[
        "hidden",
        "hidden-async",
        "interface",
        "alias",
        "alias-from",
        "file",
        "function",
        "class",
    ],
)
def test_a_planted_fault_of_shape_is_found(code: str, fault: str) -> None:
    """Each rule of shape finds the fault it is there for, and only that one."""
    source = Source(path="a.py", text=code, tree=ast.parse(code))

    found = [
        *hidden_imports(source),
        *interface_imports(source, INTERFACES),
        *dask_aliases(source),
        *outgrown(source),
    ]

    assert [text.startswith(fault) for text in found] == [True]


@pytest.mark.parametrize(
    "code",
    [
        "if TYPE_CHECKING:\n    import os",
        "import typing\nif typing.TYPE_CHECKING:\n    import os",
    ],
    ids=["bare", "dotted"],
)
def test_blocks_for_the_type_checker_are_known_as_such(code: str) -> None:
    """Both ways to write the condition are seen, and no other one."""
    body = ast.parse(code).body

    assert is_type_checking(body[-1])
    assert "os" not in {name for _, name in runtime_imports(ast.parse(code))}
    assert not is_type_checking(ast.parse("if ready:\n    import os").body[0])
    assert not is_type_checking(ast.parse("import os").body[0])
    assert list(runtime_imports(ast.parse("try:\n    import os\nfinally: ..."))) == [
        (2, "os")
    ]
