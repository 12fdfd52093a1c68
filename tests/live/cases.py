"""What the tests of live campaigns share: settings, references, shortcuts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from climorch import (
    Advance,
    Budget,
    Campaign,
    EverySegments,
    KeepLast,
    LocalSite,
    Policies,
    RecoveryPolicy,
    Segment,
    Span,
    Watch,
    Workflow,
)
from climorch.intake.planning import segment_seed
from climorch.model.commands import Record
from climorch.model.events import Cause
from climorch.policy.moving import Moving
from climorch.policy.recovery import DEFAULT_BUDGETS
from climorch.testing.faults import records_of
from climorch.testing.models import box_workflow

Array = npt.NDArray[np.float64]
SHAPE = (8, 5)


def policies(
    *,
    every: int = 1,
    keep: int = 10,
    budgets: dict[Cause, Budget] | None = None,
    watch: Watch | None = None,
    moving: Moving | None = None,
) -> Policies:
    """Checkpoint often, keep much, try again at once."""
    quick = {
        cause: replace(budget, first_delay_s=min(budget.first_delay_s, 0.05))
        for cause, budget in DEFAULT_BUDGETS.items()
    }
    return Policies(
        checkpointing=EverySegments(count=every),
        retention=KeepLast(count=keep),
        recovery=RecoveryPolicy(budgets={**quick, **(budgets or {})}),
        watch=watch or Watch(),
        moving=moving or Moving(),
    )


def here(nodes: int = 1) -> LocalSite:
    """Nodes in this process."""
    return LocalSite(nodes=nodes, in_process=True)


class NoSite(LocalSite):
    """A site that nobody may open."""

    async def open(self) -> str:
        raise AssertionError("nothing is left to compute, yet the site was opened")


def mixed(own: Array, other: Array, seed: int) -> Array:
    """One segment of one box, as `box_workflow` computes it."""
    noise = np.sin(own * 12.9898 + seed % 1000) * 1e-3
    return own + 0.1 * (other - own) + noise


def series(
    simulation: str,
    segments: int,
    *,
    spinup: int = 0,
    start: dict[str, Array] | None = None,
    shape: tuple[int, int] = SHAPE,
) -> dict[str, list[Array]]:
    """Heat of both boxes after every segment, by plain NumPy."""
    lat, lon = shape
    first = np.linspace(0.0, 1.0, lat * lon).reshape(lat, lon)
    if spinup:
        first = first + 0.5
    for k in range(spinup):
        first = mixed(first, first, segment_seed(simulation, "spinup", k))
    given = start or {"air": first + 1.0, "sea": first - 1.0}
    air, sea = given["air"], given["sea"]
    found: dict[str, list[Array]] = {"air": [], "sea": []}
    for k in range(segments):
        air = mixed(air, sea, segment_seed(simulation, "air", k))
        sea = mixed(sea, air, segment_seed(simulation, "sea", k))
        found["air"].append(air)
        found["sea"].append(sea)
    return found


def last(found: dict[str, list[Array]]) -> dict[str, Array]:
    """Heat of both boxes at the end."""
    return {stage: values[-1] for stage, values in found.items()}


def ended(campaign: Campaign, simulation: str) -> dict[str, Array]:
    """Heat of both boxes in the newest checkpoint."""
    return {stage: state_of(campaign, simulation, stage) for stage in ("air", "sea")}


def state_of(campaign: Campaign, simulation: str, stage: str) -> Array:
    """Heat of a stage in its newest checkpoint."""
    trees = (path / "state.zarr" for path in campaign.checkpoints(simulation))
    tree = next(tree for tree in trees if (tree / stage).exists())
    found: Array = xr.open_zarr(tree / stage)["heat"].to_numpy()
    return found


def same(one: dict[str, Array], two: dict[str, Array]) -> bool:
    """Whether two states are equal bit by bit."""
    return one.keys() == two.keys() and all(
        one[stage].tobytes() == two[stage].tobytes() for stage in one
    )


def records(campaign: Campaign) -> list[Record]:
    """The journal of a campaign."""
    return records_of(campaign.root, campaign.name)


def kinds(found: Iterable[Record], kind: type[Any]) -> list[Any]:
    """Those of one kind."""
    return [record for record in found if isinstance(record, kind)]


def continued(name: str, *, year: int, segments: int) -> Workflow:
    """Both boxes from the last states of a parent that ends in a year."""
    wf = Workflow(name)
    span = Span(
        f"{year}-01-01", f"{year + segments}-01-01", every="1YS", calendar="noleap"
    )
    for stage in box_workflow(segments=segments).stages:
        wf.stages.append(replace(stage, init=None, span=span))
    return wf


def column(
    step: Any, *, segments: int = 4, name: str = "column", **more: Any
) -> Workflow:
    """One stage whose only field starts as zeros."""
    wf = Workflow(name)
    wf.stage(
        "box",
        step,
        init=zeros,
        span=Span(
            "2000-01-01", f"{2000 + segments}-01-01", every="1YS", calendar="noleap"
        ),
        chunks={"lat": 2},
        **more,
    )
    return wf


def zeros(segment: Segment, inputs: Any) -> xr.Dataset:
    """First state of `column`."""
    return xr.Dataset({"heat": ("lat", np.zeros(4))}, coords={"lat": np.arange(4.0)})


def add_one(state: xr.Dataset, inputs: Any, segment: Segment) -> Advance:
    """Step that counts."""
    return Advance(state=state.assign(heat=state["heat"] + 1.0), output=None)


def boxed(campaign: Campaign, simulation: str) -> list[float]:
    """Values of `column` in the newest checkpoint."""
    path: Path = campaign.checkpoints(simulation)[0] / "state.zarr" / "box"
    return [float(value) for value in xr.open_zarr(path)["heat"].to_numpy()]
