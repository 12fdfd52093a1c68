"""Where faults strike: steps of the checkpoint protocol, and moments around it.

Each is one function of one process, before or after its call.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = [
    "DRIVER",
    "MOMENTS",
    "RULE_STEPS",
    "SCORE_STEPS",
    "STEPS",
    "VICTIM",
    "WORKER",
    "Step",
]

DRIVER = "driver"
WORKER = "worker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Where in the code a step of the protocol is.

    Attributes
    ----------
    place : str
        ``"driver"`` or ``"worker"``: in which process it happens.
    target : str
        Function, or method of a class, as the code calls it.
    after : bool
        Whether the moment is once it has returned.
    when : callable
        Told the arguments of a call; whether the call is this step.
    """

    place: str
    target: str
    after: bool = False
    when: Callable[[tuple[Any, ...]], bool] = lambda arguments: True


def _is_commit(arguments: tuple[Any, ...]) -> bool:
    """Whether a rename goes from in flight to the committed checkpoints."""
    source, destination = (Path(path).parts for path in arguments[:2])
    return "inflight" in source and destination[-4:-3] == ("checkpoints",)


def _is_commit_row(arguments: tuple[Any, ...]) -> bool:
    """Whether rows tell of a committed checkpoint."""
    return any(row.kind == "CheckpointCommitted" for row in arguments[1])


_STORAGE = "climorch.storage"
_RENAME = f"{_STORAGE}.durable.rename_durably"
_APPEND = f"{_STORAGE}.journal.SqliteJournal.append"
_HEARTBEAT = f"{_STORAGE}.journal.SqliteJournal.heartbeat"

STEPS: dict[str, Step] = {
    "directories made": Step(
        place=DRIVER, target=f"{_STORAGE}.checkpoints.begin", after=True
    ),
    "chunk hashed": Step(
        place=WORKER, target=f"{_STORAGE}.chunks.raw_hash", after=True
    ),
    "chunk written": Step(
        place=WORKER, target=f"{_STORAGE}.durable.write_durably", after=True
    ),
    "receipt": Step(
        place=WORKER, target="climorch.engine.worker.write_chunks", after=True
    ),
    "before the manifest": Step(place=DRIVER, target=f"{_STORAGE}.commit.seal"),
    "after the manifest": Step(
        place=DRIVER, target=f"{_STORAGE}.commit.seal", after=True
    ),
    "before the commit": Step(place=DRIVER, target=_RENAME, when=_is_commit),
    "after the commit": Step(place=DRIVER, target=_RENAME, after=True, when=_is_commit),
    "before the journal": Step(place=DRIVER, target=_APPEND, when=_is_commit_row),
    "after the journal": Step(
        place=DRIVER, target=_APPEND, after=True, when=_is_commit_row
    ),
    "publishing": Step(place=DRIVER, target=f"{_STORAGE}.results.write_through"),
    "published": Step(place=DRIVER, target=f"{_STORAGE}.results._commit", after=True),
    "deleting": Step(place=DRIVER, target=f"{_STORAGE}.removal.take_away"),
    "deleted": Step(place=DRIVER, target=f"{_STORAGE}.removal.take_away", after=True),
}
"""Every step of the checkpoint protocol, in its order."""

_RULING = "climorch.engine.ruling"


def _are(kind: str) -> Callable[[tuple[Any, ...]], bool]:
    """Return whether some of the rows that are appended are of a kind."""
    return lambda arguments: any(row.kind == kind for row in arguments[1])


RULE_STEPS: dict[str, Step] = {
    "before the question": Step(
        place=DRIVER, target=_APPEND, when=_are("EvaluateRule")
    ),
    "after the question": Step(
        place=DRIVER, target=_APPEND, after=True, when=_are("EvaluateRule")
    ),
    "before the rule": Step(place=DRIVER, target=f"{_RULING}.asked_as"),
    "after the rule": Step(place=DRIVER, target=f"{_RULING}.edits_from", after=True),
    "before the answer": Step(place=DRIVER, target=_APPEND, when=_are("RuleEvaluated")),
    "after the answer": Step(
        place=DRIVER, target=_APPEND, after=True, when=_are("RuleEvaluated")
    ),
}
"""From the question of a rule to its answer in the journal, in order."""

SCORE_STEPS: dict[str, Step] = {
    "after the score's question": Step(
        place=DRIVER, target=_APPEND, after=True, when=_are("EvaluateScore")
    ),
    "before the score's answer": Step(
        place=DRIVER, target=_APPEND, when=_are("ScoreEvaluated")
    ),
    "after the score's answer": Step(
        place=DRIVER, target=_APPEND, after=True, when=_are("ScoreEvaluated")
    ),
}
"""The same of a score."""

_COMPUTE = "climorch.testing.fault_model.compute"


def _is_first(arguments: tuple[Any, ...]) -> bool:
    """Whether a block belongs to the simulation that faults are aimed at."""
    return bool(arguments[1] == VICTIM)


VICTIM = "m0"
"""Simulation whose blocks count where a moment lies within a segment."""

MOMENTS: dict[str, Step] = {
    "mid-segment": Step(place=WORKER, target=_COMPUTE, when=_is_first),
    "boundary": Step(place=DRIVER, target="climorch.engine.attempt.scalars"),
    "restoring": Step(place=WORKER, target="climorch.engine.worker.read_chunk"),
}
"""What lies outside the protocol: a block of a segment is computed, a segment's
blocks are all there and its end is not told, a block is read back."""
