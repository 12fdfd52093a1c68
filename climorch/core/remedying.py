"""What is tried when the numbers of a set blow up, and from where on it holds.

Views and decisions; `fold_remedies` changes the state.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from climorch.core.dropping import give_up
from climorch.model.commands import (
    AskRemedy,
    DeleteCheckpoint,
    Record,
)
from climorch.model.events import Cause
from climorch.model.numerics import Remedy

if TYPE_CHECKING:
    from climorch.core.sets import SetState
    from climorch.core.state import SimulationState

__all__ = [
    "Blown",
    "Tried",
    "ask_again",
    "changes_of",
    "give_up_or_ask",
    "given_up",
    "in_force",
    "params_now",
    "remedy_factors",
    "superseded",
    "tries_told",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A try.

    Attributes
    ----------
    number : int
        From 1.
    message : str
        What was found before it.
    boundary : int
        Common boundary from which it was computed again.
    former : int
        The newest attempt before it: what such a one has beyond that boundary is of a
        course that was given up.
    params : mapping
        Parameters that are others from there on.
    reseed : bool
        Whether seeds are.
    at_s : float
        When, driver's clock, seconds.
    in_force : bool
        Whether it still holds; a later try that begins before it replaces it.
    """

    number: int
    message: str
    boundary: int
    former: int
    params: Mapping[str, Any]
    reseed: bool
    at_s: float
    in_force: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Blown:
    """What is known of the blow-ups of a set.

    Attributes
    ----------
    tried : tuple of Tried
        Every try, by number.
    pending : AskRemedy or None
        What is asked and was not answered.
    asked : bool
        Whether anybody was asked since the driver started.
    count : int
        Tries before it got beyond ``worst``.
    worst : int
        Farthest common boundary reached when it blew up.
    target : int or None
        Boundary whose later checkpoints are to go before anything starts.
    void : mapping of (str, str) to int
        What was asked about the former course and has not answered, as
        ``("rule", name)`` or ``("score", name)``, and from how many segments on what it
        says counts for nothing.
    """

    tried: tuple[Tried, ...] = ()
    pending: AskRemedy | None = None
    asked: bool = False
    count: int = 0
    worst: int = 0
    target: int | None = None
    void: Mapping[tuple[str, str], int] = field(default_factory=dict)

    @property
    def waits(self) -> bool:
        """Whether nothing may start yet."""
        return self.pending is not None or self.target is not None


def give_up_or_ask(
    simulation: SimulationState,
    s: SetState,
    remedies: Mapping[str, Remedy],
    message: str,
    reached: int,
) -> Iterator[Record]:
    """Ask for a remedy, if there is one and it was not tried too often.

    Parameters
    ----------
    simulation, s
        What blew up, and is abandoned.
    remedies : mapping of str to Remedy
        By workflow.
    message : str
        What was found.
    reached : int
        Common boundary that some stage had reached.
    """
    remedy, blown = remedies.get(simulation.plan.workflow), s.blown
    count = 0 if s.committed > blown.worst else blown.count
    if remedy is not None and count < remedy.tries:
        yield AskRemedy(
            simulation=simulation.name,
            set=s.name,
            number=len(blown.tried) + 1,
            message=message,
            reached=reached,
        )
        return
    if count:
        message = f"quarantined after {count} tries: {message}"
    yield from give_up(simulation, s, Cause.NUMERICAL, message)


def ask_again(simulation: SimulationState, s: SetState) -> Iterator[Record]:
    """Ask once more what no driver lived to hear."""
    pending = s.blown.pending
    if pending is not None and not s.blown.asked and simulation.wants_nodes:
        yield pending


def given_up(blown: Blown, attempt: int, boundary: int) -> bool:
    """Tell whether what an attempt has at a boundary is of a course that was given up.

    Whichever try gave it up: none of those courses comes back, whatever was given up
    since.

    Parameters
    ----------
    blown : Blown
        Of its set.
    attempt, boundary : int
        Whose, and where.
    """
    return any(attempt <= t.former and boundary > t.boundary for t in blown.tried)


def superseded(simulation: SimulationState, s: SetState) -> Iterator[Record]:
    """Remove the checkpoints of a course that was given up."""
    if not s.blown.tried:
        return
    for boundary, commit in list(s.commits.items()):
        # Once it has gone back, there are only those that came late: none is good.
        former = s.blown.target is not None or not commit.good
        # What is being published or archived would miss its files.
        busy = commit.publishing or commit.archiving or commit.deleting
        if former and not busy and given_up(s.blown, commit.attempt, boundary):
            yield DeleteCheckpoint(
                simulation=simulation.name,
                set=s.name,
                boundary=boundary,
                attempt=commit.attempt,
            )


def in_force(s: SetState, done: int) -> list[Tried]:
    """Return the tries that hold for what starts at or after a common boundary."""
    return [t for t in s.blown.tried if t.in_force and t.boundary <= done]


def changes_of(s: SetState, stage: str, segment: int) -> tuple[dict[str, Any], int]:
    """Return what is other for a segment because of earlier blow-ups.

    Parameters
    ----------
    s : SetState
        The set.
    stage : str
        One of its stages.
    segment : int
        Which.

    Returns
    -------
    params : dict
        Parameters that are others.
    salt : int
        Number of the try that gave it other seeds; 0: none did.
    """
    params: dict[str, Any] = {}
    salt = 0
    for tried in s.blown.tried:
        if tried.in_force and s.plan.segments_at[tried.boundary][stage] <= segment:
            params |= tried.params
            salt = tried.number if tried.reseed else salt
    return params, salt


def params_now(simulation: SimulationState, s: SetState) -> dict[str, Any]:
    """Return the parameters with which a set is computed at its newest boundary."""
    params = dict(simulation.plan.params)
    for tried in in_force(s, s.reached):
        params |= tried.params
    return params


def tries_told(s: SetState) -> list[dict[str, Any]]:
    """Return every try as plain data, for results and `explain`."""
    return [
        {
            "try": t.number,
            "found": t.message,
            "computed again from boundary": t.boundary,
            "params": dict(t.params),
            "other seeds": t.reseed,
            "at": t.at_s,
            "in force": t.in_force,
        }
        for t in s.blown.tried
    ]


def remedy_factors(simulation: SimulationState) -> dict[str, Any]:
    """Say of each set what was tried when its numbers blew up.

    Parameters
    ----------
    simulation : SimulationState
        Whose sets.
    """
    found: dict[str, Any] = {}
    for s in simulation.sets.values():
        told = {f"try {t['try']}": json.dumps(t) for t in tries_told(s)}
        if s.blown.pending is not None:
            told["is asked"] = s.blown.pending.message
        if told:
            found[f"blow-ups of {s.name}"] = told
    return found
