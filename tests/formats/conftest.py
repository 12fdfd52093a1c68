"""One campaign for all tests of formats, and what it exports."""

from __future__ import annotations

from pathlib import Path

import pytest

from climorch import Campaign
from tests.formats.island import campaign_of


@pytest.fixture(scope="session")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    """A campaign that has ended."""
    return campaign_of(tmp_path_factory.mktemp("root"))


@pytest.fixture(scope="session")
def netcdf(campaign: Campaign, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a member as a NetCDF file, exported in one call."""
    path = tmp_path_factory.mktemp("exported") / "warm.nc"
    campaign.results("warm", "air").to_netcdf(path)
    return path
