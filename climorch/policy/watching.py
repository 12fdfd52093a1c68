"""Which nodes are frozen and which tasks are stuck.

Measured on a clock that stands while nobody looks: if the whole Dask scheduler
was stopped, or the machine slept, silence meanwhile says nothing about nodes.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from climorch.errors import Fault, InvalidInputError
from climorch.model.kinds import require_kinds

__all__ = [
    "Frozen",
    "Sight",
    "Stuck",
    "Vigil",
    "Watch",
    "counted_s",
    "frozen_after_s",
    "look",
    "period_s",
    "stuck_after_s",
]

# With many workers Dask lets heartbeats come seldom; so many may be missed.
HEARTBEATS = 5
# Beyond all that is watched, an attempt that has no states is waited for.
LATE_S = 60.0
LONGEST_PERIOD_S = 5.0
_KEPT = "kept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """When a node counts as frozen and a task as stuck.

    Attributes
    ----------
    frozen_s : float
        Seconds without a heartbeat, > 0; ``inf``: never. Longer than any step
        holds Python's interpreter lock, for then no heartbeat is sent.
    stuck_min_s : float
        A task is never stuck before it has run for so many seconds, > 0.
    stuck_factor : float
        A task is stuck once it has run so many times as long as all but one in
        a hundred segments of its stage, > 1; ``inf``: never. What segments take
        is learned from those that were finished: with few the hundredth is far
        off, so the first ones have longer.
    limits_s : mapping of str to float
        Stage to the seconds after which its tasks are stuck, whatever was
        learned; these count from the first segment on.
    read_s : float
        A node that reads one block of a checkpoint for so many seconds is stuck,
        > 0; ``inf``: never. Above what the slowest storage takes for one: who is
        found reads anew, and as slowly.
    begin_s : float
        A task of `init` that executes for so many seconds is stuck, > 0; ``inf``:
        never. An attempt that has no states a minute after twice as long, be they
        restored or made by `init`, is given up: some answer was lost. So is a copy
        that is not written out by then.

    Raises
    ------
    InvalidInputError
        If a number is outside its range.
    """

    frozen_s: float = 60.0
    stuck_min_s: float = 1800.0
    stuck_factor: float = 3.0
    limits_s: Mapping[str, float] = field(default_factory=dict)
    read_s: float = 1800.0
    begin_s: float = 1800.0

    def __post_init__(self) -> None:
        """Check the kinds, then the ranges."""
        require_kinds(self)
        wanted = [
            ("frozen_s", self.frozen_s, 0.0),
            ("stuck_min_s", self.stuck_min_s, 0.0),
            ("stuck_factor", self.stuck_factor, 1.0),
            ("read_s", self.read_s, 0.0),
            ("begin_s", self.begin_s, 0.0),
            *((f"limits_s[{s!r}]", limit, 0.0) for s, limit in self.limits_s.items()),
        ]
        faults = [
            Fault(
                place=f"Watch.{name}",
                problem=f"got {value!r}, expected > {least:g}",
                remedy="give a larger number; inf switches the rule off",
            )
            for name, value, least in wanted
            if not value > least
        ]
        if faults:
            raise InvalidInputError("this watch cannot be kept", faults=faults)

    @property
    def given_up_s(self) -> float:
        """Seconds after which what an attempt begins with is waited for no more.

        Late: whoever is stuck or frozen is to be found first, with its reason.
        """
        return 2 * self.begin_s + LATE_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What is seen of a worker.

    Attributes
    ----------
    worker : str
        Its address.
    last_seen : float
        Time of its last heartbeat on any clock; only changes matter.
    own_process : bool
        Whether it has a process of its own; one within the Dask scheduler's
        process is as alive as that.
    executing : mapping
        Task, which is run anew each time it is sent, to its limit in seconds.
    given : mapping
        Tasks that it was given beside these, likewise: one that fell silent may
        execute them and cannot say so.
    kept : mapping
        Those among ``given`` that wait though it executes nothing that is known:
        what was cancelled meanwhile and does not end may keep it.
    """

    worker: str
    last_seen: float
    own_process: bool = True
    executing: Mapping[Hashable, float] = field(default_factory=dict)
    given: Mapping[Hashable, float] = field(default_factory=dict)
    kept: Mapping[Hashable, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vigil:
    """What is remembered between two looks.

    Attributes
    ----------
    clock_s : float
        Seconds that were watched.
    heard : mapping of str to (float, float)
        Worker to the time of its last heartbeat and when that was noticed.
    begun : mapping of (str, task) to float
        When each task was first seen executing, or kept.
    budget_s : mapping of str to float
        Worker to the longest limit of what it was last seen executing.
    told : frozenset
        Workers and tasks that were spoken of: once is enough.
    """

    clock_s: float = 0.0
    heard: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    begun: Mapping[tuple[str, Hashable], float] = field(default_factory=dict)
    budget_s: Mapping[str, float] = field(default_factory=dict)
    told: frozenset[Hashable] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """A worker that has been silent for too long."""

    worker: str
    silent_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Stuck:
    """A task that has been executing, or was kept from it, for too long."""

    worker: str
    task: Hashable
    seconds: float
    limit_s: float


def period_s(watch: Watch) -> float:
    """Compute how often to look.

    Parameters
    ----------
    watch : Watch
        The rules.

    Returns
    -------
    float
        Seconds: a quarter of the shortest limit, at most 5.
    """
    limits = [
        watch.frozen_s,
        watch.stuck_min_s,
        watch.read_s,
        *watch.limits_s.values(),
    ]
    return min(min(limits) / 4, LONGEST_PERIOD_S)


def counted_s(elapsed_s: float, period_s: float) -> float:
    """Compute how much of the time since the last look counts.

    Parameters
    ----------
    elapsed_s, period_s : float
        Time since then, and when this look was due, in seconds.

    Returns
    -------
    float
        Seconds, at most two periods: whoever is late was not watching.
    """
    return min(max(elapsed_s, 0.0), 2 * period_s)


def frozen_after_s(watch: Watch, heartbeat_s: float) -> float:
    """Compute the silence after which a worker counts as frozen.

    Parameters
    ----------
    watch : Watch
        The rules.
    heartbeat_s : float
        Time between two heartbeats as they are due now, in seconds.

    Returns
    -------
    float
        Seconds.
    """
    return max(watch.frozen_s, HEARTBEATS * heartbeat_s)


def stuck_after_s(watch: Watch, stage: str, p99_s: float | None) -> float | None:
    """Compute how long a task of a stage may execute.

    Parameters
    ----------
    watch : Watch
        The rules.
    stage : str
        Its name.
    p99_s : float or None
        What one in a hundred of the stage's segments exceeds, in seconds; None:
        none was finished yet.

    Returns
    -------
    float or None
        Seconds. None: nothing is known to compare with.
    """
    declared = watch.limits_s.get(stage)
    if declared is not None:
        limit = declared
    elif p99_s is not None:
        limit = max(watch.stuck_min_s, watch.stuck_factor * p99_s)
    else:
        return None
    return limit if math.isfinite(limit) else None


def look(
    vigil: Vigil,
    sights: Iterable[Sight],
    *,
    counted_s: float,
    frozen_after_s: float,
) -> tuple[Vigil, tuple[Frozen | Stuck, ...]]:
    """Look at all workers once.

    Parameters
    ----------
    vigil : Vigil
        From the look before.
    sights : iterable of Sight
        All workers that are there.
    counted_s : float
        Watched seconds since then.
    frozen_after_s : float
        Silence that is too long, in seconds.

    Returns
    -------
    Vigil
        For the next look.
    tuple of Frozen or Stuck
        What is found, each once.
    """
    clock_s = vigil.clock_s + counted_s
    heard: dict[str, tuple[float, float]] = {}
    begun: dict[tuple[str, Hashable], float] = {}
    budget_s: dict[str, float] = {}
    found: list[Frozen | Stuck] = []
    told: set[Hashable] = set()
    for sight in sights:
        worker = sight.worker
        seen, noticed_s = vigil.heard.get(worker, (math.nan, clock_s))
        noticed_s = noticed_s if seen == sight.last_seen else clock_s
        heard[worker] = (sight.last_seen, noticed_s)
        silent_s = clock_s - noticed_s
        if sight.own_process and silent_s > frozen_after_s:
            told.add(worker)
            if worker not in vigil.told:
                found.append(Frozen(worker=worker, silent_s=silent_s))
        begun |= _begun(vigil, sight, clock_s)
        known_s = max(sight.executing.values(), default=vigil.budget_s.get(worker))
        if known_s is not None:
            budget_s[worker] = known_s
        behind_s = budget_s.get(worker, math.inf)
        for late in _late(sight, begun, behind_s, clock_s=clock_s, noticed_s=noticed_s):
            if (worker, late.task) not in {*told, *vigil.told}:
                found.append(late)
            told.add((worker, late.task))
    after = Vigil(
        clock_s=clock_s,
        heard=heard,
        begun=begun,
        budget_s=budget_s,
        told=frozenset(told),
    )
    return after, tuple(found)


def _begun(
    vigil: Vigil, sight: Sight, clock_s: float
) -> dict[tuple[str, Hashable], float]:
    """Say since when each task executes, or is kept from it, as far as it was seen."""
    # A clock of its own: once it executes it has all of its time.
    kept = ((_KEPT, task) for task in sight.kept)
    places = [(sight.worker, task) for task in (*sight.executing, *kept)]
    return {place: vigil.begun.get(place, clock_s) for place in places}


def _late(
    sight: Sight,
    begun: Mapping[tuple[str, Hashable], float],
    behind_s: float,
    *,
    clock_s: float,
    noticed_s: float,
) -> Iterator[Stuck]:
    """Yield what a worker has executed, or kept waiting, for too long.

    What waits behind something unknown waits no longer than that could take if it
    were what was last seen there: an `init` that has hours may be kept by a hang.
    """
    worker = sight.worker
    since = [
        *(
            (t, x, begun.get((worker, t), noticed_s))
            for t, x in sight.executing.items()
        ),
        *((t, x, begun.get((worker, t), noticed_s)) for t, x in sight.given.items()),
        *(
            (t, min(x, behind_s), begun[worker, (_KEPT, t)])
            for t, x in sight.kept.items()
        ),
    ]
    for task, limit_s, begun_s in since:
        seconds = clock_s - begun_s
        if seconds > limit_s:
            yield Stuck(worker=worker, task=task, seconds=seconds, limit_s=limit_s)
