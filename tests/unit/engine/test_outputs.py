"""Outputs that a failed checkpoint took are brought home, or told to be gone."""

from __future__ import annotations

import errno
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from climorch.engine.outputs import Outputs, Staged
from climorch.engine.services import Services
from climorch.engine.threads import DiskThreads
from climorch.engine.worker import StateNotDurableError
from climorch.errors import BackendError
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
