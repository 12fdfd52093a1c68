"""Import direction: the contracts of pyproject.toml hold, and would notice."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGES = (
    "campaign",
    "core",
    "engine",
    "errors",
    "forecast",
    "foresight",
    "intake",
    "model",
    "policy",
    "report",
    "programs",
    "rules",
    "scores",
    "sites",
    "storage",
    "testing",
    "twin",
)
LINT = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"


def lint(config: Path, package_parent: Path) -> subprocess.CompletedProcess[str]:
    """Run the contracts of a pyproject.toml over the package in a folder."""
    # A process of its own: the linter finds the package through sys.path.
    return subprocess.run(
        [sys.executable, "-c", LINT],
        cwd=config.parent,
        env={**os.environ, "PYTHONPATH": str(package_parent)},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def test_every_import_contract_of_the_project_holds(project_root: Path) -> None:
    """Layers, purity, ports and the absence of cycles hold for the package."""
    result = lint(project_root / "pyproject.toml", project_root)

    assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture
def planted(tmp_path: Path, project_root: Path) -> Path:
    """Make an empty package of the same layout under the same contracts."""
    config = (project_root / "pyproject.toml").read_text()
    (tmp_path / "pyproject.toml").write_text(config)
    root = tmp_path / "climorch"
    for name in PACKAGES:
        (root / name).mkdir(parents=True)
        (root / name / "__init__.py").touch()
    (root / "__init__.py").touch()
    pure = ("accounts", "books", "leases", "ledger", "parts", "periods", "shelves")
    timed = ("timekeeping", "timings", "under_way")
    for name in (
        *("core/ports", "core/site_ports", "core/state", "sites/local", "sites/base"),
        *(f"forecast/{module}" for module in (*pure, *timed, "work")),
    ):
        (root / f"{name}.py").touch()
    return root


def test_an_empty_package_of_the_same_layout_keeps_every_contract(
    planted: Path,
) -> None:
    """Without a planted fault there is nothing to find, so a find is the fault's."""
    (planted / "sites" / "local.py").write_text(
        "import distributed\nfrom climorch.core import site_ports\n"
    )
    (planted / "core" / "ports.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import xarray\n"
    )

    result = lint(planted.parent / "pyproject.toml", planted.parent)

    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("file", "code", "contract"),
    [
        (
            "model/a.py",
            "import climorch.core",
            "what is decided knows nothing of what acts",
        ),
        (
            "storage/a.py",
            "import climorch.sites",
            "what is decided knows nothing of what acts",
        ),
        (
            "twin/a.py",
            "import climorch.engine",
            "what is decided knows nothing of what acts",
        ),
        (
            "engine/a.py",
            "import climorch.twin",
            "what is decided knows nothing of what acts",
        ),
        ("novel.py", "", "what is decided knows nothing of what acts"),
        (
            "forecast/a.py",
            "import climorch.twin",
            "what is decided knows nothing of what acts",
        ),
        (
            "forecast/ledger.py",
            "import xarray",
            "errors, model, policy and core do no I/O and know no framework",
        ),
        (
            "core/state.py",
            "import xarray",
            "errors, model, policy and core do no I/O and know no framework",
        ),
        (
            "policy/a.py",
            "import sqlite3",
            "errors, model, policy and core do no I/O and know no framework",
        ),
        (
            "storage/a.py",
            "from distributed import Client",
            "only the engine and the Dask sites know distributed",
        ),
        (
            "twin/a.py",
            "import distributed",
            "only the engine and the Dask sites know distributed",
        ),
        (
            "sites/base.py",
            "import distributed",
            "only the engine and the Dask sites know distributed",
        ),
        (
            "storage/a.py",
            "import climorch.core.state",
            "storage and sites know the ports of the core, not the core",
        ),
        (
            "core/ports.py",
            "import climorch.core.state",
            "no cycles at any depth",
        ),
    ],
    ids=[
        "model-core",
        "storage-sites",
        "twin-engine",
        "engine-twin",
        "unlisted",
        "forecast-twin",
        "ledger-xarray",
        "core-xarray",
        "policy-sqlite",
        "storage-distributed",
        "twin-distributed",
        "site-distributed",
        "storage-state",
        "cycle",
    ],
)
def test_a_planted_fault_breaks_its_contract(
    planted: Path, file: str, code: str, contract: str
) -> None:
    """Each way to import against the direction breaks the contract that forbids it."""
    (planted / "core" / "state.py").write_text("import climorch.core.ports\n")
    (planted / file).write_text(f"{code}\n")

    result = lint(planted.parent / "pyproject.toml", planted.parent)

    assert result.returncode != 0
    assert contract in result.stdout
    assert "BROKEN" in result.stdout or "novel" in result.stdout
