"""A Slurm for all tests here; where there can be none, that is said."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slurm.mini import MiniSlurm, missing


@pytest.fixture(scope="session")
def slurm() -> Iterator[MiniSlurm]:
    """Start it; leave nothing of it."""
    lacking = missing()
    if lacking:
        pytest.skip(
            f"no Slurm of our own: {', '.join(lacking)} missing; install Debian's "
            "slurmctld, slurmd, slurm-client and munge, and run as root"
        )
    # A short path: sockets lie in it.
    folder = Path(tempfile.mkdtemp(prefix="slurm"))
    mini = MiniSlurm(folder)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in mini.environment.items():
            patch.setenv(name, value)
        try:
            mini.up()
            yield mini
        finally:
            mini.down()
            shutil.rmtree(folder)
