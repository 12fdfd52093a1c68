"""What is found wrong before anything is submitted."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from climorch.sites.batch.calls import Answer
from climorch.sites.batch.jobs import Call, JobRequest
from climorch.sites.batch.preflight import preflight
from climorch.sites.batch.slurm_commands import Slurm

REQUEST = JobRequest(tag="t", partition="long")


class Asked:
    """A Slurm that answers as it is told, with a clock that is off."""

    def __init__(self, *, refuses: str = "", skew_s: float = 0.0) -> None:
        self.refuses, self.skew_s = refuses, skew_s
        self.calls: list[tuple[str, ...]] = []

    async def __call__(self, call: Call) -> Answer:
        """Answer."""
        self.calls.append(call.argv)
        if call.argv[0] == "sbatch":
            return Answer(code=int(bool(self.refuses)), stderr=self.refuses)
        now = int(time.time() + self.skew_s)
        return Answer(code=0, stdout=f"Configuration data as of {now}\n")


@pytest.fixture
def all_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every program be on the path."""
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")


@pytest.mark.usefixtures("all_there")
async def test_nothing_is_wrong_where_nothing_is(tmp_path: Path) -> None:
    """The folder is made; the job is tried, not submitted."""
    asked = Asked()
    assert await preflight(Slurm(), REQUEST, tmp_path / "a" / "b", asked) == []
    assert asked.calls[0][:2] == ("sbatch", "--test-only")
    assert not list((tmp_path / "a" / "b").iterdir())


@pytest.mark.usefixtures("all_there")
@pytest.mark.parametrize("skew_s", [-60.0, 60.0])
async def test_what_slurm_refuses_and_a_wrong_clock_are_told(
    tmp_path: Path, skew_s: float
) -> None:
    """All at once, in Slurm's words."""
    file = tmp_path / "file"
    file.touch()
    asked = Asked(refuses="sbatch: error: Invalid account", skew_s=skew_s)
    faults = await preflight(Slurm(), REQUEST, file / "below", asked)

    assert [fault.problem for fault in faults] == [
        "cannot be written: Not a directory",
        "sbatch: error: Invalid account",
        faults[2].problem,
    ]
    # It tells whole seconds.
    found = re.fullmatch(
        ".* differs from this machine's by (-?[0-9]+) s", faults[2].problem
    )
    assert found is not None
    assert abs(int(found[1]) - skew_s) <= 2


async def test_without_its_programs_nothing_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each that is missing is named."""
    monkeypatch.setattr("shutil.which", lambda name: None)
    asked = Asked()
    faults = await preflight(Slurm(), REQUEST, tmp_path, asked)

    assert [fault.place for fault in faults] == list(Slurm().programs)
    assert asked.calls == []
