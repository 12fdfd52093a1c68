"""What some cases have beside faults and wishes, as values: one part of `case`.

Numbers that blow up and what is tried then, an archive that is away now and then.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Blow", "Depot", "Shares", "Treatment"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Blow:
    """A segment whose numbers blow up, until enough was changed.

    Attributes
    ----------
    simulation, stage : str
        Whose.
    segment : int
        Which.
    tries : int
        Tries that have to be in force there for it to be computed.
    times : int
        How often at most: fewer than what ``tries`` would take is an accident.
    """

    simulation: str
    stage: str
    segment: int
    tries: int
    times: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Treatment:
    """What the user's remedy says.

    Attributes
    ----------
    tries : int
        As of `Remedy`.
    back : int
        As of `Retry`.
    hopeless : int
        Number of the try to which it has nothing more to say.
    """

    tries: int
    back: int
    hopeless: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Depot:
    """An archive.

    Attributes
    ----------
    takes_s : float
        For one object, there or back, seconds.
    away : tuple of (float, float)
        From when until when it cannot be reached; seconds.
    tape_s : float
        Until what was asked back is there, seconds; 0: at once.
    """

    takes_s: float
    away: tuple[tuple[float, float], ...] = ()
    tape_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """In which share of the cases there is what.

    Attributes
    ----------
    blow_ups, until, scores, promise, rules, optional : float
        Of numbers that blow up, stages that end early, scores, rules of promise over
        scores, rules that add simulations or move ends, optional and transformed
        stages.
    archive, bytes, budgets, inbox, pins, late : float
        Of an archive, a budget of bytes, budgets of node-hours that change, wishes
        from another process, checkpoints that somebody pins, answers that are late by
        up to hours.
    """

    blow_ups: float = 0.35
    until: float = 0.3
    scores: float = 0.35
    promise: float = 0.6
    rules: float = 0.25
    optional: float = 0.25
    archive: float = 0.3
    bytes: float = 0.2
    budgets: float = 0.25
    inbox: float = 0.5
    pins: float = 0.1
    late: float = 0.3
