"""Simple rules of promise: order, priority, equal parts, halving.

To choose where a campaign knows better than its results, and to compare with.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from climorch.errors import InvalidInputError
from climorch.model.ranges import range_faults
from climorch.policy.prospects import Promise, Prospect, Ranking, Skill

__all__ = ["EqualSplit", "FixedPriorities", "SubmissionOrder", "SuccessiveHalving"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionOrder:
    """Serve who was submitted first, to its end."""

    def rank(self, prospects: Sequence[Prospect], *, now_s: float) -> Ranking:
        """Order by submission; see `PromiseRule`."""
        found = sorted((p for p in prospects if p.open), key=lambda p: p.serial)
        return Ranking(order=_promises(found, "order"))


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedPriorities:
    """Serve the highest priority first, to its end; equal ones by submission."""

    def rank(self, prospects: Sequence[Prospect], *, now_s: float) -> Ranking:
        """Order by priority; see `PromiseRule`."""
        found = sorted(
            (p for p in prospects if p.open), key=lambda p: (-p.priority, p.serial)
        )
        return Ranking(order=_promises(found, "priority"))


@dataclass(frozen=True, slots=True, kw_only=True)
class EqualSplit:
    """Keep all at the same point: serve who got least far, pause who got further."""

    def rank(self, prospects: Sequence[Prospect], *, now_s: float) -> Ranking:
        """Order by what was spent; see `PromiseRule`."""
        found = sorted(
            (p for p in prospects if p.open), key=lambda p: (_part(p), p.serial)
        )
        waiting = [p for p in found if not p.holding]
        holding = [p for p in reversed(found) if p.holding]
        pauses = {
            far.simulation: f"{behind.simulation} has got less far"
            for far, behind in zip(holding, waiting, strict=False)
            if _part(far) > _part(behind)
        }
        return Ranking(order=_promises(found, "progress"), pauses=pauses)


@dataclass(frozen=True, slots=True, kw_only=True)
class SuccessiveHalving:
    """Let the better part of those scored at a mark go on, pause the others.

    In its asynchronous form, which waits for nobody (Li et al., A System for
    Massively Parallel Hyperparameter Tuning, 2020). Those paused go on when nobody
    else is left. It trusts partial scores without asking whether they foretell
    anything; in climate ensembles they often do not.

    Attributes
    ----------
    marks : tuple of int
        Where it is decided; marks of scores, ascending.
    keep : float
        Part of those scored at a mark that goes on, in (0, 1].

    Raises
    ------
    InvalidInputError
        Without marks, or if they do not ascend, or ``keep`` is out of range.
    """

    marks: tuple[int, ...]
    keep: float = 0.5

    def __post_init__(self) -> None:
        ascending = bool(self.marks) and list(self.marks) == sorted(set(self.marks))
        faults = range_faults(
            self,
            [
                ("marks", ascending, "one or more numbers that ascend"),
                ("keep", 0 < self.keep <= 1, "in (0, 1]"),
            ],
            remedy="give marks of scores, and the part that goes on",
        )
        if faults:
            raise InvalidInputError("this cannot be halved", faults=faults)

    def rank(self, prospects: Sequence[Prospect], *, now_s: float) -> Ranking:
        """Order those that may go on before new ones, stopped ones last."""
        scored = {
            mark: sorted(m for p in prospects for m in _margins(p.skills, mark))
            for mark in self.marks
        }
        stops = {p.simulation: self._stop(p, scored) for p in prospects if p.open}

        def key(p: Prospect) -> tuple[bool, float, int]:
            return (stops[p.simulation] is not None, -_part(p), p.serial)

        found = sorted((p for p in prospects if p.open), key=key)
        pauses = {
            p.simulation: stop
            for p in found
            if p.holding and (stop := stops[p.simulation]) is not None
        }
        return Ranking(order=_promises(found, "progress"), pauses=pauses)

    def _stop(self, p: Prospect, scored: dict[int, list[float]]) -> str | None:
        """Tell why one may not go on beyond the last mark that it passed."""
        at = [s for s in p.skills if s.mark in scored]
        if not at or at[-1] is not p.skills[-1]:
            return None
        margins = scored[at[-1].mark]
        better = sum(m > at[-1].margin for m in margins)
        if better < math.floor(len(margins) * self.keep):
            return None
        return f"{better} of {len(margins)} are better at mark {at[-1].mark}"


def _margins(skills: Iterable[Skill], mark: int) -> Iterable[float]:
    for skill in skills:
        if skill.mark == mark:
            yield skill.margin


def _part(p: Prospect) -> float:
    return 1 - p.left_node_s / p.planned_node_s


def _promises(found: Iterable[Prospect], reason: str) -> tuple[Promise, ...]:
    return tuple(
        Promise(
            simulation=p.simulation,
            worth=p.value,
            reason=reason,
            cost_node_s=p.left_node_s,
        )
        for p in found
    )
