"""Each example is run by a test, each site passes the suite of sites."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path

import pytest

# Script to a test that runs it to its end.
RUN_BY: Mapping[str, str] = {
    "coupled_ensemble": "tests/live/test_main_job.py",
    "forecast_report": "tests/live/test_main_job.py",
    "mpi_model": "tests/benchmarks/test_mpi_matrix.py",
    "rehearse": "tests/unit/examples/test_rehearse.py",
    "slurm_campaign": "tests/slurm/test_example.py",
}


def test_each_example_has_a_test_that_runs_it(project_root: Path) -> None:
    """None is added without one."""
    scripts = {
        path.stem
        for path in (project_root / "examples").glob("*.py")
        if "__main__" in path.read_text()
    }
    assert scripts == set(RUN_BY)
    for script, path in RUN_BY.items():
        assert script in (project_root / path).read_text(), path


def classes(path: Path, base: str = "") -> set[str]:
    """Return the classes in a file, those that derive from a base."""
    return {
        node.name
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef)
        and (not base or base in [getattr(b, "id", "") for b in node.bases])
    }


def in_suite(root: Path) -> set[str]:
    """Return all names in files whose tests derive from the suite of sites."""
    found: set[str] = set()
    for path in (root / "tests").rglob("test_*.py"):
        if classes(path, "SiteSuite"):
            tree = ast.parse(path.read_text())
            found |= {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    return found


@pytest.mark.parametrize(
    "site", ["DaskSite", "LSFSite", "LocalSite", "PBSSite", "SlurmSite"]
)
def test_each_site_passes_the_suite(project_root: Path, site: str) -> None:
    """On which machines its tests run the guides say; they are there."""
    assert site in in_suite(project_root)


def test_there_are_no_other_sites(project_root: Path) -> None:
    """The twin's has no Dask scheduler to be asked; it has tests of its own."""
    folder = project_root / "climorch" / "sites"
    found = {name for path in folder.rglob("*.py") for name in classes(path)}

    assert {name for name in found if name.endswith("Site")} == {
        "BatchSite",
        "DaskSite",
        "LSFSite",
        "LocalSite",
        "PBSSite",
        "SlurmSite",
    }
    assert "TwinSite" not in in_suite(project_root)
