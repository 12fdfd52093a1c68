"""What is declared as a dependency is what the package imports."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.architecture.sources import imports, runtime_imports, sources

# Declared though no line imports it: why.
UNIMPORTED: dict[str, str] = {}


@pytest.fixture
def pyproject(project_root: Path) -> dict[str, Any]:
    """Read the project's settings."""
    return tomllib.loads((project_root / "pyproject.toml").read_text())


def names(requirements: list[str]) -> set[str]:
    """Name the packages of some requirements, as they are imported."""
    return {
        re.split(r"[\s\[<>=!~;]", text, maxsplit=1)[0].replace("-", "_")
        for text in requirements
    }


def foreign(root: Path, modules: Iterable[str]) -> set[str]:
    """Name the packages from elsewhere among some modules."""
    shared = (path.stem for path in (root / "examples").iterdir())
    ours = {"climorch", "tests", "benchmarks", *shared}
    # Its distribution is called otherwise than its module.
    packages = {
        name.partition(".")[0].replace("netCDF4", "netcdf4") for name in modules
    }
    return packages - set(sys.stdlib_module_names) - ours


def test_the_package_imports_what_it_declares_and_nothing_else(
    project_root: Path, pyproject: dict[str, Any]
) -> None:
    """A plain install brings exactly what the package needs."""
    declared = names(pyproject["project"]["dependencies"])
    # The conformance suites of climorch.testing are for those who test.
    tools = names(pyproject["dependency-groups"]["dev"]) - declared
    modules = sources(project_root, "climorch")
    needed = foreign(
        project_root, (name for m in modules for _, name in runtime_imports(m.tree))
    )
    named = foreign(
        project_root, (name for m in modules for _, name in imports(m.tree))
    )

    assert needed - tools - declared == set()
    assert declared - named - UNIMPORTED.keys() == set()


def test_only_the_suites_for_testers_import_test_tools(
    project_root: Path, pyproject: dict[str, Any]
) -> None:
    """A test tool is imported by climorch.testing alone within the package."""
    tools = names(pyproject["dependency-groups"]["dev"])
    users = [
        source.path
        for source in sources(project_root, "climorch")
        if tools & {name.partition(".")[0] for _, name in imports(source.tree)}
        and not source.path.startswith("climorch/testing/")
    ]

    assert users == []


def test_the_development_group_brings_what_tests_and_examples_need(
    project_root: Path, pyproject: dict[str, Any]
) -> None:
    """A checkout set up by uv can run every test, example and benchmark."""
    declared = names(
        pyproject["project"]["dependencies"] + pyproject["dependency-groups"]["dev"]
    )
    modules = sources(project_root, "tests", "examples", "benchmarks")
    used = foreign(
        project_root, (name for m in modules for _, name in runtime_imports(m.tree))
    )

    assert used - declared == set()


def test_every_dependency_has_its_reason(
    project_root: Path, pyproject: dict[str, Any]
) -> None:
    """The decision page on dependencies names each package that is declared."""
    page = (project_root / "docs/decisions/001-dependencies.md").read_text()
    declared = [
        re.split(r"[\s\[<>=!~;]", text, maxsplit=1)[0]
        for text in (
            *pyproject["project"]["dependencies"],
            *pyproject["dependency-groups"]["dev"],
        )
    ]

    assert [name for name in declared if f"`{name}`" not in page] == []


def test_no_address_of_a_registry_is_kept(pyproject: dict[str, Any]) -> None:
    """Versions are pinned by constraints, never by a file with addresses."""
    uv = pyproject["tool"]["uv"]

    assert uv.keys() == {"constraint-dependencies"}
    assert [pin for pin in uv["constraint-dependencies"] if "://" in pin] == []
