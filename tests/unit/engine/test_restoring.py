"""On which rung of the ladder states are."""

from __future__ import annotations

import msgspec
import pytest

from climorch.core.sets import CheckpointState
from climorch.core.state import SetState, SimulationState
from climorch.engine.restoring import rung_of
from climorch.model.plan import Branch
from tests.unit.core.script import Script, stage, submitted


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
