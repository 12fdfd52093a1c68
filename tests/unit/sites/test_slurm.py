"""What a Slurm site is made of, and what is refused."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from climorch.core.site_ports import Site, StandingSite
from climorch.errors import InvalidInputError
from climorch.sites.slurm import Manner, SlurmSite


def test_a_site_asks_for_jobs_of_its_size(tmp_path: Path) -> None:
    """Eight nodes in jobs of two are four jobs."""
    site = SlurmSite(
        "cmip",
        folder=tmp_path,
        nodes=8,
        nodes_per_job=2,
        cores=16,
        memory="64 GiB",
        partition="long",
        extra=["--exclusive"],
    )

    assert isinstance(site, StandingSite)
    checked: Site = site
    assert checked.most_nodes == 8
    assert site.keeper.wanted.jobs == 4
    assert site.node_cores == 16
    assert site.node_memory_bytes == 64 * 2**30
    assert site.keeper.request.tag == "cmip"
    assert site.keeper.request.extra == ("--exclusive",)
    assert site.keeper.request.log == str(tmp_path / "cmip" / "logs" / "%j.log")
    assert site.keeper.request.command[2] == str(tmp_path / "cmip")
    assert not site.shared
    assert site.jobs == site.ended == ()


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    """Each with its remedy."""
    with pytest.raises(InvalidInputError) as caught:
        SlurmSite(
            "a b",
            folder=tmp_path,
            nodes=3,
            nodes_per_job=2,
            cores=0,
            walltime_s=5.0,
            start_s=math.nan,
        )

    assert [fault.place for fault in caught.value.faults] == [
        "SlurmSite.name",
        "SlurmSite.cores",
        "SlurmSite.walltime_s",
        "SlurmSite.start_s",
        "SlurmSite.nodes",
    ]
    with pytest.raises(InvalidInputError, match=r"Manner\.poll_s: got 0"):
        Manner(poll_s=0.0)


async def test_nodes_are_not_asked_for_before_the_site_is_open(tmp_path: Path) -> None:
    """There would be no Dask scheduler for them."""
    with pytest.raises(InvalidInputError, match="open the site"):
        await SlurmSite("cmip", folder=tmp_path).start_nodes()
