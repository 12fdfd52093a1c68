"""A small model with an island of heat, whose place is seen in every picture.

Decides what results look like that are described by the CF conventions as a user would;
the rest is up to the library.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cftime
import numpy as np
import numpy.typing as npt
import xarray as xr

from climorch import (
    Advance,
    Campaign,
    EverySegments,
    LocalSite,
    Policies,
    Scenario,
    Segment,
    Span,
    Workflow,
)

__all__ = ["MEMBERS", "PLACE", "SEGMENTS", "campaign_of", "heat", "results_path"]

SEGMENTS = 3
MEMBERS = ("cold", "warm")
PLACE = {"lat": 45.0, "lon": 90.0}
LAT, LON = np.arange(-87.5, 90, 5.0), np.arange(2.5, 360, 5.0)
ATTRIBUTES = {
    "lat": {"standard_name": "latitude", "units": "degrees_north", "axis": "Y"},
    "lon": {"standard_name": "longitude", "units": "degrees_east", "axis": "X"},
    "tas": {
        "standard_name": "air_temperature",
        "long_name": "air temperature near the surface",
        "units": "K",
        "units_metadata": "temperature: on_scale",
        "cell_methods": "time: point",
    },
}
ABOUT = {
    "title": "An island of heat",
    "institution": "None",
    "source": "island of heat, version 1",
    "history": "computed by the tests of climorch",
    "references": "None",
    "comment": "Not of this world.",
}


def heat(member: str, index: int) -> npt.NDArray[np.float64]:
    """Temperature at the end of a segment, K: warmest at `PLACE`, more so each year."""
    lat, lon = np.meshgrid(LAT - PLACE["lat"], LON - PLACE["lon"], indexing="ij")
    base = 270.0 + MEMBERS.index(member)
    near: npt.NDArray[np.float64] = np.exp(-((lat / 15) ** 2) - (lon / 30) ** 2)
    return base + (20.0 + index) * near


def step(
    state: xr.Dataset, inputs: Mapping[str, xr.Dataset], segment: Segment
) -> Advance:
    """Tell the temperature of the next year."""
    values = heat(segment.params["member"], segment.index)
    date = cftime.datetime(segment.end.year, 1, 1, calendar="noleap")
    output = xr.Dataset(
        {"tas": (("time", "lat", "lon"), values[None], ATTRIBUTES["tas"])},
        coords={
            "time": [date],
            "lat": ("lat", LAT, ATTRIBUTES["lat"]),
            "lon": ("lon", LON, ATTRIBUTES["lon"]),
        },
        attrs=ABOUT,
    )
    return Advance(state=state + 1, output=output)


def first(segment: Segment, inputs: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """Begin to count."""
    return xr.Dataset({"years": ("box", np.zeros(1))})


def campaign_of(root: Path) -> Campaign:
    """Run a campaign of two members to its end."""
    wf = Workflow("island")
    span = Span(
        "2000-01-01", f"{2000 + SEGMENTS}-01-01", every="1YS", calendar="noleap"
    )
    wf.stage("air", step, init=first, span=span)
    policies = Policies(checkpointing=EverySegments(count=1))
    campaign = Campaign("c", root=root, policies=policies)
    for member in MEMBERS:
        campaign.submit(wf, scenario=Scenario(member, params={"member": member}))
    assert campaign.run(LocalSite(nodes=2, in_process=True)).finished
    return campaign


def results_path(campaign: Campaign, member: str) -> Path:
    """Where the results of a member lie, for those who have no climorch."""
    return Path(campaign.root) / campaign.name / "results" / member / "air"
