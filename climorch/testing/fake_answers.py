"""What a made-up world answers to commands, and how often it fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from climorch.model import commands as c
from climorch.model import events as e
from climorch.model.events import Cause, Fact
from climorch.testing.fake_disk import FakeDisk

if TYPE_CHECKING:
    import numpy as np

__all__ = ["DELAYS_S", "Answers", "Chances", "Rule", "no_children"]

Rule = Callable[[str, str], tuple[e.SimulationSubmitted, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chances:
    """How often what goes wrong.

    Attributes
    ----------
    segment, restore, checkpoint, copy, rule : float
        Share of commands that fail, in [0, 1].
    damage : float
        Share of restores that find their checkpoint damaged.
    repeat : float
        Share of facts that arrive twice.
    late : float
        Share of answers to an abandoned attempt that arrive all the same.
    lost : float
        Share of answers that die with a node.
    """

    segment: float = 0.0
    restore: float = 0.0
    checkpoint: float = 0.0
    copy: float = 0.0
    rule: float = 0.0
    damage: float = 0.0
    repeat: float = 0.0
    late: float = 0.0
    lost: float = 0.0


# Causes by which what answers a command may fail.
SEGMENT_CAUSES = tuple(Cause)
RESTORE_CAUSES = (Cause.NODE_LOST, Cause.STORAGE, Cause.MEMORY)
CHECKPOINT_CAUSES = (Cause.STORAGE, Cause.STORAGE, Cause.NOT_DURABLE, Cause.NUMERICAL)
DELAYS_S = (0.0, 1.0, 1.0, 5.0, 30.0)


def no_children(simulation: str, rule: str) -> tuple[e.SimulationSubmitted, ...]:
    """Answer of a rule that adds nothing."""
    return ()


class Answers:
    """Draws what comes of each command.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of delays and failures.
    chances : Chances
        How often what goes wrong; may be replaced at any time.
    rule : callable
        ``rule(simulation, name)`` returns the simulations that a rule adds.
    delays_s : tuple of float
        Delays to draw from, in seconds, >= 0.
    disk : FakeDisk
        What is on its disk.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        *,
        chances: Chances,
        rule: Rule,
        delays_s: tuple[float, ...],
        disk: FakeDisk,
    ) -> None:
        self.rng = rng
        self.chances = chances
        self.rule = rule
        self.delays_s = delays_s
        self.disk = disk
        self._fail_next: dict[type[c.Command], list[Cause]] = {}

    def fail_next(self, kind: type[c.Command], cause: Cause) -> None:
        """Let the next command of a kind fail, whatever the chances are."""
        self._fail_next.setdefault(kind, []).append(cause)

    def calm(self) -> None:
        """Let nothing go wrong from now on that has not gone wrong yet."""
        self.chances = Chances()
        self._fail_next.clear()

    def chance(self, share: float) -> bool:
        """Draw whether something of this share happens."""
        return share > 0 and bool(self.rng.random() < share)

    def delay(self) -> float:
        """Draw a delay, in seconds."""
        return self.delays_s[int(self.rng.integers(len(self.delays_s)))]

    def _pick(self, causes: tuple[Cause, ...]) -> Cause:
        return causes[int(self.rng.integers(len(causes)))]

    def _trouble(
        self, kind: type[c.Command], share: float, causes: tuple[Cause, ...]
    ) -> Cause | None:
        wanted = self._fail_next.get(kind)
        if wanted:
            return wanted.pop(0)
        return self._pick(causes) if self.chance(share) else None

    def restored(self, command: c.StartAttempt) -> Fact:
        """Answer a restore."""
        boundary = command.boundary
        stored = self.disk.of(command.simulation, command.set).get(boundary)
        cause = self._trouble(c.StartAttempt, self.chances.restore, RESTORE_CAUSES)
        if stored is not None and (
            cause is Cause.CORRUPT or self.chance(self.chances.damage)
        ):
            stored.damaged = True
        missing = stored is None and boundary > 0
        damaged = missing or (stored is not None and stored.damaged)
        if damaged or cause is not None:
            return e.RestoreFailed(
                simulation=command.simulation,
                set=command.set,
                attempt=command.attempt,
                boundary=boundary,
                cause=Cause.CORRUPT if damaged else cause or Cause.STORAGE,
                message="could not be read",
                damaged=damaged,
            )
        return e.SetRestored(
            simulation=command.simulation,
            set=command.set,
            attempt=command.attempt,
            boundary=boundary,
            rung="checkpoint" if boundary else "init",
        )

    def computed(self, command: c.StartSegment, *, nodes: int) -> Fact:
        """Answer a segment, computed on so many nodes."""
        cause = self._trouble(c.StartSegment, self.chances.segment, SEGMENT_CAUSES)
        if cause is not None:
            return e.SegmentFailed(
                simulation=command.simulation,
                stage=command.stage,
                segment=command.segment,
                attempt=command.attempt,
                cause=cause,
                message="made to fail",
            )
        return e.SegmentFinished(
            simulation=command.simulation,
            stage=command.stage,
            segment=command.segment,
            attempt=command.attempt,
            seconds=1.0 + self.delay(),
            nodes=nodes,
            metrics={"segment": float(command.segment)},
        )

    def written(self, command: c.BeginCheckpoint) -> Fact:
        """Answer a checkpoint."""
        cause = self._trouble(
            c.BeginCheckpoint, self.chances.checkpoint, CHECKPOINT_CAUSES
        )
        if cause is not None:
            return e.CheckpointFailed(
                simulation=command.simulation,
                set=command.set,
                boundary=command.boundary,
                attempt=command.attempt,
                cause=cause,
                message="made to fail",
            )
        return self._commit(command, full=command.full)

    def _commit(
        self, command: c.BeginCheckpoint | c.SalvageCopy, *, full: bool
    ) -> e.CheckpointCommitted:
        others = self.disk.of(command.simulation, command.set).values()
        return e.CheckpointCommitted(
            simulation=command.simulation,
            set=command.set,
            boundary=command.boundary,
            attempt=command.attempt,
            seconds=self.delay(),
            cost_s=self.delay(),
            independent=full or all(x.damaged for x in others),
        )

    def copied(self, command: c.BeginCopy) -> Fact:
        """Answer a copy to partners."""
        if self.chance(self.chances.copy):
            return e.CopyFailed(
                simulation=command.simulation,
                set=command.set,
                boundary=command.boundary,
                attempt=command.attempt,
                message="made to fail",
            )
        return e.CopyHeld(
            simulation=command.simulation,
            set=command.set,
            boundary=command.boundary,
            attempt=command.attempt,
            seconds=self.delay(),
        )

    def salvaged(self, command: c.SalvageCopy) -> Fact:
        """Answer that a copy is to be written."""
        if self.chance(self.chances.copy):
            return e.SalvageFailed(
                simulation=command.simulation,
                set=command.set,
                boundary=command.boundary,
                attempt=command.attempt,
                message="made to fail",
            )
        return self._commit(command, full=False)

    def remedied(self, command: c.AskRemedy) -> Fact:
        """Answer a remedy."""
        return e.RemedyGiven(
            simulation=command.simulation,
            set=command.set,
            number=command.number,
            retry=not self.chance(self.chances.rule),
            params={"try": command.number},
            back=1 + command.number % 2,
            message="made to have none",
        )

    def scored(self, command: c.EvaluateScore) -> Fact:
        """Answer a score."""
        if self.chance(self.chances.rule):
            return e.ScoreFailed(
                simulation=command.simulation,
                score=command.score,
                mark=command.mark,
                message="made to fail",
                not_finite=command.mark % 2 == 0,
            )
        return e.ScoreEvaluated(
            simulation=command.simulation,
            score=command.score,
            mark=command.mark,
            value=float(command.mark % 3) - 1.0,
        )

    def evaluated(self, command: c.EvaluateRule) -> Fact:
        """Answer a rule."""
        if self.chance(self.chances.rule):
            return e.RuleFailed(
                simulation=command.simulation,
                rule=command.rule,
                at=command.at,
                message="made to fail",
            )
        return e.RuleEvaluated(
            simulation=command.simulation,
            rule=command.rule,
            at=command.at,
            added=self.rule(command.simulation, command.rule),
        )
