"""What is exported passes the CF checker of IOOS, which finds what is wrong."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

from climorch import Campaign, EverySegments, LocalSite, Policies, Scenario
from climorch.testing.models import box_workflow

CHECKER = shutil.which("compliance-checker", path=str(Path(sys.executable).parent))

pytestmark = [
    pytest.mark.benchmark,
    pytest.mark.skipif(
        CHECKER is None,
        reason="compliance-checker is not installed: uv run --group formats pytest ...",
    ),
]


def issues(path: Path) -> dict[str, list[str]]:
    """Let the checker judge a file: what it says, by section of the conventions."""
    assert CHECKER is not None
    told = path.with_suffix(".json")
    subprocess.run(
        [CHECKER, "-t", "cf:1.11", "-f", "json", "-o", str(told), str(path)],
        check=False,
        capture_output=True,
    )
    (found,) = [
        value for key, value in json.loads(told.read_text()).items() if "cf" in key
    ]
    assert found["possible_points"] > 50
    return {
        one["name"]: one["msgs"]
        for priority in ("high", "medium", "low")
        for one in found[f"{priority}_priorities"]
        if one["msgs"]
    }


def test_results_pass_the_checker(netcdf: Path) -> None:
    """Described as CF asks for: not one issue, and not one recommendation."""
    assert issues(netcdf) == {}


def test_a_report_passes_the_checker(campaign: Campaign, tmp_path: Path) -> None:
    """What was used, exported."""
    path = tmp_path / "report.nc"
    campaign.report().to_netcdf(path)
    assert issues(path) == {}


@pytest.mark.parametrize(
    ("change", "section"),
    [
        ({"tas": {"units": "kg"}}, "§3.1"),
        ({"tas": {"standard_name": "warmth"}}, "§3.3"),
        ({"lat": {"units": "metre"}}, "§4.1"),
        ({"time": {"calendar": "mayan"}}, "§4.4"),
    ],
)
def test_the_checker_finds_what_is_wrong(
    netcdf: Path, tmp_path: Path, change: dict[str, dict[str, Any]], section: str
) -> None:
    """A test of the tests: one attribute is enough."""
    wrong = tmp_path / "wrong.nc"
    with xr.open_dataset(netcdf, decode_cf=False) as found:
        for name, attributes in change.items():
            found[name].attrs.update(attributes)
        found.to_netcdf(wrong)

    assert any(name.startswith(section) for name in issues(wrong))


def test_what_is_ours_is_right_whatever_the_user_leaves_out(tmp_path: Path) -> None:
    """An output without any description: nothing is wrong with time, or with types."""
    campaign = Campaign(
        "c", root=tmp_path, policies=Policies(checkpointing=EverySegments(count=1))
    )
    campaign.submit(box_workflow(segments=2), scenario=Scenario("s"))
    assert campaign.run(LocalSite(nodes=1, in_process=True)).finished
    campaign.results("s", "air").to_netcdf(tmp_path / "bare.nc")

    found = issues(tmp_path / "bare.nc")

    # Latitudes and longitudes that nobody has called so, and no history.
    text = [line for lines in found.values() for line in lines]
    assert {line for line in text if "'time'" in line or "FillValue" in line} == set()
    assert {name.split()[0] for name in found} <= {"§2.4", "§2.6", "§3.3", "§5.1"}
