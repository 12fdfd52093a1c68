"""A Slurm for all tests here; where there can be none, that is said."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.slurm.mini import MiniSlurm, missing, running


@pytest.fixture(scope="session")
def can_start() -> None:
    """Go on only where a Slurm of our own can be started."""
    lacking = missing()
    if lacking:
        pytest.skip(
            f"no Slurm of our own: {', '.join(lacking)} missing; install Debian's "
            "slurmctld, slurmd, slurm-client and munge, and run as root"
        )


@pytest.fixture(scope="session")
def slurm(can_start: None) -> Iterator[MiniSlurm]:
    """Start it; leave nothing of it."""
    with running() as mini:
        yield mini
