"""What every test runs under: settings of hypothesis, the report and its rules."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["pytester", "tests.report_scrub"]

# The same examples on every machine and no verdict by the wall clock: a slow machine
# is no failure. No database, which would make one run depend on the one before.
settings.register_profile(
    "climorch",
    database=None,
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("climorch")


# Most live tests wait: two at a time are half the time on two cores, more are flaky.
AT_A_TIME = 2


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Say how many tests run at a time: one where time is measured or few are asked."""
    timed = "not benchmark" not in config.option.markexpr
    single = any(".py" in argument for argument in config.args)
    return 0 if timed or single else AT_A_TIME


# What is decided, played at length: three times as long where lines are counted, and
# each of these lines has unit tests of its own. Or tests that only read the sources.
UNCOUNTED = ("twin", "property", "architecture")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Count no lines in tests that only play what others test."""
    here = Path(__file__).resolve().parent
    for item in items:
        if any(item.path.is_relative_to(here / folder) for folder in UNCOUNTED):
            item.add_marker(pytest.mark.no_cover)


@pytest.fixture(scope="session")
def project_root() -> Path:
    """Folder that holds pyproject.toml."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session", autouse=True)
def compiled_modules(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let processes of tests share compiled modules, even where nobody may keep them.

    Without, each of them compiles Dask and xarray: four of its five seconds.
    """
    with pytest.MonkeyPatch.context() as patch:
        if os.environ.get("PYTHONDONTWRITEBYTECODE"):
            patch.delenv("PYTHONDONTWRITEBYTECODE")
            folder = tmp_path_factory.mktemp("compiled")
            patch.setenv("PYTHONPYCACHEPREFIX", str(folder))
        yield
