"""The README's main job, small: killed, run again, equal bit by bit."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from climorch import Campaign
from climorch.testing.faults import Script, committed_twice, records_of, until

EXAMPLE = Path(__file__).parents[2] / "examples" / "coupled_ensemble.py"
SMALL = ("--nodes=2", "--members=1", "--grid=20", "--until=2030")
REPORT = EXAMPLE.with_name("forecast_report.py")
NAME = "coupled-ensemble"


def main_job(root: Path, *more: str) -> Script:
    """Run the example on one member of a coarse grid and a short future."""
    place = {"PYTHONPATH": str(EXAMPLE.parents[1])}
    return Script(EXAMPLE, f"--root={root}", *SMALL, *more, environment=place)


def outcome(root: Path) -> dict[str, xr.Dataset]:
    """All results and the last states of every set."""
    found = {}
    for path in sorted((root / NAME / "results").glob("*/*")):
        dataset = xr.open_zarr(path).load()
        found["/".join(path.parts[-2:])] = dataset.drop_attrs(deep=False)
    for folder in sorted((root / NAME / "checkpoints").glob("*/*")):
        last = max(folder.iterdir(), key=lambda p: int(p.name.rpartition("-")[2]))
        for stage in sorted((last / "state.zarr").iterdir()):
            if stage.is_dir():
                key = "/".join((*stage.parts[-5:-2], stage.name))
                found[key] = xr.open_zarr(stage).load()
    return found


def kill_at(root: Path, rows: int) -> int:
    """Kill the job once the journal has so many rows; return how many it has."""
    with main_job(root, "--keep-nodes") as job:

        def there() -> bool:
            return len(records_of(root, NAME)) >= rows or not job.alive

        until(there, what=f"{rows} rows", timeout_s=240)
        job.send(signal.SIGKILL)
        assert job.finish()[0] == -signal.SIGKILL
        until(lambda: job.orphans() == [], what="every process is gone")
    return len(records_of(root, NAME))


def reports_what_is_to_come(root: Path, path: Path) -> None:
    """See that the example makes a report of the campaign that it was given."""
    place = {"PYTHONPATH": str(EXAMPLE.parents[1])}
    asked = ("--members=1", "--grid=20", "--until=2030", "--worlds=3")
    with Script(
        REPORT, f"--root={root}", *asked, f"--netcdf={path}", environment=place
    ) as made:
        status, said = made.finish(timeout_s=120)
    assert status == 0, said
    ledger = Campaign(NAME, root=root).ledger()
    with xr.open_dataset(path) as report:
        # To the second what the journal has; and something is expected.
        held_s = float(report["used_node_hours"].sum()) * 3600
        assert held_s == pytest.approx(ledger.held_node_s, abs=1e-3)
        assert float(report["planned_expected_p90_node_hours"].sum()) > 0
        assert {"second-fb1.4-ae0.7", "second-fb1.4-ae0.7-ssp126"} <= set(
            report["completions_simulation"].values.tolist()
        )


@pytest.mark.live
@pytest.mark.timeout(300)
def test_the_main_job_killed_three_times_ends_as_if_nothing_had_happened(
    tmp_path: Path,
) -> None:
    """Driver killed at random moments and run again: bitwise equal; then all done."""
    with main_job(tmp_path / "calm", "--keep-nodes") as calm:
        status, said = calm.finish(timeout_s=240)
        assert status == 0, said

    # Random within the next 40 rows of the journal, each time further on.
    rng = np.random.default_rng()
    rows = 0
    for _ in range(3):
        rows += int(rng.integers(5, 40))
        rows = kill_at(tmp_path / "killed", rows)
    with main_job(tmp_path / "killed") as last:
        status, said = last.finish(timeout_s=240)
        assert status == 0, said

    calm_end, killed_end = outcome(tmp_path / "calm"), outcome(tmp_path / "killed")
    # One member: spin-up and three stages, and three futures of three stages.
    assert len(calm_end) == 26
    assert calm_end.keys() == killed_end.keys()
    differing = [n for n in calm_end if not calm_end[n].identical(killed_end[n])]
    assert differing == []
    assert committed_twice(records_of(tmp_path / "killed", NAME)) == []
    with main_job(tmp_path / "killed") as again:
        status, said = again.finish(timeout_s=240)
        assert status == 0, said
        assert "All is done already" in said
    reports_what_is_to_come(tmp_path / "calm", tmp_path / "report.nc")
