"""What the books of a journal note of each simulation, its sets and its lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from climorch.forecast.leases import LeaseBook, Use
from climorch.forecast.parts import Part
from climorch.model.plan import SimulationPlan

__all__ = [
    "Book",
    "Done",
    "Line",
    "Purse",
    "Running",
    "SetBook",
    "Spends",
    "Totals",
    "year_s",
]

_DAYS = {"noleap": 365, "365_day": 365, "all_leap": 366, "366_day": 366, "360_day": 360}


def year_s(calendar: str) -> float:
    """Return the seconds of a mean year of a CF calendar."""
    days = 365.25 if calendar == "julian" else _DAYS.get(calendar, 365.2425)
    return days * 86_400.0


class Purse(NamedTuple):
    """Who pays, and in which piece of time; it begins at ``since_s``, UTC seconds."""

    since_s: float
    project: str


Spends = list[tuple[Purse, float]]
"""Node-seconds, by who paid for them and when."""


@dataclass(slots=True, kw_only=True)
class Running(Use):
    """A segment that runs.

    Attributes
    ----------
    segment : int
        Which.
    began_s, again_s : float
        When it was started, and when its lease last lost a node; clock, seconds.
    earlier : list
        What it has cost since then, from purses that are closed.
    vain : list
        What it had cost until then.
    """

    segment: int
    began_s: float
    again_s: float
    earlier: Spends = field(default_factory=list)
    vain: Spends = field(default_factory=list)

    def turn(self, purse: Purse) -> None:
        """Let all that it has cost so far be paid from a purse that closes now."""
        if self.spent:
            self.earlier.append((purse, self.spent))
            self.spent = 0.0

    def torn(self, purse: Purse, now_s: float) -> None:
        """Note that a node of its lease was lost: what follows may be in vain."""
        self.turn(purse)
        self.vain += self.earlier
        self.earlier = []
        self.again_s = now_s

    @property
    def all(self) -> Spends:
        """What it has cost from purses that are closed."""
        return self.vain + self.earlier


class Done(NamedTuple):
    """A segment that was computed; a share of it was kept by checkpoints."""

    spends: Spends
    stall: float


@dataclass(slots=True, kw_only=True)
class Line:
    """What was spent from one purse on one stage, or on a lease.

    Attributes
    ----------
    parts : list of float
        Node-seconds by `Part`.
    segments : int
        Segments that were committed for the first time.
    model_years : float
        Of these, in the first stage of a set: coupled stages count once.
    """

    parts: list[float] = field(default_factory=lambda: [0.0] * len(Part))
    segments: int = 0
    model_years: float = 0.0


@dataclass(slots=True, kw_only=True)
class Totals:
    """What a simulation used from one purse, whatever for.

    Attributes
    ----------
    core_s, memory_byte_s : float
        Cores and memory of the nodes of its lease, times seconds.
    bytes_read, bytes_written : int
        Of checkpoints.
    stored_byte_s, archived_byte_s : float
        Bytes of checkpoints on the disk, and in the archive, times seconds.
    """

    core_s: float = 0.0
    memory_byte_s: float = 0.0
    bytes_read: int = 0
    bytes_written: int = 0
    stored_byte_s: float = 0.0
    archived_byte_s: float = 0.0


@dataclass(slots=True, kw_only=True)
class SetBook:
    """What the books know of one set.

    Attributes
    ----------
    attempt, alive : int, bool
        The newest attempt, and whether it goes on.
    restoring : bool
        Whether its states are on their way.
    writing : bool
        Whether a checkpoint of it is being written.
    why : str
        What went wrong last, for what it loses without a decision about it.
    running : set of str
        Its stages of which a segment runs.
    finished, forfeited : dict
        By stage and segment: computed and not committed; computed, and lost by the
        newest decision, of which a checkpoint may still be found.
    lost : list
        What ran when its attempt ended, by stage; why is told next.
    owed : float
        Node-seconds that checkpoints took from segments which have not ended.
    best : dict of str to int
        Segments of each stage that were committed once.
    newest : dict of int to int
        Newest boundary that each attempt has committed.
    stored : dict of int to int
        Bytes of each checkpoint that is there, by boundary.
    stored_bytes : int
        Of all of them, each file once.
    archived : dict of int to int
        Bytes of each that the archive has.
    """

    attempt: int = 0
    alive: bool = False
    restoring: bool = False
    writing: bool = False
    why: str = ""
    running: set[str] = field(default_factory=set)
    finished: dict[tuple[str, int], Done] = field(default_factory=dict)
    forfeited: dict[tuple[str, int], tuple[Done, str]] = field(default_factory=dict)
    lost: list[tuple[str, Spends]] = field(default_factory=list)
    owed: float = 0.0
    best: dict[str, int] = field(default_factory=dict)
    newest: dict[int, int] = field(default_factory=dict)
    stored: dict[int, int] = field(default_factory=dict)
    stored_bytes: int = 0
    archived: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Book:
    """What the books know of one simulation.

    Attributes
    ----------
    plan : SimulationPlan
        What it is.
    purse : Purse
        Who pays now.
    lease : LeaseBook
        Its nodes and what runs on them.
    nodes : tuple of str
        Their names.
    cores, memory_bytes : int
        Of all of them.
    stored_bytes, archived_bytes : int
        Of its checkpoints on the disk; of these and its results in the archive.
    totals : dict of Purse to Totals
        What it used.
    lines : dict of (Purse, str) to Line
        What it was spent on, by stage; the lease's own has no stage.
    losses : dict of (Purse, str, str) to float
        Node-seconds lost, by stage and cause.
    mishaps : dict of (Purse, str) to int
        How often it was rolled back, by cause.
    completed_s : float or None
        When it was committed to its end.
    committed : dict of str to int
        Segments of each stage that are committed.
    """

    plan: SimulationPlan
    purse: Purse
    lease: LeaseBook[Running]
    sets: dict[str, SetBook]
    nodes: tuple[str, ...] = ()
    cores: int = 0
    memory_bytes: int = 0
    stored_bytes: int = 0
    archived_bytes: int = 0
    totals: dict[Purse, Totals] = field(default_factory=dict)
    lines: dict[tuple[Purse, str], Line] = field(default_factory=dict)
    losses: dict[tuple[Purse, str, str], float] = field(default_factory=dict)
    mishaps: dict[tuple[Purse, str], int] = field(default_factory=dict)
    results_archived: dict[str, int] = field(default_factory=dict)
    answered: dict[str, int] = field(default_factory=dict)
    committed: dict[str, int] = field(default_factory=dict)
    completed_s: float | None = None

    def settle(self, now_s: float) -> None:
        """Count everything up to now."""
        lease = self.lease
        span_s = now_s - lease.since_s
        if span_s <= 0:
            return
        if self.nodes or self.stored_bytes or self.archived_bytes:
            used = self.used(self.purse)
            used.core_s += self.cores * span_s
            used.memory_byte_s += self.memory_bytes * span_s
            used.stored_byte_s += self.stored_bytes * span_s
            used.archived_byte_s += self.archived_bytes * span_s
        rest = lease.settle(now_s)
        if rest:
            self.line(self.purse, "").parts[lease.rest] += rest

    def turn(self, purse: Purse) -> None:
        """Pay from another purse from now on; everything up to now is counted."""
        for running in self.lease.running.values():
            running.turn(self.purse)
        self.purse = purse

    def used(self, purse: Purse) -> Totals:
        """Return the totals of a purse."""
        found = self.totals.get(purse)
        if found is None:
            found = self.totals[purse] = Totals()
        return found

    def line(self, purse: Purse, stage: str) -> Line:
        """Return the line of a purse and a stage."""
        found = self.lines.get((purse, stage))
        if found is None:
            found = self.lines[purse, stage] = Line()
        return found

    def lose(self, stage: str, spends: Spends, why: str) -> None:
        """Book what was computed for nothing, and why."""
        for purse, node_s in spends:
            self.line(purse, stage).parts[Part.LOST] += node_s
            key = (purse, stage, why)
            self.losses[key] = self.losses.get(key, 0.0) + node_s

    def commit(self, stage: str, done: Done, part: Part) -> None:
        """Book what is committed."""
        for purse, node_s in done.spends:
            parts = self.line(purse, stage).parts
            stall = node_s * done.stall
            parts[part] += node_s - stall
            parts[Part.STALL] += stall

    def pending(self) -> Iterator[tuple[Purse, str, float]]:
        """Tell what is computed and neither committed nor lost yet."""
        for s in self.sets.values():
            for (stage, _), done in s.finished.items():
                for purse, node_s in done.spends:
                    yield purse, stage, node_s
        for stage, running in self.lease.running.items():
            yield self.purse, stage, running.spent
            for purse, node_s in running.all:
                yield purse, stage, node_s
        for s in self.sets.values():
            for stage, spends in s.lost:
                for purse, node_s in spends:
                    yield purse, stage, node_s

    @property
    def complete(self) -> bool:
        """Whether every segment of its plan is committed."""
        return all(
            self.committed.get(stage.name, 0) >= stage.segments
            for stage in self.plan.stages
        )
