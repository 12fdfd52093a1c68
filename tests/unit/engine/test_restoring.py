"""On which rung of the ladder states are."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from climorch.core.sets import CheckpointState
from climorch.core.state import SetState, SimulationState
from climorch.engine.attempt import Attempt
from climorch.engine.restoring import bring_states, rung_of
from climorch.errors import CorruptDataError
from climorch.model import events as e
from climorch.model.commands import StartAttempt
from climorch.model.plan import Branch
from tests.unit.core.script import Script, stage, submitted
from tests.unit.storage.checkpoint_cases import open_store, request, save


def known(*words: str) -> tuple[SimulationState, SetState]:
    """A simulation with checkpoints 1, 2, …; each is good or what the word says."""
    script = Script()
    script.tell(submitted())
    s = script.set()
    for boundary, word in enumerate(words, start=1):
        s.commits[boundary] = CheckpointState(
            boundary=boundary,
            attempt=1,
            committed_s=0.0,
            seconds=1.0,
            bytes_state=1,
            bytes_written=1,
            copy=1,
            good=word != "bad",
            recalled=word == "recalled",
            repaired=word == "repaired",
        )
    return script.simulation(), s


@pytest.mark.parametrize(
    ("words", "boundary", "rung"),
    [
        ((), 0, "init"),
        (("good", "good"), 2, "checkpoint"),
        (("good", "repaired"), 2, "repaired"),
        (("recalled",), 1, "archive"),
        (("good", "bad"), 1, "older"),
        # One that was repaired is, whatever became of a newer one.
        (("repaired", "bad"), 1, "repaired"),
        # An older one that is damaged is nobody's concern.
        (("bad", "good"), 2, "checkpoint"),
    ],
)
def test_rungs_are_told_apart(words: tuple[str, ...], boundary: int, rung: str) -> None:
    """By what is known of the checkpoint and of newer ones."""
    simulation, s = known(*words)

    assert rung_of(simulation, s, boundary) == rung


def test_a_branch_starts_from_its_parent() -> None:
    """At its start only."""
    simulation, s = known("good")
    simulation.branch = Branch(simulation="parent", rule="r")

    assert rung_of(simulation, s, 0) == "branch"
    assert rung_of(simulation, s, 1) == "checkpoint"


def test_a_phase_that_is_made_from_others_says_so() -> None:
    """At its start only; a simulation that branches says that."""
    script = Script()
    script.tell(submitted(msgspec.structs.replace(stage(), transforms=True)))
    simulation, s = script.simulation(), script.set()

    assert rung_of(simulation, s, 0) == "transform"
    assert s.rung_of(1) == "checkpoint"
    simulation.branch = Branch(simulation="parent", rule="r")
    assert rung_of(simulation, s, 0) == "branch"


async def beginning(tmp_path: Path, spoil: Callable[[Path], None]) -> list[e.Fact]:
    """Let a phase begin from one that ended at 1, whose checkpoint is spoilt."""
    store = open_store(tmp_path)
    spoil(save(store, request(1)).path)
    script = Script()
    earth, late = stage("earth", boundaries=(0, 1)), stage("late", after=("earth",))
    script.tell(submitted(earth, late, name="m01"))
    told: list[e.Fact] = []

    async def run(function: Callable[..., Any], *place: Any) -> Any:
        return function(*place)

    async def begin() -> int:
        store.load("m01", "earth", 1)
        raise CorruptDataError("bytes differ")

    services = SimpleNamespace(
        state=script.orchestrator.state,
        checkpoints=store,
        disk=SimpleNamespace(run=run),
        clock=lambda: 0.0,
        post=told.append,
    )
    attempt = SimpleNamespace(
        services=services,
        simulation="m01",
        set=script.set("late", "m01").plan,
        begin=begin,
    )
    command = StartAttempt(simulation="m01", set="late", attempt=1, boundary=0)
    with pytest.raises(CorruptDataError):
        await bring_states(cast("Attempt", attempt), command, salvaged=False)
    return told


def cut_short(path: Path) -> None:
    """Take the end of a chunk away."""
    chunk = next(p for p in sorted(path.rglob("c/*")) if p.is_file())
    chunk.chmod(0o600)
    chunk.write_bytes(chunk.read_bytes()[:-1])


@pytest.mark.parametrize("spoil", [cut_short, shutil.rmtree])
async def test_what_a_phase_cannot_begin_from_is_told_as_damaged(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    """So the phase before computes it anew, and nothing begins from it meanwhile."""
    (told,) = await beginning(tmp_path, spoil)

    assert isinstance(told, e.CheckpointScrubbed)
    assert (told.simulation, told.set, told.boundary) == ("m01", "earth", 1)
    assert told.damaged
    assert len(told.bad) == 1


async def test_what_a_phase_begins_from_is_not_blamed_where_it_is_good(
    tmp_path: Path,
) -> None:
    """Whatever else was corrupt."""
    assert await beginning(tmp_path, lambda path: None) == []
