"""Every promise about time holds on the machine at hand; `pytest -m benchmark`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# What is there to be run, as opposed to what they share.
SCRIPTS = sorted(
    path.stem
    for path in (Path(__file__).parents[2] / "benchmarks").glob("*.py")
    if "__main__" in path.read_text()
)


@pytest.mark.benchmark
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", SCRIPTS)
def test_its_bar_holds(project_root: Path, name: str) -> None:
    """A benchmark ends with 0 because its bar holds, quickly measured."""
    ran = subprocess.run(
        [sys.executable, f"benchmarks/{name}.py", "--quick"],
        cwd=project_root,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
