"""Models of other people go on, bit by bit, where they were killed.

For each: N segments, a kill, a restore and N more equal 2 N in one go, without any
campaign. N is no multiple of a cycle, or a clock that was lost would not show.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

from climorch import Campaign
from climorch.model import events as e
from climorch.storage.manifest import read_manifest
from climorch.testing.faults import Script, committed_twice, until
from tests.live.cases import kinds, records
from tests.third_party.models import MODELS, STAGE, VARIABLE

pytestmark = [pytest.mark.benchmark, pytest.mark.live, pytest.mark.timeout(300)]

SCRIPT = Path(__file__).with_name("campaign_script.py")
HALF = 7
# A process for each segment imports the model each time.
HALF_ISOLATED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A model whose campaign was killed half-way, and what it is to end with."""

    name: str
    isolated: bool
    half: int
    root: Path
    expected: xr.Dataset

    def copied(self, folder: Path) -> Path:
        """Return the root of a copy of the killed campaign."""
        return Path(shutil.copytree(self.root, folder / "root"))

    def goes_on(self, root: Path, **disturbed: Any) -> xr.Dataset:
        """Run it to its end; return the last state."""
        given = given_to(self.name, root, 2 * self.half, isolated=self.isolated)
        run(given, 0, **disturbed)
        return last_state(root)


def given_to(name: str, root: Path, segments: int, **more: Any) -> dict[str, Any]:
    """What the script is told."""
    return {"root": str(root), "model": name, "segments": segments, **more}


def run(given: dict[str, Any], expected: int, **disturbed: Any) -> None:
    """Run the script, which has to end with a status and leave no process."""
    environment = {
        "PYTHONPATH": str(SCRIPT.parents[2]),
        VARIABLE: json.dumps(disturbed),
    }
    with Script(SCRIPT, json.dumps(given), environment=environment) as script:
        status, printed = script.finish()
        assert status == expected, printed
        until(lambda: not script.orphans(), what="no process is left")


def last_state(root: Path) -> xr.Dataset:
    """Return the state in the newest checkpoint, as plain xarray reads it."""
    newest = Campaign("c", root=root).checkpoints("s")[0]
    found: xr.Dataset = xr.open_zarr(newest / "state.zarr" / STAGE).load()
    return found


def half_of(root: Path) -> int:
    """Segments that were committed when the driver was killed."""
    newest = Campaign("c", root=root).checkpoints("s")[0]
    return read_manifest(newest).boundary


def same(one: xr.Dataset, two: xr.Dataset) -> bool:
    """Whether two states have the same variables, types and bits."""
    return one.variables.keys() == two.variables.keys() and all(
        one[name].dtype == two[name].dtype
        and one[name].to_numpy().tobytes() == two[name].to_numpy().tobytes()
        for name in one.variables
    )


@pytest.fixture(
    scope="module",
    params=[
        *((name, False) for name in MODELS),
        ("landscape", True),
    ],
    ids=lambda given: f"{given[0]}{' in processes of its own' if given[1] else ''}",
)
def killed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Case:
    """A campaign whose driver was killed after the first half, models and all."""
    name, isolated = request.param
    package = MODELS[name].package
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed: uv run --group models pytest ...")
    half = HALF_ISOLATED if isolated else HALF
    folder = tmp_path_factory.mktemp("killed")
    given = given_to(name, folder / "root", 2 * half, isolated=isolated)
    run({**given, "plain": str(folder / "plain.zarr")}, 0)
    run({**given, "die_at": half}, -signal.SIGKILL, pace_s=0.2)
    return Case(
        name=name,
        isolated=isolated,
        half=half,
        root=folder / "root",
        expected=xr.open_zarr(folder / "plain.zarr").load(),
    )


def test_twice_n_segments_are_those_of_an_undisturbed_model(
    killed: Case, tmp_path: Path
) -> None:
    """The driver was killed at N, the model's process is once more: no bit differs."""
    root, marker = killed.copied(tmp_path), tmp_path / "marker"
    before = last_state(root)
    assert half_of(root) in range(killed.half, 2 * killed.half)

    found = killed.goes_on(root, kill_at=2 * killed.half - 1, marker=str(marker))

    assert same(found, killed.expected)
    # What was computed before the kill is in it, and not all of it.
    assert not same(before, killed.expected)
    campaign = Campaign("c", root=root)
    assert campaign.status()["s"].committed == 2 * killed.half
    seen = records(campaign)
    assert committed_twice(seen) == []
    finished = [fact.segment for fact in kinds(seen, e.SegmentFinished)]
    assert finished.count(0) == 1
    assert marker.exists()
    assert len(kinds(seen, e.SegmentFailed)) == 1


def test_two_that_go_on_from_one_checkpoint_end_the_same(
    killed: Case, tmp_path: Path
) -> None:
    """Another copy of the killed campaign, undisturbed from there on."""
    assert same(killed.goes_on(killed.copied(tmp_path)), killed.expected)


def test_what_is_no_field_is_part_of_the_state(killed: Case, tmp_path: Path) -> None:
    """A test of the tests: a model that forgets its clock or generator is noticed."""
    hidden = list(MODELS[killed.name].hidden)

    found = killed.goes_on(killed.copied(tmp_path), forget=hidden)

    assert not same(found, killed.expected)
