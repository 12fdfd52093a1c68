"""Outputs come in order; those that a failed checkpoint took are brought home."""

from __future__ import annotations

import errno
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import cftime
import pytest
import xarray as xr

from climorch.engine.outputs import Outputs, Staged
from climorch.engine.services import Services
from climorch.engine.threads import DiskThreads
from climorch.engine.worker import StateNotDurableError
from climorch.errors import BackendError, InvalidInputError
from climorch.intake.calendar import boundaries
from climorch.model.plan import StagePlan
from climorch.model.span import Span
from climorch.storage import durable
from climorch.storage.results import StagedOutput

WHERE = ("box", 3)


def outputs_with(tmp_path: Path, *, taken: bool) -> tuple[Outputs, Staged]:
    """Outputs of an attempt, one of which a checkpoint took."""
    home, other = tmp_path / "home", tmp_path / "other"
    (other if taken else home).mkdir()
    services = cast("Services", SimpleNamespace(disk=DiskThreads()))
    outputs = Outputs(services, "s", "box", 1)
    staged = Staged(
        output=StagedOutput(directory=home, jobs={}),
        receipts=(),
        cpu_s=0.0,
        taken_to=other,
    )
    return outputs, staged


async def kept(outputs: Outputs) -> Staged:
    """The one output, as the next checkpoint gets it."""
    (found,) = (await outputs.take({"box": 4})).values()
    return found


@pytest.mark.parametrize("taken", [True, False])
async def test_they_come_home(tmp_path: Path, taken: bool) -> None:
    """From where they were taken, or they never left."""
    outputs, staged = outputs_with(tmp_path, taken=taken)
    outputs.put_back({WHERE: staged})
    await outputs.gather()
    found = await kept(outputs)
    assert found.taken_to is None
    assert found.output.directory.is_dir()


async def test_a_storage_that_does_not_allow_it_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They stay where they are meanwhile, and are not forgotten."""
    outputs, staged = outputs_with(tmp_path, taken=True)
    outputs.put_back({WHERE: staged})

    def fail(*args: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(durable, "rename_durably", fail)
        with pytest.raises(BackendError, match="cannot bring back an output"):
            await outputs.gather()
    assert outputs.due({"box": 4}) == {"box": (3,)}
    await outputs.gather()
    assert (await kept(outputs)).output.directory.is_dir()


async def test_one_that_is_gone_has_to_be_computed_again(tmp_path: Path) -> None:
    """Results never have a hole that nobody knows of."""
    outputs, staged = outputs_with(tmp_path, taken=True)
    (tmp_path / "other").rmdir()
    outputs.put_back({WHERE: staged})
    with pytest.raises(StateNotDurableError, match="is gone before it was committed"):
        await outputs.gather()


SPAN = Span("2000-01-01", "2003-01-01", every="1YS", calendar="noleap")
SEA = StagePlan(name="sea", calendar="noleap", boundaries=boundaries(SPAN))


def year(*years: int) -> xr.Dataset:
    """An output with the beginnings of these years."""
    times = [cftime.DatetimeNoLeap(year, 1, 1) for year in years]
    return xr.Dataset({"t": ("time", [0.0] * len(times))}, {"time": times})


def outputs_after(
    last: xr.Dataset | None, patched: pytest.MonkeyPatch
) -> tuple[Outputs, list[tuple[object, ...]]]:
    """Outputs of an attempt behind published results; who asked for these."""
    asked: list[tuple[object, ...]] = []

    def newest_before(results: object, *which: object) -> xr.Dataset | None:
        asked.append(which)
        return last

    patched.setattr("climorch.engine.outputs.newest_before", newest_before)
    services = cast("Services", SimpleNamespace(disk=DiskThreads(), results=None))
    return Outputs(services, "s", "sea", 1), asked


@pytest.mark.parametrize(
    ("last", "own", "asked", "fits"),
    [
        pytest.param(year(2000), 2001, True, True, id="each has its start"),
        pytest.param(year(2001), 2001, True, False, id="the one before had its end"),
        pytest.param(None, 2001, True, True, id="nothing is published"),
        pytest.param(year(2001), 2002, False, True, id="each has its end"),
        pytest.param(year(2002), None, False, True, id="it has no output"),
    ],
)
async def test_what_was_published_before_is_looked_at(
    last: xr.Dataset | None,
    own: int | None,
    asked: bool,
    fits: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a restart as before: only a stamp at the start can meet another one."""
    outputs, askings = outputs_after(last, monkeypatch)
    output = None if own is None else year(own)
    if fits:
        await outputs.require_later(SEA, 1, output)
    else:
        with pytest.raises(InvalidInputError) as caught:
            await outputs.require_later(SEA, 1, output)
        assert [fault.place for fault in caught.value.faults] == [
            "stage 'sea', segment 1, output, coordinate 'time'"
        ]
    assert askings == ([("s", "sea", 1)] if asked else [])


async def test_the_attempt_knows_what_it_saw(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is looked up for a segment whose predecessor it computed."""
    outputs, askings = outputs_after(None, monkeypatch)
    monkeypatch.setattr(outputs, "_start", lambda *_: None)
    outputs.stage(SEA, 0, year(2000, 2001))
    with pytest.raises(InvalidInputError, match="the segments before ended at 2001-01"):
        await outputs.require_later(SEA, 1, year(2001))
    await outputs.require_later(SEA, 1, year(2002))
    assert askings == []
